package upstream

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/npm"
)

// lines is a log that is read while it is written.
type lines struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) has(word string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), word)
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// quickProbes has probes come every few milliseconds.
func quickProbes(c *Config) { c.BreakerPause = 5 * time.Millisecond }

// trip makes upstream fail for as many packages as open the breaker.
func (g *rig) trip(t *testing.T) {
	t.Helper()
	for i := range breakerSubjects {
		path := fmt.Sprint("/p", i)
		g.fake.handle(path, answerWith(500, "", ""))
		if _, err := g.Packument(t.Context(), path[1:], npm.Full, false); err == nil {
			t.Fatal("no error")
		}
	}
}

func (g *rig) state() string {
	s, _ := g.State()
	return s
}

// TestProbes: an upstream that is down is asked whether it is back without any
// client's help, and whatever it says that is not an error of its own will do.
func TestProbes(t *testing.T) {
	for _, tt := range []struct {
		name       string
		ping, root int // statuses
		back       bool
	}{
		{"it answers pings", 200, 500, true},
		{"it wants credentials for pings", 401, 500, true},
		{"it has no pings", 404, 500, true},
		{"it cannot ping, and is there", 501, 200, true},
		{"it fails", 503, 502, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := &lines{}
			g := newRig(t, quickProbes, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(log, nil)) })
			g.fake.handle("/-/ping", answerWith(503, "", ""))
			g.fake.handle("/", answerWith(503, "", ""))
			g.trip(t)
			asked := func() int { return len(g.fake.asked("/")) } // which comes after the ping
			eventually(t, "it is asked again and again", func() bool { return asked() > 2 })
			if g.state() != "down" || !log.has("upstream is down") {
				t.Errorf("state %q", g.state())
			}
			g.fake.handle("/-/ping", answerWith(tt.ping, "", ""))
			g.fake.handle("/", answerWith(tt.root, "", ""))
			if !tt.back {
				from := asked()
				eventually(t, "it is asked on", func() bool { return asked() > from+2 })
				if g.state() != "down" {
					t.Errorf("state %q", g.state())
				}
				return
			}
			eventually(t, "it is back", func() bool { return g.state() == "ok" })
			eventually(t, "the log says so", func() bool { return log.has("upstream is back") })
			eventually(t, "the probing ends", func() bool {
				g.probes.mu.Lock()
				defer g.probes.mu.Unlock()
				return !g.probes.running
			})
			n := len(g.fake.asked("/-/ping"))
			g.trip(t) // and begins anew
			eventually(t, "it is asked again", func() bool { return len(g.fake.asked("/-/ping")) > n })
		})
	}
}

// TestNoProbesWhileOffline: no request at all means no request at all.
func TestNoProbesWhileOffline(t *testing.T) {
	second := newFake(t)
	g := newRig(t, func(c *Config) { c.URLs = append(c.URLs, parseURL(t, second.URL)); c.BreakerPause = time.Hour })
	g.prefer(1)
	g.SetOffline(true)
	g.probeOnce(t.Context())
	if n := len(g.fake.asked("")) + len(second.asked("")); n != 0 {
		t.Errorf("%d requests while offline", n)
	}
	g.SetOffline(false)
	g.probeOnce(t.Context())
	if n := len(g.fake.asked("/-/ping")); n != 1 || g.preferred.get() != 0 {
		t.Errorf("afterwards %d pings, URL %d", n, g.preferred.get())
	}
}

// TestCloseEndsAProbe that hangs.
func TestCloseEndsAProbe(t *testing.T) {
	g := newRig(t, quickProbes, func(c *Config) { c.HeaderTimeout = time.Hour })
	pinged := make(chan struct{}, 1)
	g.fake.handle("/-/ping", func(_ http.ResponseWriter, r *http.Request) {
		pinged <- struct{}{}
		<-r.Context().Done()
	})
	g.trip(t)
	<-pinged
	if err := g.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestFailoverAndBack: health names the URL that stands in, and a probe, not a
// client, finds out that the first is back.
func TestFailoverAndBack(t *testing.T) {
	log := &lines{}
	second := newFake(t)
	second.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
	g := newRig(t, quickProbes, func(c *Config) {
		c.URLs = append(c.URLs, parseURL(t, second.URL))
		c.Log = slog.New(slog.NewTextHandler(log, nil))
	})
	g.fake.handle("/a", answerWith(502, "", ""))
	g.fake.handle("/-/ping", answerWith(502, "", ""))
	g.fake.handle("/", answerWith(502, "", ""))
	g.get(t, "a", npm.Full, false, Miss)
	state, reason := g.State()
	if host := strings.TrimPrefix(second.URL, "http://"); state != "ok" || !strings.Contains(reason, host) || !log.has(host) {
		t.Errorf("%q, %q", state, reason)
	}
	g.fake.handle("/-/ping", answerWith(200, "application/json", "{}"))
	eventually(t, "the first URL is used again", func() bool { _, reason := g.State(); return reason == "" })
	eventually(t, "the log says so", func() bool { return log.has("the first URL of upstream answers again") })
	if n := len(g.fake.asked("/a")); n != 1 {
		t.Errorf("the first URL was asked %d times by clients", n)
	}
}

// TestASickServiceIsOneSubject: what fails for each of its documents says
// nothing about packages.
func TestASickServiceIsOneSubject(t *testing.T) {
	g := newRig(t)
	for i := range 2 * breakerSubjects {
		path := fmt.Sprintf("/-/npm/v1/attestations/p%d@1.0.0", i)
		g.fake.handle(path, answerWith(500, "", ""))
		if _, _, err := g.Small(t.Context(), path); err == nil {
			t.Fatal("no error")
		}
	}
	if state := g.state(); state != "ok" {
		t.Errorf("state %q", state)
	}
}

// TestOnePackageIsOneSubject, with all its tarballs and forms.
func TestOnePackageIsOneSubject(t *testing.T) {
	g := newRig(t)
	for i := range 2 * breakerSubjects {
		version := fmt.Sprintf("1.0.%d", i)
		g.fake.handle("/a/-/a-"+version+".tgz", answerWith(500, "", ""))
		g.fake.handle("/a/"+version, answerWith(500, "", ""))
		g.fake.handle("/a", answerWith(500, "", ""))
		if _, err := g.Tarball("a", "a-"+version+".tgz").Open(t.Context(), "", 0, ""); err == nil {
			t.Fatal("no error")
		}
		if _, err := g.Tarball("a", "a-"+version+".tgz").Expect(t.Context()); err == nil {
			t.Fatal("no error")
		}
	}
	if state := g.state(); state != "ok" {
		t.Errorf("state %q", state)
	}
}
