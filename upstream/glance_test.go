package upstream

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"larder/npm"
)

// settled waits for the glances that are under way.
func (g *rig) settled(t *testing.T) {
	t.Helper()
	for range maxGlances {
		select {
		case g.glances <- struct{}{}:
		case <-time.After(20 * time.Second):
			t.Fatal("a glance does not end")
		}
	}
	for range maxGlances {
		<-g.glances
	}
}

// TestTarballTrafficNotices: nobody asks for the document, and the removal is
// noticed all the same, within an hour.
func TestTarballTrafficNotices(t *testing.T) {
	for _, form := range []npm.Form{npm.Full, npm.Abbreviated} {
		t.Run(form.String(), func(t *testing.T) {
			g := newRig(t)
			two := []string{"1.0.0", "1.1.0"}
			g.publish("a", release{modified: jan, listed: two})
			g.get(t, "a", form, false, Miss)
			g.publish("a", release{modified: feb, listed: two[:1], timed: two[1:]})
			asked := len(g.fake.asked(""))
			g.clock.advance(glanceAfter - time.Second)
			g.Glance(t.Context(), "a", "a-1.1.0.tgz")
			g.settled(t)
			if len(g.fake.asked("")) != asked {
				t.Fatal("upstream was asked before the hour was over")
			}
			g.clock.advance(time.Second)
			for range 5 {
				g.Glance(t.Context(), "a", "a-1.1.0.tgz")
			}
			g.settled(t)
			if !g.down(t, "a", "1.1.0") {
				t.Error("not noticed")
			}
			asked = len(g.fake.asked(""))
			g.Glance(t.Context(), "a", "a-1.1.0.tgz")
			g.settled(t)
			if len(g.fake.asked("")) != asked {
				t.Error("upstream is asked again at once")
			}
		})
	}
}

