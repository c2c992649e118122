package proxy

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"larder/cache"
	"larder/npm"
	"larder/upstream"
)

// labelled is what a response says about its age.
type labelled struct{ cache, age, warning string }

func labelsOf(r response) labelled {
	return labelled{r.Header.Get("X-Larder-Cache"), r.Header.Get("Age"), r.Header.Get("Warning")}
}

// TestLabels: every answer out of an upstream's document says how old it may
// be, whatever was asked for it and however; a tarball and an error have no age.
func TestLabels(t *testing.T) {
	up := newFakeUpstream(t)
	w := newWorld(t, func(c *Config) {
		c.Upstreams = []*upstream.Registry{newRegistryWith(t, cache.NewMem(), up, func(c *upstream.Config) {
			c.FreshFor, c.StaleWhileRevalidate = time.Nanosecond, time.Nanosecond
		})}
	})
	up.publish("lodash", "1.0.0", noise(1000))
	up.serve("/-/npm/v1/keys", `{"keys":[{"keyid":"1"}]}`)
	up.serve("/-/npm/v1/attestations/lodash@1.0.0", `{"attestations":[]}`)
	up.serve("/-/v1/search", `{"objects":[],"total":0}`)
	paths := []string{
		"/lodash", "/lodash/1.0.0", "/-/package/lodash/dist-tags", "/-/npm/v1/keys",
		"/-/npm/v1/attestations/lodash@1.0.0", "/-/v1/search?text=lodash",
	}
	etags := map[string]string{}
	for _, path := range paths {
		r := w.get(path).want(t, 200)
		etags[path] = r.Header.Get("ETag")
		if got := labelsOf(r); got.age != "0" && got.age != "1" || got.warning != "" || got.cache == "stale" {
			t.Errorf("fresh %s: %+v", path, got)
		}
		r.wantHeader(t, "Npm-Notice", "")
	}
	w.get("/lodash/-/lodash-1.0.0.tgz").want(t, 200).wantHeader(t, "Age", "")
	up.Close()
	for _, path := range paths {
		confirmed := w.get(path, "If-None-Match", etags[path])
		if !strings.HasPrefix(path, "/-/v1/search") { // which says when it was answered
			confirmed.want(t, 304)
		}
		for _, r := range []response{w.get(path).want(t, 200), confirmed, w.do(http.MethodHead, path, "").want(t, 200)} {
			if got := labelsOf(r); got.cache != "stale" || got.age == "" || got.warning != `110 larder "Response is Stale"` {
				t.Errorf("%s %s, %d: %+v", r.Request.Method, path, r.StatusCode, got)
			}
		}
	}
	tarball := w.get("/lodash/-/lodash-1.0.0.tgz").want(t, 200)
	missing := w.get("/other")
	for _, r := range []response{tarball, missing} {
		for _, h := range []string{"Age", "Warning", "Npm-Notice"} {
			r.wantHeader(t, h, "")
		}
	}
}

// TestAgeCountsFromTheLastConfirmation, in seconds, on 304 too.
func TestAgeCountsFromTheLastConfirmation(t *testing.T) {
	for _, tt := range []struct {
		name  string
		since time.Duration
		want  string
	}{
		{"just now", 0, "0"},
		{"an hour", time.Hour + 500*time.Millisecond, "3600"},
		{"the clock was set back", -time.Hour, "0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := &exchange{recorder: recorder{ResponseWriter: &headerOnly{header: http.Header{}}}, checked: time.Now().Add(-tt.since)}
			x.describe(`"e"`, cacheDocument)
			if got := x.Header().Get("Age"); got != tt.want {
				t.Errorf("Age %q, want %q", got, tt.want)
			}
		})
	}
}

// headerOnly is a ResponseWriter for headers alone.
type headerOnly struct {
	http.ResponseWriter
	header http.Header
}

func (d *headerOnly) Header() http.Header { return d.header }

func (d *headerOnly) WriteHeader(int) {}

func (d *headerOnly) Write(p []byte) (int, error) { return len(p), nil }

// TestNotice: one client reads once a minute that an upstream is away, and only
// then: what is revalidated in the background is nobody's business.
func TestNotice(t *testing.T) {
	s := &Server{notices: newNotices()}
	reg := newWorld(t).proxy.cfg.Upstreams[0]
	checked := time.Now().Add(-49 * time.Hour)
	notice := func(client string, p upstream.Provenance) string {
		x := &exchange{recorder: recorder{ResponseWriter: &headerOnly{header: http.Header{}}}, client: netip.MustParseAddr(client)}
		p.Checked = checked
		s.from(x, reg, p)
		for _, silent := range []*http.Request{{Method: http.MethodHead}, {Method: http.MethodGet, Header: http.Header{"If-None-Match": {weakETag(nil)}}}} {
			if err := x.sendJSON(silent, cacheDocument, nil); err != nil || x.Header().Get("Npm-Notice") != "" {
				t.Errorf("%v: a notice that nobody would print", silent)
			}
		}
		if err := x.sendJSON(&http.Request{Method: http.MethodGet}, cacheDocument, nil); err != nil {
			t.Error(err)
		}
		said := x.Header().Get("Npm-Notice")
		if (said != "") != (x.Header().Get("Cache-Control") == noStore) {
			t.Error("npm prints notices only with what it does not keep")
		}
		return said
	}
	away := upstream.Provenance{Outcome: upstream.Stale, Away: true}
	for i, want := range []bool{true, false, false} {
		got := notice("192.0.2.1", away)
		if (got != "") != want {
			t.Errorf("answer %d: notice %q", i+1, got)
		}
		if want && (!strings.Contains(got, "upstream npm") || !strings.Contains(got, "2 days ago") || strings.ContainsAny(got, "\r\n")) {
			t.Errorf("notice %q", got)
		}
	}
	if notice("192.0.2.2", away) == "" {
		t.Error("another client is not told")
	}
	for _, outcome := range []upstream.Outcome{upstream.Stale, upstream.Hit} {
		if got := notice("192.0.2.3", upstream.Provenance{Outcome: outcome}); got != "" {
			t.Errorf("%s: %q", outcome, got)
		}
	}
	for i := range 2 * maxBuckets {
		notice("2001:db8:"+strconv.FormatInt(int64(i%65536), 16)+":"+strconv.Itoa(i/65536)+"::1", away)
	}
	if n := s.notices.held.Len(); n > maxBuckets {
		t.Errorf("%d clients are remembered", n)
	}
}

// TestErrorHasNoAge, although a document was about to be sent.
func TestErrorHasNoAge(t *testing.T) {
	x := &exchange{
		recorder: recorder{ResponseWriter: &headerOnly{header: http.Header{}}},
		result:   "stale", checked: time.Now().Add(-time.Hour), stale: true,
	}
	x.writeErrorBody(http.StatusServiceUnavailable, npm.Error{Msg: "no"})
	for _, h := range []string{"Age", "Warning", "X-Larder-Cache"} {
		if got := x.Header().Get(h); got != "" {
			t.Errorf("%s: %s", h, got)
		}
	}
}
