package upstream

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/cache"
	"larder/npm"
)

const (
	mar = "2024-03-01T00:00:00.000Z"
	old = testFresh + testSWR + time.Second // the age at which a copy is not served without asking
)

// release is what a registry has of a package in a test of take-downs.
type release struct {
	modified string
	listed   []string
	timed    []string // removed versions that "time" still has
	stub     bool     // the package was unpublished
}

func (d release) full(name string) string {
	if d.stub {
		return fmt.Sprintf(`{"_id":%q,"name":%q,"time":{"modified":%q,"unpublished":{"time":%q,"versions":["1.0.0"]}}}`, name, name, d.modified, d.modified)
	}
	times := []string{fmt.Sprintf(`"modified":%q`, d.modified)}
	for _, v := range slices.Concat(d.listed, d.timed) {
		times = append(times, fmt.Sprintf(`%q:%q`, v, jan))
	}
	return fmt.Sprintf(`{"_id":%q,"name":%q,"dist-tags":{"latest":%q},"versions":{%s},"time":{%s}}`,
		name, name, d.listed[len(d.listed)-1], manifests(name, d.listed), strings.Join(times, ","))
}

func (d release) abbreviated(name string) string {
	if d.stub {
		return fmt.Sprintf(`{"name":%q,"modified":%q}`, name, d.modified)
	}
	return abbreviatedDoc(name, d.modified, d.listed...)
}

// publish makes the fake registry have d of a package.
func (g *rig) publish(name string, d release) {
	own := strings.NewReplacer("http://registry.example", g.fake.URL)
	g.fake.handle("/"+name, both(always(own.Replace(d.full(name))), always(own.Replace(d.abbreviated(name)))))
}

// ask asks for a package when its copy is old.
func (g *rig) ask(t *testing.T, name string, form npm.Form) *Packument {
	t.Helper()
	g.clock.advance(old)
	p, err := g.Packument(t.Context(), name, form, false)
	if err != nil {
		t.Fatalf("Packument(%s, %s): %v", name, form, err)
	}
	return p
}

// down reports whether the tarball of a version is withheld.
func (g *rig) down(t *testing.T, name, version string) bool {
	t.Helper()
	err := g.Withheld(name, npm.TarballFile(name, version))
	if err == nil {
		return false
	}
	wantError(t, err, npm.Forbidden, name+"@"+version+" was taken down: upstream npm")
	if asError(err).Code != CodeTakenDown {
		t.Errorf("code %q", asError(err).Code)
	}
	return true
}

