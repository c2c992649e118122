package upstream

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/npm"
)

const keysPath = "/-/npm/v1/keys"

func TestSmall(t *testing.T) {
	g := newRig(t)
	g.fake.handle(keysPath, docServer("application/json", always(`{"keys":[]}`)))
	for _, want := range []Outcome{Miss, Hit} {
		got, from, err := g.Small(t.Context(), keysPath)
		if err != nil || string(got) != `{"keys":[]}` || from.Outcome != want {
			t.Errorf("%q, %s, %v; want %s", got, from.Outcome, err, want)
		}
	}
	if n := len(g.fake.asked(keysPath)); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestSmallIsRevalidated(t *testing.T) {
	g := newRig(t, func(c *Config) { c.FreshFor = time.Nanosecond })
	g.fake.handle(keysPath, docServer("application/json", always(`{"keys":[]}`)))
	for _, want := range []Outcome{Miss, Revalidated} {
		got, from, err := g.Small(t.Context(), keysPath)
		if err != nil || string(got) != `{"keys":[]}` || from.Outcome != want {
			t.Errorf("%q, %s, %v; want %s", got, from.Outcome, err, want)
		}
	}
}

func TestSmallEscapesTravel(t *testing.T) {
	g := newRig(t)
	const path = "/-/npm/v1/attestations/@s%2fa@1.0.0"
	g.fake.handle(path, answerWith(200, "application/json", `{"attestations":[]}`))
	if _, _, err := g.Small(t.Context(), path); err != nil {
		t.Error(err)
	}
}

func TestSmallErrors(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		kind    npm.Kind
		word    string
	}{
		{"404", answerWith(404, "", ""), npm.NotFound, "not found: " + keysPath},
		{"503", answerWith(503, "", ""), npm.Unavailable, "503"},
		{"no JSON", answerWith(200, "application/json", "keys"), npm.BadUpstream, "not JSON"},
		{"too much", answerWith(200, "application/json", `"`+strings.Repeat("a", maxSmall)+`"`), npm.BadUpstream, "too large"},
		{"too much when unpacked", answerWith(200, "application/json", string(zipped(`"`+strings.Repeat("a", maxSmall)+`"`)), "Content-Encoding", "gzip"), npm.BadUpstream, "too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t)
			g.fake.handle(keysPath, tt.handler)
			_, _, err := g.Small(t.Context(), keysPath)
			wantError(t, err, tt.kind, tt.word)
		})
	}
}

func TestSmallAbsenceIsRemembered(t *testing.T) {
	g := newRig(t)
	for range 2 {
		_, _, err := g.Small(t.Context(), keysPath)
		wantError(t, err, npm.NotFound, "")
	}
	g.fake.handle(keysPath, answerWith(200, "application/json", `{}`))
	if n := len(g.fake.asked(keysPath)); n != 1 {
		t.Errorf("asked %d times", n)
	}
	g.clock.advance(absentFor)
	if _, _, err := g.Small(t.Context(), keysPath); err != nil {
		t.Error(err)
	}
}

func TestManifest(t *testing.T) {
	g := newRig(t)
	g.fake.handle("/@s%2fa/latest", docServer("application/json", always(manifest("@s/a", "1.0.0", ""))))
	for _, want := range []Outcome{Miss, Hit} {
		got, from, err := g.Manifest(t.Context(), "@s/a", "latest")
		if err != nil || string(got) != manifest("@s/a", "1.0.0", "") || from.Outcome != want {
			t.Errorf("%q, %s, %v; want %s", got, from.Outcome, err, want)
		}
	}
}

