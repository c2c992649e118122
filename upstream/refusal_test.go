package upstream

import (
	"fmt"
	"testing"
	"time"

	"larder/npm"
)

// TestRefusedTarball: which answers for a tarball hide its version, and for how
// long.
func TestRefusedTarball(t *testing.T) {
	for _, tt := range []struct {
		status int
		hidden time.Duration // 0: not at all
		kind   npm.Kind      // of the error for the client
	}{
		{404, laggingPause, npm.Forbidden},
		{410, refusedPause, npm.Forbidden},
		{451, refusedPause, npm.Forbidden},
		{403, 0, npm.Forbidden},
		{401, 0, npm.BadUpstream},
		{429, 0, npm.Unavailable},
		{500, 0, npm.Unavailable},
		{503, 0, npm.Unavailable},
	} {
		for _, form := range []npm.Form{npm.Full, npm.Abbreviated} {
			t.Run(fmt.Sprint(tt.status, ", ", form), func(t *testing.T) {
				g := newRig(t)
				g.publish("a", release{modified: jan, listed: []string{"1.0.0", "1.1.0"}})
				g.get(t, "a", form, false, Miss)
				const path, file = "/a/-/a-1.1.0.tgz", "a-1.1.0.tgz"
				g.fake.handle(path, answerWith(tt.status, "application/json", `{"error":"no"}`))
				_, err := g.Tarball("a", file).Open(t.Context(), "", 0, "")
				err = g.Refused(t.Context(), "a", file, fmt.Errorf("get: %w", err))
				wantError(t, err, tt.kind, "")
				check := func(hidden bool) {
					t.Helper()
					taken, err := g.Taken(t.Context(), "a")
					if err != nil || taken.Hides("1.1.0") != hidden || taken.Hides("1.0.0") {
						t.Errorf("hidden: %t, want %t, or %v", taken.Hides("1.1.0"), hidden, err)
					}
					if (g.Withheld("a", file) != nil) != hidden {
						t.Errorf("withheld: %v", g.Withheld("a", file))
					}
				}
				if tt.hidden == 0 {
					check(false)
					return
				}
				wantError(t, err, npm.Forbidden, fmt.Sprintf("a@1.1.0 was taken down: upstream npm answers %d for its tarball", tt.status))
				g.clock.advance(tt.hidden - time.Second)
				check(true)
				g.restart(t)
				check(true)
				g.clock.advance(2 * time.Second)
				check(false)
				if n := len(g.fake.asked(path)); n != 1 {
					t.Errorf("asked for the tarball %d times", n)
				}
			})
		}
	}
}

// TestTarballThatStaysAway: the first 404 hides a version for a minute, as one
// that was published just now may have no tarball yet where Larder asks.
// Later ones hide it for longer.
func TestTarballThatStaysAway(t *testing.T) {
	g := newRig(t)
	g.publish("a", release{modified: jan, listed: []string{"1.0.0", "1.1.0"}})
	g.get(t, "a", npm.Full, false, Miss)
	for i, pause := range []time.Duration{laggingPause, missingPause, missingPause} {
		_, err := g.Tarball("a", "a-1.1.0.tgz").Open(t.Context(), "", 0, "")
		wantError(t, g.Refused(t.Context(), "a", "a-1.1.0.tgz", err), npm.Forbidden, "answers 404")
		g.clock.advance(pause - time.Second)
		if !g.down(t, "a", "1.1.0") {
			t.Errorf("after answer %d it is listed too early", i+1)
		}
		g.clock.advance(2 * time.Second)
		if g.down(t, "a", "1.1.0") {
			t.Errorf("after answer %d it is hidden for too long", i+1)
		}
	}
}

// TestStandInRefusesATarball: a mirror that blocks what the first URL serves
// hides it for a minute, and takes nothing away that is cached.
func TestStandInRefusesATarball(t *testing.T) {
	second := newFake(t)
	g := newRig(t, func(c *Config) { c.URLs = append(c.URLs, parseURL(t, second.URL)) })
	const path, file = "/a/-/a-1.1.0.tgz", "a-1.1.0.tgz"
	has := release{modified: jan, listed: []string{"1.0.0", "1.1.0"}}
	g.publish("a", has)
	g.get(t, "a", npm.Full, false, Miss)
	for _, p := range []string{"/a", path, "/-/ping"} {
		g.fake.handle(p, answerWith(503, "", ""))
	}
	g.fake = second
	g.publish("a", has)
	second.handle(path, answerWith(451, "application/json", `{"error":"blocked"}`))
	g.clock.advance(glanceAfter)
	g.Glance(t.Context(), "a", file)
	g.settled(t)
	if n := len(second.asked("/a")); n != 1 || g.down(t, "a", "1.1.0") {
		t.Errorf("the document was asked for %d times, the cached tarball is down: %t", n, g.down(t, "a", "1.1.0"))
	}
	_, err := g.Tarball("a", file).Open(t.Context(), "", 0, "")
	wantError(t, g.Refused(t.Context(), "a", file, err), npm.Forbidden, "answers 451")
	g.clock.advance(laggingPause)
	if g.down(t, "a", "1.1.0") {
		t.Error("it is still down after a minute")
	}
}

// TestRefusedTarballThatIsNotListed: nothing is taken down that never was.
func TestRefusedTarballThatIsNotListed(t *testing.T) {
	g := newRig(t)
	g.publish("a", release{modified: jan, listed: []string{"1.0.0"}})
	g.get(t, "a", npm.Full, false, Miss)
	_, err := g.Tarball("a", "a-3.0.0.tgz").Open(t.Context(), "", 0, "")
	wantError(t, g.Refused(t.Context(), "a", "a-3.0.0.tgz", err), npm.NotFound, "tarball not found: a-3.0.0.tgz")
	if g.entry("a").removals() != nil {
		t.Error("something is remembered")
	}
}

// TestRefusedTarballGoes: its version is removed altogether while it is hidden.
func TestRefusedTarballGoes(t *testing.T) {
	g := newRig(t)
	two := []string{"1.0.0", "1.1.0"}
	g.publish("a", release{modified: jan, listed: two})
	g.get(t, "a", npm.Full, false, Miss)
	_, err := g.Tarball("a", "a-1.1.0.tgz").Open(t.Context(), "", 0, "")
	wantError(t, g.Refused(t.Context(), "a", "a-1.1.0.tgz", err), npm.Forbidden, "answers 404")
	g.publish("a", release{modified: feb, listed: two[:1], timed: two[1:]})
	g.ask(t, "a", npm.Full)
	g.clock.advance(missingPause)
	if !g.down(t, "a", "1.1.0") {
		t.Error("it is back after a while")
	}
}

// TestPinnedTarballThatUpstreamRefuses: there is nothing to be done but to say so.
func TestPinnedTarballThatUpstreamRefuses(t *testing.T) {
	g := newRig(t, func(c *Config) { c.Pins = []string{"a@1.1.0"} })
	g.publish("a", release{modified: jan, listed: []string{"1.0.0", "1.1.0"}})
	g.get(t, "a", npm.Full, false, Miss)
	g.fake.handle("/a/-/a-1.1.0.tgz", answerWith(451, "application/json", `{"error":"court order"}`))
	_, err := g.Tarball("a", "a-1.1.0.tgz").Open(t.Context(), "", 0, "")
	wantError(t, g.Refused(t.Context(), "a", "a-1.1.0.tgz", err), npm.Forbidden, "451 Unavailable For Legal Reasons: court order")
}
