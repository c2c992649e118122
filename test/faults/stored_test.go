package faults

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"larder/cache"
	"larder/test/rig"
)

// truth is what may lie in a cache: the tarballs of a stock, by key.
type truth map[string][]byte

func newTruth(stock []*goods) truth {
	t := truth{}
	for _, g := range stock {
		owner := cache.OwnerKey("npm", g.name)
		for version, tgz := range g.tarballs {
			t[cache.FileKey(owner, "blob", g.file(version))] = tgz
		}
	}
	return t
}

// census counts what lies in a cache.
type census struct{ Blobs, Bare, Responses, Documents, Swept int }

func (c *census) add(o census) {
	c.Blobs += o.Blobs
	c.Bare += o.Bare
	c.Responses += o.Responses
	c.Documents += o.Documents
	c.Swept += o.Swept
}

// check fails t for each file in the cache of a Larder that does not run which
// is not what it must be: a blob other than the registry's bytes, a sidecar
// that does not describe its blob, a stored response or document that is not
// whole.
func (w truth) check(t *testing.T, r *rig.Rig) (seen census) {
	t.Helper()
	root, problems := filepath.Join(r.Data, "cache", "v1", "objects"), 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := w.checkFile(path, data, &seen); err != nil {
			t.Errorf("stored: %s: %v", path, err)
			if problems++; problems == maxProblems {
				return fs.SkipAll
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // it was killed before it had one
		t.Error(err)
	}
	seen.Swept = len(leftovers(t, r))
	return seen
}

func (w truth) checkFile(path string, data []byte, seen *census) error {
	file := filepath.Base(path)
	kind, rest, _ := strings.Cut(file, "-")
	switch {
	case strings.HasSuffix(file, ".meta"):
		return checkSidecar(strings.TrimSuffix(path, ".meta"), data)
	case kind == "blob":
		want, known := w[filepath.Base(filepath.Dir(path))+"/"+file]
		if !known || !bytes.Equal(data, want) {
			return fmt.Errorf("%d bytes, want %d, of a tarball that upstream has: %t", len(data), len(want), known)
		}
		seen.Blobs++
		if _, err := os.Stat(path + ".meta"); errors.Is(err, fs.ErrNotExist) {
			seen.Bare++ // the kill came between the two: it does not count as a blob
		}
		return nil
	case kind == "body":
		_, want, _ := strings.Cut(rest, "-")
		sum := sha256.Sum256(data)
		if !strings.HasPrefix(hex.EncodeToString(sum[:]), want) {
			return fmt.Errorf("the hash is %x", sum)
		}
		return nil
	case kind == "head":
		seen.Responses++
		_, _, err := unseal(data)
		return err
	case kind == "doc":
		seen.Documents++
		_, packed, err := unseal(data)
		if err != nil {
			return err
		}
		zr, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return err
		}
		doc, err := io.ReadAll(zr)
		if err == nil && !json.Valid(doc) {
			err = errors.New("not JSON")
		}
		return err
	}
	return nil // of others the package that writes them knows more
}

// checkSidecar compares what lies beside a blob with the blob.
func checkSidecar(blob string, data []byte) error {
	text, _, err := unseal(data)
	if err != nil {
		return err
	}
	var meta cache.BlobMeta
	if err := json.Unmarshal(text, &meta); err != nil {
		return err
	}
	content, err := os.ReadFile(blob)
	if err != nil {
		return fmt.Errorf("without its blob: %w", err)
	}
	sum := sha512.Sum512(content)
	if meta.Size != int64(len(content)) || meta.SHA512 != base64.StdEncoding.EncodeToString(sum[:]) {
		return fmt.Errorf("it describes %d bytes of hash %s, the blob has %d", meta.Size, meta.SHA512, len(content))
	}
	return nil
}

// unseal checks the first line of a file, "larder KIND CRC LENGTH", against the
// text that follows it, and returns both that and what follows it.
func unseal(data []byte) (text, rest []byte, err error) {
	line, text, _ := bytes.Cut(data, []byte("\n"))
	var kind string
	var sum uint32
	var length int
	if _, err := fmt.Sscanf(string(line), "larder %s %08x %d", &kind, &sum, &length); err != nil {
		return nil, nil, err
	}
	if length > len(text) || crc32.Checksum(text[:length], crc32.MakeTable(crc32.Castagnoli)) != sum {
		return nil, nil, errors.New("not what was sealed")
	}
	return text[:length], text[length:], nil
}

// leftovers are the files of unfinished writes.
func leftovers(t *testing.T, r *rig.Rig) []string {
	t.Helper()
	var files []string
	for _, store := range []string{"cache/v1", "hosted"} {
		found, err := filepath.Glob(filepath.Join(r.Data, store, "tmp", "*"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	return files
}
