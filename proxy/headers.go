package proxy

import (
	"net/http"

	"larder/npm"
)

// set sets a header under its canonical name, as http.Header.Set does. Values
// that most responses have are shared among them: net/http only reads them, and
// who sets a header anew puts another slice into its place.
func set(h http.Header, name, value string) {
	if shared, ok := sharedValues[value]; ok {
		h[name] = shared
		return
	}
	h[name] = []string{value}
}

var sharedValues = valuesOf(
	cacheDocument, cacheTarball, revalidate, noStore,
	guard(cacheDocument), guard(cacheTarball), guard(revalidate),
	varyDocument, allOrigins, byteRanges, octetStream,
	npm.FullType, npm.AbbreviatedType,
	gzipEncoding, zstdEncoding,
	"hit", "miss", "stale", "revalidated", resultHosted,
)

func valuesOf(values ...string) map[string][]string {
	shared := make(map[string][]string, len(values))
	for _, v := range values {
		shared[v] = []string{v}
	}
	return shared
}

// Values that are the same in many responses.
const (
	varyDocument = "Accept, Accept-Encoding"
	allOrigins   = "*"
	byteRanges   = "bytes"
	octetStream  = "application/octet-stream"
)