// TestLosses: what it takes for a version to be taken down, and for a document
// to be held back.
func TestLosses(t *testing.T) {
	before := release{modified: feb, listed: []string{"1.0.0", "1.1.0"}}
	later := release{modified: mar, listed: []string{"1.0.0"}}
	older := release{modified: jan, listed: []string{"1.0.0"}}
	proven := release{modified: mar, listed: []string{"1.0.0"}, timed: []string{"1.1.0"}}
	provenOlder := release{modified: jan, listed: []string{"1.0.0"}, timed: []string{"1.1.0"}}
	undated := release{listed: []string{"1.0.0"}}
	replaced := release{modified: mar, listed: []string{"0.0.1-security"}, timed: []string{"1.0.0", "1.1.0"}}
	replacedSilently := release{modified: mar, listed: []string{"0.0.1-security"}}
	stub := release{modified: mar, stub: true}
	for _, tt := range []struct {
		name     string
		packages int
		after    release
		down     bool // 1.1.0 is taken down in the end
		all      bool // and 1.0.0
		held     bool // the older documents are served on
		alarm    bool
	}{
		{"later", 1, later, true, false, false, false},
		{"later, of a few", stormPackages, later, true, false, false, false},
		{"later, of many", stormPackages + 1, later, false, false, false, true},
		{"older", 1, older, false, false, true, true},
		{"older, of many", 10, older, false, false, true, true},
		{"of the same date", 1, release{modified: feb, listed: []string{"1.0.0"}}, false, false, true, true},
		{"undated", 1, undated, false, false, true, true},
		{"with proof", 1, proven, true, false, false, false},
		{"with proof, of many", 20, proven, true, false, false, false},
		{"with proof and older", 1, provenOlder, true, false, false, false},
		{"security placeholder", 1, replaced, true, true, false, false},
		{"security placeholder without times", 1, replacedSilently, true, true, false, false},
		{"unpublished", 1, stub, true, true, false, false},
		{"unpublished, of many", 20, stub, true, true, false, false},
	} {
		for _, form := range []npm.Form{npm.Full, npm.Abbreviated} {
			t.Run(tt.name+", "+form.String(), func(t *testing.T) {
				g := newRig(t)
				var names []string
				revs := make(map[string]string)
				for i := range tt.packages {
					name := fmt.Sprint("p", i)
					names = append(names, name)
					g.publish(name, before)
					revs[name] = g.get(t, name, form, false, Miss).Rev
					g.publish(name, tt.after)
				}
				g.clock.advance(old)
				for i, name := range names {
					p, err := g.Packument(t.Context(), name, form, false)
					if err != nil {
						t.Fatal(err)
					}
					want := tt.held || !tt.down && i >= stormPackages
					if held := p.Rev == revs[name]; held != want {
						t.Errorf("%s: the older document is served: %t, want %t", name, held, want)
					}
					if strings.Contains(body(t, p), `"1.1.0":{`) != (p.Rev == revs[name]) {
						t.Errorf("%s: %s", name, body(t, p))
					}
				}
				for _, name := range names {
					if got := g.down(t, name, "1.1.0"); got != tt.down {
						t.Errorf("%s@1.1.0 is down: %t, want %t", name, got, tt.down)
					}
					if got := g.down(t, name, "1.0.0"); got != tt.all {
						t.Errorf("%s@1.0.0 is down: %t, want %t", name, got, tt.all)
					}
				}
				if err := g.Alarm(); (err != nil) != tt.alarm {
					t.Errorf("alarm: %v", err)
				}
			})
		}
	}
}

// TestStormTakesNothing: once it is known that many packages lose versions,
// those that were believed first are listed again, and the rest keep their
// documents.
func TestStormTakesNothing(t *testing.T) {
	g := newRig(t)
	const packages = 12
	name := func(i int) string { return fmt.Sprint("p", i) }
	for i := range packages {
		g.publish(name(i), release{modified: feb, listed: []string{"1.0.0", "1.1.0"}})
		g.get(t, name(i), npm.Full, false, Miss)
		g.publish(name(i), release{modified: mar, listed: []string{"1.0.0"}})
	}
	g.clock.advance(old)
	for i := range packages {
		if _, err := g.Packument(t.Context(), name(i), npm.Full, false); err != nil {
			t.Fatal(err)
		}
	}
	for i := range packages {
		if g.down(t, name(i), "1.1.0") {
			t.Errorf("%s@1.1.0 is down", name(i))
		}
		taken, err := g.Taken(t.Context(), name(i))
		if err != nil || taken.Hides("1.1.0") {
			t.Fatalf("1.1.0 is hidden, or %v", err)
		}
		p := g.get(t, name(i), npm.Full, false, map[bool]Outcome{true: Hit, false: Stale}[i < stormPackages])
		listed := strings.Contains(body(t, p), `"1.1.0":{`)
		restored := taken != nil && len(taken.Restored) == 1 && bytes.Contains(taken.Restored[0], []byte(`"version":"1.1.0"`))
		if !listed && !restored {
			t.Errorf("%s@1.1.0 is neither in the document nor restored", name(i))
		}
	}
	// A single package after ten quiet minutes is believed again.
	g.publish("late", release{modified: feb, listed: []string{"1.0.0", "1.1.0"}})
	g.get(t, "late", npm.Full, false, Miss)
	g.publish("late", release{modified: mar, listed: []string{"1.0.0"}})
	g.ask(t, "late", npm.Full)
	if !g.down(t, "late", "1.1.0") {
		t.Error("a package that lost a version after the storm is not believed")
	}
}

