package hosted

import (
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// absentFor is how long a name counts as not published here without
	// another look. It bounds what other processes write, which nobody tells
	// this one.
	absentFor = time.Second
	// maxAbsences is how many such names are remembered: those of a few large
	// installs.
	maxAbsences = 16384
)

// absences are the names that were looked for and are not published here: on a
// mirror that is every name, and each request asks for one. A write of this
// process, of whatever package, ends what was known before it.
type absences struct {
	writes atomic.Uint64 // so far
	names  *lru.Cache[string, absence]
}

type absence struct {
	err    error
	writes uint64 // when it was looked for
	until  time.Time
}

func newAbsences() *absences {
	names, err := lru.New[string, absence](maxAbsences)
	if err != nil {
		panic(err) // for a size below 1 only
	}
	return &absences{names: names}
}

// get returns the error for a name that is known to be absent, else what add
// must be told.
func (a *absences) get(name string, now time.Time) (writes uint64, err error) {
	writes = a.writes.Load()
	if known, ok := a.names.Get(name); ok && known.writes == writes && now.Before(known.until) {
		return writes, known.err
	}
	return writes, nil
}

// add notes that a look for name, begun when there had been that many writes,
// ended with err.
func (a *absences) add(name string, err error, writes uint64, now time.Time) {
	a.names.Add(name, absence{err, writes, now.Add(absentFor)})
}

// written is called when a write may have become visible, and before anybody is
// told of it.
func (a *absences) written() { a.writes.Add(1) }
