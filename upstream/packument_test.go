package upstream

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"larder/npm"
)

const (
	jan = "2024-01-01T00:00:00.000Z"
	feb = "2024-02-01T00:00:00.000Z"
)

func TestPackumentMissThenHit(t *testing.T) {
	for _, name := range []string{"lodash", "@types/node", "JSONStream"} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			path := "/" + npm.EscapeName(name)
			doc := fullDoc(name, jan, "1.0.0")
			g.fake.handle(path, docServer(npm.FullType, always(doc)))
			first := g.get(t, name, npm.Full, false, Miss)
			if got := body(t, first); got != doc {
				t.Errorf("body %q, want %q", got, doc)
			}
			if first.Size != int64(len(doc)) || first.Form != npm.Full || first.Rev == "" {
				t.Errorf("packument %+v", first)
			}
			second := g.get(t, name, npm.Full, false, Hit)
			if got := body(t, second); got != doc || second.Rev != first.Rev {
				t.Errorf("second body %q of %s, want %q of %s", got, second.Rev, doc, first.Rev)
			}
			if n := len(g.fake.asked(path)); n != 1 {
				t.Errorf("upstream was asked %d times, want once", n)
			}
		})
	}
}

func TestPackumentFormsAreAskedForApart(t *testing.T) {
	g := newRig(t)
	full, abbreviated := fullDoc("a", jan, "1.0.0"), abbreviatedDoc("a", jan, "1.0.0")
	g.fake.handle("/a", both(always(full), always(abbreviated)))
	if p := g.get(t, "a", npm.Abbreviated, false, Miss); p.Form != npm.Abbreviated || body(t, p) != abbreviated {
		t.Errorf("the abbreviated form is %s", p.Form)
	}
	if got := g.fake.last(t, "/a").Header.Get("Accept"); !strings.HasPrefix(got, npm.AbbreviatedType+"; q=1.0") {
		t.Errorf("Accept: %s", got)
	}
	if p := g.get(t, "a", npm.Full, false, Miss); p.Form != npm.Full || body(t, p) != full {
		t.Errorf("the full form is %s", p.Form)
	}
	if got := g.fake.last(t, "/a").Header.Get("Accept"); got != npm.FullType {
		t.Errorf("Accept: %s", got)
	}
	if p := g.get(t, "a", npm.Abbreviated, false, Hit); p.Form != npm.Full {
		t.Error("a fresh full document does not serve the abbreviated form")
	}
}

// TestFreshness follows one package through its ages.
func TestFreshness(t *testing.T) {
	for _, tt := range []struct {
		name  string
		age   time.Duration
		force bool
		want  Outcome
		asks  bool
	}{
		{"fresh", testFresh - time.Second, false, Hit, false},
		{"fresh but forced", time.Second, true, Revalidated, true},
		{"stale while revalidating", testFresh + time.Second, false, Stale, true},
		{"old", testFresh + testSWR + time.Second, false, Revalidated, true},
		{"old and forced", testFresh + testSWR + time.Second, true, Revalidated, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t)
			g.fake.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
			first := g.get(t, "a", npm.Full, false, Miss)
			g.clock.advance(tt.age)
			p := g.get(t, "a", npm.Full, tt.force, tt.want)
			g.land(t, "a")
			if p.Rev != first.Rev {
				t.Error("the revision changed")
			}
			if asked := len(g.fake.asked("/a")) == 2; asked != tt.asks {
				t.Errorf("upstream was asked again: %t, want %t", asked, tt.asks)
			}
			if tt.asks {
				g.get(t, "a", npm.Full, false, Hit)
			}
		})
	}
}

func TestNewBytesAreAMiss(t *testing.T) {
	g := newRig(t)
	doc := fullDoc("a", jan, "1.0.0")
	g.fake.handle("/a", docServer(npm.FullType, func() string { return doc }))
	first := g.get(t, "a", npm.Full, false, Miss)
	doc = fullDoc("a", feb, "1.0.0", "1.1.0")
	second := g.get(t, "a", npm.Full, true, Miss)
	if first.Rev == second.Rev || body(t, second) != doc {
		t.Errorf("got revision %s again, or other bytes", second.Rev)
	}
}

func TestEqualBytesCountAsRevalidated(t *testing.T) {
	g := newRig(t)
	g.fake.handle("/a", answerWith(http.StatusOK, npm.FullType, fullDoc("a", jan, "1.0.0"))) // no validator, no 304
	g.get(t, "a", npm.Full, false, Miss)
	g.get(t, "a", npm.Full, true, Revalidated)
}