// TestGlanceWithoutADocument: only the version's own document was ever needed.
func TestGlanceWithoutADocument(t *testing.T) {
	const file = "a-1.1.0.tgz"
	start := func(t *testing.T) *rig {
		g := newRig(t)
		g.cfg.Vault = labels{"a/" + file}
		g.restart(t)
		g.fake.handle("/a/1.1.0", docServer(npm.FullType, always(manifest("a", "1.1.0", ""))))
		if _, err := g.Tarball("a", file).Expect(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.clock.advance(glanceAfter + time.Second)
		return g
	}
	t.Run("it is there", func(t *testing.T) {
		g := start(t)
		g.Glance(t.Context(), "a", file)
		g.settled(t)
		if n, m := len(g.fake.asked("/a/1.1.0")), len(g.fake.asked("/a")); n != 2 || m != 0 {
			t.Errorf("asked %d times for the version and %d for the package, want 2 and 0", n, m)
		}
	})
	t.Run("it was removed", func(t *testing.T) {
		g := start(t)
		g.fake.handle("/a/1.1.0", nil)
		g.publish("a", release{modified: feb, listed: []string{"1.0.0"}, timed: []string{"1.1.0"}})
		g.Glance(t.Context(), "a", file)
		g.settled(t)
		if !g.down(t, "a", "1.1.0") {
			t.Error("not noticed")
		}
		// Pinned, its manifest comes out of its own document.
		g.cfg.Pins = []string{"a@1.1.0"}
		g.restart(t)
		if taken, err := g.Taken(t.Context(), "a"); err != nil || len(taken.Restored) != 1 {
			t.Errorf("%+v, %v", taken, err)
		}
	})
	t.Run("it is not listed, without a proof", func(t *testing.T) {
		g := start(t)
		g.fake.handle("/a/1.1.0", nil)
		g.publish("a", release{modified: feb, listed: []string{"1.0.0"}})
		g.publish("b", release{modified: feb, listed: []string{"1.0.0"}})
		g.Glance(t.Context(), "a", file)
		g.settled(t)
		if g.down(t, "a", "1.1.0") {
			t.Error("believed at once")
		}
		for range tallyAnswers {
			g.clock.advance(tallyTime / 2)
			g.ask(t, "a", npm.Full)
			g.ask(t, "b", npm.Full)
		}
		if !g.down(t, "a", "1.1.0") {
			t.Error("never believed")
		}
	})
	t.Run("the package vanished", func(t *testing.T) {
		g := start(t)
		g.fake.handle("/a/1.1.0", nil)
		g.publish("b", release{modified: feb, listed: []string{"1.0.0"}})
		for range tallyAnswers {
			g.Glance(t.Context(), "a", file)
			g.settled(t)
			g.ask(t, "b", npm.Full)
			g.clock.advance(glanceAfter)
		}
		wantError(t, g.Withheld("a", file), npm.Forbidden, "a was taken down")
	})
	t.Run("upstream refuses the document", func(t *testing.T) {
		for _, status := range []int{403, 404} {
			g := start(t)
			g.fake.handle("/a/1.1.0", nil)
			g.fake.handle("/a", answerWith(status, "application/json", `{"error":"no"}`))
			for range 5 {
				g.Glance(t.Context(), "a", file)
				g.settled(t)
				g.clock.advance(absentFor - time.Second)
			}
			if n := len(g.fake.asked("/a")); n != 1 {
				t.Errorf("%d: asked %d times within minutes, want once", status, n)
			}
			g.clock.advance(glanceAfter)
			g.Glance(t.Context(), "a", file)
			g.settled(t)
			if n := len(g.fake.asked("/a")); n != 2 {
				t.Errorf("%d: asked %d times after an hour, want twice", status, n)
			}
		}
	})
	t.Run("upstream is away", func(t *testing.T) {
		g := start(t)
		g.fake.handle("/a/1.1.0", answerWith(500, "", ""))
		g.Glance(t.Context(), "a", file)
		g.settled(t)
		g.Glance(t.Context(), "a", file)
		g.settled(t)
		if n := len(g.fake.asked("/a/1.1.0")); n != 2 {
			t.Errorf("asked %d times, want twice", n)
		}
		g.clock.advance(glanceRetry)
		g.Glance(t.Context(), "a", file)
		g.settled(t)
		if n := len(g.fake.asked("/a/1.1.0")); n != 3 {
			t.Errorf("asked %d times after the pause, want three times", n)
		}
	})
}

// TestCachedTarballIsWithdrawn: the version is listed on, and its cached tarball
// is withdrawn all the same. Only what says so on purpose counts.
func TestCachedTarballIsWithdrawn(t *testing.T) {
	const path, file = "/a/-/a-1.1.0.tgz", "a-1.1.0.tgz"
	const never = 0
	for _, tt := range []struct {
		name      string
		head, get int
		down      bool
	}{
		{"410", 410, 410, true},
		{"451", 451, 451, true},
		{"404", 404, 404, false},
		{"403", 403, 403, false},
		{"500", 500, 500, false},
		{"it is there", 200, never, false},
		{"no HEAD", 405, never, false},
		{"an odd HEAD", 410, 200, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t)
			g.publish("a", release{modified: jan, listed: []string{"1.0.0", "1.1.0"}})
			g.get(t, "a", npm.Full, false, Miss)
			g.fake.handle(path, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead {
					w.WriteHeader(tt.head)
					return
				}
				if tt.get == never {
					t.Error("the tarball was fetched")
				}
				w.WriteHeader(max(tt.get, 200))
			})
			g.Glance(t.Context(), "a", file)
			g.settled(t)
			if n := len(g.fake.asked(path)); n != 0 {
				t.Fatalf("asked %d times within the hour", n)
			}
			g.clock.advance(glanceAfter)
			g.Glance(t.Context(), "a", file)
			g.settled(t)
			if got := g.down(t, "a", "1.1.0"); got != tt.down {
				t.Errorf("down: %t, want %t", got, tt.down)
			}
		})
	}
}

