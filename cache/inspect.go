package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"

	"larder/metrics"
)

// Inspector reads what lies in a cache's store and takes away what has rotted.
type Inspector struct {
	Blobs   *Blobs
	Where   string // for the metrics: "scrub" or "verify"
	Metrics *metrics.Metrics
	Log     *slog.Logger
	// Refetch brings back a rotten blob; nil: it comes when it is asked for.
	Refetch func(ctx context.Context, key, label string)
}

// Look is a Look over the store of the Blobs.
func (i *Inspector) Look(ctx context.Context, reads Store, o Info) error {
	owner, file, _ := strings.Cut(o.Key, "/")
	kind, _, _ := strings.Cut(file, "-")
	bare, sidecar := strings.CutSuffix(o.Key, sidecarSuffix)
	switch {
	case sidecar && (kind == "blob" || kind == Gone):
		return i.sidecar(ctx, reads, o, bare)
	case kind == "blob":
		return i.blob(ctx, reads, o)
	case kind == Gone:
		return i.gone(ctx, reads, o.Key)
	case kind == "doc", kind == "plain":
		return i.document(ctx, reads, o.Key)
	case kind == "head":
		return i.response(ctx, reads, owner, o.Key)
	case kind == "state":
		return i.notes(ctx, reads, o.Key)
	}
	return nil // a body is read with its head; what is rotten stays so
}

// blob checks a blob that is whole: one without a sidecar is being filled, or
// nobody will ever ask for it.
func (i *Inspector) blob(ctx context.Context, reads Store, o Info) error {
	key := o.Key
	b := i.Blobs
	meta, err := (sidecars{store: reads}).read(ctx, key)
	if errors.Is(err, errSidecar) {
		return nil // its own turn comes
	}
	if err != nil {
		return err
	}
	err = b.examine(ctx, reads, key, o.Rev, meta, i.Where)
	if err == nil {
		b.checks.Right(key, o.Rev)
	}
	if !errors.Is(err, errRotten) {
		return err
	}
	if i.Refetch != nil {
		i.Refetch(ctx, key, meta.Label)
	}
	return &Rot{key, meta.Label, err}
}

// gone checks a blob in quarantine, which is of no use to anybody once it has
// rotted.
func (i *Inspector) gone(ctx context.Context, reads Store, key string) error {
	meta, err := (sidecars{store: reads}).read(ctx, key)
	if errors.Is(err, errSidecar) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	o, err := reads.Open(ctx, key)
	if err != nil {
		return err
	}
	defer o.Close() // it was only read
	err = sameAs(ctx, o, meta)
	if !errors.Is(err, errRotten) {
		return err
	}
	return i.remove(ctx, o.Info, meta.Label+" (in quarantine)", err)
}

// sidecar checks o, the description of the blob under key. One that is still
// known in memory is written anew.
func (i *Inspector) sidecar(ctx context.Context, reads Store, o Info, key string) error {
	_, err := (sidecars{store: reads}).read(ctx, key)
	if !errors.Is(err, errSidecar) {
		return err
	}
	if meta, ok := i.Blobs.sidecars.recent.Peek(key); ok && i.Blobs.sidecars.put(ctx, key, meta) == nil {
		i.note(o.Key, "the description of "+meta.Label, err)
		return &Rot{o.Key, "the description of " + meta.Label, err}
	}
	return i.remove(ctx, o, "the description of a tarball", err)
}

func (i *Inspector) document(ctx context.Context, reads Store, key string) error {
	o, err := reads.Open(ctx, key)
	if err != nil {
		return err
	}
	defer o.Close() // it was only read
	err = checkDocument(o)
	if !isDamage(err) {
		return err
	}
	return i.remove(ctx, o.Info, "a finished document", err)
}

// response checks a stored answer of an upstream: its header, and the body that
// the header names.
func (i *Inspector) response(ctx context.Context, reads Store, owner, key string) error {
	o, err := reads.Open(ctx, key)
	if err != nil {
		return err
	}
	defer o.Close() // it was only read
	data, err := io.ReadAll(io.LimitReader(o, maxResponseHead+1))
	if err != nil {
		return err
	}
	h, err := parseResponseHead(data)
	if err == nil && !strings.HasPrefix(h.body, owner+"/body-") {
		err = fmt.Errorf("%w: it names the body of another", errDamaged)
	}
	if isDamage(err) {
		return i.remove(ctx, o.Info, "an answer of an upstream", err)
	}
	if err != nil {
		return err
	}
	// As in Responses: what belongs to no header is of no use.
	_, err = (&Responses{store: reads}).body(ctx, h, nil)
	if !isDamage(err) {
		return err
	}
	rot := i.remove(ctx, o.Info, "an answer of an upstream", err)
	if err := i.Blobs.remove(ctx, h.body); err != nil {
		i.Log.Warn("a damaged answer of an upstream cannot be deleted", "key", h.body, "error", err)
	}
	return rot
}

// notes checks what was found out about a package.
func (i *Inspector) notes(ctx context.Context, reads Store, key string) error {
	o, err := reads.Open(ctx, key)
	if err != nil {
		return err
	}
	defer o.Close() // it was only read
	data, err := io.ReadAll(io.LimitReader(o, maxNote+1))
	if err != nil {
		return err
	}
	if _, rest, err := unseal(noteSeal, data); err != nil || len(rest) > 0 {
		return i.remove(ctx, o.Info, "notes about a package", errDamaged)
	}
	return nil
}

func isDamage(err error) bool { return errors.Is(err, errDamaged) || errors.Is(err, errSeal) }

// remove counts, logs and deletes an object that has rotted, unless it has been
// replaced meanwhile.
func (i *Inspector) remove(ctx context.Context, o Info, what string, cause error) error {
	err := i.Blobs.store.Delete(context.WithoutCancel(ctx), o.Key, IfRev(o.Rev))
	if errors.Is(err, ErrPrecondition) || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	i.note(o.Key, what, cause)
	if err != nil {
		i.Log.Warn("what has rotted cannot be deleted", "key", o.Key, "error", err)
	}
	return &Rot{o.Key, what, cause}
}

func (i *Inspector) note(key, what string, cause error) {
	i.Metrics.IntegrityFailure()
	i.Metrics.Rotten("cache", i.Where)
	i.Log.Warn("something has rotted on disk and is fetched or made anew", "key", key, "label", what, "found_by", i.Where, "error", cause)
}
