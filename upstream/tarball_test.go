package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"larder/npm"
)

const tgz = "/a/-/a-1.0.0.tgz"

// download opens a tarball of "a" and reads it to its end.
func (g *rig) download(t *testing.T, location string, offset int64, validator string) (got string, at, size int64, v string) {
	t.Helper()
	s, err := g.Tarball("a", "a-1.0.0.tgz").Open(t.Context(), location, offset, validator)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Body.Close()
	all, err := io.ReadAll(s.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(all), s.Offset, s.Size, s.Validator
}

func TestTarballOpen(t *testing.T) {
	for _, tt := range []struct{ name, file, path string }{
		{"a", "a-1.0.0.tgz", "/a/-/a-1.0.0.tgz"},
		{"@types/node", "node-20.1.0.tgz", "/@types/node/-/node-20.1.0.tgz"},
		{"a", "a-1.0.0+build.1.tgz", "/a/-/a-1.0.0+build.1.tgz"},
		{"thirty-two", "thirty-two@0.0.1.tgz", "/thirty-two/-/thirty-two@0.0.1.tgz"},
		{"a", "a-1 2.tgz", "/a/-/a-1%202.tgz"},
	} {
		t.Run(tt.file, func(t *testing.T) {
			g := newRig(t, func(c *Config) { c.Auth.Token = "secret" })
			g.fake.handle(tt.path, answerWith(200, "application/octet-stream", "bytes", "Etag", `"v1"`))
			s, err := g.Tarball(tt.name, tt.file).Open(t.Context(), "", 0, "")
			if err != nil {
				t.Fatal(err)
			}
			defer s.Body.Close()
			got, err := io.ReadAll(s.Body)
			if string(got) != "bytes" || err != nil || s.Size != 5 || s.Offset != 0 || s.Validator != `"v1"` {
				t.Errorf("%q, %v, %+v", got, err, s)
			}
			h := g.fake.last(t, tt.path).Header
			if h.Get("Accept-Encoding") != "identity" || h.Get("Authorization") != "Bearer secret" || h.Get("Range") != "" {
				t.Errorf("header %v", h)
			}
		})
	}
}

func TestTarballResume(t *testing.T) {
	const all = "0123456789"
	part := func(contentRange string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") == "" {
				io.WriteString(w, all)
				return
			}
			w.Header().Set("Content-Range", contentRange)
			w.WriteHeader(http.StatusPartialContent)
			io.WriteString(w, all[4:])
		}
	}
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		got     string
		at      int64
		asked   int
	}{
		{"the rest", part("bytes 4-9/10"), all[4:], 4, 1},
		{"the rest of an unknown whole", part("bytes 4-9/*"), all[4:], 4, 1},
		{"another place", part("bytes 3-9/10"), all, 0, 2},
		{"less than the rest", part("bytes 4-8/10"), all, 0, 2},
		{"nonsense", part("4-9"), all, 0, 2},
		{"it has changed", answerWith(200, "", all), all, 0, 1},
		{"it is shorter now", func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "" {
				w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
				return
			}
			io.WriteString(w, all)
		}, all, 0, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t, patient)
			g.fake.handle(tgz, tt.handler)
			got, at, _, _ := g.download(t, "", 4, `"v1"`)
			if got != tt.got || at != tt.at {
				t.Errorf("%q from %d, want %q from %d", got, at, tt.got, tt.at)
			}
			asked := g.fake.asked(tgz)
			if len(asked) != tt.asked {
				t.Errorf("asked %d times, want %d", len(asked), tt.asked)
			}
			if h := asked[0].Header; h.Get("Range") != "bytes=4-" || h.Get("If-Range") != `"v1"` {
				t.Errorf("header %v", h)
			}
		})
	}
}

func TestTarballIsNotResumedWithoutAValidator(t *testing.T) {
	g := newRig(t)
	g.fake.handle(tgz, answerWith(200, "", "0123456789"))
	if _, at, _, _ := g.download(t, "", 4, ""); at != 0 || g.fake.last(t, tgz).Header.Get("Range") != "" {
		t.Errorf("resumed at %d", at)
	}
}