// TestHeldBackIsBelievedInTheEnd: three answers, an hour, and other packages
// that are answered.
func TestHeldBackIsBelievedInTheEnd(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answers int
		every   time.Duration
		others  bool
		change  bool // each answer lacks other versions
		want    bool
	}{
		{"three answers over an hour", 3, 16 * time.Minute, true, false, true},
		{"two answers over an hour", 2, 2 * time.Hour, true, false, false},
		{"four answers in less", 4, 4 * time.Minute, true, false, false},
		{"nobody else is answered", 4, time.Hour, false, false, false},
		{"another story each time", 4, time.Hour, true, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t)
			all := []string{"1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0"}
			g.publish("a", release{modified: feb, listed: all})
			g.publish("b", release{modified: feb, listed: all})
			g.get(t, "a", npm.Full, false, Miss)
			g.publish("a", release{modified: jan, listed: all[:5]})
			for i := range tt.answers {
				if tt.change {
					g.publish("a", release{modified: jan, listed: all[:5-i]})
				}
				g.clock.advance(tt.every)
				g.ask(t, "a", npm.Full)
				if tt.others {
					if _, err := g.Packument(t.Context(), "b", npm.Full, true); err != nil {
						t.Fatal(err)
					}
				}
			}
			if got := g.down(t, "a", "1.5.0"); got != tt.want {
				t.Errorf("down: %t, want %t", got, tt.want)
			}
			if err := g.Alarm(); (err == nil) != tt.want {
				t.Errorf("alarm: %v", err)
			}
		})
	}
}

// TestRollback: an upstream that went back in time, and comes forward again.
func TestRollback(t *testing.T) {
	g := newRig(t)
	now := release{modified: feb, listed: []string{"1.0.0", "1.1.0"}}
	g.publish("a", now)
	first := g.get(t, "a", npm.Full, false, Miss)
	g.publish("a", release{modified: jan, listed: []string{"1.0.0"}})
	if p := g.ask(t, "a", npm.Full); p.Rev != first.Rev || p.Outcome != Stale {
		t.Errorf("%s of revision %s, want a stale %s", p.Outcome, p.Rev, first.Rev)
	}
	if g.Alarm() == nil {
		t.Error("no alarm")
	}
	asked := len(g.fake.asked("/a"))
	g.clock.advance(heldBackPause / 2)
	g.get(t, "a", npm.Full, false, Stale)
	if n := len(g.fake.asked("/a")); n != asked {
		t.Error("a document that is held back is asked for on every request")
	}
	g.publish("a", now)
	if p := g.ask(t, "a", npm.Full); p.Rev != first.Rev || p.Outcome != Revalidated {
		t.Errorf("%s of revision %s", p.Outcome, p.Rev)
	}
	if err := g.Alarm(); err != nil {
		t.Errorf("the alarm goes on: %v", err)
	}
	// What it told meanwhile does not count any more.
	if s := g.entry("a").removals(); s != nil {
		t.Errorf("remembered: %s", s.encode())
	}
}

// TestVersionComesBack: as if nothing had been.
func TestVersionComesBack(t *testing.T) {
	g := newRig(t)
	both := []string{"1.0.0", "1.1.0"}
	g.publish("a", release{modified: jan, listed: both})
	g.get(t, "a", npm.Full, false, Miss)
	g.publish("a", release{modified: feb, listed: both[:1], timed: both[1:]})
	g.ask(t, "a", npm.Full)
	if !g.down(t, "a", "1.1.0") {
		t.Fatal("not down")
	}
	g.publish("a", release{modified: mar, listed: both})
	g.ask(t, "a", npm.Full)
	if g.down(t, "a", "1.1.0") {
		t.Error("still down")
	}
	g.restart(t)
	if g.down(t, "a", "1.1.0") {
		t.Error("down again after a start")
	}
	for _, note := range []string{noteRemovals, noteManifests} {
		if left := g.cfg.Notes.Get(t.Context(), g.Owner("a"), note); left != nil {
			t.Errorf("left behind: %s", left)
		}
	}
}

