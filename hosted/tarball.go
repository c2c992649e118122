package hosted

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"larder/cache"
	"larder/npm"
)

// Tarball is a version's open tarball. The caller closes it.
type Tarball struct {
	*cache.Object
	ETag     string // quoted, strong
	Modified time.Time
}

// etagHash is the number of hexadecimal digits of the SHA-512 in an ETag.
const etagHash = 40

// Tarball opens the tarball that clients ask for as file, which is the
// conventional name of a version. Where that is not published the error is
// NotFound; it is fs.ErrNotExist as well only where Get's would be.
func (p *Packages) Tarball(ctx context.Context, name, file string) (*Tarball, error) {
	t, err := p.tarball(ctx, name, file)
	return t, wrap("Tarball", name, err)
}

func (p *Packages) tarball(ctx context.Context, name, file string) (*Tarball, error) {
	// Twice, because the version may go between the look at the document and
	// the look for the blob; then the document says so now.
	t, missing, err := p.openTarball(ctx, name, file, false)
	if missing {
		t, _, err = p.openTarball(ctx, name, file, true)
	}
	return t, err
}

// openTarball says missing where the document names a blob that is not there. If
// it is so again the blob is lost.
func (p *Packages) openTarball(ctx context.Context, name, file string, again bool) (t *Tarball, missing bool, err error) {
	k, err := p.get(ctx, name)
	if err != nil {
		return nil, false, err
	}
	var v *version
	if number, ok := npm.VersionOfFile(name, file); ok {
		v = k.doc.version(number)
	}
	if v == nil {
		return nil, false, notFound("Not found: %s has no tarball %.300s", name, file)
	}
	o, err := p.store.Open(ctx, v.Tarball.Key)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			if again {
				p.damages.add(v.Tarball.Key, damage{"the tarball " + file, "", p.now()}, onRead, err)
			}
			return nil, true, damaged("the tarball %.300s is missing on this server's disk", file)
		}
		return nil, false, readFault(err)
	}
	if err := p.vouch(ctx, o, file, v.Tarball.Size); err != nil {
		o.Close() // it was only read
		return nil, errors.Is(err, errReplaced), readFault(err)
	}
	return &Tarball{
		Object:   o,
		ETag:     `"` + v.Tarball.SHA512[:min(etagHash, len(v.Tarball.SHA512))] + `"`,
		Modified: v.Published.Time,
	}, false, nil
}

// deleteBlob deletes a blob. One that is not there is as good as deleted.
func (p *Packages) deleteBlob(ctx context.Context, key string) error {
	// The document has been changed: whoever hangs up now changes nothing.
	err := p.store.Delete(context.WithoutCancel(ctx), key, cache.Precondition{})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
