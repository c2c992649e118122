package upstream

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"larder/npm"
)

// TestSetOffline: what is turned off while the server runs is off for
// everything, and comes back.
func TestSetOffline(t *testing.T) {
	g := newRig(t)
	g.fake.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
	g.fake.handle("/b", docServer(npm.FullType, always(fullDoc("b", jan, "1.0.0"))))
	g.fake.handle(keysPath, docServer("application/json", always(`{"keys":[]}`)))
	g.get(t, "a", npm.Full, false, Miss)
	if _, _, err := g.Small(t.Context(), keysPath); err != nil {
		t.Fatal(err)
	}
	g.SetOffline(true)
	if state, _ := g.State(); !g.Offline() || state != "offline" {
		t.Errorf("offline %t, state %q", g.Offline(), state)
	}
	asked := len(g.fake.asked(""))
	g.clock.advance(1000 * time.Hour)
	body(t, g.get(t, "a", npm.Abbreviated, true, Stale))
	got, from, err := g.Small(t.Context(), keysPath)
	if err != nil || string(got) != `{"keys":[]}` || from.Outcome != Stale {
		t.Errorf("keys: %q, %s, %v", got, from.Outcome, err)
	}
	_, err = g.Packument(t.Context(), "b", npm.Full, false)
	wantError(t, err, npm.Unavailable, "Larder is offline and has no copy of b")
	_, err = g.Tarball("a", "a-1.0.0.tgz").Open(t.Context(), "", 0, "")
	wantError(t, err, npm.Unavailable, "offline")
	if n := len(g.fake.asked("")); n != asked {
		t.Errorf("%d requests were sent while offline", n-asked)
	}
	g.SetOffline(false)
	g.get(t, "a", npm.Full, false, Revalidated)
	g.get(t, "b", npm.Full, false, Miss)
}

// TestHeldOnly: such a request asks nobody, whatever others do, and what it
// fails with is its own.
func TestHeldOnly(t *testing.T) {
	g := newRig(t)
	g.fake.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
	g.fake.handle(keysPath, docServer("application/json", always(`{"keys":[]}`)))
	held := HeldOnly(t.Context())
	if !g.Held(held) || g.Held(t.Context()) {
		t.Fatal("Held does not tell the two apart")
	}
	for _, name := range []string{"a", "nobody"} {
		_, err := g.Packument(held, name, npm.Full, true)
		wantError(t, err, npm.Unavailable, "only what is cached is served here, and "+name+" is not")
		if !errors.Is(err, ErrOffline) {
			t.Errorf("%v is not ErrOffline", err)
		}
	}
	_, _, err := g.Small(held, keysPath)
	wantError(t, err, npm.Unavailable, "only what is cached")
	_, _, err = g.Manifest(held, "a", "1.0.0")
	wantError(t, err, npm.Unavailable, "only what is cached")
	_, err = g.Post(held, "/-/x", nil)
	wantError(t, err, npm.Unavailable, "only what is cached")
	src := g.Tarball("a", "a-1.0.0.tgz")
	_, err = src.Expect(held)
	wantError(t, err, npm.Unavailable, "only what is cached")
	_, err = src.Open(held, "", 0, "")
	wantError(t, err, npm.Unavailable, "only what is cached")
	if n := len(g.fake.asked("")); n != 0 {
		t.Fatalf("%d requests", n)
	}

	g.get(t, "a", npm.Full, false, Miss) // nothing of the above is remembered
	g.clock.advance(testFresh + 1)
	asked := len(g.fake.asked("/a"))
	p, err := g.Packument(held, "a", npm.Full, false)
	if err != nil || p.Outcome != Stale {
		t.Fatalf("%+v, %v", p, err)
	}
	body(t, p)
	if err := g.Close(t.Context()); err != nil { // waits for what was started
		t.Fatal(err)
	}
	if n := len(g.fake.asked("/a")); n != asked {
		t.Error("a copy was revalidated in the background")
	}
}

// TestHeldOnlyBodyIsNotFetched although the context of whoever renders it may
// be another's.
func TestHeldOnlyBodyIsNotFetched(t *testing.T) {
	g := newRig(t)
	g.fake.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
	g.get(t, "a", npm.Full, false, Miss)
	g.restart(t)
	p, err := g.Packument(HeldOnly(t.Context()), "a", npm.Full, false)
	if err != nil {
		t.Fatal(err)
	}
	g.responses.Delete(g.packumentURL("a", npm.Full).String())
	_, _, err = p.Body(t.Context())
	wantError(t, err, npm.Unavailable, "")
	if n := len(g.fake.asked("/a")); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestHeldOnlyJoinsNoFlight: it waits for no upstream that others wait for.
func TestHeldOnlyJoinsNoFlight(t *testing.T) {
	g := newRig(t)
	asked, release := make(chan struct{}), make(chan struct{})
	hang := func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-release
		docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0")))(w, r)
	}
	g.fake.handle("/a", hang)
	g.fake.handle("/a/1.0.0", func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-release
		docServer("application/json", always(manifest("a", "1.0.0", "")))(w, r)
	})
	others := make(chan error, 2)
	go func() {
		_, err := g.Packument(t.Context(), "a", npm.Full, false)
		others <- err
	}()
	<-asked
	go func() {
		_, _, err := g.small(t.Context(), g.logicalURL("/a/1.0.0", ""), exchangeFor(g, "a", "1.0.0"), "")
		others <- err
	}()
	<-asked
	_, err := g.Packument(HeldOnly(t.Context()), "a", npm.Full, false)
	wantError(t, err, npm.Unavailable, "only what is cached")
	_, _, err = g.Manifest(HeldOnly(t.Context()), "a", "1.0.0")
	wantError(t, err, npm.Unavailable, "only what is cached")
	close(release)
	for range 2 {
		if err := <-others; err != nil {
			t.Error(err)
		}
	}
}

func exchangeFor(g *rig, name, version string) exchange {
	_, ex := g.manifestExchange(name, version)
	return ex
}
