package upstream

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"larder/npm"
)

// TestAnswersBecomeErrors: what upstream says of a package that is not held.
func TestAnswersBecomeErrors(t *testing.T) {
	packed := zipped(fullDoc("a", jan, "1.0.0"))
	corrupt := bytes.Clone(packed)
	corrupt[len(corrupt)-5]++ // in the checksum
	gzipped := func(b []byte) http.HandlerFunc {
		return answerWith(http.StatusOK, npm.FullType, string(b), "Content-Encoding", "gzip")
	}
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		kind    npm.Kind
		word    string
	}{
		{"404 with an object", answerWith(404, "application/json", `{"error":"Not found"}`), npm.NotFound, "Not found: a"},
		{"404 with a string", answerWith(404, "application/json", `"Not Found"`), npm.NotFound, "Not found: a"},
		{"404 with a page", answerWith(404, "text/html", `<html>`), npm.NotFound, "Not found: a"},
		{"404 with nothing", answerWith(404, "", ""), npm.NotFound, "Not found: a"},
		{"410", answerWith(410, "", ""), npm.NotFound, "Not found: a"},
		{"401", answerWith(401, "application/json", `{"error":"who?"}`), npm.BadUpstream, "upstream npm refused Larder's credentials"},
		{"402 with upstream's words", answerWith(402, "application/json", `{"error":"pay up"}`), npm.Forbidden, "402 Payment Required: pay up"},
		{"403 with upstream's words", answerWith(403, "application/json", `{"message":"blocked by policy"}`), npm.Forbidden, "403 Forbidden: blocked by policy"},
		{"403 with text", answerWith(403, "text/plain", "go\n away"), npm.Forbidden, "403 Forbidden: go away"},
		{"403 with a page", answerWith(403, "text/html", "<b>no</b>"), npm.Forbidden, "answered 403 Forbidden"},
		{"451", answerWith(451, "application/json", `{"error":"court order"}`), npm.Forbidden, "451 Unavailable For Legal Reasons: court order"},
		{"429", answerWith(429, "", ""), npm.Unavailable, "429"},
		{"500", answerWith(500, "", ""), npm.Unavailable, "500"},
		{"501", answerWith(501, "", ""), npm.Unavailable, "501"},
		{"503", answerWith(503, "", ""), npm.Unavailable, "503"},
		{"508", answerWith(508, "", ""), npm.Loop, "leads back"},
		{"400", answerWith(400, "", ""), npm.BadUpstream, "400"},
		{"204", answerWith(204, "", ""), npm.BadUpstream, "204"},
		{"304 unasked", answerWith(304, "", ""), npm.BadUpstream, "304"},
		{"a web page", answerWith(200, "text/html; charset=utf-8", "<html>"), npm.BadUpstream, "a web page in place of JSON"},
		{"a web page labelled JSON", answerWith(200, "application/json", "<html>"), npm.BadUpstream, "upstream npm sent no usable package document"},
		{"cut JSON", answerWith(200, "application/json", `{"name":"a","versions":{`), npm.BadUpstream, "upstream npm sent no usable"},
		{"an array", answerWith(200, "application/json", `[]`), npm.BadUpstream, "upstream npm sent no usable"},
		{"another name", answerWith(200, "application/json", fullDoc("b", jan, "1.0.0")), npm.BadUpstream, `it is of "b"`},
		{"a wrong checksum", gzipped(corrupt), npm.BadUpstream, "cut or corrupt"},
		{"a cut gzip body", gzipped(packed[:len(packed)/2]), npm.BadUpstream, "cut or corrupt"},
		{"no gzip at all", gzipped([]byte(fullDoc("a", jan, "1.0.0"))), npm.BadUpstream, "cut or corrupt"},
		{"another encoding", answerWith(200, npm.FullType, "x", "Content-Encoding", "br"), npm.BadUpstream, "not asked for"},
		{"less than promised", answerWith(200, npm.FullType, `{"name":"a"}`, "Content-Length", "100"), npm.BadUpstream, "cut or corrupt"},
		{"no answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, npm.Unavailable, "closed the connection early"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t)
			g.fake.handle("/a", tt.handler)
			_, err := g.Packument(t.Context(), "a", npm.Full, false)
			wantError(t, err, tt.kind, tt.word)
			if strings.Contains(npm.Message(err), "127.0.0.1") {
				t.Errorf("the message gives an address away: %s", npm.Message(err))
			}
		})
	}
}

