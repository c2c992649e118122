package cache

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"larder/metrics"
)

// prose returns n bytes that a better compressor packs better, to 0.4 of them and
// more.
func prose(n int) []byte {
	dice := rand.New(rand.NewPCG(1, 2))
	var text bytes.Buffer
	for text.Len() < n {
		fmt.Fprintf(&text, `"%d":%d,`, dice.IntN(100_000), dice.IntN(5000))
	}
	return text.Bytes()
}

// lookUp opens key's document n times.
func lookUp(t *testing.T, d *Documents, key DocumentKey, n int) {
	t.Helper()
	for range n {
		doc, ok := d.Lookup(t.Context(), key)
		if !ok {
			t.Fatal("the document is gone")
		}
		doc.Close()
	}
}

// header returns the header of key's document.
func header(t *testing.T, d *Documents, key DocumentKey) documentHeader {
	t.Helper()
	doc, ok := d.Lookup(t.Context(), key)
	if !ok {
		t.Fatal("the document is gone")
	}
	defer doc.Close()
	return doc.header
}

func TestHotDocumentsArePackedAgain(t *testing.T) {
	for name, size := range map[string]int{"small": 100 << 10, "big": 3 << 20} {
		t.Run(name, func(t *testing.T) {
			identity := prose(size)
			for name, open := range map[string]func(t *testing.T) Store{
				"Mem": func(*testing.T) Store { return NewMem() },
				"Dir": func(t *testing.T) Store { return openTestDir(t, t.TempDir(), nil) },
			} {
				t.Run(name, func(t *testing.T) {
					store := open(t)
					synctest.Test(t, func(t *testing.T) {
						m := metrics.New("1.0.0", "abcdef")
						d := NewDocuments(DocumentsConfig{Store: store, Metrics: m})
						defer d.Close()
						mustMake(t, d, testKey, renders(identity)).Close()
						before := header(t, d, testKey)
						if big := before.Packed > smallDocument; big != (size > smallDocument) {
							t.Fatalf("it has %d bytes packed", before.Packed)
						}
						lookUp(t, d, testKey, hotAfter-2)
						time.Sleep(2 * quiet)
						if header(t, d, testKey).Refined { // which is the last that it takes
							t.Error("it was packed again although it is not hot")
						}
						time.Sleep(2 * quiet)
						synctest.Wait()
						after := header(t, d, testKey)
						if !after.Refined || after.Packed >= before.Packed || after.ETag != before.ETag || after.Identity != before.Identity {
							t.Errorf("it is %+v, was %+v", after, before)
						}
						wantDocument(t, mustMake(t, d, testKey, mustNotRender), identity)
						restarted := NewDocuments(DocumentsConfig{Store: store})
						defer restarted.Close()
						wantDocument(t, mustMake(t, restarted, testKey, mustNotRender), identity)
						if got := header(t, restarted, testKey); got != after {
							t.Errorf("after a restart it is %+v, want %+v", got, after)
						}
						wantMetric(t, m, "documents_refined_total 1")
					})
				})
			}
		})
	}
}

// TestHotDocumentsWaitForQuiet, but not for ever.
func TestHotDocumentsWaitForQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDocuments(DocumentsConfig{Store: NewMem()})
		defer d.Close()
		mustMake(t, d, testKey, renders(prose(100<<10))).Close()
		lookUp(t, d, testKey, hotAfter)
		begin := time.Now()
		for !header(t, d, testKey).Refined { // which asks for it
			time.Sleep(time.Second)
		}
		if waited := time.Since(begin); waited < quietWithin || waited > quietWithin+2*quiet {
			t.Errorf("it was packed again after %v of requests", waited)
		}
	})
}

func TestHotDocumentsGiveWayToNewerOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := NewMem()
		d := NewDocuments(DocumentsConfig{Store: store})
		defer d.Close()
		mustMake(t, d, testKey, renders(prose(100<<10))).Close()
		lookUp(t, d, testKey, hotAfter)
		newer := testKey
		newer.ID = "rev-2"
		identity := prose(50 << 10)
		mustMake(t, d, newer, renders(identity)).Close()
		time.Sleep(2 * quiet)
		synctest.Wait()
		wantDocument(t, mustMake(t, d, newer, mustNotRender), identity)
		restarted := NewDocuments(DocumentsConfig{Store: store})
		defer restarted.Close()
		wantDocument(t, mustMake(t, restarted, newer, mustNotRender), identity)
	})
}

// TestCloseEndsTheWaitOfHotDocuments: a bubble ends only when its goroutines have.
func TestCloseEndsTheWaitOfHotDocuments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDocuments(DocumentsConfig{Store: NewMem()})
		mustMake(t, d, testKey, renders(prose(100<<10))).Close()
		lookUp(t, d, testKey, hotAfter)
		d.Close()
		if header(t, d, testKey).Refined {
			t.Error("it was packed again after all")
		}
	})
}
