package proxy

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// document is what the tests read of a packument.
type document struct {
	Name     string                     `json:"name"`
	Time     map[string]json.RawMessage `json:"time"`
	Readme   string                     `json:"readme"`
	Tags     map[string]string          `json:"dist-tags"`
	Versions map[string]struct {
		Dist struct {
			Tarball      string
			Attestations struct{ URL string }
		}
	}
}

func (r response) document(t *testing.T) document {
	t.Helper()
	var d document
	if err := json.Unmarshal(r.body, &d); err != nil {
		t.Fatalf("%v in %.300s", err, r.body)
	}
	return d
}

func TestChecklist03_SpellingsOfAScope(t *testing.T) {
	w := newWorld(t)
	w.up.publish("@types/node", "20.1.0", []byte("x"))
	first := w.get("/@types%2fnode").want(t, 200)
	for _, path := range []string{"/@types%2Fnode", "/@types/node", "/%40types%2fnode", "/%40types/node"} {
		if d := cmp.Diff(string(first.body), string(w.get(path).want(t, 200).body)); d != "" {
			t.Errorf("%s differs:\n%s", path, d)
		}
	}
}

func TestChecklist05And06_FormByAccept(t *testing.T) {
	w := newWorld(t)
	w.up.publish("lodash", "4.17.21", []byte("x"))
	tests := []struct {
		name   string
		accept string // "-": no header
		want   string
	}{
		{"npm ci, yarn 1, pnpm, bun", corgi, "application/vnd.npm.install-v1+json"},
		{"yarn 4", "-", "application/json"},
		{"deno", "*/*", "application/json"},
		{"npm install", "application/json", "application/json"},
		{"pnpm full", "application/json; q=1.0, */*", "application/json"},
		{"bun with a minimum age", "application/json, */*", "application/json"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := []string{"Accept", tt.accept}
			if tt.accept == "-" {
				header = nil
			}
			r := w.get("/lodash", header...).want(t, 200)
			r.wantHeader(t, "Content-Type", tt.want)
			d := r.document(t)
			if full := tt.want == "application/json"; full != (d.Readme != "") || full && d.Time["4.17.21"] == nil {
				t.Errorf("readme %q, time %v in a document of type %s", d.Readme, d.Time, tt.want)
			}
		})
	}
}

func TestWriteTrueIsFullAndRevalidated(t *testing.T) {
	w := newWorld(t)
	w.up.publish("lodash", "4.17.21", []byte("x"))
	w.get("/lodash").want(t, 200).wantHeader(t, "X-Larder-Cache", "miss")
	r := w.get("/lodash?write=true", "Accept", corgi).want(t, 200)
	r.wantHeader(t, "Content-Type", "application/json")
	r.wantHeader(t, "X-Larder-Cache", "revalidated")
	if !strings.Contains(string(r.body), `"_rev"`) {
		t.Error("no _rev, which npm unpublish needs")
	}
}

func TestNoCacheIsForcedWithinTheBucket(t *testing.T) {
	w := newWorld(t)
	w.up.publish("lodash", "4.17.21", []byte("x"))
	w.get("/lodash").want(t, 200)
	w.get("/lodash").want(t, 200).wantHeader(t, "X-Larder-Cache", "hit")
	w.get("/lodash", "Cache-Control", "no-cache").want(t, 200).wantHeader(t, "X-Larder-Cache", "revalidated")
	for range forcedBurst {
		w.proxy.forced.allow(site(netip.MustParseAddr("127.0.0.1")))
	}
	w.get("/lodash", "Cache-Control", "no-cache").want(t, 200).wantHeader(t, "X-Larder-Cache", "hit")
}

func TestChecklist16_UnknownPackage(t *testing.T) {
	w := newWorld(t)
	w.get("/no-such-package").wantError(t, 404)
}

func TestChecklist18_OutageIsNever404(t *testing.T) {
	w := newWorld(t)
	w.up.Close()
	r := w.get("/lodash")
	r.wantError(t, 503)
	if r.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	w.get("/lodash/-/lodash-1.0.0.tgz").wantError(t, 503)
	w.get("/lodash/latest").wantError(t, 503)
}

func TestChecklist19And20_UpstreamDownAfterwards(t *testing.T) {
	w := newWorld(t)
	w.up.publish("lodash", "4.17.21", []byte("tarball"))
	packument := w.get("/lodash").want(t, 200)
	tarball := w.get("/lodash/-/lodash-4.17.21.tgz").want(t, 200)
	w.up.Close()
	if again := w.get("/lodash").want(t, 200); string(again.body) != string(packument.body) {
		t.Error("another packument")
	}
	again := w.get("/lodash/-/lodash-4.17.21.tgz").want(t, 200)
	again.wantHeader(t, "X-Larder-Cache", "hit")
	if string(again.body) != string(tarball.body) {
		t.Error("another tarball")
	}
	w.get("/lodash", "Cache-Control", "no-cache").want(t, 200).wantHeader(t, "X-Larder-Cache", "stale")
}

