package cache

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// BlobMeta is kept in a small file beside each blob.
type BlobMeta struct {
	Size    int64     `json:"size"`
	SHA512  string    `json:"sha512"` // base64, of the stored bytes
	ETag    string    `json:"etag"`   // strong, with its quotes; a function of the bytes alone
	Label   string    `json:"label"`
	ModTime time.Time `json:"modified"` // when it was stored
}

const (
	sidecarSuffix = ".meta"
	// maxSidecar bounds a sidecar, in bytes; maxLabel keeps those that are
	// written below it, however JSON has to escape the label.
	maxSidecar = 16 << 10
	maxLabel   = 1 << 10
	// maxSidecars is how many are held in memory: about 400 bytes each.
	maxSidecars = 16384
)

// errSidecar: the bytes of a sidecar describe no blob.
var errSidecar = errors.New("cache: malformed sidecar")

func newBlobMeta(size int64, sum []byte, label string) BlobMeta {
	label = label[:min(len(label), maxLabel)]
	return BlobMeta{
		Size:    size,
		SHA512:  base64.StdEncoding.EncodeToString(sum),
		ETag:    blobETag(sum),
		Label:   strings.ToValidUTF8(label, ""),
		ModTime: time.Now().UTC().Truncate(time.Second), // HTTP knows no finer ones
	}
}

// expectation is what a blob must be that was verified before.
func (m BlobMeta) expectation() Expectation {
	return Expectation{Label: m.Label, NewCheck: func() Check { return &sameBytes{Hash: sha512.New(), want: m.SHA512} }}
}

// sameBytes is a Check for the bytes that a sidecar describes.
type sameBytes struct {
	hash.Hash
	want string // base64
}

// Verify implements Check.
func (c *sameBytes) Verify() error {
	if got := base64.StdEncoding.EncodeToString(c.Sum(nil)); got != c.want {
		return fmt.Errorf("its sha512 is %s and was %s", got, c.want)
	}
	return nil
}

// SHA512 implements Summer.
func (c *sameBytes) SHA512() []byte { return c.Sum(nil) }

// blobETag makes an ETag of half a SHA-512, plenty to tell bytes apart.
func blobETag(sum []byte) string {
	return `"` + hex.EncodeToString(sum[:sha512.Size/2]) + `"`
}

// sidecarSeal vouches for a sidecar: a wrong size or label would be believed.
const sidecarSeal = "blob-1"

// encode returns m as it is stored.
func (m BlobMeta) encode() ([]byte, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return seal(sidecarSeal, append(text, '\n')), nil
}

// parseSidecar returns the BlobMeta in data, or errSidecar.
func parseSidecar(data []byte) (BlobMeta, error) {
	text, rest, err := unseal(sidecarSeal, data)
	if err != nil || len(rest) > 0 {
		return BlobMeta{}, errors.Join(errSidecar, err)
	}
	var m BlobMeta
	if err := json.Unmarshal(text, &m); err != nil {
		return BlobMeta{}, fmt.Errorf("%w: %w", errSidecar, err)
	}
	sum, err := base64.StdEncoding.DecodeString(m.SHA512)
	if err != nil || len(sum) != sha512.Size || m.ETag != blobETag(sum) || m.Size < 0 {
		return BlobMeta{}, errSidecar
	}
	return m, nil
}

// sidecars keeps the BlobMetas of a store's blobs, the recent ones in memory,
// so that a warm hit opens one file. A sidecar is written after its blob: a
// blob without one was never finished.
type sidecars struct {
	store  Store
	recent *lru.Cache[string, BlobMeta]
}

// get returns the sidecar of the blob under key. Its errors are fs.ErrNotExist,
// errSidecar and those of the store.
func (s sidecars) get(ctx context.Context, key string) (BlobMeta, error) {
	if m, ok := s.recent.Get(key); ok {
		return m, nil
	}
	m, err := s.read(ctx, key)
	if err == nil {
		// A fill that has ended since the file was read knows better.
		s.recent.ContainsOrAdd(key, m)
	}
	return m, err
}

// read is get from the disk alone.
func (s sidecars) read(ctx context.Context, key string) (BlobMeta, error) {
	obj, err := s.store.Open(ctx, key+sidecarSuffix)
	if err != nil {
		return BlobMeta{}, err
	}
	data, err := io.ReadAll(io.LimitReader(obj, maxSidecar+1))
	obj.Close() // it was only read
	if err != nil {
		return BlobMeta{}, err
	}
	if len(data) > maxSidecar {
		return BlobMeta{}, errSidecar
	}
	return parseSidecar(data)
}

// put writes the sidecar of the blob under key.
func (s sidecars) put(ctx context.Context, key string, m BlobMeta) error {
	data, err := m.encode()
	if err != nil {
		return err
	}
	w, err := s.store.Create(ctx, key+sidecarSuffix)
	if err != nil {
		return err
	}
	defer w.Abort() // after a Commit it does nothing
	if _, err := w.Write(data); err != nil {
		return err
	}
	if _, err := w.Commit(Precondition{}); err != nil {
		return err
	}
	s.recent.Add(key, m)
	return nil
}

// forget drops the sidecar from memory: the blob has changed behind it.
func (s sidecars) forget(key string) { s.recent.Remove(key) }
