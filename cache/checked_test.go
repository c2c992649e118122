package cache

import (
	"strconv"
	"sync"
	"testing"
)

func TestCheckedKnowsWhatWasAdded(t *testing.T) {
	c := newChecked()
	const n = 100_000
	var wg sync.WaitGroup
	for part := range 4 {
		wg.Go(func() {
			for i := part; i < n; i += 4 {
				c.add("00112233/blob-"+strconv.Itoa(i), "r")
			}
		})
	}
	wg.Wait()
	wrong := 0
	for i := range n {
		if !c.has("00112233/blob-"+strconv.Itoa(i), "r") {
			t.Fatalf("%d was added and is not there", i)
		}
		if c.has("00112233/blob-"+strconv.Itoa(i), "s") {
			wrong++
		}
	}
	// 14 are to be expected.
	if wrong > 60 {
		t.Errorf("%d of %d other revisions count as checked", wrong, n)
	}
}

func TestCheckedBeginsAnewBeforeItIsFull(t *testing.T) {
	c := newChecked()
	for i := range c.words { // as full as can be, but for one that is to come
		c.words[i].Store(^uint64(0))
	}
	c.added.Store(maxChecked - 1)
	a, _ := c.probes("k", "one too many")
	c.words[a/64].Store(0)
	c.add("k", "one too many")
	for i := range maxChecked - 1 { // which is as many as it takes
		c.add("k", strconv.Itoa(i))
	}
	wrong := 0
	for i := range 10_000 {
		if c.has("other", strconv.Itoa(i)) {
			wrong++
		}
	}
	if wrong > 700 { // one in twenty
		t.Errorf("%d of 10000 that were never added count as checked", wrong)
	}
	if !c.has("k", strconv.Itoa(maxChecked-2)) {
		t.Error("the last is forgotten")
	}
}

// The scrub adds what is there once a day: that must not use up the filter.
func TestWhatIsCheckedAgainTakesNoRoom(t *testing.T) {
	c := newChecked()
	c.add("0011/blob-1", "r")
	for range maxChecked {
		c.add("0011/blob-2", "r")
	}
	if !c.has("0011/blob-1", "r") {
		t.Error("it is forgotten")
	}
}

func BenchmarkCheckedHas(b *testing.B) {
	c := newChecked()
	c.add(FileKey(OwnerKey("npm", "lodash"), "blob", "x"), "r")
	key := FileKey(OwnerKey("npm", "lodash"), "blob", "x")
	b.ReportAllocs()
	for b.Loop() {
		if !c.has(key, "r") {
			b.Fatal("it was added")
		}
	}
}
