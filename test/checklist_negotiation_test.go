package test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/tidwall/gjson"

	"larder/test/rig"
)

func TestChecklist26_IfNoneMatch(t *testing.T) {
	p := newPair(t)
	for _, path := range []string{"/is-odd", "/is-odd/latest", "/is-odd/-/is-odd-3.0.1.tgz"} {
		first := p.ok(t, path)
		etag := first.header.Get("ETag")
		strong := strings.TrimPrefix(etag, "W/")
		tests := []struct {
			name, header string
			status       int
		}{
			{"as it was", etag, http.StatusNotModified},
			{"strong", strong, http.StatusNotModified},
			{"weak", "W/" + strong, http.StatusNotModified},
			{"list", `"other", W/` + strong + `, "third"`, http.StatusNotModified},
			{"star", "*", http.StatusNotModified},
			{"another", `"other"`, http.StatusOK},
			{"upstream's", p.original(t, path).header.Get("ETag") + "x", http.StatusOK},
		}
		for _, tt := range tests {
			t.Run(path+" "+tt.name, func(t *testing.T) {
				r := p.get(t, path, "If-None-Match: "+tt.header)
				if r.status != tt.status {
					t.Fatalf("%d, want %d", r.status, tt.status)
				}
				if r.status == http.StatusOK {
					if !bytes.Equal(r.body, first.body) {
						t.Error("another body")
					}
					return
				}
				if n := r.header.Get("Content-Length"); len(r.body) > 0 || n != "" && n != "0" {
					t.Errorf("a 304 with a body of %d bytes, Content-Length %q", len(r.body), n)
				}
				for _, name := range []string{"ETag", "Cache-Control", "Vary"} {
					if got, want := r.header.Get(name), first.header.Get(name); got != want {
						t.Errorf("%s: %q on the 304, %q on the 200", name, got, want)
					}
				}
				if r.header.Get("Date") == "" {
					t.Error("no Date")
				}
			})
		}
	}
}

func TestIfModifiedSinceAloneIsNoValidatorOfPackuments(t *testing.T) {
	p := newPair(t)
	p.ok(t, "/is-odd", "If-Modified-Since: Fri, 31 Dec 2100 00:00:00 GMT") // pnpm takes it from the document
}

func TestChecklist27_FormsAndETags(t *testing.T) {
	p := newPair(t)
	full, abbreviated := p.ok(t, "/is-number"), p.ok(t, "/is-number", corgi)
	if full.header.Get("ETag") == abbreviated.header.Get("ETag") {
		t.Errorf("both forms have the ETag %s", full.header.Get("ETag"))
	}
	for _, accept := range []string{"Accept: */*", corgi} {
		plain, packed := p.ok(t, "/is-number", accept), p.ok(t, "/is-number", accept, "Accept-Encoding: gzip")
		for _, r := range []reply{plain, packed} {
			if etag := r.header.Get("ETag"); !regexp.MustCompile(`^(W/)?"[^"]+"$`).MatchString(etag) {
				t.Errorf("%s: ETag %q", accept, etag)
			}
			if got := r.header.Get("Vary"); got != "Accept, Accept-Encoding" {
				t.Errorf("%s: Vary %q", accept, got)
			}
		}
		// One strong tag for two encodings would be a lie.
		if etag := plain.header.Get("ETag"); etag == packed.header.Get("ETag") && !strings.HasPrefix(etag, "W/") {
			t.Errorf("%s: %s is strong, and that of two encodings", accept, etag)
		}
	}
	if r := p.get(t, "/is-number", corgi, "If-None-Match: "+full.header.Get("ETag")); r.status != http.StatusOK {
		t.Errorf("%d for the other form's ETag", r.status)
	}
}

func TestETagChangesWithTheDocument(t *testing.T) {
	p := newPair(t)
	before := p.ok(t, "/is-odd").header.Get("ETag")
	if err := p.registry.Deprecate("is-odd", "3.0.1", "use is-even"); err != nil {
		t.Fatal(err)
	}
	r := p.get(t, "/is-odd", "Cache-Control: no-cache", "If-None-Match: "+before)
	if r.status != http.StatusOK || r.header.Get("ETag") == before || !bytes.Contains(r.body, []byte("use is-even")) {
		t.Errorf("%d, ETag %s after %s", r.status, r.header.Get("ETag"), before)
	}
	r = p.get(t, "/is-odd?write=true", corgi)
	if r.header.Get("Content-Type") != "application/json" || !gjson.GetBytes(r.body, "_rev").Exists() {
		t.Errorf("?write=true got no full document: %s", r.header.Get("Content-Type"))
	}
}

func TestChecklist28_CacheControlIsExplicit(t *testing.T) {
	p := newPair(t)
	for _, path := range []string{"/is-odd", "/@types%2fms", "/is-odd/latest"} {
		for range 2 { // cold and warm
			got := p.ok(t, path, corgi).header.Get("Cache-Control")
			if !regexp.MustCompile(`^public, max-age=[1-9][0-9]*, stale-if-error=[1-9][0-9]*$`).MatchString(got) {
				t.Errorf("%s: Cache-Control %q", path, got)
			}
		}
	}
	if got := p.ok(t, "/-/package/is-odd/dist-tags").header.Get("Cache-Control"); got != "no-cache" {
		t.Errorf("dist-tags: Cache-Control %q: npm reads them through its own cache", got)
	}
}