func TestChecklist26_IfNoneMatch(t *testing.T) {
	w := newWorld(t)
	w.up.publish("lodash", "4.17.21", []byte("x"))
	first := w.get("/lodash").want(t, 200)
	etag := first.Header.Get("ETag")
	if !strings.HasPrefix(etag, `W/"`) {
		t.Fatalf("ETag %q, want a weak one", etag)
	}
	strong := strings.TrimPrefix(etag, "W/")
	for name, validator := range map[string]string{
		"weak": etag, "strong": strong, "list": `"x", ` + etag, "star": "*",
	} {
		t.Run(name, func(t *testing.T) {
			r := w.get("/lodash", "If-None-Match", validator).want(t, 304)
			if len(r.body) != 0 || r.Header.Get("Content-Length") != "" {
				t.Errorf("%d bytes of body, Content-Length %q", len(r.body), r.Header.Get("Content-Length"))
			}
			for _, h := range []string{"ETag", "Cache-Control", "Vary"} {
				r.wantHeader(t, h, first.Header.Get(h))
			}
			if r.Header.Get("Date") == "" {
				t.Error("no Date")
			}
		})
	}
	w.get("/lodash", "If-None-Match", `"other"`).want(t, 200)
	w.get("/lodash", "If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT").want(t, 200)
}

func TestChecklist27_ETagPerForm(t *testing.T) {
	w := newWorld(t)
	w.up.publish("lodash", "4.17.21", []byte("x"))
	full, abbreviated := w.get("/lodash").want(t, 200), w.get("/lodash", "Accept", corgi).want(t, 200)
	if full.Header.Get("ETag") == abbreviated.Header.Get("ETag") {
		t.Error("both forms have the same ETag")
	}
	for _, r := range []response{full, abbreviated} {
		r.wantHeader(t, "Vary", "Accept, Accept-Encoding")
	}
	packed := w.get("/lodash", "Accept-Encoding", "gzip").want(t, 200)
	packed.wantHeader(t, "ETag", full.Header.Get("ETag"))
}

func TestChecklist28_ExplicitFreshness(t *testing.T) {
	w := newWorld(t)
	w.up.publish("lodash", "4.17.21", []byte("x"))
	r := w.get("/lodash").want(t, 200)
	r.wantHeader(t, "Cache-Control", "public, max-age=300, stale-if-error=86400")
	r.wantHeader(t, "Access-Control-Allow-Origin", "*")
	r.wantHeader(t, "Last-Modified", "")
}

func TestChecklist30_Encodings(t *testing.T) {
	w := newWorld(t)
	w.up.publish("lodash", "4.17.21", []byte("x"))
	plain := w.get("/lodash", "Accept-Encoding", "gzip/deflate").want(t, 200)
	plain.wantHeader(t, "Content-Encoding", "")

	packed := w.get("/lodash", "Accept-Encoding", "zstd,gzip,deflate").want(t, 200)
	packed.wantHeader(t, "Content-Encoding", "gzip")
	if d := cmp.Diff(string(plain.body), string(gunzip(t, packed.body))); d != "" {
		t.Errorf("gzip differs:\n%s", d)
	}

	packed = w.get("/lodash", "Accept-Encoding", "zstd").want(t, 200)
	packed.wantHeader(t, "Content-Encoding", "zstd")
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	unpacked, err := z.DecodeAll(packed.body, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(plain.body), string(unpacked)); d != "" {
		t.Errorf("zstd differs:\n%s", d)
	}
}

func TestChecklist32_HeadOfPackument(t *testing.T) {
	w := newWorld(t)
	w.up.publish("lodash", "4.17.21", []byte("x"))
	for _, encoding := range []string{"identity", "gzip", "zstd"} {
		t.Run(encoding, func(t *testing.T) {
			get := w.get("/lodash", "Accept-Encoding", encoding).want(t, 200)
			head := w.do(http.MethodHead, "/lodash", "", "Accept-Encoding", encoding).want(t, 200)
			if len(head.body) != 0 {
				t.Errorf("%d bytes of body", len(head.body))
			}
			for _, h := range []string{"Content-Type", "Content-Length", "Content-Encoding", "ETag", "Vary", "Cache-Control"} {
				head.wantHeader(t, h, get.Header.Get(h))
			}
			if get.ContentLength != int64(len(get.body)) {
				t.Errorf("Content-Length %d for %d bytes", get.ContentLength, len(get.body))
			}
		})
	}
}

func TestChecklist35_PathsThatNameNothing(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{
		"/__proto__", "/..%2fx", "/%2e%2e%2f", "/a%00b", "/" + strings.Repeat("a", 5000), "/.hidden", "/node_modules",
		"/lodash/-/..%2f..%2fetc%2fpasswd", "/a//b", "/%zz",
	} {
		// Go's client would clean or refuse some of these.
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Opaque = path
		res, err := w.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 400 && res.StatusCode != 404 {
			t.Errorf("%.40s: status %d, want 400 or 404", path, res.StatusCode)
		}
	}
	if n := len(w.up.seen("")); n != 0 {
		t.Errorf("%d requests reached upstream", n)
	}
}

func TestChecklist40_UnpublishedStub(t *testing.T) {
	w := newWorld(t)
	w.up.serve("/gone", `{"_id":"gone","name":"gone","time":{"modified":"2020-01-02T00:00:00.000Z","unpublished":{"time":"2020-01-02T00:00:00.000Z","versions":["1.0.0"]}}}`)
	w.up.serve("/bare", `{"name":"bare"}`)
	w.up.serve("/flatmap-stream", `{"name":"flatmap-stream","dist-tags":{},"versions":{}}`)
	for _, accept := range []string{corgi, "application/json"} {
		if text := w.get("/gone", "Accept", accept).wantError(t, 404); !strings.Contains(text, "was unpublished on 2020-01-02") {
			t.Errorf("%q does not say what happened", text)
		}
		w.get("/bare", "Accept", accept).wantError(t, 404)
		w.get("/flatmap-stream", "Accept", accept).want(t, 200)
	}
}
