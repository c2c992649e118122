package cache

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

var testKey = DocumentKey{Owner: OwnerKey("npm", "react"), Slot: "full http://registry.example/", ID: "rev-1"}

// renders returns a render function that writes doc.
func renders(doc []byte) func(context.Context, io.Writer) error {
	return func(_ context.Context, w io.Writer) error {
		_, err := w.Write(doc)
		return err
	}
}

func mustNotRender(context.Context, io.Writer) error {
	panic("it was rendered although it is there")
}

// smallDoc packs well, bigDoc not at all: it is over smallDocument in any
// encoding.
func smallDoc() []byte { return []byte(strings.Repeat(`{"name":"react"}`, 1000)) }

func bigDoc() []byte {
	doc := make([]byte, smallDocument+smallDocument/2)
	rand.NewChaCha8([32]byte{}).Read(doc)
	return doc
}

// onDocumentStores runs test on every kind of store.
func onDocumentStores(t *testing.T, test func(t *testing.T, s Store)) {
	t.Run("Mem", func(t *testing.T) { test(t, NewMem()) })
	t.Run("Dir", func(t *testing.T) { test(t, openTestDir(t, t.TempDir(), nil)) })
}

func newTestDocuments(t *testing.T, s Store) *Documents {
	d := NewDocuments(DocumentsConfig{Store: s})
	t.Cleanup(func() { d.Close() })
	return d
}

func mustMake(t *testing.T, d *Documents, key DocumentKey, render func(context.Context, io.Writer) error) *Document {
	t.Helper()
	doc, err := d.Make(t.Context(), key, render)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { doc.Close() })
	return doc
}

// inEncoding returns the document's bytes in an encoding.
func inEncoding(t *testing.T, doc *Document, encoding string) []byte {
	t.Helper()
	r, length, err := doc.Open(encoding)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: %v", encoding, err)
	}
	if length >= 0 && length != int64(len(data)) {
		t.Errorf("%s: %d bytes; Open said %d", encoding, len(data), length)
	}
	if length := doc.Length(encoding); length >= 0 && length != int64(len(data)) {
		t.Errorf("%s: %d bytes; Length says %d", encoding, len(data), length)
	}
	return data
}

