package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
)

// TestSlowReadersOfBigDocuments: readers who take their time hold encoders and
// memory, so that there must not be any number of them.
func TestSlowReadersOfBigDocuments(t *testing.T) {
	d := newTestDocuments(t, NewMem())
	identity := bigDoc()
	mustMake(t, d, testKey, renders(identity)).Close()
	type reader struct {
		doc  *Document
		body io.ReadCloser
	}
	var slow []reader
	for {
		doc := mustMake(t, d, testKey, mustNotRender)
		body, _, err := doc.Open("zstd")
		if err != nil {
			if !errors.Is(err, ErrBusy) {
				t.Fatal(err)
			}
			for _, encoding := range []string{"gzip", "identity"} {
				if got := unpacked(t, encoding, inEncoding(t, doc, encoding)); !bytes.Equal(got, identity) {
					t.Errorf("%s: %d bytes, and not the right ones", encoding, len(got))
				}
			}
			doc.Close()
			break
		}
		slow = append(slow, reader{doc, body})
		if len(slow) > maxRepacks {
			t.Fatalf("%d documents are packed with zstd at once", len(slow))
		}
	}
	for _, r := range slow {
		if got, err := io.ReadAll(r.body); err != nil || !bytes.Equal(unpacked(t, "zstd", got), identity) {
			t.Errorf("a slow reader got %d bytes: %v", len(got), err)
		}
		r.body.Close()
		r.body.Close() // once more does nothing
		r.doc.Close()
	}
	wantDocument(t, mustMake(t, d, testKey, mustNotRender), identity)
}

// TestSlowReadersOfLooseDocuments: those of documents that lie in no file.
func TestSlowReadersOfLooseDocuments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDocuments(DocumentsConfig{Store: NewMem()})
		defer d.Close()
		identity := bigDoc()
		key := testKey
		key.Volatile = true // each request renders it anew
		make := func(n int) (*Document, error) {
			key := key
			key.ID = fmt.Sprint(n)
			return d.Make(context.Background(), key, renders(identity))
		}
		var slow []*Document
		held := 0
		for held+len(identity) < looseBytes {
			doc, err := make(len(slow))
			if err != nil {
				t.Fatal(err)
			}
			slow = append(slow, doc)
			held += int(doc.Length("gzip"))
		}
		if _, err := make(-1); !errors.Is(err, ErrBusy) { // it waits, and in vain
			t.Errorf("one more: %v", err)
		}
		got := inEncoding(t, slow[0], "gzip")
		if !bytes.Equal(unpacked(t, "gzip", got), identity) {
			t.Error("a slow reader got other bytes")
		}
		for _, doc := range slow {
			doc.Close()
			doc.Close() // once more does nothing
		}
		doc, err := make(-2)
		if err != nil {
			t.Fatal(err)
		}
		doc.Close()
	})
}

// TestRendersAreBounded: whoever asks for volatile documents again and again,
// and hangs up, does not fill the memory: they take turns.
func TestRendersAreBounded(t *testing.T) {
	d := newTestDocuments(t, NewMem())
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	ask := func(ctx context.Context, id string) error {
		key := testKey
		key.ID, key.Volatile = id, true
		_, err := d.Make(ctx, key, func(ctx context.Context, _ io.Writer) error {
			<-ctx.Done()
			return ctx.Err()
		})
		return err
	}
	for n := range maxRenders {
		if err := ask(gone, fmt.Sprint(n)); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	for rendering := 0; rendering < maxRenders; runtime.Gosched() {
		d.mu.Lock()
		rendering = d.rendering
		d.mu.Unlock()
	}
	if err := ask(t.Context(), "one more"); !errors.Is(err, ErrBusy) {
		t.Errorf("one more: %v", err)
	}
}
