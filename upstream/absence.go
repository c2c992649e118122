package upstream

import (
	"errors"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"larder/npm"
)

const (
	absentFor  = time.Minute        // at most; a package that was just published must be seen
	recalledIn = 7 * 24 * time.Hour // in which an absence is recalled while upstream is away
	maxAbsents = 16_384             // names and documents that are remembered as absent
)

// errSaidSo is the cause of a NotFound that a registry speaks for itself, in
// JSON. A page that says 404 may be anybody's.
var errSaidSo = errors.New("upstream said so")

// ErrRecalled is in the chain of a NotFound that is upstream's last word from a
// time when it could still be asked: what an install may go on with is no
// ground to take a name for free.
var ErrRecalled = errors.New("upstream cannot be asked, and said so before")

// absences remembers what upstream said is not there. Only NotFound is ever
// remembered, since only that is definitive: for a minute instead of asking
// again, and for days for when there is nobody to ask. Package managers ask at
// each install for optional peers that nobody ever published, and go on after
// a 404; a 503 in its place would fail the install.
type absences struct {
	known *lru.Cache[string, absence] // for a minute
	long  *lru.Cache[string, int64]   // when upstream said so, in Unix seconds
}

type absence struct {
	err   *npm.Error
	until time.Time
}

func newAbsences() (*absences, error) {
	known, err := lru.New[string, absence](maxAbsents)
	long, err2 := lru.New[string, int64](maxAbsents)
	return &absences{known, long}, errors.Join(err, err2)
}

// get returns the error that is remembered for key, or nil.
func (a *absences) get(key string, now time.Time) error {
	if known, ok := a.known.Get(key); ok && now.Before(known.until) {
		return known.err
	}
	return nil
}

// note remembers err if it is definitive.
func (a *absences) note(key string, err *npm.Error, now time.Time) {
	if err.Kind != npm.NotFound {
		return
	}
	a.known.Add(key, absence{err, now.Add(absentFor)})
	if errors.Is(err, errSaidSo) {
		a.long.Add(key, now.Unix())
	}
}

// clear forgets what has turned out to be there.
func (a *absences) clear(key string) {
	a.known.Remove(key)
	a.long.Remove(key)
}

// recalls reports whether upstream said within the last days that key is not
// there. It counts only while upstream cannot be asked.
func (a *absences) recalls(key string, now time.Time) bool {
	at, ok := a.long.Get(key)
	age := now.Sub(time.Unix(at, 0))
	return ok && age < recalledIn && age > -clockSlack
}

// recall returns what to say where upstream could not be asked, which is
// failed, about something of which no copy is held: that it does not exist, if
// upstream's last word was that.
func (r *Registry) recall(key, missing string, failed error) error {
	if !isAway(failed) && !errors.Is(failed, ErrOffline) || !r.absent.recalls(key, r.now()) {
		return failed
	}
	r.metrics.AbsenceRecalled()
	return &npm.Error{Kind: npm.NotFound, Op: "upstream " + r.cfg.Name, Msg: missing, Err: fmt.Errorf("%w: %w", ErrRecalled, failed)}
}
