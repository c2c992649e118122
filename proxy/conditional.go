package proxy

import (
	"net/http"
	"strings"
)

// notModified reports whether If-None-Match says that the client holds etag
// already. The comparison is weak, as RFC 9110 demands for this header: caches
// between us turn strong tags into weak ones. If-Modified-Since does not
// count: pnpm makes it up from the document itself.
func notModified(h http.Header, etag string) bool {
	for _, line := range h.Values("If-None-Match") {
		if matchesTag(line, etag) {
			return true
		}
	}
	return false
}

// matchesTag walks a list of entity tags. A tag may hold commas, so the list
// cannot be split at them; what is malformed ends the list.
func matchesTag(list, etag string) bool {
	want := strings.TrimPrefix(etag, "W/")
	for {
		list = strings.TrimLeft(list, " \t,")
		if strings.HasPrefix(list, "*") {
			return true
		}
		list = strings.TrimPrefix(list, "W/")
		if !strings.HasPrefix(list, `"`) {
			return false
		}
		end := strings.IndexByte(list[1:], '"')
		if end < 0 {
			return false
		}
		if list[:end+2] == want {
			return true
		}
		list = list[end+2:]
	}
}

// wantsRevalidation reports whether the client asks for an answer that
// upstream has just confirmed.
func wantsRevalidation(h http.Header) bool {
	directives := h.Values("Cache-Control")
	if len(directives) == 0 {
		directives = h.Values("Pragma") // HTTP/1.0; counts only without the other
	}
	for _, line := range directives {
		for d := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(d), "no-cache") {
				return true
			}
		}
	}
	return false
}
