package upstream

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"larder/npm"
)

// TestFetchCopiesNoBody holds the fetching of a document to the two copies that
// it needs, packed and unpacked, and those that a store in memory makes: memory
// that was not used before is what a big document costs most.
func TestFetchCopiesNoBody(t *testing.T) {
	noise := make([]byte, 2<<20)
	rand.Read(noise)
	doc := strings.TrimSuffix(fullDoc("a", jan, "1.0.0"), "}") + `,"readme":"` + hex.EncodeToString(noise) + `"}`
	packed := []byte(zipped(doc))
	g := newRig(t)
	g.fake.handle("/a", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", npm.FullType)
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Length", strconv.Itoa(len(packed)))
		w.Write(packed)
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	g.get(t, "a", npm.Full, false, Miss)
	runtime.ReadMemStats(&after)
	got, bound := int(after.TotalAlloc-before.TotalAlloc), len(doc)+4*len(packed)
	if got > bound {
		t.Errorf("a document of %d bytes, packed %d: allocated %d bytes in all, want at most %d", len(doc), len(packed), got, bound)
	}
}