func TestManifestOutOfAFreshFullDocument(t *testing.T) {
	g := newRig(t)
	g.fake.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0", "1.1.0"))))
	g.get(t, "a", npm.Full, false, Miss)
	for _, selector := range []string{"1.1.0", "latest"} {
		got, from, err := g.Manifest(t.Context(), "a", selector)
		if err != nil || from.Outcome != Hit {
			t.Fatalf("%s, %v", from.Outcome, err)
		}
		dist, err := npm.ManifestDist(got, "a")
		if err != nil || dist.Version != "1.1.0" {
			t.Errorf("%s gives version %q, %v", selector, dist.Version, err)
		}
	}
	_, _, err := g.Manifest(t.Context(), "a", "9.9.9")
	wantError(t, err, npm.NotFound, "9.9.9")
	if n := len(g.fake.asked("")); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// TestManifestWithoutTheEndpoint is NotFound whatever an upstream says that
// has no such endpoint, and an outage is not.
func TestManifestWithoutTheEndpoint(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		kind    npm.Kind
	}{
		{"404", answerWith(404, "", ""), npm.NotFound},
		{"405", answerWith(405, "", ""), npm.NotFound},
		{"400", answerWith(400, "", ""), npm.NotFound},
		{"501", answerWith(501, "", ""), npm.NotFound},
		{"a page", answerWith(200, "text/html", "<html>"), npm.NotFound},
		{"another document", answerWith(200, "application/json", "{}"), npm.NotFound},
		{"401", answerWith(401, "", ""), npm.BadUpstream},
		{"403", answerWith(403, "", ""), npm.Forbidden},
		{"500", answerWith(500, "", ""), npm.Unavailable},
		{"a cut body", answerWith(200, "application/json", "{}", "Content-Length", "9"), npm.BadUpstream},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t)
			g.fake.handle("/a/1.0.0", tt.handler)
			_, _, err := g.Manifest(t.Context(), "a", "1.0.0")
			wantError(t, err, tt.kind, "")
		})
	}
}

func TestPost(t *testing.T) {
	g := newRig(t, patient, func(c *Config) { c.Auth.Token = "secret" })
	const path = "/-/npm/v1/security/advisories/bulk"
	var sent string
	g.fake.handle(path, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		sent = string(b)
		w.Header().Set("Content-Encoding", "gzip") // although it was not asked for
		w.Write(zipped(`{"a":[]}`))
	})
	got, err := g.Post(t.Context(), path, []byte(`{"a":["1.0.0"]}`))
	if err != nil || string(got) != `{"a":[]}` || sent != `{"a":["1.0.0"]}` {
		t.Errorf("sent %q, got %q, %v", sent, got, err)
	}
	r := g.fake.last(t, path)
	seen := map[string]string{}
	for _, k := range []string{"Authorization", "Content-Type", "Via"} {
		seen[k] = r.Header.Get(k)
	}
	want := map[string]string{"Authorization": "Bearer secret", "Content-Type": "application/json", "Via": "1.1 larder-test"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}

func TestPostIsTriedOnce(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		kind    npm.Kind
	}{
		{"503", answerWith(503, "", ""), npm.Unavailable},
		{"404", answerWith(404, "", ""), npm.NotFound},
		{"405", answerWith(405, "", ""), npm.NotFound},
		{"501", answerWith(501, "", ""), npm.NotFound},
		{"no JSON", answerWith(200, "text/html", "<html>"), npm.BadUpstream},
		{"too much", answerWith(200, "", `"`+strings.Repeat("a", maxSmall)+`"`), npm.BadUpstream},
		{"cut", answerWith(200, "", `{}`, "Content-Length", "100"), npm.BadUpstream},
		{"a broken connection", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, npm.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t, patient, func(c *Config) { c.PostTimeout = time.Minute })
			g.fake.handle("/-/x", tt.handler)
			_, err := g.Post(t.Context(), "/-/x", []byte(`{}`))
			wantError(t, err, tt.kind, "")
			if n := len(g.fake.asked("/-/x")); n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

// TestManifestSurvivesAnOutage: what a held packument knows is answered out of
// it, whatever its age, and however upstream fails.
func TestManifestSurvivesAnOutage(t *testing.T) {
	g := newRig(t)
	g.fake.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
	g.get(t, "a", npm.Full, false, Miss)
	g.clock.advance(1000 * time.Hour)
	g.fake.handle("/a", answerWith(503, "", ""))
	g.fake.handle("/a/1.0.0", answerWith(503, "", ""))
	_, from, err := g.Manifest(t.Context(), "a", "1.0.0")
	if err != nil || from.Outcome != Stale {
		t.Errorf("%s, %v; want stale", from.Outcome, err)
	}
}

// TestA404NeverHidesAVersionThatIsHeld: while one look-up of a version's
// document waits for its 404, another, for a tarball's hash, is answered.
func TestA404NeverHidesAVersionThatIsHeld(t *testing.T) {
	g := newRig(t)
	asked, release := make(chan struct{}), make(chan struct{})
	var n atomic.Int32
	g.fake.handle("/a/1.0.0", func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			close(asked)
			<-release
			w.WriteHeader(http.StatusNotFound)
			return
		}
		docServer("application/json", always(manifest("a", "1.0.0", "")))(w, r)
	})
	slow := make(chan error)
	go func() {
		_, _, err := g.Manifest(t.Context(), "a", "1.0.0")
		slow <- err
	}()
	<-asked
	u, ex := g.manifestExchange("a", "1.0.0")
	if _, _, err := g.small(t.Context(), u, ex, "max-stale"); err != nil {
		t.Fatal(err)
	}
	close(release)
	if err := <-slow; err != nil {
		t.Errorf("the one that was told 404: %v", err)
	}
	g.absent.note(u.String(), &npm.Error{Kind: npm.NotFound}, g.now())
	if _, _, err := g.Manifest(t.Context(), "a", "1.0.0"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestSlowUpstreamDelaysNoSmallCopy: what is held is served after StaleWait,
// and from then on at once, until the slow answer has come after all.
func TestSlowUpstreamDelaysNoSmallCopy(t *testing.T) {
	for _, tt := range []struct {
		name string
		path string
		get  func(t *testing.T, g *rig) ([]byte, Provenance, error)
	}{
		{"keys", keysPath, func(t *testing.T, g *rig) ([]byte, Provenance, error) { return g.Small(t.Context(), keysPath) }},
		{"a version", "/a/1.0.0", func(t *testing.T, g *rig) ([]byte, Provenance, error) { return g.Manifest(t.Context(), "a", "1.0.0") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t, func(c *Config) { c.FreshFor = time.Nanosecond })
			doc := manifest("a", "1.0.0", "")
			g.fake.handle(tt.path, docServer("application/json", always(doc)))
			if _, _, err := tt.get(t, g); err != nil {
				t.Fatal(err)
			}
			g.Registry.cfg.StaleWait = time.Millisecond // not before: the first answer may take longer
			asked, release := make(chan struct{}), make(chan struct{})
			g.fake.handle(tt.path, func(w http.ResponseWriter, r *http.Request) {
				close(asked) // a second request would panic
				<-release
				docServer("application/json", always(doc))(w, r)
			})
			for range 3 {
				got, from, err := tt.get(t, g)
				if err != nil || string(got) != doc || from.Outcome != Stale || !from.Away || from.Checked.IsZero() {
					t.Fatalf("%q, %+v, %v", got, from, err)
				}
			}
			<-asked
			close(release)
			landed := false
			for range 1000 { // until the flight has landed
				if _, hushed := g.quiet.hushed(g.logicalURL(tt.path, "").String(), g.now()); !hushed {
					landed = true
					break
				}
				time.Sleep(time.Millisecond)
			}
			if !landed {
				t.Error("the answer that came did not end the silence")
			}
		})
	}
}