func TestCallerWhoLeavesDoesNotEndTheFlight(t *testing.T) {
	g := newRig(t)
	arrived, answer := make(chan struct{}), make(chan struct{})
	serve := docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0")))
	g.fake.handle("/a", func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-answer
		serve(w, r)
	})
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := g.Packument(ctx, "a", npm.Full, false)
		left <- err
	}()
	<-arrived
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	close(answer)
	g.land(t, "a")
	g.get(t, "a", npm.Full, false, Hit)
}

func TestStaleCopyWhenUpstreamIsSlow(t *testing.T) {
	g := newRig(t, func(c *Config) { c.StaleWait = time.Millisecond })
	serve := docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0")))
	g.fake.handle("/a", serve)
	g.get(t, "a", npm.Full, false, Miss)
	answer := make(chan struct{})
	g.fake.handle("/a", func(w http.ResponseWriter, r *http.Request) {
		<-answer
		serve(w, r)
	})
	g.clock.advance(testFresh + testSWR)
	g.get(t, "a", npm.Full, false, Stale)
	g.Registry.cfg.StaleWait = time.Hour // of which the next one has to wait for nothing
	g.get(t, "a", npm.Full, false, Stale)
	close(answer)
	g.land(t, "a")
	g.get(t, "a", npm.Full, false, Hit) // the slow answer was not in vain
	if n := len(g.fake.asked("/a")); n != 2 {
		t.Errorf("upstream was asked %d times, want twice", n)
	}
}

// TestCopyOutlivesEveryRefusal: whatever upstream says of a package that is
// held, the copy is served, and upstream is left in peace for a while.
func TestCopyOutlivesEveryRefusal(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"404":            answerWith(http.StatusNotFound, "application/json", `{"error":"Not found"}`),
		"410":            answerWith(http.StatusGone, "application/json", `{}`),
		"401":            answerWith(http.StatusUnauthorized, "application/json", `{}`),
		"403":            answerWith(http.StatusForbidden, "application/json", `{}`),
		"451":            answerWith(http.StatusUnavailableForLegalReasons, "application/json", `{}`),
		"429":            answerWith(http.StatusTooManyRequests, "application/json", `{}`),
		"500":            answerWith(http.StatusInternalServerError, "text/html", `<html>`),
		"a web page":     answerWith(http.StatusOK, "text/html", `<html>`),
		"bad JSON":       answerWith(http.StatusOK, "application/json", `{"name":"a",`),
		"another name":   answerWith(http.StatusOK, "application/json", fullDoc("b", jan, "1.0.0")),
		"no connection":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"304 for no one": answerWith(http.StatusNotModified, "", ""),
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			doc := fullDoc("a", jan, "1.0.0")
			g.fake.handle("/a", answerWith(http.StatusOK, npm.FullType, doc))
			g.get(t, "a", npm.Full, false, Miss)
			g.fake.handle("/a", h)
			g.clock.advance(testFresh + testSWR)
			p := g.get(t, "a", npm.Full, false, Stale)
			if got := body(t, p); got != doc {
				t.Errorf("body %q", got)
			}
			before := len(g.fake.asked(""))
			g.get(t, "a", npm.Full, false, Stale)
			if after := len(g.fake.asked("")); after != before {
				t.Error("upstream was asked again at once")
			}
			g.restart(t)
			g.get(t, "a", npm.Full, true, Stale)
			g.clock.advance(retryPause)
			g.fake.handle("/a", answerWith(http.StatusOK, npm.FullType, doc))
			g.get(t, "a", npm.Full, false, Revalidated)
		})
	}
}

func TestNotFoundIsRememberedForAMinute(t *testing.T) {
	g := newRig(t)
	missing := func(force bool) {
		t.Helper()
		_, err := g.Packument(t.Context(), "a", npm.Full, force)
		wantError(t, err, npm.NotFound, "Not found: a")
	}
	missing(false)
	missing(false)
	if n := len(g.fake.asked("/a")); n != 1 {
		t.Fatalf("upstream was asked %d times, want once", n)
	}
	missing(true)
	if n := len(g.fake.asked("/a")); n != 2 {
		t.Fatalf("a forced request did not ask upstream")
	}
	g.fake.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
	missing(false)
	g.clock.advance(absentFor)
	g.get(t, "a", npm.Full, false, Miss)
}

