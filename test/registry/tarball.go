package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// packed is the time that npm gives to every file of a tarball.
var packed = time.Date(1985, time.October, 26, 8, 15, 0, 0, time.UTC)

// tarball is a built package. The same Package always gives the same bytes.
type tarball struct {
	bytes     []byte
	integrity string // sha512-…
	shasum    string // hexadecimal SHA-1
	etag      string // the MD5 in quotes, as the public registry's store makes it
	files     int
	unpacked  int64 // bytes
}

func buildTarball(p Package, manifest []field) (tarball, error) {
	files := maps.Clone(p.Files)
	if files == nil {
		files = map[string]string{}
	}
	delete(files, "package.json")
	if p.Filler > 0 {
		files["filler.bin"] = filler(p)
	}

	var buf bytes.Buffer
	zw, err := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	if err != nil {
		return tarball{}, err
	}
	tw := tar.NewWriter(zw)
	t := tarball{files: 1 + len(files)}
	write := func(name, content string) error {
		t.unpacked += int64(len(content))
		h := &tar.Header{Name: "package/" + name, Mode: 0o644, Size: int64(len(content)), ModTime: packed, Format: tar.FormatUSTAR}
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		_, err := io.WriteString(tw, content)
		return err
	}
	if err := write("package.json", object(manifest)); err != nil {
		return tarball{}, err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := write(name, files[name]); err != nil {
			return tarball{}, err
		}
	}
	if err := tw.Close(); err != nil {
		return tarball{}, err
	}
	if err := zw.Close(); err != nil {
		return tarball{}, err
	}

	t.bytes = buf.Bytes()
	sha := sha512.Sum512(t.bytes)
	t.integrity = "sha512-" + base64.StdEncoding.EncodeToString(sha[:])
	sum := sha1.Sum(t.bytes)
	t.shasum = hex.EncodeToString(sum[:])
	t.etag = etag(t.bytes)
	return t, nil
}

// filler is what no compressor gets smaller, and that differs from version to
// version.
func filler(p Package) string {
	b := make([]byte, p.Filler)
	seed := sha512.Sum512_256([]byte(p.Name + "@" + p.Version))
	_, _ = rand.NewChaCha8(seed).Read(b) // never fails
	return string(b)
}

// etag is the strong tag of a body: 32 hexadecimal digits in quotes.
func etag(body []byte) string {
	sum := md5.Sum(body)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}