// TestLateWaiterHushesNothing: who stops waiting just when the answer has come
// leaves no silence behind, which nobody would lift.
func TestLateWaiterHushesNothing(t *testing.T) {
	q, err := newQuiet()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, tt := range []struct {
		name  string
		flown func()
		want  bool
	}{
		{"before any flight", func() { q.hushWaiting("k", now.Add(1)) }, false},
		{"under way", func() { q.begin("k"); q.hushWaiting("k", now.Add(1)) }, true},
		{"landed with an answer", func() { q.end("k", true) }, false},
		{"after that", func() { q.hushWaiting("k", now.Add(1)) }, false},
		{"landed without one", func() { q.begin("k"); q.hushWaiting("k", now.Add(1)); q.end("k", false) }, true},
	} {
		tt.flown()
		if _, hushed := q.hushed("k", now); hushed != tt.want {
			t.Errorf("%s: hushed %v", tt.name, hushed)
		}
	}
	if len(q.under) > 0 {
		t.Errorf("flights under way at the end: %v", q.under)
	}
}

// TestFailingUpstreamIsNotAskedForEachSmallCopy: for a while the copy counts
// as checked.
func TestFailingUpstreamIsNotAskedForEachSmallCopy(t *testing.T) {
	g := newRig(t, func(c *Config) { c.FreshFor = time.Nanosecond })
	g.fake.handle(keysPath, docServer("application/json", always(`{"keys":[]}`)))
	if _, _, err := g.Small(t.Context(), keysPath); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		status int
		away   bool
	}{{503, true}, {403, false}} {
		g.clock.advance(retryPause + 1)
		g.fake.handle(keysPath, answerWith(tt.status, "", ""))
		before := len(g.fake.asked(keysPath))
		for range 3 {
			_, from, err := g.Small(t.Context(), keysPath)
			if err != nil || from.Outcome != Stale || from.Away != tt.away {
				t.Errorf("%d: %+v, %v", tt.status, from, err)
			}
		}
		if n := len(g.fake.asked(keysPath)) - before; n != 1 {
			t.Errorf("%d: asked %d times", tt.status, n)
		}
	}
}