func TestUpstreamThatCannotBeReached(t *testing.T) {
	g := newRig(t)
	g.fake.Close()
	_, err := g.Packument(t.Context(), "a", npm.Full, false)
	wantError(t, err, npm.Unavailable, "upstream npm cannot be reached: connection refused")
}

func TestRetryAfterReachesTheCaller(t *testing.T) {
	g := newRig(t)
	g.fake.handle("/a", answerWith(503, "", "", "Retry-After", "120"))
	_, err := g.Packument(t.Context(), "a", npm.Full, false)
	if e := asError(err); e.RetryAfter != 2*time.Minute {
		t.Errorf("RetryAfter %s of %v", e.RetryAfter, err)
	}
}

// TestSilence: an upstream that accepts requests and says nothing, or stops in
// the middle.
func TestSilence(t *testing.T) {
	const soon = 50 * time.Millisecond
	for _, tt := range []struct {
		name   string
		edit   func(*Config)
		header bool   // is sent
		write  string // and this, before falling silent
		word   string
	}{
		{"no header", func(c *Config) { c.HeaderTimeout = soon }, false, "", "sent no answer in time"},
		{"no header until the deadline", func(c *Config) { c.HeaderTimeout, c.DocumentTimeout = time.Hour, soon }, false, "", "sent no answer in time"},
		{"no first byte until the deadline", func(c *Config) { c.IdleTimeout, c.DocumentTimeout = time.Hour, 4*soon }, true, "", "fell silent"},
		{"half a body", func(c *Config) { c.IdleTimeout = soon }, true, `{"name":`, "fell silent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t, tt.edit)
			released := make(chan struct{})
			t.Cleanup(func() { close(released) })
			g.fake.handle("/a", func(w http.ResponseWriter, r *http.Request) {
				if tt.header {
					w.WriteHeader(http.StatusOK)
					io.WriteString(w, tt.write)
					w.(http.Flusher).Flush()
				}
				select {
				case <-released:
				case <-r.Context().Done():
				}
			})
			_, err := g.Packument(t.Context(), "a", npm.Full, false)
			wantError(t, err, npm.Timeout, tt.word)
		})
	}
}

func TestHeadersOfARequest(t *testing.T) {
	g := newRig(t, func(c *Config) {
		c.Auth = Auth{User: "bob", Password: "secret"}
		c.Headers = http.Header{"X-Api-Key": {"k"}}
	})
	g.fake.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
	g.get(t, "a", npm.Full, false, Miss)
	h := g.fake.last(t, "/a").Header
	for k, want := range map[string]string{
		"Accept":          npm.FullType,
		"Accept-Encoding": "gzip",
		"Authorization":   "Basic " + base64.StdEncoding.EncodeToString([]byte("bob:secret")),
		"User-Agent":      "larder/test",
		"Via":             "1.1 larder-test",
		"X-Api-Key":       "k",
		"Cache-Control":   "",
		"Cookie":          "",
	} {
		if got := h.Get(k); got != want {
			t.Errorf("%s: %q, want %q", k, got, want)
		}
	}
}

func TestBaseURLWithAPath(t *testing.T) {
	g := newRig(t)
	g.cfg.URLs = []*url.URL{parseURL(t, g.fake.URL+"/api/npm%2Fx/")}
	g.restart(t)
	g.fake.handle("/api/npm%2Fx/@s%2fa", docServer(npm.FullType, always(fullDoc("@s/a", jan, "1.0.0"))))
	g.fake.handle("/api/npm%2Fx/-/v1/search", answerWith(http.StatusOK, "application/json", `{"objects":[]}`))
	g.get(t, "@s/a", npm.Full, false, Miss)
	if _, _, err := g.Small(t.Context(), "/-/v1/search?text=a&size=20"); err != nil {
		t.Error(err)
	}
	if got := g.fake.last(t, "/api/npm%2Fx/-/v1/search").URL.RawQuery; got != "text=a&size=20" {
		t.Errorf("query %q", got)
	}
}