func TestTarballValidator(t *testing.T) {
	for _, tt := range []struct{ name, etag, modified, want string }{
		{"strong", `"v"`, "Mon, 01 Jan 2024 00:00:00 GMT", `"v"`},
		{"weak", `W/"v"`, "Mon, 01 Jan 2024 00:00:00 GMT", ""},
		{"date", "", "Mon, 01 Jan 2024 00:00:00 GMT", "Mon, 01 Jan 2024 00:00:00 GMT"},
		{"none", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := validatorOf(http.Header{"Etag": {tt.etag}, "Last-Modified": {tt.modified}}); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestTarballContentEncoding: one that was not asked for is undone, but a
// server that means the .tgz itself by it is understood.
func TestTarballContentEncoding(t *testing.T) {
	tarball := string(zipped(strings.Repeat("the files ", 1000)))
	for _, tt := range []struct{ name, encoding, sent string }{
		{"packed once more", "gzip", string(zipped(tarball))},
		{"only labelled", "gzip", tarball},
		{"only labelled, the old way", "x-gzip", tarball},
		{"identity", "identity", tarball},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t)
			g.fake.handle(tgz, answerWith(200, "", tt.sent, "Content-Encoding", tt.encoding, "Etag", `"v"`))
			got, _, size, validator := g.download(t, "", 0, "")
			if got != tarball {
				t.Errorf("%d other bytes, want %d", len(got), len(tarball))
			}
			if size != -1 || validator != "" {
				t.Errorf("size %d and validator %q are of other bytes", size, validator)
			}
		})
	}
	t.Run("unknown", func(t *testing.T) {
		g := newRig(t)
		g.fake.handle(tgz, answerWith(200, "", "?", "Content-Encoding", "br"))
		_, err := g.Tarball("a", "a-1.0.0.tgz").Open(t.Context(), "", 0, "")
		wantError(t, err, npm.BadUpstream, "encoding")
	})
}

func TestTarballErrors(t *testing.T) {
	for status, kind := range map[int]npm.Kind{
		404: npm.NotFound, 410: npm.NotFound, 401: npm.BadUpstream, 403: npm.Forbidden, 429: npm.Unavailable,
		500: npm.Unavailable, 508: npm.Loop, 400: npm.BadUpstream, 206: npm.BadUpstream,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			g := newRig(t)
			g.fake.handle(tgz, answerWith(status, "", ""))
			_, err := g.Tarball("a", "a-1.0.0.tgz").Open(t.Context(), "", 0, "")
			wantError(t, err, kind, "")
			if !g.tgzSlots.TryAcquire(64) {
				t.Error("its slot is not given back")
			}
		})
	}
}

func TestTarballIsRetried(t *testing.T) {
	g := newRig(t, patient)
	g.fake.handle(tgz, failing(2, answerWith(503, "", ""), answerWith(200, "", "bytes")))
	if got, _, _, _ := g.download(t, "", 0, ""); got != "bytes" {
		t.Errorf("%q", got)
	}
}

