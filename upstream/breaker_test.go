package upstream

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sony/gobreaker/v2"

	"larder/npm"
)

// down is a failure of upstream as a whole, refusal one of a single request.
func down() *failure {
	return &failure{err: &npm.Error{Kind: npm.Unavailable, Msg: "upstream npm cannot be reached: no route"}, down: true}
}

func refusal() *failure { return &failure{err: &npm.Error{Kind: npm.NotFound}} }

func settle(t *testing.T, b *breaker, subject string, f *failure) {
	t.Helper()
	done, err := b.allow(subject)
	if err != nil {
		t.Fatalf("%s is refused: %v", subject, err)
	}
	done(f)
}

const testPause = 10 * time.Second

func newTestBreaker() *breaker {
	return newBreaker(breakerConfig{upstream: "npm", pause: testPause, opened: func() {}, log: slog.New(slog.DiscardHandler)})
}

func TestBreakerOpensForManyPackagesOnly(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, b *breaker)
		open bool
	}{
		{"one package fails a hundred times", func(t *testing.T, b *breaker) {
			for range 100 {
				settle(t, b, "a", down())
			}
		}, false},
		{"many packages fail", func(t *testing.T, b *breaker) {
			for i := range breakerSubjects {
				settle(t, b, fmt.Sprint(i), down())
			}
		}, true},
		{"an answer comes in between", func(t *testing.T, b *breaker) {
			for i := range 2 * breakerSubjects {
				settle(t, b, fmt.Sprint(i), down())
				if i%2 == 0 {
					settle(t, b, "x", nil)
				}
			}
		}, false},
		{"a refusal is an answer", func(t *testing.T, b *breaker) {
			for i := range breakerSubjects - 1 {
				settle(t, b, fmt.Sprint(i), down())
			}
			settle(t, b, "x", refusal())
			settle(t, b, "y", down())
		}, false},
		{"what was given up says nothing", func(t *testing.T, b *breaker) {
			for i := range breakerSubjects {
				settle(t, b, fmt.Sprint(i), &failure{err: &npm.Error{}, outcome: "canceled", down: true})
			}
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newTestBreaker()
			tt.run(t, b)
			if open, _ := b.down(); open != tt.open {
				t.Errorf("open: %t", open)
			}
		})
	}
}

func TestBreakerProbesAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTestBreaker()
		for i := range breakerSubjects {
			settle(t, b, fmt.Sprint(i), down())
		}
		_, err := b.allow("a")
		wantError(t, err, npm.Unavailable, "no route")
		if asError(err).RetryAfter != testPause {
			t.Errorf("RetryAfter %s", asError(err).RetryAfter)
		}
		time.Sleep(testPause + 1)
		probe, err := b.allow("a")
		if err != nil {
			t.Fatalf("no probe after the pause: %v", err)
		}
		if _, err := b.allow("b"); err == nil {
			t.Error("a second request goes along with the probe")
		}
		probe(down())
		if _, err := b.allow("a"); err == nil {
			t.Error("the failed probe did not keep it open")
		}
		time.Sleep(testPause + 1)
		settle(t, b, "a", nil)
		if open, _ := b.down(); open {
			t.Error("the good probe did not close it")
		}
	})
}

// TestUpstreamDown: with the breaker open, copies come at once and errors name
// the last failure.
func TestUpstreamDown(t *testing.T) {
	g := newRig(t)
	g.fake.handle("/held", docServer(npm.FullType, always(fullDoc("held", jan, "1.0.0"))))
	g.get(t, "held", npm.Full, false, Miss)
	if state, _ := g.State(); state != "ok" {
		t.Errorf("state %q", state)
	}
	for i := range breakerSubjects {
		path := fmt.Sprint("/p", i)
		g.fake.handle(path, answerWith(500, "", ""))
		if _, err := g.Packument(t.Context(), path[1:], npm.Full, false); err == nil {
			t.Fatal("no error")
		}
	}
	state, reason := g.State()
	if state != "down" || reason != "upstream npm answered 500 Internal Server Error" {
		t.Errorf("state %q, %q", state, reason)
	}
	asked := len(g.fake.asked(""))
	g.get(t, "held", npm.Full, true, Stale)
	_, err := g.Packument(t.Context(), "other", npm.Full, false)
	wantError(t, err, npm.Unavailable, "500")
	_, err = g.Tarball("other", "other-1.0.0.tgz").Open(t.Context(), "", 0, "")
	wantError(t, err, npm.Unavailable, "500")
	_, err = g.Post(t.Context(), "/-/x", nil)
	wantError(t, err, npm.Unavailable, "500")
	if n := len(g.fake.asked("")); n != asked {
		t.Errorf("%d requests were sent to an upstream that is down", n-asked)
	}
}

// TestAnOpenBreakerIsNotLoggedForEachPackage: an outage is one warning, not one
// for every package that is served without being confirmed.
func TestAnOpenBreakerIsNotLoggedForEachPackage(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want slog.Level
	}{
		{&npm.Error{Kind: npm.Unavailable, Err: gobreaker.ErrOpenState}, slog.LevelDebug},
		{&npm.Error{Kind: npm.Unavailable, Err: gobreaker.ErrTooManyRequests}, slog.LevelDebug},
		{&npm.Error{Kind: npm.Unavailable}, slog.LevelWarn},
	} {
		if got := unconfirmedLevel(tt.err); got != tt.want {
			t.Errorf("unconfirmedLevel(%v) = %v, want %v", tt.err, got, tt.want)
		}
	}
}
