package cache_test

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"io"
	"testing"

	"larder/cache"
)

// summing is a Check for SHA-512 that says what it likes of the sum.
type summing struct {
	io.Writer
	says []byte
}

func (s summing) Verify() error  { return nil }
func (s summing) SHA512() []byte { return s.says }

// strongCheck is a Check for SHA-512, as npm.Verifier is one.
type strongCheck struct {
	hash.Hash
	want [sha512.Size]byte
}

func newStrongCheck(want []byte) func() cache.Check {
	sum := sha512.Sum512(want)
	return func() cache.Check { return strongCheck{sha512.New(), sum} }
}

func (c strongCheck) SHA512() []byte { return c.Sum(nil) }

func (c strongCheck) Verify() error {
	if !bytes.Equal(c.Sum(nil), c.want[:]) {
		return errHash
	}
	return nil
}

// TestOneHashPerFill: where the check has hashed the bytes with SHA-512, nobody
// does it again, which would show in what is kept beside them.
func TestOneHashPerFill(t *testing.T) {
	data := randomBytes(1, 300*kb)
	sum, marked := sha512.Sum512(data), bytes.Repeat([]byte{7}, sha512.Size)
	for _, tt := range []struct {
		name       string
		says, kept []byte
	}{
		{"the check has it", marked, marked},
		{"the check has another hash", nil, sum[:]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := cache.NewMem()
			blobs := cache.NewBlobs(cache.BlobsConfig{Store: store})
			defer blobs.Close(t.Context())
			src := &source{data: data, expect: func(context.Context) (cache.Expectation, error) {
				return cache.Expectation{NewCheck: func() cache.Check { return summing{io.Discard, tt.says} }}, nil
			}}
			blob, err := blobs.Get(t.Context(), blobKey, src)
			if err != nil {
				t.Fatal(err)
			}
			defer blob.Close()
			if err := blob.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got, want := blob.Meta().SHA512, base64.StdEncoding.EncodeToString(tt.kept); got != want {
				t.Errorf("kept is %s, want %s", got, want)
			}
		})
	}
}
