package hosted

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"

	"larder/cache"
	"larder/npm"
)

// SetVersions removes the versions that doc lacks: the first half of npm's
// unpublish, a PUT of the document without them. Tags of doc are taken over
// where they name a version that stays; tags of removed versions go, and
// latest, if it was one of them, is chosen here, because npm would choose a
// pre-release. All else in doc is ignored; versions are not added. Where none
// stays it is as Unpublish. Where there is nothing to change it succeeds at any
// rev: npm repeats a PUT whose answer got lost.
//
// The tarballs stay on disk for DeleteTarball, npm's second half, but nobody
// gets them any more.
func (p *Packages) SetVersions(ctx context.Context, name, rev string, doc npm.Object, by Actor) (Change, error) {
	return p.write("SetVersions", "unpublish", name, func() (Change, error) {
		stay, err := versionsOf(doc)
		if err != nil {
			return Change{}, err
		}
		tags, err := tagsOf(doc)
		if err != nil {
			return Change{}, err
		}
		return p.updateLive(ctx, name, "", func(d *draft) error {
			err := d.keepOnly(stay, tags)
			if err == nil && !d.isAt(rev) {
				return errStale()
			}
			return err
		})
	})
}

// keepOnly removes the versions that are not in stay, and takes tags over.
func (d *draft) keepOnly(stay map[string][]byte, tags map[string]string) error {
	latest := d.Tags["latest"]
	removed := d.remove(func(v *version) bool { return stay[v.Version] == nil })
	if len(d.Versions) == 0 {
		d.unpublish()
		return nil
	}
	if d.version(latest) == nil {
		tags = maps.Clone(tags)
		delete(tags, "latest") // dropTags has chosen
	}
	changed := d.takeTags(tags)
	if !changed && len(removed) == 0 {
		return errUnchanged
	}
	if len(removed) == 1 {
		d.number = removed[0]
	}
	return nil
}

// DeleteTarball is the second half of npm's unpublish. A version that is still
// listed is removed as by SetVersions. For one that is gone already, what is
// left of it on disk is deleted; rev does not matter then, since no document
// changes.
func (p *Packages) DeleteTarball(ctx context.Context, name, file, rev string, by Actor) (Change, error) {
	return p.write("DeleteTarball", "unpublish", name, func() (Change, error) {
		number, ok := npm.VersionOfFile(name, file)
		return p.update(ctx, name, "", func(d *draft) error {
			d.number = number
			switch {
			case d.rev == "":
				return notOurs(name)
			case ok && d.version(number) != nil:
				if !d.isAt(rev) {
					return errStale()
				}
				d.remove(func(v *version) bool { return v.Version == number })
				d.gone = d.buried(number)
				if len(d.Versions) == 0 {
					d.unpublish()
				}
				return nil
			case ok && d.buried(number) != nil:
				d.gone = d.buried(number)
				return errUnchanged
			}
			return notFound("Not found: %s has no tarball %.300s", name, file)
		})
	})
}

// Unpublish removes all versions. Their numbers stay used, and the name ours.
func (p *Packages) Unpublish(ctx context.Context, name, rev string, by Actor) (Change, error) {
	return p.write("Unpublish", "unpublish", name, func() (Change, error) {
		return p.updateLive(ctx, name, rev, func(d *draft) error {
			d.remove(func(*version) bool { return true })
			d.unpublish()
			return nil
		})
	})
}

// Forget gives a name up, with all that is known of its versions: it may be
// looked for upstream again. Conflict unless it is wholly unpublished.
func (p *Packages) Forget(ctx context.Context, name string) (Change, error) {
	return p.write("Forget", "forget", name, func() (Change, error) {
		unlock, err := p.writing.lock(ctx, owner(name))
		if err != nil {
			return Change{}, err
		}
		defer unlock()
		k, err := p.get(ctx, name)
		if err != nil {
			return Change{}, err
		}
		if !k.Unpublished() {
			return Change{}, &npm.Error{Kind: npm.Conflict, Msg: name + " still has versions: unpublish them first"}
		}
		switch err := p.store.Delete(ctx, documentKey(name), cache.IfRev(k.storeRev)); {
		case errors.Is(err, cache.ErrPrecondition):
			p.reindex(ctx, name)
			return Change{}, errStale()
		case errors.Is(err, fs.ErrNotExist): // another process was faster
		case err != nil:
			p.reindex(ctx, name)
			return Change{}, writeFault(err)
		}
		p.memory.remove(name)
		p.index.remove(name)
		p.deleteBlobs(ctx, &draft{document: k.doc, gone: k.doc.buried("")})
		return Change{Old: k.rev}, nil
	})
}

// remove buries the versions that match; tags follow, and so does a README of
// one of them: it may be what had to be unpublished. It returns their names.
func (d *draft) remove(match func(*version) bool) (removed []string) {
	d.Versions = slices.DeleteFunc(d.Versions, func(v *version) bool {
		if !match(v) {
			return false
		}
		removed = append(removed, v.Version)
		d.Tombstones = append(d.Tombstones, tombstone{v.Version, v.Published, d.now, v.Tarball.Key})
		return true
	})
	if len(removed) > 0 {
		d.dropTags(removed)
	}
	if slices.Contains(removed, d.Readme.Version) {
		d.Readme = readme{}
	}
	return removed
}

// unpublish makes the rest of a package whose versions are all gone: a name
// that stays ours, and tombstones.
func (d *draft) unpublish() {
	d.Unpublished = d.now
	d.gone = d.buried("")
}

// buried returns the keys of the blobs of a version that is gone, or of all
// such versions for "". A blob may have been deleted already.
func (d *document) buried(version string) (keys []string) {
	for _, t := range d.Tombstones {
		if version == "" || t.Version == version {
			keys = append(keys, t.Key)
		}
	}
	return keys
}

// versionsOf returns the "versions" of a document that a client sent: raw
// manifests by their keys.
func versionsOf(doc npm.Object) (map[string][]byte, error) {
	raw, _ := doc.Get("versions")
	o, err := npm.ParseObject(raw)
	if err != nil {
		return nil, invalid(`"versions" is not an object`)
	}
	versions := make(map[string][]byte, len(o))
	for _, m := range o {
		versions[m.Key] = m.Value
	}
	return versions, nil
}
