package cache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// gatedRender is a render that waits for a word.
type gatedRender struct {
	started chan struct{} // gets a token from each call
	finish  chan struct{} // closed to let them end
	calls   atomic.Int32
	doc     []byte
}

func newGatedRender(doc []byte) *gatedRender {
	return &gatedRender{started: make(chan struct{}, 1000), finish: make(chan struct{}), doc: doc}
}

func (g *gatedRender) render(ctx context.Context, w io.Writer) error {
	g.calls.Add(1)
	g.started <- struct{}{}
	select {
	case <-g.finish:
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err := w.Write(g.doc)
	return err
}

func TestAHundredMakesRenderOnce(t *testing.T) {
	for name, identity := range map[string][]byte{"small": smallDoc(), "big": bigDoc()} {
		for _, volatile := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, volatile %t", name, volatile), func(t *testing.T) {
				d := newTestDocuments(t, newBrittleStore())
				key := testKey
				key.Volatile = volatile
				var calls atomic.Int32
				all := make(chan struct{}) // closed when all have come
				render := func(_ context.Context, w io.Writer) error {
					calls.Add(1)
					<-all
					_, err := w.Write(identity)
					return err
				}
				var group, come sync.WaitGroup
				var sums sync.Map // of what the readers got
				for range 100 {
					come.Add(1)
					group.Go(func() {
						come.Done()
						doc, err := d.Make(t.Context(), key, render)
						if err != nil {
							t.Error(err)
							return
						}
						defer doc.Close()
						src, _, err := doc.Open("gzip")
						if err != nil {
							t.Error(err)
							return
						}
						defer src.Close()
						packed, err := io.ReadAll(src)
						if err != nil {
							t.Error(err)
						}
						sums.Store(sha256.Sum256(packed), packed)
					})
				}
				come.Wait()
				close(all)
				group.Wait()
				for _, packed := range sums.Range {
					if !bytes.Equal(unpacked(t, "gzip", packed.([]byte)), identity) {
						t.Error("a reader got other bytes")
					}
				}
				// A big volatile document is kept nowhere: who comes late renders it again.
				if n := calls.Load(); n != 1 && !(volatile && name == "big") {
					t.Errorf("rendered %d times", n)
				}
			})
		}
	}
}

func TestACallerThatLeavesDoesNotStopTheRender(t *testing.T) {
	d := newTestDocuments(t, NewMem())
	g := newGatedRender(smallDoc())
	type valueKey struct{}
	ctx, leave := context.WithCancel(context.WithValue(t.Context(), valueKey{}, "the first caller's"))
	left := make(chan error)
	go func() {
		_, err := d.Make(ctx, testKey, func(ctx context.Context, w io.Writer) error {
			if ctx.Value(valueKey{}) == nil {
				t.Error("the context has lost its values")
			}
			return g.render(ctx, w)
		})
		left <- err
	}()
	<-g.started
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Fatalf("the caller that left got %v", err)
	}
	close(g.finish)
	wantDocument(t, mustMake(t, d, testKey, g.render), smallDoc())
	if n := g.calls.Load(); n != 1 {
		t.Errorf("rendered %d times", n)
	}
}

func TestARenderThatFailsFailsForAllAndLeavesNothing(t *testing.T) {
	cause := errors.New("not JSON")
	for _, test := range []struct {
		name string
		end  func(w io.Writer) error
		want string
	}{
		{"an error", func(io.Writer) error { return cause }, "not JSON"},
		{"an error after some bytes", func(w io.Writer) error { w.Write(smallDoc()); return cause }, "not JSON"},
		{"a panic", func(io.Writer) error { panic("index out of range") }, "panic while rendering: index out of range"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newBrittleStore()
				d := newTestDocuments(t, store)
				finish := make(chan struct{})
				var group sync.WaitGroup
				for range 10 {
					group.Go(func() {
						_, err := d.Make(t.Context(), testKey, func(_ context.Context, w io.Writer) error {
							<-finish
							return test.end(w)
						})
						if err == nil || !strings.Contains(err.Error(), test.want) {
							t.Errorf("error %v, want %s", err, test.want)
						}
					})
				}
				synctest.Wait() // all wait for one flight
				close(finish)
				group.Wait()
				if n := store.counted("create doc"); n != 0 {
					t.Errorf("%d writes began", n)
				}
				if _, ok := d.Lookup(t.Context(), testKey); ok {
					t.Error("something is kept")
				}
				wantDocument(t, mustMake(t, d, testKey, renders(smallDoc())), smallDoc())
			})
		})
	}
}

func TestARenderIsBoundedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newTestDocuments(t, NewMem())
		start := time.Now()
		_, err := d.Make(t.Context(), testKey, newGatedRender(nil).render)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != renderTimeout {
			t.Errorf("%v after %v; want a deadline after %v", err, time.Since(start), renderTimeout)
		}
	})
}

func TestDocumentsClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDocuments(DocumentsConfig{Store: NewMem()})
		kept := mustMake(t, d, testKey, renders(smallDoc()))
		other := testKey
		other.Slot = "other"
		stopped := make(chan error, 1)
		go func() {
			_, err := d.Make(t.Context(), other, newGatedRender(nil).render)
			stopped <- err
		}()
		synctest.Wait()
		for range 2 {
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-stopped; !errors.Is(err, context.Canceled) {
			t.Errorf("the render that was under way: %v", err)
		}
		if _, err := d.Make(t.Context(), other, renders(smallDoc())); !errors.Is(err, ErrClosed) {
			t.Errorf("Make after Close: %v", err)
		}
		wantDocument(t, kept, smallDoc())
	})
}

