package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// blobKind is the kind of the files that hold tarballs. What has been put out
// of service has another.
const blobKind = "blob"

// Present is which blobs of one owner lie whole in the store.
type Present struct {
	owner string
	files map[string]bool // names of files, without the owner
	rev   string
}

// Present lists the owner's blobs that have all that a hit needs: the bytes,
// and beside them the description that was written once they were verified.
// It is one listing, and opens nothing.
func (b *Blobs) Present(ctx context.Context, owner string) (Present, error) {
	const bytes, described = 1, 2
	found := make(map[string]int)
	err := b.store.Walk(ctx, owner+"/", func(i Info) error {
		_, file, err := splitKey(i.Key)
		if err != nil || !strings.HasPrefix(file, blobKind+"-") {
			return err
		}
		if blob, ok := strings.CutSuffix(file, sidecarSuffix); ok {
			found[blob] |= described
		} else {
			found[file] |= bytes
		}
		return nil
	})
	if err != nil {
		return Present{}, fmt.Errorf("cache.Present %s: %w", owner, err)
	}
	p := Present{owner: owner, files: make(map[string]bool, len(found))}
	names := make([]string, 0, len(found))
	for file, has := range found {
		if has == bytes|described {
			p.files[file] = true
			names = append(names, file)
		}
	}
	slices.Sort(names)
	sum := sha256.Sum256([]byte(strings.Join(names, "\n")))
	p.rev = hex.EncodeToString(sum[:8])
	return p, nil
}

// Has reports whether the blob under key was there.
func (p Present) Has(key string) bool {
	owner, file, err := splitKey(key)
	return err == nil && owner == p.owner && p.files[file]
}

// Rev is the same for the same set of blobs of an owner, and another one for
// another.
func (p Present) Rev() string { return p.rev }