func TestOnlyNotFoundIsRemembered(t *testing.T) {
	for name, status := range map[string]int{"403": 403, "429": 429, "500": 500} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			g.fake.handle("/a", answerWith(status, "application/json", `{}`))
			if _, err := g.Packument(t.Context(), "a", npm.Full, false); err == nil {
				t.Fatal("no error")
			}
			g.fake.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
			g.get(t, "a", npm.Full, false, Miss)
		})
	}
}

// TestNotFoundOfOneFormIsNoNotFound: a 404 for the full document proves
// nothing while the abbreviated one is held.
func TestNotFoundOfOneFormIsNoNotFound(t *testing.T) {
	g := newRig(t)
	abbreviated := docServer(npm.AbbreviatedType, always(abbreviatedDoc("a", jan, "1.0.0")))
	g.fake.handle("/a", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") == npm.FullType {
			http.NotFound(w, r)
			return
		}
		abbreviated(w, r)
	})
	g.get(t, "a", npm.Abbreviated, false, Miss)
	_, err := g.Packument(t.Context(), "a", npm.Full, false)
	wantError(t, err, npm.Unavailable, "a copy of it is held")
}

func TestNewerModifiedExpiresTheOtherForm(t *testing.T) {
	g := newRig(t)
	full, abbreviated := fullDoc("a", jan, "1.0.0"), abbreviatedDoc("a", jan, "1.0.0")
	g.fake.handle("/a", both(func() string { return full }, func() string { return abbreviated }))
	g.get(t, "a", npm.Abbreviated, false, Miss)
	full, abbreviated = fullDoc("a", feb, "1.0.0", "2.0.0"), abbreviatedDoc("a", feb, "1.0.0", "2.0.0")
	g.get(t, "a", npm.Full, false, Miss)
	g.clock.advance(testFresh) // the full document is stale, the abbreviated one older than it
	p := g.get(t, "a", npm.Abbreviated, false, Stale)
	if p.Form != npm.Full {
		t.Error("the abbreviated form went back to an older document")
	}
}

func TestNewerAbbreviatedExpiresTheFullForm(t *testing.T) {
	g := newRig(t)
	full, abbreviated := fullDoc("a", jan, "1.0.0"), abbreviatedDoc("a", jan, "1.0.0")
	g.fake.handle("/a", both(func() string { return full }, func() string { return abbreviated }))
	g.get(t, "a", npm.Abbreviated, false, Miss)
	g.clock.advance(testFresh + testSWR)
	g.get(t, "a", npm.Full, false, Miss)
	full, abbreviated = fullDoc("a", feb, "1.0.0", "2.0.0"), abbreviatedDoc("a", feb, "1.0.0", "2.0.0")
	e := g.entry("a")
	v, _ := e.get(npm.Abbreviated)
	v.modified = v.modified.AddDate(0, 1, 0)
	e.confirm(v)
	p := g.get(t, "a", npm.Full, false, Miss)
	if got := body(t, p); got != full {
		t.Errorf("body %q", got)
	}
}

func TestRestartKnowsWhatIsHeld(t *testing.T) {
	g := newRig(t)
	full, abbreviated := fullDoc("a", feb, "1.0.0", "2.0.0"), abbreviatedDoc("a", jan, "1.0.0")
	g.fake.handle("/a", both(always(full), always(abbreviated)))
	g.get(t, "a", npm.Abbreviated, false, Miss)
	first := g.get(t, "a", npm.Full, false, Miss)
	g.restart(t)
	p := g.get(t, "a", npm.Full, false, Hit)
	if p.Rev != first.Rev || p.Size != first.Size || body(t, p) != full {
		t.Errorf("after the restart: %+v", p)
	}
	if p := g.get(t, "a", npm.Abbreviated, false, Hit); p.Form != npm.Full {
		t.Error("the older abbreviated document is served")
	}
	if n := len(g.fake.asked("/a")); n != 2 {
		t.Errorf("upstream was asked %d times, want twice", n)
	}
}