func TestTarballThatFallsSilent(t *testing.T) {
	g := newRig(t, func(c *Config) { c.IdleTimeout = 50 * time.Millisecond })
	g.fake.handle(tgz, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "the first part")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	s, err := g.Tarball("a", "a-1.0.0.tgz").Open(t.Context(), "", 0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Body.Close()
	got, err := io.ReadAll(s.Body)
	wantError(t, err, npm.Timeout, "fell silent")
	if string(got) != "the first part" {
		t.Errorf("%q", got)
	}
}

func TestTarballThatBreaksOff(t *testing.T) {
	g := newRig(t)
	g.fake.handle(tgz, answerWith(200, "", "the first part", "Content-Length", "100"))
	s, err := g.Tarball("a", "a-1.0.0.tgz").Open(t.Context(), "", 0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Body.Close()
	_, err = io.ReadAll(s.Body)
	wantError(t, err, npm.Unavailable, "broke off")
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the cause is lost: %v", err)
	}
}

// TestTarballSlots: as many downloads at once as Concurrency, and a download
// whose context ends gives its place up even before it is closed.
func TestTarballSlots(t *testing.T) {
	g := newRig(t, func(c *Config) { c.Concurrency = 1 })
	g.fake.handle(tgz, answerWith(200, "", "bytes"))
	src := g.Tarball("a", "a-1.0.0.tgz")
	ctx, cancel := context.WithCancel(t.Context())
	first, err := src.Open(ctx, "", 0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Body.Close()
	if g.tgzSlots.TryAcquire(1) {
		t.Fatal("there is a second place")
	}
	cancel()
	second, err := src.Open(t.Context(), "", 0, "")
	if err != nil {
		t.Fatal(err)
	}
	second.Body.Close()
	second.Body.Close()
	first.Body.Close()
	if !g.tgzSlots.TryAcquire(1) || g.tgzSlots.TryAcquire(1) {
		t.Error("the places are miscounted")
	}
}

func TestTarballLocations(t *testing.T) {
	other := newFake(t)
	otherHost := parseURL(t, other.URL).Host
	for _, tt := range []struct {
		name     string
		location string // %s: the registry's own host
		listed   bool
		path     string // that is asked for at the registry itself, or at the other host
		atOther  bool
		kind     npm.Kind // of the error where path is ""
	}{
		{"elsewhere on its own host", "http://%s/files/x.tgz", false, "/files/x.tgz", false, 0},
		{"with a query", "http://%s/files/x.tgz?sig=1", false, "/files/x.tgz", false, 0},
		{"a foreign host", other.URL + "/files/x.tgz", false, "", false, npm.BadUpstream},
		{"a listed host", other.URL + "/files/x.tgz", true, "/files/x.tgz", true, 0},
		{"a listed host with credentials", "http://u:p@" + otherHost + "/files/x.tgz", true, "/files/x.tgz", true, 0},
		{"a foreign host at the conventional path", other.URL + tgz, false, tgz, false, 0},
		{"its own host on another port", "http://127.0.0.1:1/files/x.tgz", false, "", false, npm.BadUpstream},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t, func(c *Config) {
				c.Auth.Token = "secret"
				if tt.listed {
					c.TarballHosts = []string{otherHost}
				}
			})
			for _, f := range []*fake{g.fake, other} {
				f.handle("/files/x.tgz", answerWith(200, "", "bytes"))
				f.handle(tgz, answerWith(200, "", "bytes"))
			}
			location := tt.location
			if strings.Contains(location, "%s") {
				location = fmt.Sprintf(location, parseURL(t, g.fake.URL).Host)
			}
			src := &tarball{g.Registry, "a", "a-1.0.0.tgz"}
			location = src.location(location)
			before := len(other.asked(""))
			s, err := src.Open(t.Context(), location, 0, "")
			if tt.path == "" {
				wantError(t, err, tt.kind, "tarball_hosts")
				if len(other.asked("")) != before {
					t.Error("it was asked all the same")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Body.Close()
			at, auth := g.fake, "Bearer secret"
			if tt.atOther {
				at, auth = other, ""
			}
			if got := at.last(t, tt.path).Header.Get("Authorization"); got != auth {
				t.Errorf("Authorization %q, want %q", got, auth)
			}
		})
	}
}

// TestForeignTarballThatIsNotAtTheRegistry: a version that exists on a host
// that Larder may not ask is not "not found".
func TestForeignTarballThatIsNotAtTheRegistry(t *testing.T) {
	g := newRig(t)
	_, err := g.Tarball("a", "a-1.0.0.tgz").Open(t.Context(), "http://cdn.example"+tgz, 0, "")
	wantError(t, err, npm.BadUpstream, "cdn.example")
}

func TestTarballRedirectToAForeignHost(t *testing.T) {
	g := newRig(t)
	other := newFake(t)
	g.fake.handle(tgz, http.RedirectHandler(other.URL+"/x.tgz", http.StatusFound).ServeHTTP)
	_, err := g.Tarball("a", "a-1.0.0.tgz").Open(t.Context(), "", 0, "")
	wantError(t, err, npm.BadUpstream, "tarball_hosts")
	if len(other.asked("")) != 0 {
		t.Error("it was asked all the same")
	}
}

func FuzzParseContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-9/10", "bytes 4-9/*", "bytes 4-9/10, 3", "bytes */10", "", "bytes 9-4/10", "bytes -1-4/5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		start, size, ok := parseContentRange(s)
		if ok && (start < 0 || size < -1 || size >= 0 && start >= size) {
			t.Errorf("%q gives %d of %d", s, start, size)
		}
	})
}