// TestManyTarballsAreWithdrawn: that is a sick upstream, too.
func TestManyTarballsAreWithdrawn(t *testing.T) {
	g := newRig(t)
	down := 0
	for i := range 3 * stormPackages {
		name := fmt.Sprint("p", i)
		g.publish(name, release{modified: jan, listed: []string{"1.0.0"}})
		g.get(t, name, npm.Full, false, Miss)
		g.fake.handle("/"+name+"/-/"+name+"-1.0.0.tgz", answerWith(451, "", ""))
	}
	g.clock.advance(glanceAfter)
	for i := range 3 * stormPackages {
		name := fmt.Sprint("p", i)
		g.Glance(t.Context(), name, name+"-1.0.0.tgz")
		g.settled(t)
		if g.down(t, name, "1.0.0") {
			down++
		}
	}
	if down != stormPackages {
		t.Errorf("%d packages are down, want %d", down, stormPackages)
	}
}

// labels is a Vault that only lists.
type labels []string

func (l labels) Labels(context.Context, string, string) ([]string, error) { return l, nil }
func (labels) Quarantine(context.Context, string, string) error           { return nil }
func (labels) Restore(context.Context, string) error                      { return nil }

// TestGlancesAreBounded: so many at once, and the tarball never waits.
// TestNoGlanceRightAfterADownload: upstream has just sent the tarball itself.
func TestNoGlanceRightAfterADownload(t *testing.T) {
	const file = "a-1.0.0.tgz"
	g := newRig(t)
	g.fake.handle("/a/1.0.0", docServer(npm.FullType, always(manifest("a", "1.0.0", ""))))
	g.fake.handle("/a/-/"+file, answerWith(http.StatusOK, "application/octet-stream", "bytes"))
	stream, err := g.Tarball("a", file).Open(t.Context(), "", 0, "")
	if err != nil {
		t.Fatal(err)
	}
	stream.Body.Close()
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{{glanceAfter - time.Second, false}, {time.Second, true}} {
		g.clock.advance(tt.after)
		asked := len(g.fake.asked(""))
		g.Glance(t.Context(), "a", file)
		g.settled(t)
		if got := len(g.fake.asked("")) > asked; got != tt.want {
			t.Errorf("upstream was asked: %t, want %t", got, tt.want)
		}
	}
}

func TestGlancesAreBounded(t *testing.T) {
	g := newRig(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"}
	for _, name := range names {
		g.fake.handle("/"+name+"/1.0.0", func(w http.ResponseWriter, _ *http.Request) {
			arrived <- struct{}{}
			<-release
			w.WriteHeader(http.StatusInternalServerError)
		})
	}
	for _, name := range names { // returns although upstream hangs
		g.Glance(t.Context(), name, npm.TarballFile(name, "1.0.0"))
	}
	for range maxGlances {
		<-arrived
	}
	if n := len(g.glances); n != maxGlances {
		t.Errorf("%d glances at once, want %d", n, maxGlances)
	}
	close(release)
	g.settled(t)
	if n := len(g.fake.asked("")); n != maxGlances {
		t.Errorf("upstream was asked %d times, want %d", n, maxGlances)
	}
}

// TestGlanceThatCannotRun: it gives back its place, here because the registry
// is closed.
func TestGlanceThatCannotRun(t *testing.T) {
	g := newRig(t)
	if err := g.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 2 * maxGlances {
		g.Glance(t.Context(), fmt.Sprint("p", i), fmt.Sprintf("p%d-1.0.0.tgz", i))
	}
	if n := len(g.glances); n != 0 {
		t.Errorf("%d places are lost", n)
	}
}

// TestNoGlanceWhileUpstreamIsNotToBeAsked: offline, or because the request says so.
func TestNoGlanceWhileUpstreamIsNotToBeAsked(t *testing.T) {
	g := newRig(t)
	g.Glance(HeldOnly(t.Context()), "a", "a-1.0.0.tgz")
	g.SetOffline(true)
	g.Glance(t.Context(), "a", "a-1.0.0.tgz")
	g.settled(t)
	if n := len(g.fake.asked("")); n != 0 {
		t.Errorf("upstream was asked %d times", n)
	}
	g.SetOffline(false)
	g.Glance(t.Context(), "a", "a-1.0.0.tgz")
	g.settled(t)
	if len(g.fake.asked("")) == 0 {
		t.Error("upstream is not asked at all")
	}
}
