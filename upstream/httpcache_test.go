package upstream

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gregjones/httpcache"

	"larder/npm"
)

// httpcache is small, old and unmaintained, and has traps. Each test in this
// file is named for the one that Larder would fall into without the edge.

// stored returns the stored header of a full document.
func (g *rig) storedHeader(t *testing.T, name string) http.Header {
	t.Helper()
	h, ok := g.responses.Header(g.packumentURL(name, npm.Full).String())
	if !ok {
		t.Fatalf("%s is not stored", name)
	}
	return h
}

func TestHTTPCacheTrap_StoresAnyStatus(t *testing.T) {
	for _, status := range []int{203, 301, 403, 404, 410, 429, 500, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			g := newRig(t)
			g.fake.handle("/a", answerWith(status, "application/json", fullDoc("a", jan, "1.0.0"), "Cache-Control", "max-age=3600"))
			if _, err := g.Packument(t.Context(), "a", npm.Full, false); err == nil {
				t.Fatal("no error")
			}
			if _, ok := g.responses.Header(g.packumentURL("a", npm.Full).String()); ok {
				t.Error("the answer was stored")
			}
			g.clock.advance(absentFor)
			g.fake.handle("/a", answerWith(http.StatusOK, npm.FullType, fullDoc("a", jan, "1.0.0")))
			g.get(t, "a", npm.Full, false, Miss)
		})
	}
}

func TestHTTPCacheTrap_ErrorDeletesGoodEntry(t *testing.T) {
	for _, status := range []int{0, 400, 401, 403, 404, 410, 429, 500, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			g := newRig(t)
			g.fake.handle("/a", answerWith(http.StatusOK, npm.FullType, fullDoc("a", jan, "1.0.0")))
			g.get(t, "a", npm.Full, false, Miss)
			g.fake.handle("/a", answerWith(status, "application/json", `{}`))
			if status == 0 {
				g.fake.Close()
			}
			g.get(t, "a", npm.Full, true, Stale)
			if _, _, ok := g.responses.Body(g.packumentURL("a", npm.Full).String()); !ok {
				t.Error("the good entry is gone")
			}
		})
	}
}

func TestHTTPCacheTrap_5xxLeaksConnection(t *testing.T) {
	g := newRig(t)
	g.fake.handle("/a", answerWith(http.StatusOK, npm.FullType, fullDoc("a", jan, "1.0.0")))
	g.get(t, "a", npm.Full, false, Miss)
	g.fake.handle("/a", answerWith(http.StatusBadGateway, "text/html", strings.Repeat("<p>", 1000)))
	for range 20 {
		g.get(t, "a", npm.Full, true, Stale)
	}
	if n := g.fake.opened(); n != 1 {
		t.Errorf("%d connections were opened for requests one after another, want 1", n)
	}
}

func TestHTTPCacheTrap_RangeWipesEntry(t *testing.T) {
	g := newRig(t)
	g.fake.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
	g.fake.handle("/a/-/a-1.0.0.tgz", answerWith(http.StatusOK, "application/octet-stream", "0123456789"))
	g.get(t, "a", npm.Full, false, Miss)
	s, err := g.Tarball("a", "a-1.0.0.tgz").Open(t.Context(), "", 5, `"v"`)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Body.Close()
	if g.fake.last(t, "/a/-/a-1.0.0.tgz").Header.Get("Range") == "" {
		t.Fatal("no Range was sent")
	}
	g.storedHeader(t, "a")
}

func TestHTTPCacheTrap_AuthorizationIsNotInKey(t *testing.T) {
	g := newRig(t, func(c *Config) { c.Auth.Token = "one" })
	g.fake.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
	g.get(t, "a", npm.Full, false, Miss)
	g.cfg.Auth.Token = "two" // the same registry, by its name: the same documents
	g.restart(t)
	g.get(t, "a", npm.Full, true, Revalidated)
	if got := g.fake.last(t, "/a").Header.Get("Authorization"); got != "Bearer two" {
		t.Errorf("Authorization: %q", got)
	}
	other := g.cfg
	other.Name = "other" // another registry: nothing of the first one's
	r, err := New(other)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := r.Packument(t.Context(), "a", npm.Full, false); err != nil || p.Outcome != Miss {
		t.Errorf("%v, %v: another upstream shares the cache", p, err)
	}
}

func TestHTTPCacheTrap_VaryIsNotInKey(t *testing.T) {
	g := newRig(t)
	full, abbreviated := fullDoc("a", jan, "1.0.0"), abbreviatedDoc("a", jan, "1.0.0")
	g.fake.handle("/a", both(always(full), always(abbreviated)))
	g.get(t, "a", npm.Abbreviated, false, Miss)
	if got := body(t, g.get(t, "a", npm.Full, false, Miss)); got != full {
		t.Errorf("the full form is %q", got)
	}
	if got := g.storedHeader(t, "a").Get("Vary"); got != "" {
		t.Errorf("Vary: %s was stored", got)
	}
}

func TestHTTPCacheTrap_UnreadBodyIsNotStored(t *testing.T) {
	g := newRig(t)
	g.fake.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
	g.get(t, "a", npm.Full, false, Miss) // Body is never called
	if _, _, ok := g.responses.Body(g.packumentURL("a", npm.Full).String()); !ok {
		t.Error("the document is not stored")
	}
}

func TestHTTPCacheTrap_NoCoalescing(t *testing.T) {
	g := newRig(t)
	arrived, answer := make(chan struct{}), make(chan struct{})
	serve := docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0")))
	g.fake.handle("/a", func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-answer
		serve(w, r)
	})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			p, err := g.Packument(t.Context(), "a", npm.Full, false)
			if err != nil {
				t.Error(err)
				return
			}
			body(t, p)
		})
	}
	<-arrived
	close(answer)
	wg.Wait()
	if n := len(g.fake.asked("/a")); n != 1 {
		t.Errorf("upstream was asked %d times, want once", n)
	}
}