func TestVolatileDocumentsAreNotStored(t *testing.T) {
	store := newBrittleStore()
	d := newTestDocuments(t, store)
	key := testKey
	key.Volatile = true
	wantDocument(t, mustMake(t, d, key, renders(smallDoc())), smallDoc())
	wantDocument(t, mustMake(t, d, key, mustNotRender), smallDoc())
	if len(store.count) != 0 {
		t.Errorf("the store was used: %v", store.count)
	}
	if _, ok := d.Lookup(t.Context(), testKey); ok {
		t.Error("a volatile document passes for one of a configured base")
	}
	key.Slot = "big"
	wantDocument(t, mustMake(t, d, key, renders(bigDoc())), bigDoc())
	if _, ok := d.Lookup(t.Context(), key); ok {
		t.Error("a big volatile document is kept")
	}
}

func TestVolatileDocumentsAreRenderedOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newTestDocuments(t, NewMem())
		g := newGatedRender(smallDoc())
		volatile := func(n int) DocumentKey {
			return DocumentKey{testKey.Owner, fmt.Sprintf("full http://host-%d.example/", n), "rev-1", true}
		}
		var running, most atomic.Int32
		render := func(ctx context.Context, w io.Writer) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			return g.render(ctx, w)
		}
		var group sync.WaitGroup
		for n := range 5 {
			group.Go(func() {
				doc, err := d.Make(t.Context(), volatile(n), render)
				if err != nil {
					t.Error(err)
					return
				}
				doc.Close()
			})
		}
		synctest.Wait()
		if n := g.calls.Load(); n != 1 {
			t.Errorf("%d renders began at once", n)
		}
		// Those of configured bases do not wait for them.
		mustMake(t, d, testKey, renders(smallDoc()))
		close(g.finish)
		group.Wait()
		if g.calls.Load() != 5 || most.Load() != 1 {
			t.Errorf("%d renders, %d at once; want 5, one at once", g.calls.Load(), most.Load())
		}
	})
}

// TestMakeHoldsNoDocument holds the making of a document to the tools of packing
// and a few times the packed bytes: what is rendered is never there as a whole.
func TestMakeHoldsNoDocument(t *testing.T) {
	const size, bound = 16 << 20, 5 << 20 // bytes
	d := newTestDocuments(t, NewMem())
	line := bytes.Repeat([]byte(`{"name":"react"}`), 2<<10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	doc := mustMake(t, d, testKey, func(_ context.Context, w io.Writer) error {
		for n := 0; n < size; n += len(line) {
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
		return nil
	})
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > bound {
		t.Errorf("a document of %d bytes, packed %d: allocated %d bytes in all, want at most %d", size, doc.Length("gzip"), got, bound)
	}
}

func TestDocumentMemoryStaysWithinItsBound(t *testing.T) {
	const bound = 256 << 10
	d := NewDocuments(DocumentsConfig{Store: NewMem(), Memory: bound})
	defer d.Close()
	random := rand.New(rand.NewPCG(1, 2))
	// Of every slot there are two revisions, one after the other.
	key := func(n int) DocumentKey {
		return DocumentKey{testKey.Owner, fmt.Sprintf("slot-%d", n/2), fmt.Sprintf("rev-%d", n%2), n%8 < 2}
	}
	for n := range 80 {
		identity := make([]byte, random.IntN(60<<10))
		for i := range identity {
			identity[i] = "abcdefgh"[random.IntN(8)]
		}
		doc := mustMake(t, d, key(n), renders(identity))
		for _, encoding := range []string{"identity", "zstd"} { // are made, and kept
			inEncoding(t, doc, encoding)
		}
		mustMake(t, d, key(random.IntN(n+1)), renders(identity))
		kept, passing := held(d.kept), held(d.passing)
		if kept+passing > bound || passing > bound/volatileShare {
			t.Fatalf("document %d: %d bytes, and %d volatile ones", n, kept, passing)
		}
		if kept != d.kept.bytes || passing != d.passing.bytes || kept+passing != d.kept.total.bytes.Load() {
			t.Fatalf("document %d: %d and %d bytes are taken for %d and %d, in all %d", n, kept, passing,
				d.kept.bytes, d.passing.bytes, d.kept.total.bytes.Load())
		}
	}
	if held(d.kept) < bound/2 {
		t.Errorf("only %d bytes of %d are used", held(d.kept), bound)
	}
}

// held counts what a memory really holds.
func held(m *documentMemory) int64 {
	var n int64
	for _, k := range m.lru.Values() {
		n += keptOverhead + int64(len(k.packed)) + int64(len(k.identity.data)) + int64(len(k.zstd.data))
	}
	return n
}

func TestTheHottestDocumentsStayInMemory(t *testing.T) {
	store := newBrittleStore()
	d := NewDocuments(DocumentsConfig{Store: store, Memory: 32 << 10})
	defer d.Close()
	doc := bigDoc()[:4<<10]
	mustMake(t, d, testKey, renders(doc))
	for n := range 50 {
		other := testKey
		other.Slot = fmt.Sprint(n)
		mustMake(t, d, other, renders(doc))
		store.counted("open doc")
		mustMake(t, d, testKey, mustNotRender)
		if opens := store.counted("open doc"); opens != 0 {
			t.Fatalf("the hot document was dropped after %d others", n)
		}
	}
	// What was dropped is still on disk.
	dropped := testKey
	dropped.Slot = "0"
	mustMake(t, d, dropped, mustNotRender)
	if opens := store.counted("open doc"); opens != 1 {
		t.Errorf("%d opens for a document that memory has dropped, want 1", opens)
	}
}
