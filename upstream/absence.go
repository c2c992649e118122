package upstream

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"larder/npm"
)

const (
	absentFor  = time.Minute // at most; a package that was just published must be seen
	maxAbsents = 16_384      // names and documents that are remembered as absent
)

// absences remembers what upstream said is not there. Only NotFound is ever
// remembered, since only that is definitive.
type absences struct {
	known *lru.Cache[string, absence]
}

type absence struct {
	err   *npm.Error
	until time.Time
}

func newAbsences() (*absences, error) {
	known, err := lru.New[string, absence](maxAbsents)
	return &absences{known}, err
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
	if err.Kind == npm.NotFound {
		a.known.Add(key, absence{err, now.Add(absentFor)})
	}
}