// unpacked undoes an encoding, with another implementation where there is one.
func unpacked(t *testing.T, encoding string, data []byte) []byte {
	t.Helper()
	switch encoding {
	case "gzip":
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if data, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	case "zstd":
		r, err := zstd.NewReader(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if data, err = r.DecodeAll(data, nil); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

// wantDocument fails unless doc is identity in every encoding.
func wantDocument(t *testing.T, doc *Document, identity []byte) {
	t.Helper()
	for _, encoding := range []string{"gzip", "identity", "zstd"} {
		if got := unpacked(t, encoding, inEncoding(t, doc, encoding)); !bytes.Equal(got, identity) {
			t.Errorf("%s: %d bytes, %.40q; want %d, %.40q", encoding, len(got), got, len(identity), identity)
		}
	}
	if want := fmt.Sprintf(`W/"%.16x"`, sha256.Sum256(identity)); doc.ETag() != want {
		t.Errorf("ETag %s, want %s", doc.ETag(), want)
	}
}

func TestDocumentsComeBackInEveryEncoding(t *testing.T) {
	for name, identity := range map[string][]byte{"empty": {}, "small": smallDoc(), "big": bigDoc(),
		"small only when packed": bytes.Repeat([]byte("0123456789abcdef"), smallDocument/10)} {
		t.Run(name, func(t *testing.T) {
			onDocumentStores(t, func(t *testing.T, s Store) {
				d := newTestDocuments(t, s)
				if doc, ok := d.Lookup(t.Context(), testKey); ok {
					t.Fatalf("an empty store has %v", doc)
				}
				wantDocument(t, mustMake(t, d, testKey, renders(identity)), identity)
				for range 2 { // as it was first made, and once more
					wantDocument(t, mustMake(t, d, testKey, mustNotRender), identity)
				}
				restarted := newTestDocuments(t, s)
				for range 2 { // from the store, and then from memory
					wantDocument(t, mustMake(t, restarted, testKey, mustNotRender), identity)
				}
			})
		})
	}
}

func TestDocumentLengths(t *testing.T) {
	d := newTestDocuments(t, NewMem())
	identity := smallDoc()
	doc := mustMake(t, d, testKey, renders(identity))
	if n := doc.Length("identity"); n != int64(len(identity)) {
		t.Errorf("identity has %d bytes, want %d", n, len(identity))
	}
	if n := doc.Length("zstd"); n != -1 {
		t.Errorf("zstd has %d bytes although it has not been made", n)
	}
	packed := inEncoding(t, doc, "zstd")
	if n := mustMake(t, d, testKey, mustNotRender).Length("zstd"); n != int64(len(packed)) {
		t.Errorf("another reader is told of %d bytes of zstd, want %d", n, len(packed))
	}
	if n := doc.Length("br"); n != -1 {
		t.Errorf("br has %d bytes", n)
	}
	if _, _, err := doc.Open("br"); err == nil {
		t.Error("there is an encoding br")
	}
}

func TestAWarmHitReadsNothingFromDisk(t *testing.T) {
	store := newBrittleStore()
	d := newTestDocuments(t, store)
	big := testKey
	big.Slot = "big"
	mustMake(t, d, testKey, renders(smallDoc()))
	mustMake(t, d, big, renders(bigDoc()))
	for name, first := range map[string]struct {
		documents *Documents
		opens     int // of the small document, by the first of three hits
	}{
		"just made":       {d, 0},
		"after a restart": {newTestDocuments(t, store), 1},
	} {
		store.counted("open doc")
		for range 3 {
			inEncoding(t, mustMake(t, first.documents, testKey, mustNotRender), "gzip")
		}
		if n := store.counted("open doc"); n != first.opens {
			t.Errorf("%s: %d opens for three warm hits, want %d", name, n, first.opens)
		}
		// Of a big one each reader opens the file, but only the first checks it.
		one, two := mustMake(t, first.documents, big, mustNotRender), mustMake(t, first.documents, big, mustNotRender)
		if n := store.counted("open doc"); n != 2 || one.finished != two.finished {
			t.Errorf("%s: %d opens for two hits of a big document, checked again: %t", name, n, one.finished != two.finished)
		}
	}
}

func TestANewerDocumentReplacesTheOlder(t *testing.T) {
	for name, identity := range map[string][]byte{"small": smallDoc(), "big": bigDoc()} {
		t.Run(name, func(t *testing.T) {
			onDocumentStores(t, func(t *testing.T, s Store) {
				d := newTestDocuments(t, s)
				older := mustMake(t, d, testKey, renders(identity))
				newer := testKey
				newer.ID = "rev-2"
				if _, ok := d.Lookup(t.Context(), newer); ok {
					t.Error("the older document passes for the newer")
				}
				wantDocument(t, mustMake(t, d, newer, renders([]byte("newer"))), []byte("newer"))
				wantDocument(t, older, identity) // for who has it open
				for _, d := range []*Documents{d, newTestDocuments(t, s)} {
					if _, ok := d.Lookup(t.Context(), testKey); ok {
						t.Error("the older document is still there")
					}
					wantDocument(t, mustMake(t, d, newer, mustNotRender), []byte("newer"))
				}
				if got := storedKinds(t, s); got != "doc" {
					t.Errorf("the store holds %s", got)
				}
			})
		})
	}
}

// Between the end of a flight and a waiter's open a newer document may come.
func TestAWaiterIsNotLeftWithoutItsDocument(t *testing.T) {
	d := newTestDocuments(t, NewMem())
	identity := bigDoc()
	r, err := d.fly(t.Context(), testKey, renders(identity))
	if err != nil {
		t.Fatal(err)
	}
	newer := testKey
	newer.ID = "rev-2"
	mustMake(t, d, newer, renders([]byte("newer")))
	wantDocument(t, mustOpen(t, d, testKey, r), identity)
}

func mustOpen(t *testing.T, d *Documents, key DocumentKey, r *rendered) *Document {
	t.Helper()
	doc, err := d.opened(t.Context(), key, r)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// A flight that begins when another has just landed renders nothing.
func TestAFlightAfterAnother(t *testing.T) {
	for name, identity := range map[string][]byte{"small": smallDoc(), "big": bigDoc()} {
		t.Run(name, func(t *testing.T) {
			d := newTestDocuments(t, NewMem())
			mustMake(t, d, testKey, renders(identity))
			r, err := d.fly(t.Context(), testKey, mustNotRender)
			if err != nil {
				t.Fatal(err)
			}
			wantDocument(t, mustOpen(t, d, testKey, r), identity)
		})
	}
}

func TestDamagedDocumentsAreMadeAnew(t *testing.T) {
	for size, identity := range map[string][]byte{"small": smallDoc(), "big": bigDoc()} {
		cases := damages()
		cases["deleted"] = func([]byte) []byte { return nil }
		cases["its header cut off"] = func(data []byte) []byte { return data[bytes.IndexByte(data, '\n')+1:] }
		for name, damage := range cases {
			t.Run(size+" "+name, func(t *testing.T) {
				store := NewMem()
				mustMake(t, newTestDocuments(t, store), testKey, renders(identity))
				rewrite(t, store, "doc", damage)
				d := newTestDocuments(t, store)
				if _, ok := d.Lookup(t.Context(), testKey); ok {
					t.Error("the damaged document passes")
				}
				if got := storedKinds(t, store); got != "" {
					t.Errorf("left in the store: %s", got)
				}
				wantDocument(t, mustMake(t, d, testKey, renders(identity)), identity)
				wantDocument(t, mustMake(t, newTestDocuments(t, store), testKey, mustNotRender), identity)
			})
		}
	}
}

func TestDocumentsWithoutAWorkingStore(t *testing.T) {
	for _, op := range []string{"open", "create", "write", "commit"} {
		for name, identity := range map[string][]byte{"small": smallDoc(), "big": bigDoc()} {
			t.Run(op+" fails, "+name, func(t *testing.T) {
				store := newBrittleStore()
				store.breaks(func(o, _ string) bool { return o == op })
				d := newTestDocuments(t, store)
				doc := mustMake(t, d, testKey, renders(identity))
				wantDocument(t, doc, identity)
				wantDocument(t, mustMake(t, d, testKey, renders(identity)), identity)
				_, ok := d.Lookup(t.Context(), testKey)
				if small := name == "small"; ok != small {
					t.Errorf("kept in memory: %t", ok)
				}
			})
		}
	}
}

// readFromRecorder notes what io.Copy hands to a connection.
type readFromRecorder struct {
	io.Writer
	src io.Reader
}

func (r *readFromRecorder) ReadFrom(src io.Reader) (int64, error) {
	r.src = src
	return io.Copy(r.Writer, src)
}

func TestBigDocumentsGoOutBySendfile(t *testing.T) {
	d := newTestDocuments(t, openTestDir(t, t.TempDir(), nil))
	identity := bigDoc()
	doc := mustMake(t, d, testKey, renders(identity))
	for range 2 { // from the start each time
		src, _, err := doc.Open("gzip")
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		conn := &readFromRecorder{Writer: &got}
		if _, err := io.Copy(conn, src); err != nil {
			t.Fatal(err)
		}
		src.Close()
		limited, ok := conn.src.(*io.LimitedReader)
		if !ok {
			t.Fatalf("the connection sees a %T", conn.src)
		}
		if _, ok := limited.R.(*os.File); !ok {
			t.Errorf("the connection sees a %T in an io.LimitedReader", limited.R)
		}
		if !bytes.Equal(unpacked(t, "gzip", got.Bytes()), identity) {
			t.Error("other bytes were sent")
		}
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	sent := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			defer conn.Close()
			var src io.ReadCloser
			if src, _, err = doc.Open("gzip"); err == nil {
				_, err = io.Copy(conn, src)
			}
		}
		sent <- err
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got, err := io.ReadAll(conn)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if err != nil || !bytes.Equal(unpacked(t, "gzip", got), identity) {
		t.Errorf("%d bytes came over TCP, %v", len(got), err)
	}
}

func FuzzDocumentHeader(f *testing.F) {
	h := documentHeader{ID: hexHash("rev-1"), ETag: `W/"0123"`, Identity: 10, Packed: 3, Sum: crc([]byte("abc"))}
	text, rest, err := unseal(documentSeal, append(h.encode(), "abc"...))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text, rest)
	f.Add([]byte("{}"), []byte(""))
	f.Add([]byte(`{"packed":-1,"identity":-1}`), []byte("x"))
	f.Fuzz(func(t *testing.T, text, rest []byte) {
		if _, _, err := parseDocumentHeader(text, int64(len(text))); err == nil && !bytes.HasPrefix(text, []byte("larder ")) {
			t.Error("bytes without a seal are taken for a header")
		}
		// The fuzzer does not guess checksums.
		data := append(seal(documentSeal, text), rest...)
		h, offset, err := parseDocumentHeader(data, int64(len(data)))
		if err != nil {
			return
		}
		if h.Packed != int64(len(rest)) || !bytes.Equal(data[offset:], rest) {
			t.Errorf("header %+v, offset %d of %d bytes, %d of them packed", h, offset, len(data), len(rest))
		}
		again, _, err := parseDocumentHeader(h.encode(), h.Packed+int64(len(h.encode())))
		if err != nil || again != h {
			t.Errorf("%+v comes back as %+v, %v", h, again, err)
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	d := NewDocuments(DocumentsConfig{Store: NewMem()})
	defer d.Close()
	doc, err := d.Make(b.Context(), testKey, renders(smallDoc()))
	if err != nil {
		b.Fatal(err)
	}
	doc.Close()
	b.ReportAllocs()
	for b.Loop() {
		doc, ok := d.Lookup(b.Context(), testKey)
		if !ok {
			b.Fatal("gone")
		}
		doc.Close()
	}
}

func BenchmarkMake(b *testing.B) {
	d := NewDocuments(DocumentsConfig{Store: NewMem()})
	defer d.Close()
	identity := bytes.Repeat([]byte(`{"name":"react","dist":{"integrity":"sha512-`+strings.Repeat("k7", 43)+`"}},`), 5000)
	b.SetBytes(int64(len(identity)))
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		key := testKey
		key.ID = fmt.Sprint(n)
		doc, err := d.Make(b.Context(), key, renders(identity))
		if err != nil {
			b.Fatal(err)
		}
		doc.Close()
	}
}
