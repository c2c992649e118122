package upstream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"larder/npm"
)

// TestVanished: a package that is not there any more.
func TestVanished(t *testing.T) {
	for _, tt := range []struct {
		name    string
		status  int
		answers int
		every   time.Duration
		others  bool
		want    bool
	}{
		{"three answers over an hour", 404, 3, 16 * time.Minute, true, true},
		{"410", 410, 3, 16 * time.Minute, true, true},
		{"two answers over an hour", 404, 2, 2 * time.Hour, true, false},
		{"four answers in less", 404, 4, 4 * time.Minute, true, false},
		{"nobody else is answered", 404, 4, time.Hour, false, false},
		{"403", 403, 4, time.Hour, true, false},
		{"451", 451, 4, time.Hour, true, false},
		{"500", 500, 4, time.Hour, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t)
			has := release{modified: jan, listed: []string{"1.0.0"}}
			g.publish("a", has)
			g.publish("b", has)
			g.get(t, "a", npm.Full, false, Miss)
			g.fake.handle("/a", answerWith(tt.status, "application/json", `{"error":"gone"}`))
			for range tt.answers {
				g.clock.advance(tt.every)
				if p := g.ask(t, "a", npm.Full); p.Outcome != Stale {
					t.Errorf("outcome %s", p.Outcome)
				}
				if tt.others {
					if _, err := g.Packument(t.Context(), "b", npm.Full, true); err != nil {
						t.Fatal(err)
					}
				}
			}
			vanished := func() bool {
				_, err := g.Taken(t.Context(), "a")
				tarball := g.Withheld("a", "a-1.0.0.tgz")
				if (err == nil) != (tarball == nil) {
					t.Errorf("document: %v, tarball: %v", err, tarball)
				}
				if err != nil {
					wantError(t, err, npm.NotFound, "a was taken down: upstream npm says that it does not exist")
					wantError(t, tarball, npm.Forbidden, "a was taken down: upstream npm says that it does not exist")
				}
				return err != nil
			}
			if got := vanished(); got != tt.want {
				t.Errorf("vanished: %t, want %t", got, tt.want)
			}
			g.restart(t)
			if got := vanished(); got != tt.want {
				t.Errorf("after a start: vanished: %t, want %t", got, tt.want)
			}
			g.publish("a", has)
			g.ask(t, "a", npm.Full)
			if vanished() {
				t.Error("it is back, and still counts as vanished")
			}
		})
	}
}