func TestHTTPCacheTrap_NoCacheDropsValidators(t *testing.T) {
	for _, tt := range []struct{ name, header, value, back string }{
		{"strong ETag", "Etag", `"abc"`, "If-None-Match"},
		{"weak ETag", "Etag", `W/"abc"`, "If-None-Match"},
		{"date", "Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT", "If-Modified-Since"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t)
			g.fake.handle("/a", answerWith(http.StatusOK, npm.FullType, fullDoc("a", jan, "1.0.0"), tt.header, tt.value))
			g.get(t, "a", npm.Full, false, Miss)
			g.fake.handle("/a", answerWith(http.StatusNotModified, "", ""))
			g.get(t, "a", npm.Full, true, Revalidated)
			r := g.fake.last(t, "/a")
			if got := r.Header.Get(tt.back); got != tt.value {
				t.Errorf("%s: %q, want %q", tt.back, got, tt.value)
			}
			if got := r.Header.Get("Cache-Control"); got != "" {
				t.Errorf("Cache-Control: %s went upstream", got)
			}
		})
	}
}

func TestHTTPCacheTrap_TrustsUpstreamsDate(t *testing.T) {
	for name, date := range map[string]string{
		"long ago":          "Mon, 01 Jan 2001 00:00:00 GMT",
		"far in the future": "Mon, 01 Jan 2101 00:00:00 GMT",
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			g.fake.handle("/a", answerWith(http.StatusOK, npm.FullType, fullDoc("a", jan, "1.0.0"),
				"Date", date, "Age", "100000", "Expires", date, "Cache-Control", "no-store"))
			start := time.Now().Truncate(time.Second)
			g.get(t, "a", npm.Full, false, Miss)
			h := g.storedHeader(t, "a")
			at, err := http.ParseTime(h.Get("Date"))
			if err != nil || at.Before(start) || at.After(time.Now()) {
				t.Errorf("Date: %s", h.Get("Date"))
			}
			if h.Get("Age") != "" || h.Get("Expires") != "" || h.Get("Cache-Control") != "max-age=300" {
				t.Errorf("stored header %v", h)
			}
			g.restart(t)
			g.get(t, "a", npm.Full, false, Hit)
		})
	}
}

func TestHTTPCacheTrap_StaleLooksFresh(t *testing.T) {
	g := newRig(t)
	g.fake.handle("/-/npm/v1/keys", answerWith(http.StatusOK, "application/json", `{"keys":[]}`))
	g.cfg.FreshFor = time.Nanosecond // httpcache's own clock decides about small documents
	g.restart(t)
	small := func(want Outcome) {
		t.Helper()
		got, from, err := g.Small(t.Context(), "/-/npm/v1/keys")
		if err != nil || from.Outcome != want || string(got) != `{"keys":[]}` {
			t.Fatalf("%q, %s, %v; want outcome %s", got, from.Outcome, err, want)
		}
	}
	small(Miss)
	g.fake.handle("/-/npm/v1/keys", answerWith(http.StatusInternalServerError, "", ""))
	small(Stale)
}

func TestHTTPCacheTrap_LeavesMarks(t *testing.T) {
	g := newRig(t)
	serve := docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0")))
	g.fake.handle("/a", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("X-Varied-Accept", "forged")
		w.Header().Set("X-Larder-Rev", "forged")
		serve(w, r)
	})
	p := g.get(t, "a", npm.Full, false, Miss)
	g.get(t, "a", npm.Full, true, Revalidated)
	h := g.storedHeader(t, "a")
	for k := range h {
		if k == httpcache.XFromCache || strings.HasPrefix(k, "X-Varied") || k == "Set-Cookie" {
			t.Errorf("%s: %s was stored", k, h.Get(k))
		}
	}
	if h.Get("X-Larder-Rev") != p.Rev || p.Rev == "forged" {
		t.Errorf("revision %q", h.Get("X-Larder-Rev"))
	}
}

// TestHTTPCacheTrap_BuffersWholeBodies: tarballs do not pass through it, and
// documents do so packed, also where upstream did not pack them.
func TestHTTPCacheTrap_BuffersWholeBodies(t *testing.T) {
	g := newRig(t)
	doc := fullDoc("a", jan, strings.Fields(strings.Repeat("1.0.0 ", 1000))...)
	g.fake.handle("/a", answerWith(http.StatusOK, npm.FullType, doc))
	if got := body(t, g.get(t, "a", npm.Full, false, Miss)); got != doc {
		t.Error("other bytes")
	}
	h, packed, ok := g.responses.Body(g.packumentURL("a", npm.Full).String())
	if !ok || h.Get("Content-Encoding") != "gzip" || len(packed) > len(doc)/10 {
		t.Errorf("%d bytes are stored for %d, %v", len(packed), len(doc), h)
	}
	g.fake.handle("/b/-/b-1.0.0.tgz", answerWith(http.StatusOK, "application/octet-stream", "bytes", "Cache-Control", "max-age=3600"))
	for range 2 {
		s, err := g.Tarball("b", "b-1.0.0.tgz").Open(t.Context(), "", 0, "")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(s.Body); string(got) != "bytes" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		s.Body.Close()
	}
	if n := len(g.fake.asked("/b/-/b-1.0.0.tgz")); n != 2 {
		t.Errorf("%d requests for 2 downloads", n)
	}
}