// TestVersionComesBackUndated: in a document that does not say when it was made,
// as another URL of the upstream may send it.
func TestVersionComesBackUndated(t *testing.T) {
	g := newRig(t)
	both := []string{"1.0.0", "1.1.0"}
	g.publish("a", release{modified: jan, listed: both})
	g.get(t, "a", npm.Full, false, Miss)
	g.publish("a", release{modified: feb, listed: both[:1], timed: both[1:]})
	g.ask(t, "a", npm.Full)
	if !g.down(t, "a", "1.1.0") {
		t.Fatal("not down")
	}
	g.publish("a", release{listed: both})
	g.ask(t, "a", npm.Full)
	if g.down(t, "a", "1.1.0") {
		t.Error("still down")
	}
}

// TestRemovedVersionWithAnothersFile: tarballs have odd names, and one may be
// what another version's is called. That one is served on.
func TestRemovedVersionWithAnothersFile(t *testing.T) {
	g := newRig(t)
	publish := func(modified string, versions ...string) {
		g.fake.handle("/a", answerWith(200, npm.FullType, fmt.Sprintf(`{"_id":"a","name":"a","versions":{%s},"time":{"modified":%q,"1.0.0-rc":%q,"0.9.0":%q}}`,
			strings.Join(versions, ","), modified, jan, jan)))
	}
	at := func(file string) string { return g.fake.URL + "/a/-/" + file }
	final := `"1.0.0":` + manifest("a", "1.0.0", at("a-1.0.0.tgz"))
	publish(jan, final, `"1.0.0-rc":`+manifest("a", "1.0.0-rc", at("a-1.0.0.tgz")), `"0.9.0":`+manifest("a", "0.9.0", at("a@0.9.0.tgz")))
	g.get(t, "a", npm.Full, false, Miss)
	publish(feb, final)
	g.ask(t, "a", npm.Full)
	for file, want := range map[string]bool{"a-1.0.0.tgz": false, "a-1.0.0-rc.tgz": true, "a-0.9.0.tgz": true, "a@0.9.0.tgz": true} {
		if err := g.Withheld("a", file); (err != nil) != want {
			t.Errorf("%s: %v, want it withheld: %t", file, err, want)
		}
	}
}

// TestLaggingMirror: a mirror stands in that has not got the latest version yet
// and dates its documents by itself. The version is served all the while.
func TestLaggingMirror(t *testing.T) {
	second := newFake(t)
	g := newRig(t, func(c *Config) { c.URLs = append(c.URLs, parseURL(t, second.URL)) })
	first := g.fake
	two := []string{"1.0.0", "1.1.0"}
	g.publish("a", release{modified: jan, listed: two})
	g.get(t, "a", npm.Full, false, Miss)
	first.handle("/a", answerWith(503, "", ""))
	g.fake = second
	g.publish("a", release{modified: mar, listed: two[:1]})
	wantServed := func(when string) {
		t.Helper()
		if g.down(t, "a", "1.1.0") {
			t.Errorf("%s: it is down", when)
		}
		if taken, err := g.Taken(t.Context(), "a"); err != nil || taken.Hides("1.1.0") {
			t.Errorf("%s: it is hidden, or %v", when, err)
		}
	}
	g.ask(t, "a", npm.Full)
	wantServed("the mirror answers")
	second.handle("/a", answerWith(503, "", ""))
	g.fake = first
	g.publish("a", release{modified: feb, listed: two})
	g.clock.advance(heldBackPause)
	g.ask(t, "a", npm.Full)
	wantServed("the first URL answers")
	if err := g.Alarm(); err != nil {
		t.Errorf("the alarm goes on: %v", err)
	}
	if s := g.entry("a").removals(); s != nil {
		t.Errorf("remembered: %s", s.encode())
	}
}

