package upstream

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"larder/npm"
)

func wantAlarm(t *testing.T, g *rig, want string) {
	t.Helper()
	got := ""
	if err := g.Alarm(); err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("alarm %q, want %q", got, want)
	}
}

// TestRefusalsAreAlarms: refused credentials, and refused packages of which a
// copy is held, are an administrator's business until each has been answered
// again; what others are answered ends nothing.
func TestRefusalsAreAlarms(t *testing.T) {
	log := &lines{}
	g := newRig(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(log, nil)) })
	good := func(name string) {
		g.fake.handle("/"+name, docServer(npm.FullType, always(fullDoc(name, jan, "1.0.0"))))
	}
	for _, name := range []string{"a", "b", "c"} {
		good(name)
		g.get(t, name, npm.Full, false, Miss)
	}
	wantAlarm(t, g, "")

	g.fake.handle("/new", answerWith(401, "", ""))
	if _, err := g.Packument(t.Context(), "new", npm.Full, false); err == nil {
		t.Fatal("no error")
	}
	g.fake.handle("/a/-/a-1.0.0.tgz", answerWith(401, "", ""))
	if _, err := g.Tarball("a", "a-1.0.0.tgz").Open(t.Context(), "", 0, ""); err == nil {
		t.Fatal("no error")
	}
	wantAlarm(t, g, "upstream npm refuses Larder's credentials, for a and another")
	g.get(t, "b", npm.Full, true, Revalidated)
	wantAlarm(t, g, "upstream npm refuses Larder's credentials, for a and another")
	good("new")
	g.get(t, "new", npm.Full, false, Miss)
	g.get(t, "a", npm.Full, true, Revalidated)
	wantAlarm(t, g, "")

	for i, status := range []int{402, 403, 451} {
		name := []string{"a", "b", "c"}[i]
		g.fake.handle("/"+name, answerWith(status, "", ""))
		g.get(t, name, npm.Full, true, Stale)
	}
	g.fake.handle("/other", answerWith(403, "", "")) // of which nothing is held
	if _, err := g.Packument(t.Context(), "other", npm.Full, false); npm.KindOf(err) != npm.Forbidden {
		t.Error(err)
	}
	wantAlarm(t, g, "upstream npm refuses c and 2 others, of which the copies are served on")
	if !log.has("alarm: ") || log.has("condition=other") {
		t.Error("the log does not say so")
	}
	for _, name := range []string{"b", "c"} {
		good(name)
		g.get(t, name, npm.Full, true, Revalidated)
	}
	wantAlarm(t, g, "upstream npm refuses a, of which the copies are served on")
	g.clock.advance(refusedFor + time.Hour) // and nobody asks for it any more
	wantAlarm(t, g, "")
	if !log.has("the alarm is over") {
		t.Error("the log does not say that it is over")
	}
}

func TestRefusalsAreBounded(t *testing.T) {
	g := newRig(t)
	for i := range 2 * maxRefused {
		g.forbidden.note(fmt.Sprint(i), g.now())
	}
	if n := len(g.forbidden.names); n > maxRefused {
		t.Errorf("%d names", n)
	}
}