// TestUpstreamThatIgnoresAccept is stored once, and asked for the full form
// from then on.
func TestUpstreamThatIgnoresAccept(t *testing.T) {
	g := newRig(t)
	doc := fullDoc("a", jan, "1.0.0")
	g.fake.handle("/a", docServer(npm.FullType, always(doc)))
	g.fake.handle("/b", docServer(npm.FullType, always(fullDoc("b", jan, "1.0.0"))))
	p := g.get(t, "a", npm.Abbreviated, false, Miss)
	if p.Form != npm.Full || body(t, p) != doc {
		t.Errorf("form %s", p.Form)
	}
	g.get(t, "a", npm.Full, false, Hit)
	if _, ok := g.responses.Header(g.packumentURL("a", npm.Abbreviated).String()); ok {
		t.Error("it is stored twice")
	}
	g.get(t, "b", npm.Abbreviated, false, Miss)
	if got := g.fake.last(t, "/b").Header.Get("Accept"); got != npm.FullType {
		t.Errorf("the abbreviated form is still asked for: %s", got)
	}
	g.restart(t)
	g.get(t, "a", npm.Abbreviated, false, Hit)
}

// TestKillBetweenStoringAndMoving: a full document under the abbreviated key.
func TestKillBetweenStoringAndMoving(t *testing.T) {
	g := newRig(t)
	g.fake.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
	g.get(t, "a", npm.Abbreviated, false, Miss)
	g.responses.Move(g.packumentURL("a", npm.Full).String(), g.packumentURL("a", npm.Abbreviated).String())
	g.restart(t)
	body(t, g.get(t, "a", npm.Full, false, Hit))
	if n := len(g.fake.asked("/a")); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestAbbreviatedByContent: not every registry labels its abbreviated form.
func TestAbbreviatedByContent(t *testing.T) {
	for _, tt := range []struct {
		name, contentType, doc string
		want                   npm.Form
	}{
		{"labelled", npm.AbbreviatedType, fullDoc("a", jan, "1.0.0"), npm.Abbreviated},
		{"labelled with parameters", npm.AbbreviatedType + "; q=1.0; charset=utf-8", abbreviatedDoc("a", jan, "1.0.0"), npm.Abbreviated},
		{"not labelled", "application/json", abbreviatedDoc("a", jan, "1.0.0"), npm.Abbreviated},
		{"full", "application/json", fullDoc("a", jan, "1.0.0"), npm.Full},
		{"full with modified at the top", "application/json", `{"_id":"a","modified":"` + jan + `","name":"a","versions":{"1.0.0":{}}}`, npm.Full},
		{"full of a thin mirror", "application/json", `{"name":"a","versions":{"1.0.0":{}}}`, npm.Full},
		{"the stub of an unpublished package", "application/json", `{"_id":"a","name":"a","time":{"unpublished":{}}}`, npm.Abbreviated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t)
			g.fake.handle("/a", answerWith(200, tt.contentType, tt.doc))
			if p := g.get(t, "a", npm.Abbreviated, false, Miss); p.Form != tt.want {
				t.Errorf("form %s, want %s", p.Form, tt.want)
			}
		})
	}
}