func TestBodyOfSeveralGzipMembers(t *testing.T) {
	g := newRig(t)
	doc := fullDoc("a", jan, "1.0.0")
	g.fake.handle("/a", answerWith(http.StatusOK, npm.FullType,
		string(zipped(doc[:30]))+string(zipped(doc[30:])), "Content-Encoding", "gzip"))
	if got := body(t, g.get(t, "a", npm.Full, false, Miss)); got != doc {
		t.Errorf("body %q", got)
	}
}

// TestSlowKeysDelayNoOther: fewer hanging documents than Concurrency.
func TestSlowKeysDelayNoOther(t *testing.T) {
	g := newRig(t, func(c *Config) { c.Concurrency = 2 })
	arrived, answer := make(chan struct{}), make(chan struct{})
	serve := docServer(npm.FullType, always(fullDoc("slow", jan, "1.0.0")))
	g.fake.handle("/slow", func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-answer
		serve(w, r)
	})
	g.fake.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
	slow := make(chan error)
	go func() {
		_, err := g.Packument(t.Context(), "slow", npm.Full, false)
		slow <- err
	}()
	<-arrived
	g.get(t, "a", npm.Full, false, Miss)
	close(answer)
	if err := <-slow; err != nil {
		t.Error(err)
	}
}

func TestRedirects(t *testing.T) {
	g := newRig(t, func(c *Config) {
		c.Auth.Token = "secret"
		c.Headers = http.Header{"X-Api-Key": {"k"}}
	})
	other := newFake(t)
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	serve := docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0")))

	t.Run("same host", func(t *testing.T) {
		g.fake.handle("/a", redirect("/elsewhere/a"))
		g.fake.handle("/elsewhere/a", serve)
		g.get(t, "a", npm.Full, false, Miss)
		if got := g.fake.last(t, "/elsewhere/a").Header.Get("Authorization"); got != "Bearer secret" {
			t.Errorf("Authorization: %q", got)
		}
	})
	t.Run("in circles", func(t *testing.T) {
		g.fake.handle("/b", redirect("/b"))
		_, err := g.Packument(t.Context(), "b", npm.Full, false)
		wantError(t, err, npm.BadUpstream, "redirects in circles")
		if n := len(g.fake.asked("/b")); n != 1+maxRedirects {
			t.Errorf("%d requests", n)
		}
	})
	t.Run("to a host that is not listed", func(t *testing.T) {
		other.handle("/c", serve)
		g.fake.handle("/c", redirect(other.URL+"/c"))
		_, err := g.Packument(t.Context(), "c", npm.Full, false)
		wantError(t, err, npm.BadUpstream, "tarball_hosts")
		if n := len(other.asked("")); n != 0 {
			t.Errorf("%d requests reached it", n)
		}
	})
	t.Run("to a listed host", func(t *testing.T) {
		g.cfg.TarballHosts = []string{parseURL(t, other.URL).Host}
		g.restart(t)
		other.handle("/d", docServer(npm.FullType, always(fullDoc("d", jan, "1.0.0"))))
		g.fake.handle("/d", redirect(other.URL+"/d"))
		g.get(t, "d", npm.Full, false, Miss)
		h := other.last(t, "/d").Header
		for _, k := range []string{"Authorization", "X-Api-Key", "Referer", "Cookie"} {
			if h.Get(k) != "" {
				t.Errorf("%s: %q went to another host", k, h.Get(k))
			}
		}
	})
}

func TestRedirectFromHTTPSToHTTPIsRefused(t *testing.T) {
	plain := newFake(t)
	plain.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL+"/a", http.StatusFound))
	defer secure.Close()
	g := newRig(t, func(c *Config) {
		c.URLs = []*url.URL{parseURL(t, secure.URL)}
		c.TarballHosts = []string{parseURL(t, plain.URL).Host}
	})
	g.remote.transport.TLSClientConfig.RootCAs = secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	_, err := g.Packument(t.Context(), "a", npm.Full, false)
	wantError(t, err, npm.BadUpstream, "from https to http")
	if n := len(plain.asked("")); n != 0 {
		t.Errorf("%d requests went out in the clear", n)
	}
}