// unpacked is a reply's body without its Content-Encoding.
func (r reply) unpacked(t *testing.T) []byte {
	t.Helper()
	var plain io.Reader
	var err error
	switch encoding := r.header.Get("Content-Encoding"); encoding {
	case "":
		return r.body
	case "gzip":
		plain, err = gzip.NewReader(bytes.NewReader(r.body))
	case "zstd":
		plain, err = zstd.NewReader(bytes.NewReader(r.body))
	default:
		t.Fatalf("Content-Encoding %q", encoding)
	}
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestChecklist30_Encodings(t *testing.T) {
	tests := []struct{ name, accept, encoding string }{
		{"npm", "gzip,deflate", "gzip"},
		{"yarn 4", "gzip, deflate, br", "gzip"},
		{"pnpm 12", "zstd,gzip,deflate", "gzip"},
		{"bun", "gzip, deflate, br, zstd", "gzip"},
		{"bun's broken token", "gzip/deflate", ""},
		{"zstd alone", "zstd", "zstd"},
		{"gzip refused", "gzip;q=0", ""},
		{"identity", "identity", ""},
	}
	for _, state := range []string{"cold", "warm"} {
		t.Run(state, func(t *testing.T) {
			p := newPair(t)
			if state == "warm" {
				p.ok(t, "/is-number")
			}
			var plain []byte
			for _, tt := range tests {
				r := p.ok(t, "/is-number", "Accept-Encoding: "+tt.accept)
				if got := r.header.Get("Content-Encoding"); got != tt.encoding {
					t.Errorf("%s: Content-Encoding %q, want %q", tt.name, got, tt.encoding)
				}
				if body := r.unpacked(t); plain == nil {
					plain = body
				} else if !bytes.Equal(body, plain) {
					t.Errorf("%s: another body", tt.name)
				}
				if tt.encoding != "" && len(r.body) >= len(plain) {
					t.Errorf("%s: nothing was saved", tt.name)
				}
			}
			if !gjson.ValidBytes(plain) {
				t.Error("not JSON")
			}
		})
	}
}

func TestChecklist31_HugePackument(t *testing.T) {
	versions := 12_500    // of 4 kB each
	if rig.RaceDetector { // which makes it ten times as slow
		versions = 2_500
	}
	p := newPair(t)
	doc := new(strings.Builder)
	doc.WriteString(`{"name":"huge","dist-tags":{"latest":"1.0.0"},"versions":{`)
	for i := range versions {
		fmt.Fprintf(doc, `"1.0.%d":{"name":"huge","version":"1.0.%[1]d","readme":"%s","dist":{"shasum":"%040d","tarball":"http://registry.example/huge/-/huge-1.0.%[1]d.tgz"}},`,
			i, strings.Repeat("huge ", 770), i)
	}
	p.oddDocument("huge", strings.TrimSuffix(doc.String(), ",")+"}}")

	for _, headers := range [][]string{{"Accept: application/json", "Accept-Encoding: gzip"}, {corgi}} {
		r := p.ok(t, "/huge", headers...)
		body := r.unpacked(t)
		if !gjson.ValidBytes(body) {
			t.Fatalf("%q: not JSON", headers)
		}
		if n := bytes.Count(body, []byte(p.url()+"/huge/-/")); n != versions {
			t.Errorf("%q: %d versions with a tarball here, want %d", headers, n, versions)
		}
	}
	p.wantRequests(t, "/huge", 1) // the abbreviated form comes out of the full one
}

func TestChecklist32_Head(t *testing.T) {
	p := newPair(t)
	changing := []string{"Date", "X-Request-Id", "X-Larder-Cache", "Last-Modified"}
	for _, path := range []string{
		"/is-odd", "/@types%2fms", "/is-odd/latest", "/is-odd/-/is-odd-3.0.1.tgz", "/", "/-/ping",
		"/-/package/is-odd/dist-tags", "/-/npm/v1/keys", "/nobody-has-this", "/is-odd/-/is-odd-9.9.9.tgz",
	} {
		for _, state := range []string{"cold", "warm"} {
			head := p.do(t, http.MethodHead, path)
			get := p.get(t, path)
			if len(head.body) > 0 || head.status != get.status {
				t.Errorf("%s, %s: HEAD %d with %d bytes, GET %d", path, state, head.status, len(head.body), get.status)
			}
			for _, name := range changing {
				head.header.Del(name)
				get.header.Del(name)
			}
			if diff := cmp.Diff(get.header, head.header); diff != "" {
				t.Errorf("%s, %s: headers differ (-GET +HEAD):\n%s", path, state, diff)
			}
		}
	}
}

func TestCacheResultIsTold(t *testing.T) {
	p := newPair(t)
	for _, path := range []string{"/is-odd", "/is-odd/-/is-odd-3.0.1.tgz", "/@types%2fms"} {
		p.ok(t, path).wantCache(t, "miss")
		p.ok(t, path).wantCache(t, "hit")
	}
	p.ok(t, "/is-odd", "Cache-Control: no-cache").wantCache(t, "revalidated")
	p.wantRequests(t, "/is-odd", 2)
	p.wantRequests(t, "/is-odd/-/*", 1)
}