// TestFlightLooksAgain: what a flight was to find out may have become known
// while it was getting under way.
func TestFlightLooksAgain(t *testing.T) {
	g := newRig(t)
	g.absent.note("a", &npm.Error{Kind: npm.NotFound, Msg: "known"}, g.now())
	wantError(t, (<-g.refresh(t.Context(), "a", npm.Full, false)).Err, npm.NotFound, "known")
	if n := len(g.fake.asked("")); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestOddAnswerIsNoHabit: one full document out of an upstream that has shown
// abbreviated ones says nothing about its other packages.
func TestOddAnswerIsNoHabit(t *testing.T) {
	g := newRig(t)
	g.fake.handle("/a", docServer(npm.AbbreviatedType, always(abbreviatedDoc("a", jan, "1.0.0"))))
	g.fake.handle("/b", docServer(npm.FullType, always(fullDoc("b", jan, "1.0.0"))))
	g.fake.handle("/c", docServer(npm.AbbreviatedType, always(abbreviatedDoc("c", jan, "1.0.0"))))
	for _, name := range []string{"a", "b", "c"} {
		g.get(t, name, npm.Abbreviated, false, Miss)
	}
	if got := g.fake.last(t, "/c").Header.Get("Accept"); got == npm.FullType {
		t.Error("the abbreviated form is no longer asked for")
	}
}

func TestOffline(t *testing.T) {
	g := newRig(t)
	g.fake.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
	g.get(t, "a", npm.Full, false, Miss)
	if _, _, err := g.Manifest(t.Context(), "a", "1.0.0"); err != nil {
		t.Fatal(err)
	}
	g.cfg.Offline = true
	g.restart(t)
	asked := len(g.fake.asked(""))
	g.get(t, "a", npm.Full, true, Hit)
	_, err := g.Tarball("a", "a-2.0.0.tgz").Expect(t.Context())
	wantError(t, err, npm.Unavailable, "offline") // whether or not the copy is fresh
	g.clock.advance(1000 * time.Hour)
	body(t, g.get(t, "a", npm.Abbreviated, true, Stale))

	_, err = g.Packument(t.Context(), "b", npm.Full, false)
	wantError(t, err, npm.Unavailable, "offline")
	if !errors.Is(err, ErrOffline) {
		t.Errorf("%v is not ErrOffline", err)
	}
	_, _, err = g.Small(t.Context(), "/-/npm/v1/keys")
	wantError(t, err, npm.Unavailable, "offline")
	_, err = g.Post(t.Context(), "/-/npm/v1/security/advisories/bulk", []byte(`{}`))
	wantError(t, err, npm.Unavailable, "offline")
	src := g.Tarball("a", "a-1.0.0.tgz")
	_, err = src.Open(t.Context(), "", 0, "")
	wantError(t, err, npm.Unavailable, "offline")
	if _, err = src.Expect(t.Context()); err != nil {
		t.Errorf("the hash is in a held document: %v", err)
	}
	_, err = g.Tarball("a", "a-2.0.0.tgz").Expect(t.Context())
	wantError(t, err, npm.Unavailable, "offline")
	if n := len(g.fake.asked("")); n != asked {
		t.Errorf("%d requests were sent", n-asked)
	}
	if state, _ := g.State(); state != "offline" {
		t.Errorf("state %q", state)
	}
}

// TestBodyFetchesALostDocumentAgain: someone emptied the cache at run time.
func TestBodyFetchesALostDocumentAgain(t *testing.T) {
	g := newRig(t)
	doc := fullDoc("a", jan, "1.0.0")
	g.fake.handle("/a", docServer(npm.FullType, func() string { return doc }))
	body(t, g.get(t, "a", npm.Full, false, Miss))
	p := g.get(t, "a", npm.Full, false, Hit)
	g.responses.Delete(g.packumentURL("a", npm.Full).String())
	doc = fullDoc("a", feb, "1.0.0", "2.0.0")
	was := p.Rev
	if got := body(t, p); got != doc {
		t.Errorf("body %q", got)
	}
	if p.Rev == was {
		t.Error("Rev still describes the lost document")
	}
	if q := g.get(t, "a", npm.Full, false, Hit); q.Rev != p.Rev {
		t.Error("the next caller gets the lost revision")
	}
}

func TestBodyOfALostDocumentWhileUpstreamIsAway(t *testing.T) {
	g := newRig(t)
	g.fake.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
	body(t, g.get(t, "a", npm.Full, false, Miss))
	p := g.get(t, "a", npm.Full, false, Hit)
	g.responses.Delete(g.packumentURL("a", npm.Full).String())
	g.fake.Close()
	_, _, err := p.Body(t.Context())
	wantError(t, err, npm.Unavailable, "cannot be reached")
	_, err = g.Packument(t.Context(), "a", npm.Full, false)
	wantError(t, err, npm.Unavailable, "cannot be reached")
}

func TestMatches(t *testing.T) {
	g := newRig(t, func(c *Config) { c.Match = []string{"@acme/*", "left-*"} })
	for name, want := range map[string]bool{"@acme/a": true, "left-pad": true, "lodash": false, "@other/a": false} {
		if got := g.Matches(name); got != want {
			t.Errorf("Matches(%s) = %t", name, got)
		}
	}
}

// TestAbsenceNeverHidesWhatIsHeld: upstream answered one form and said 404 for
// the other, which says nothing about the package any more.
func TestAbsenceNeverHidesWhatIsHeld(t *testing.T) {
	g := newRig(t)
	notFound := &npm.Error{Kind: npm.NotFound, Msg: "Not found: a"}
	abbreviated := docServer(npm.AbbreviatedType, always(`{"name":"a","modified":"`+jan+`","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"a","version":"1.0.0"}}}`))
	g.fake.handle("/a", abbreviated)
	g.get(t, "a", npm.Abbreviated, false, Miss)
	g.absent.note("a", notFound, g.now())
	g.fake.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
	g.get(t, "a", npm.Full, false, Miss)
}
