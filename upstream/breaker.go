package upstream

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"larder/metrics"
	"larder/npm"
)

// breakerSubjects is how many different packages must fail in a row, with no
// answer in between, for the breaker to open: a single package that upstream
// cannot serve says nothing about the others.
const breakerSubjects = 5

// errNeutral tells gobreaker of an exchange that says nothing about upstream.
var errNeutral = errors.New("given up")

// breaker keeps an upstream that is down from being waited for: what is held
// is then served at once, and what is not fails at once.
type breaker struct {
	breakerConfig
	circuit *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu      sync.Mutex          // guards what follows; never held while calling circuit
	failing map[string]struct{} // subjects that failed since the last answer
	last    string              // the most recent failure, in one sentence
	turned  string              // a change of state that is not yet logged
}

// breakerConfig configures a breaker.
type breakerConfig struct {
	upstream string
	pause    time.Duration // how long it refuses before it lets one request through to see whether upstream is back
	opened   func()        // called when it has opened
	metrics  *metrics.Upstream
	log      *slog.Logger
}

func newBreaker(cfg breakerConfig) *breaker {
	b := &breaker{breakerConfig: cfg, failing: make(map[string]struct{})}
	b.circuit = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        cfg.upstream,
		Timeout:     cfg.pause,
		ReadyToTrip: func(gobreaker.Counts) bool { return b.manyFail() },
		IsExcluded:  func(err error) bool { return err == errNeutral },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			b.metrics.Breaker(to.String())
			b.mu.Lock()
			b.turned = to.String()
			b.mu.Unlock()
		},
	})
	b.metrics.Breaker(gobreaker.StateClosed.String())
	return b
}

// allow returns an error at once where upstream is known to be down, else a
// function to be told how the exchange for subject (a package) ended.
func (b *breaker) allow(subject string) (done func(*failure), err error) {
	settle, err := b.circuit.Allow()
	if err != nil {
		b.announce()
		_, last := b.down()
		return nil, &npm.Error{
			Kind:       npm.Unavailable,
			Op:         "upstream " + b.upstream,
			Name:       subject,
			Msg:        last,
			RetryAfter: b.pause,
			Err:        err,
		}
	}
	return func(f *failure) {
		settle(b.judge(subject, f))
		b.announce()
	}, nil
}

// judge notes how an exchange ended and says so in gobreaker's terms.
func (b *breaker) judge(subject string, f *failure) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case f != nil && f.outcome == "canceled":
		return errNeutral
	case f == nil || !f.down:
		clear(b.failing)
		return nil
	}
	b.last = f.err.Msg
	if len(b.failing) < breakerSubjects {
		b.failing[subject] = struct{}{}
	}
	return f
}

func (b *breaker) manyFail() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.failing) >= breakerSubjects
}

// down reports whether the breaker is not closed, and the last failure.
func (b *breaker) down() (bool, string) {
	closed := b.circuit.State() == gobreaker.StateClosed
	b.mu.Lock()
	defer b.mu.Unlock()
	last := b.last
	if last == "" {
		last = fmt.Sprintf("upstream %s is down", b.upstream)
	}
	return !closed, last
}

// announce logs a change of state outside of gobreaker's lock, in which the
// change is reported.
func (b *breaker) announce() {
	b.mu.Lock()
	state, last := b.turned, b.last
	b.turned = ""
	b.mu.Unlock()
	switch state {
	case gobreaker.StateOpen.String():
		b.log.Warn("upstream is down: copies are served without asking it", "reason", last, "pause", b.pause)
		b.opened()
	case gobreaker.StateClosed.String():
		b.log.Info("upstream is back")
	}
}

// unconfirmedLevel is how loudly to say that a copy could not be confirmed: one
// warning says that the breaker opened, and a thousand more that it still is
// would bury the others.
func unconfirmedLevel(err error) slog.Level {
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}
