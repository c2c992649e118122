package proxy

import (
	"net/http"
	"strconv"
	"strings"
)

// The encodings of finished documents, as cache.Document.Open names them.
const (
	gzipEncoding = "gzip"
	zstdEncoding = "zstd"
	identity     = "identity"
)

// encodingOf returns the encoding to answer Accept-Encoding with. gzip lies
// ready and wins ties; zstd is chosen where it is liked better, or gzip is not
// accepted. Tokens count only as they are: of bun's "gzip/deflate" nothing is
// known, so it gets identity. Identity is what remains, even where a client
// refuses it: an answer beats a 406. Without zstd the second choice is returned.
func encodingOf(h http.Header, zstdToo bool) string {
	const unsaid = -1
	gzip, zstd, plain, others := float64(unsaid), float64(unsaid), 0.0, 0.0
	for _, line := range h.Values("Accept-Encoding") {
		for element := range strings.SplitSeq(line, ",") {
			token, params, _ := strings.Cut(element, ";")
			switch q := quality(params); strings.ToLower(strings.TrimSpace(token)) {
			case gzipEncoding:
				gzip = q
			case zstdEncoding:
				zstd = q
			case identity:
				plain = q
			case "*":
				others = q
			}
		}
	}
	if gzip == unsaid {
		gzip = others
	}
	if zstd == unsaid {
		zstd = others
	}
	if !zstdToo {
		zstd = 0
	}
	switch best := max(gzip, zstd); {
	case best == 0 || plain > best:
		return identity
	case zstd > gzip:
		return zstdEncoding
	}
	return gzipEncoding
}

// quality returns the q among the parameters of an element of a header like
// Accept-Encoding, 1 where there is none; one that is not a number between 0
// and 1 counts as 0.
func quality(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(v >= 0 && v <= 1) {
			return 0
		}
		return v
	}
	return 1
}
