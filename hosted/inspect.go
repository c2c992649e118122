package hosted

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"larder/cache"
)

// orphanAge is how old a tarball that no document names must be to be deleted.
// The lock of its package would do; the age is for who copies files into a
// store by hand, the tarballs first.
const orphanAge = 24 * time.Hour

// Inspector reads what is published here and finds what is damaged. One
// goroutine uses it.
type Inspector struct {
	packages *Packages
	where    string
	collect  bool

	owner string    // whose document was read last
	doc   *document // nil: it has none, or it cannot be read
	err   error     // why it cannot
}

// Inspector returns an Inspector; where is what the metrics call it. It deletes
// the tarballs that a crash has left and no document names only if collect is set:
// then no other process may publish.
func (p *Packages) Inspector(where string, collect bool) *Inspector {
	return &Inspector{packages: p, where: where, collect: collect}
}

// Look is a cache.Look.
func (i *Inspector) Look(ctx context.Context, reads cache.Store, o cache.Info) error {
	owner, file, _ := strings.Cut(o.Key, "/")
	if "/"+file == documentFile {
		i.read(ctx, reads, owner)
		return i.document(ctx, reads, o.Key)
	}
	if !strings.HasPrefix(file, "tgz-") {
		return nil
	}
	if i.owner != owner {
		i.read(ctx, reads, owner)
	}
	v := i.version(o.Key)
	if v == nil && i.err == nil {
		return i.orphan(ctx, o)
	}
	what := "a tarball of an unreadable package"
	if v != nil {
		what = "the tarball of " + i.doc.Name + "@" + v.Version
	}
	err := i.packages.checkBlob(ctx, reads, o.Key, "", what, i.where)
	if errors.Is(err, errDamage) {
		return &cache.Rot{Key: o.Key, Label: what, Err: err}
	}
	return err
}

// read reads the document of an owner.
func (i *Inspector) read(ctx context.Context, reads cache.Store, owner string) {
	i.owner, i.doc = owner, nil
	key := owner + documentFile
	o, err := reads.Open(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		i.err = nil
		i.packages.damages.clear(key)
		return
	}
	if i.err = err; err != nil {
		return
	}
	defer o.Close() // it was only read
	i.doc, _, i.err = readDocument(o)
	if i.err == nil {
		i.packages.damages.clear(key)
		return
	}
	if isDamage(i.err) {
		found := damage{"the document of a package (" + key + ")", o.Rev, i.packages.now()}
		i.packages.damages.add(key, found, i.where, i.err)
	}
}

// document is Look for the document that has just been read: it must be whole,
// and so must be the list of its tarballs, which are read in their turn.
func (i *Inspector) document(ctx context.Context, reads cache.Store, key string) error {
	if isDamage(i.err) {
		return &cache.Rot{Key: key, Label: "the document of a package", Err: i.err}
	}
	if i.err != nil || i.doc == nil {
		return i.err
	}
	var missing []*version
	for _, v := range i.doc.Versions {
		if errors.Is(exists(ctx, reads, v.Tarball.Key), fs.ErrNotExist) { // if it cannot be read, its own turn tells
			missing = append(missing, v)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	i.read(ctx, reads, i.owner) // they may have been unpublished just now
	var lost error
	for _, v := range missing {
		if i.version(v.Tarball.Key) == nil || !errors.Is(exists(ctx, reads, v.Tarball.Key), fs.ErrNotExist) {
			continue // somebody works on this package: the next pass sees
		}
		what := "the tarball of " + i.doc.Name + "@" + v.Version
		err := fmt.Errorf("%w: it is missing", errDamage)
		i.packages.damages.add(v.Tarball.Key, damage{what, "", i.packages.now()}, i.where, err)
		lost = &cache.Rot{Key: v.Tarball.Key, Label: what, Err: err}
	}
	return lost
}

func exists(ctx context.Context, store cache.Store, key string) error {
	o, err := store.Open(ctx, key)
	if err != nil {
		return err
	}
	return o.Close()
}

// version returns the version whose tarball lies under key, or nil.
func (i *Inspector) version(key string) *version {
	if i.doc == nil {
		return nil
	}
	for _, v := range i.doc.Versions {
		if v.Tarball.Key == key {
			return v
		}
	}
	return nil
}

// names reports whether the document of key's owner needs the tarball under
// key, or may do so.
func (i *Inspector) names(ctx context.Context, reads cache.Store, key string) bool {
	owner, _, _ := strings.Cut(key, "/")
	i.read(ctx, reads, owner)
	return i.err != nil || i.version(key) != nil
}

// orphan deletes a tarball that its package's document does not name: a crash left
// it, or it could not be deleted when its version was unpublished. Where there is no
// document at all it stays: nothing else may be left of the package. A publish writes the tarball
// under its package's lock, and the document before it gives that back; so what
// is not named while this holds the lock belongs to none.
func (i *Inspector) orphan(ctx context.Context, o cache.Info) error {
	p := i.packages
	if !i.collect || p.now().Sub(o.ModTime) < orphanAge {
		return nil
	}
	owner, _, _ := strings.Cut(o.Key, "/")
	unlock, err := p.writing.lock(ctx, owner)
	if err != nil {
		return err
	}
	defer unlock()
	if i.names(ctx, p.store, o.Key) {
		return nil
	}
	if i.doc == nil { // perhaps a first publish was cut off; perhaps it is the document that was lost
		p.log.Warn("a tarball is kept whose package has no document: restore that from a backup, or delete the tarball", "key", o.Key, "bytes", o.Size, "written", o.ModTime)
		return nil
	}
	if err := p.store.Delete(ctx, o.Key, cache.IfRev(o.Rev)); err != nil {
		if errors.Is(err, cache.ErrPrecondition) {
			return nil
		}
		return err
	}
	p.metrics.HostedOrphan()
	p.damages.clear(o.Key)
	p.log.Info("deleted a tarball that no version names", "key", o.Key, "bytes", o.Size, "written", o.ModTime)
	return nil
}