// TestReplicasDisagree: of two servers behind one URL one has not got a version
// yet. It is there again as soon as the other one answers, whose document may
// be older: nobody has said that it was removed.
func TestReplicasDisagree(t *testing.T) {
	g := newRig(t)
	two := []string{"1.0.0", "1.1.0"}
	g.publish("a", release{modified: jan, listed: two})
	g.get(t, "a", npm.Full, false, Miss)
	g.publish("a", release{modified: mar, listed: two[:1]})
	g.ask(t, "a", npm.Full)
	g.publish("a", release{modified: feb, listed: two})
	if p := g.ask(t, "a", npm.Full); !strings.Contains(body(t, p), `"1.1.0":{`) {
		t.Error("the document is not served")
	}
	if taken, err := g.Taken(t.Context(), "a"); err != nil || taken.Hides("1.1.0") || g.down(t, "a", "1.1.0") {
		t.Errorf("1.1.0 is down, or %v", err)
	}
}

// TestLossUnderATightBudget: whoever looks at two documents of a package holds
// one at a time, or two such flights would wait for each other for ever.
func TestLossUnderATightBudget(t *testing.T) {
	g := newRig(t)
	g.budget = newBudget(1) // each document takes all of it
	two := []string{"1.0.0", "1.1.0"}
	var flights sync.WaitGroup
	for i := range 4 {
		name := fmt.Sprint("p", i)
		g.publish(name, release{modified: jan, listed: two})
		body(t, g.get(t, name, npm.Full, false, Miss))
		g.publish(name, release{modified: feb, listed: two[:1], timed: two[1:]})
	}
	g.clock.advance(old)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for i := range 4 {
		flights.Go(func() {
			if p, err := g.Packument(ctx, fmt.Sprint("p", i), npm.Full, true); err != nil || p.Outcome != Miss {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
	flights.Wait()
	for i := range 4 {
		if !g.down(t, fmt.Sprint("p", i), "1.1.0") {
			t.Errorf("p%d@1.1.0 is not down", i)
		}
	}
}

// TestOlderFormTakesNothingBack: the abbreviated document of a registry may lag
// behind the full one.
func TestOlderFormTakesNothingBack(t *testing.T) {
	g := newRig(t)
	two := []string{"1.0.0", "1.1.0"}
	before, after := release{modified: jan, listed: two}, release{modified: feb, listed: two[:1], timed: two[1:]}
	g.publish("a", before)
	g.get(t, "a", npm.Abbreviated, false, Miss)
	lagging := release{modified: jan, listed: []string{"1.1.0", "1.0.0"}} // other bytes: it is no 304
	g.fake.handle("/a", bothOf("a", after, lagging))
	g.ask(t, "a", npm.Full)
	if landed := <-g.refresh(t.Context(), "a", npm.Abbreviated, true); landed.Err != nil {
		t.Fatal(landed.Err)
	}
	if !g.down(t, "a", "1.1.0") {
		t.Error("an older document took the removal back")
	}
	taken, err := g.Taken(t.Context(), "a")
	if err != nil || !taken.Hides("1.1.0") || taken.Hides("1.0.0") || taken.Rev == "" {
		t.Errorf("%+v, %v", taken, err)
	}
}

// bothOf serves the two forms of a package as two different releases have them.
func bothOf(name string, full, abbreviated release) http.HandlerFunc {
	return both(always(full.full(name)), always(abbreviated.abbreviated(name)))
}

// TestFullDocumentOfAnotherFormsCopy: only the abbreviated form is held, and
// the full one lacks versions: it is served with them.
func TestFullDocumentOfAnotherFormsCopy(t *testing.T) {
	g := newRig(t)
	g.publish("a", release{modified: feb, listed: []string{"1.0.0", "1.1.0"}})
	g.get(t, "a", npm.Abbreviated, false, Miss)
	g.publish("a", release{modified: jan, listed: []string{"1.0.0"}})
	p := g.ask(t, "a", npm.Full)
	taken, err := g.Taken(t.Context(), "a")
	if err != nil || len(taken.Restored) != 1 || taken.Hides("1.1.0") || g.down(t, "a", "1.1.0") {
		t.Errorf("%+v, %v", taken, err)
	}
	if p.Form != npm.Full {
		t.Errorf("the form is %s", p.Form)
	}
	for range tallyAnswers {
		g.clock.advance(tallyTime)
		g.publish("b", release{modified: jan, listed: []string{"1.0.0"}})
		g.ask(t, "b", npm.Full)
		g.ask(t, "a", npm.Full)
	}
	if !g.down(t, "a", "1.1.0") {
		t.Error("what is told for long enough is not believed")
	}
}

// TestRetention: a registry that dates nothing drops the oldest version with each
// one that is published. What is new is seen at once, and what is gone is served
// until it was told for long enough.
func TestRetention(t *testing.T) {
	for _, form := range []npm.Form{npm.Full, npm.Abbreviated} {
		t.Run(form.String(), func(t *testing.T) {
			g := newRig(t)
			all := []string{"1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0"}
			g.publish("a", release{listed: all[:2]})
			g.publish("b", release{listed: all[:1]})
			g.get(t, "a", form, false, Miss)
			for i := 2; i < len(all); i++ {
				g.publish("a", release{listed: all[i-1 : i+1]})
				p := g.ask(t, "a", form)
				if doc := body(t, p); !strings.Contains(doc, fmt.Sprintf("%q:{", all[i])) {
					t.Fatalf("%s was published and is not seen: %s", all[i], doc)
				}
				for _, gone := range all[:i-1] {
					if g.down(t, "a", gone) {
						t.Errorf("%s is down at once", gone)
					}
				}
			}
			if taken, err := g.Taken(t.Context(), "a"); err != nil || len(taken.Restored) != 4 {
				t.Errorf("%+v, %v", taken, err)
			}
			if g.Alarm() == nil {
				t.Error("no alarm")
			}
			for range tallyAnswers {
				g.clock.advance(tallyTime)
				g.ask(t, "b", form)
				g.ask(t, "a", form)
			}
			for _, gone := range all[:4] {
				if !g.down(t, "a", gone) {
					t.Errorf("%s is not down after hours", gone)
				}
			}
			if err := g.Alarm(); err != nil {
				t.Errorf("the alarm goes on: %v", err)
			}
		})
	}
}

// TestRestartKeepsWhatWasTaken: and what was told so far.
func TestRestartKeepsWhatWasTaken(t *testing.T) {
	g := newRig(t)
	two := []string{"1.0.0", "1.1.0"}
	g.publish("a", release{modified: jan, listed: two})
	g.get(t, "a", npm.Full, false, Miss)
	g.publish("a", release{modified: feb, listed: two[:1], timed: two[1:]})
	g.ask(t, "a", npm.Full)
	g.restart(t)
	if !g.down(t, "a", "1.1.0") || g.down(t, "a", "1.0.0") {
		t.Error("the removal was forgotten")
	}
	if n := len(g.fake.asked("/a")); n != 2 {
		t.Errorf("upstream was asked %d times", n)
	}
}

// TestPins: a pinned version stays, whether it was pinned before it was removed
// or after.
func TestPins(t *testing.T) {
	for _, before := range []bool{true, false} {
		for _, form := range []npm.Form{npm.Full, npm.Abbreviated} {
			t.Run(fmt.Sprint("before ", before, ", ", form), func(t *testing.T) {
				pin := func(c *Config) { c.Pins = []string{"a@1.1.0", "@x/y@2.0.0"} }
				g := newRig(t)
				if before {
					pin(&g.cfg)
					g.restart(t)
				}
				three := []string{"1.0.0", "1.1.0", "1.2.0"}
				g.publish("a", release{modified: jan, listed: three})
				g.get(t, "a", form, false, Miss)
				g.publish("a", release{modified: feb, listed: three[:1], timed: three[1:]})
				g.ask(t, "a", form)
				if !before {
					if !g.down(t, "a", "1.1.0") {
						t.Fatal("not down")
					}
					pin(&g.cfg)
					g.restart(t)
				}
				if g.down(t, "a", "1.1.0") || !g.down(t, "a", "1.2.0") {
					t.Error("the pinned version is down, or the other is not")
				}
				taken, err := g.Taken(t.Context(), "a")
				if err != nil || taken.Hides("1.1.0") || !taken.Hides("1.2.0") || taken.Rev == "" {
					t.Fatalf("%+v, %v", taken, err)
				}
				if len(taken.Restored) != 1 || !bytes.Contains(taken.Restored[0], []byte(sri(tarballOf("a", "1.1.0")))) {
					t.Errorf("restored: %s", taken.Restored)
				}
			})
		}
	}
}

func TestBadPins(t *testing.T) {
	g := newRig(t)
	g.cfg.Pins = []string{"a@1.0.0", "b"}
	if _, err := New(g.cfg); err == nil || !strings.Contains(err.Error(), `"b" names no version`) {
		t.Errorf("%v", err)
	}
}

// TestAlarmIsLoggedOnce: when it begins and when it ends.
func TestAlarmIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	a := &alarms{log: slog.New(slog.NewTextHandler(&log, nil))}
	for _, s := range []string{"", "it is so", "it is so, and more", "", ""} {
		a.set("x", s)
	}
	if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), "alarm: it is so") {
		t.Errorf("%d lines: %s", n, log.String())
	}
	if a.sentence() != "" {
		t.Error("it is on")
	}
}

func FuzzRemovals(f *testing.F) {
	now := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Add((&removals{Versions: map[string]removal{"1.0.0": {Since: now, Evidence: byTime, File: "x.tgz", Doubt: &tally{First: now}}}}).encode())
	f.Add((&removals{Package: &removal{Since: now, Evidence: byVanishing}, Missing: &tally{Loss: "x", Answers: 2}, HeldBack: &tally{}}).encode())
	f.Add([]byte(`{"versions":{"1.0.0":{"until":"x"}}}`))
	f.Add([]byte(`{"versions":null,"package":{}}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseRemovals(text)
		if err != nil {
			return
		}
		_ = s.doubted()
		again, err := parseRemovals(s.encode())
		if s.empty() {
			return // nothing is stored
		}
		if err != nil || !bytes.Equal(s.encode(), again.encode()) {
			t.Errorf("%s becomes %s, %v", s.encode(), again.encode(), err)
		}
	})
}

func FuzzKeptManifests(f *testing.F) {
	f.Add([]byte(`{"1.0.0":{"name":"a","version":"1.0.0","dist":{}}}`))
	f.Add([]byte(`{"1.0.0":{"name":"b","version":"1.0.0"},"2.0.0":{"name":"a","version":"1.0.0"}}`))
	f.Add([]byte(`{"1.0.0":`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for version, m := range parseManifests(text, "a") {
			if dist, err := npm.ManifestDist(m, "a"); err != nil || dist.Version != version {
				t.Errorf("%s: %s", version, m)
			}
		}
	})
}

// BenchmarkWithheld: what each tarball costs beside its own, of a package that
// lost nothing and of one that did.
func BenchmarkWithheld(b *testing.B) {
	r, err := New(Config{Name: "npm", URLs: []*url.URL{{Scheme: "http", Host: "127.0.0.1:1"}}, Responses: cache.NewResponses(cache.NewMem(), nil, nil)})
	if err != nil {
		b.Fatal(err)
	}
	r.change(b.Context(), "lost", func(s *removals) {
		for i := range 1000 {
			s.Versions[fmt.Sprintf("1.0.%d", i)] = removal{Since: time.Now(), Evidence: byTime}
		}
	})
	for _, name := range []string{"whole", "lost"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			file := npm.TarballFile(name, "2.0.0")
			r.entry(name).see(r.now())
			for b.Loop() {
				if err := r.Withheld(name, file); err != nil {
					b.Fatal(err)
				}
				r.Glance(b.Context(), name, file)
			}
		})
	}
}

// TestClockSetBackEndsStorms: what lies in the future does not count.
func TestClockSetBackEndsStorms(t *testing.T) {
	d, now := newDistrust(), time.Now()
	for i := range 2 * stormPackages {
		d.lose(fmt.Sprint("p", i), now)
	}
	if storm, _ := d.lose("q", now); !storm {
		t.Fatal("no storm")
	}
	d.hold("q", now)
	before := now.Add(-1000 * time.Hour)
	if storm, _ := d.lose("q", before); storm {
		t.Error("the storm goes on for as long as the clock was set back")
	}
	if s := d.sentence("npm", before); s != "" {
		t.Error(s)
	}
}
