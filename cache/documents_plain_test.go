package cache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"testing"
)

// plainWorld is documents on disk, of which one is big.
type plainWorld struct {
	*Documents
	t   *testing.T
	dir *Dir
	key DocumentKey
}

func newPlainWorld(t *testing.T) *plainWorld {
	dir, err := OpenDir(DirConfig{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	w := &plainWorld{t: t, dir: dir, key: DocumentKey{Owner: OwnerKey("npm", "big"), Slot: "full http://x.example", ID: "1"}}
	w.restart()
	t.Cleanup(func() {
		if err := errors.Join(w.Documents.Close(), dir.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *plainWorld) restart() {
	if w.Documents != nil {
		if err := w.Documents.Close(); err != nil {
			w.t.Fatal(err)
		}
	}
	w.Documents = NewDocuments(DocumentsConfig{Store: w.dir})
}

// letters are bytes that are easily packed, or hardly.
func letters(size, alphabet int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	p := make([]byte, size)
	for i := range p {
		p[i] = byte('a' + rng.IntN(alphabet))
	}
	return p
}

// ask returns the document unpacked, and whether it came out of a file.
func (w *plainWorld) ask(key DocumentKey, identity []byte) (fromFile bool) {
	w.t.Helper()
	doc, err := w.Make(w.t.Context(), key, func(_ context.Context, out io.Writer) error {
		_, err := out.Write(identity)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	defer doc.Close()
	r, length, err := doc.Open("identity")
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	var got bytes.Buffer
	if _, err := io.Copy(&got, r); err != nil || !bytes.Equal(got.Bytes(), identity) || length != int64(got.Len()) {
		w.t.Fatalf("%d bytes of %d, announced as %d, error %v", got.Len(), len(identity), length, err)
	}
	_, fromFile = r.(fileReader)
	w.renders.Wait() // for what was begun behind it
	return fromFile
}

func TestHotDocumentsAreUnpackedOnDisk(t *testing.T) {
	for name, alphabet := range map[string]int{"packed in memory": 2, "packed on disk": 26} {
		t.Run(name, func(t *testing.T) {
			w := newPlainWorld(t)
			identity := letters(3<<20, alphabet)
			for i, want := range []bool{false, false, true, true} {
				if got := w.ask(w.key, identity); got != want {
					t.Errorf("request %d came out of a file: %t, want %t", i+1, got, want)
				}
			}
			w.restart()
			if !w.ask(w.key, identity) {
				t.Error("after a restart the file is not found")
			}
			newer := w.key
			newer.ID = "2"
			other := append([]byte("newer "), identity...)
			for i, want := range []bool{false, false, true} {
				if got := w.ask(newer, other); got != want {
					t.Errorf("request %d for a newer document came out of a file: %t, want %t", i+1, got, want)
				}
			}
			if err := w.dir.Delete(t.Context(), w.key.plainObject(), Precondition{}); err != nil {
				t.Fatal(err)
			}
			for i, want := range []bool{false, true} {
				if got := w.ask(newer, other); got != want {
					t.Errorf("request %d after the file had gone came out of a file: %t, want %t", i+1, got, want)
				}
			}
		})
	}
}

func TestWhatIsNotUnpackedOnDisk(t *testing.T) {
	w := newPlainWorld(t)
	small := DocumentKey{Owner: w.key.Owner, Slot: "small", ID: "1"}
	volatile := w.key
	volatile.Volatile = true
	for range 3 {
		w.ask(small, letters(smallDocument, 2))
		w.ask(volatile, letters(3<<20, 2))
	}
	for _, key := range []DocumentKey{small, volatile} {
		if o, err := w.dir.Open(t.Context(), key.plainObject()); !errors.Is(err, fs.ErrNotExist) {
			o.Close()
			t.Errorf("%+v lies unpacked on disk", key)
		}
	}
}

// TestRottenPlain: what has changed on disk is not sent.
func TestRottenPlain(t *testing.T) {
	w := newPlainWorld(t)
	identity := letters(3<<20, 2)
	for range 2 {
		w.ask(w.key, identity)
	}
	owner, file, err := splitKey(w.key.plainObject())
	if err != nil {
		t.Fatal(err)
	}
	path := w.dir.path(owner, file)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if w.ask(w.key, identity) { // which compares the bytes
		t.Error("a file that has changed was not read again")
	}
	w.restart()
	inspector := Inspector{Blobs: NewBlobs(BlobsConfig{Store: w.dir}), Log: logOrDiscard(nil)}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var rot *Rot
	if err := inspector.Look(t.Context(), w.dir, Info{Key: w.key.plainObject()}); !errors.As(err, &rot) {
		t.Errorf("the scrub says %v, want that it has rotted", err)
	}
}