// TestManyVanish: an upstream that says of many packages that they do not exist
// has lost them, or Larder its right to see them. Those that were believed
// before that was known are served again.
func TestManyVanish(t *testing.T) {
	for _, tt := range []struct {
		packages, first int // of which so many are asked for an hour before the others
		want            bool
	}{
		{stormPackages, stormPackages, true},
		{stormPackages + 1, stormPackages + 1, false},
		{2 * stormPackages, 2, false},
	} {
		t.Run(fmt.Sprint(tt.first, " and then all of ", tt.packages), func(t *testing.T) {
			g := newRig(t)
			has := release{modified: jan, listed: []string{"1.0.0"}}
			g.publish("other", has)
			var names []string
			for i := range tt.packages {
				name := fmt.Sprintf("@acme/p%d", i)
				names = append(names, name)
				path := "/" + npm.EscapeName(name)
				g.fake.handle(path, docServer(npm.FullType, always(has.full(name))))
				g.get(t, name, npm.Full, false, Miss)
				g.fake.handle(path, answerWith(404, "application/json", `{"error":"Not found"}`))
			}
			ask := func(names []string) {
				for range tallyAnswers {
					g.clock.advance(tallyTime)
					g.ask(t, "other", npm.Full)
					for _, name := range names {
						// What has vanished is served by nobody who looks at Taken.
						if _, err := g.Packument(t.Context(), name, npm.Full, false); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			ask(names[:tt.first])
			ask(names)
			for _, name := range names {
				_, err := g.Taken(t.Context(), name)
				withheld := g.Withheld(name, npm.TarballFile(name, "1.0.0"))
				if (err != nil) != tt.want || (withheld != nil) != tt.want {
					t.Errorf("%s: document %v, tarball %v, want them to be withheld: %t", name, err, withheld, tt.want)
				}
			}
			if err := g.Alarm(); (err == nil) != tt.want || err != nil && !strings.Contains(err.Error(), "do not exist") {
				t.Errorf("alarm: %v", err)
			}
			for _, name := range names {
				g.fake.handle("/"+npm.EscapeName(name), docServer(npm.FullType, always(has.full(name))))
				g.ask(t, name, npm.Full)
				if _, err := g.Taken(t.Context(), name); err != nil {
					t.Errorf("it is back: %v", err)
				}
			}
			if err := g.Alarm(); err != nil {
				t.Errorf("the alarm goes on: %v", err)
			}
		})
	}
}

// TestVanishingOverAStart: what was told of one package counts on, and whether it
// is one of many is not known until there was time to hear of the others.
func TestVanishingOverAStart(t *testing.T) {
	g := newRig(t)
	has := release{modified: jan, listed: []string{"1.0.0"}}
	g.publish("a", has)
	g.publish("b", has)
	g.get(t, "a", npm.Full, false, Miss)
	g.fake.handle("/a", answerWith(404, "application/json", `{"error":"gone"}`))
	ask := func() (vanished bool) {
		g.clock.advance(tallyTime / 2)
		g.ask(t, "b", npm.Full)
		g.ask(t, "a", npm.Full)
		_, err := g.Taken(t.Context(), "a")
		return err != nil
	}
	for range tallyAnswers - 1 {
		ask()
	}
	g.restart(t)
	if ask() {
		t.Error("it is believed as soon as the server has started")
	}
	ask()
	if !ask() {
		t.Error("it is not believed after an hour")
	}
}

// TestVanishedWithCredentials: that public packages are answered says nothing of
// whether the credentials for a scope are still good.
func TestVanishedWithCredentials(t *testing.T) {
	for _, tt := range []struct {
		name, other string
		credentials bool
		want        bool
	}{
		{"@acme/a", "lodash", true, false},
		{"@acme/a", "@babel/core", true, false},
		{"@acme/a", "@acme/b", true, true},
		{"@acme/a", "lodash", false, true},
		{"a", "lodash", true, true},
	} {
		t.Run(fmt.Sprintf("%s while %s is answered, credentials %t", tt.name, tt.other, tt.credentials), func(t *testing.T) {
			g := newRig(t, func(c *Config) {
				if tt.credentials {
					c.Auth.Token = "secret"
				}
			})
			has := release{modified: jan, listed: []string{"1.0.0"}}
			for _, name := range []string{tt.name, tt.other} {
				g.fake.handle("/"+npm.EscapeName(name), docServer(npm.FullType, always(has.full(name))))
			}
			g.get(t, tt.name, npm.Full, false, Miss)
			g.fake.handle("/"+npm.EscapeName(tt.name), answerWith(404, "application/json", `{"error":"Not found"}`))
			for range tallyAnswers {
				g.clock.advance(tallyTime)
				g.ask(t, tt.name, npm.Full)
				g.ask(t, tt.other, npm.Full)
			}
			g.ask(t, tt.name, npm.Full)
			if _, err := g.Taken(t.Context(), tt.name); (err != nil) != tt.want {
				t.Errorf("vanished: %v, want it: %t", err, tt.want)
			}
		})
	}
}

// TestPinnedVersionsOfAVanishedPackage: they alone are left.
func TestPinnedVersionsOfAVanishedPackage(t *testing.T) {
	g := newRig(t, func(c *Config) { c.Pins = []string{"a@1.0.0"} })
	two := []string{"1.0.0", "1.1.0"}
	g.publish("a", release{modified: jan, listed: two})
	g.publish("b", release{modified: jan, listed: two})
	g.get(t, "a", npm.Full, false, Miss)
	g.fake.handle("/a", answerWith(404, "application/json", `{}`))
	for range tallyAnswers {
		g.clock.advance(tallyTime)
		g.ask(t, "a", npm.Full)
		g.ask(t, "b", npm.Full)
	}
	taken, err := g.Taken(t.Context(), "a")
	if err != nil || taken.Hides("1.0.0") || !taken.Hides("1.1.0") {
		t.Errorf("%+v, %v", taken, err)
	}
	if err := g.Withheld("a", "a-1.0.0.tgz"); err != nil {
		t.Errorf("the pinned tarball: %v", err)
	}
	if g.Withheld("a", "a-1.1.0.tgz") == nil {
		t.Error("the other tarball is served")
	}
}
