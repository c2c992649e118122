package upstream

import (
	"errors"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"larder/npm"
)

// Outcome says how an answer came about; its strings are values of
// X-Larder-Cache.
type Outcome uint8

// The outcomes.
const (
	Hit         Outcome = iota // fresh in the cache
	Miss                       // fetched now, nothing was there before (or it changed)
	Revalidated                // upstream confirmed the copy just now
	Stale                      // an old copy, because upstream failed, was slow, or is being asked in the background
)

func (o Outcome) String() string {
	return [...]string{"hit", "miss", "revalidated", "stale"}[o]
}

// Provenance says where an answer comes from and how old it may be.
type Provenance struct {
	Outcome Outcome
	Checked time.Time // when upstream last confirmed it; zero where that is not known
	Away    bool      // Stale, because upstream cannot be reached, fails, or does not answer in time
}

// isAway reports whether an error means that upstream is of no use for now. A
// refusal, or that something is not there, is an answer.
func isAway(err error) bool {
	switch npm.KindOf(err) {
	case npm.Unavailable, npm.Timeout, npm.BadUpstream:
		return !errors.Is(err, ErrOffline) && !errors.Is(err, errHeldBack)
	}
	return false
}

// maxQuiet bounds the small documents of which quiet remembers something.
const maxQuiet = 16_384

// quiet remembers which small documents upstream failed to confirm just now:
// like a packument (entry.hush) such a copy is served for a while without
// upstream being waited for again.
type quiet struct {
	known *lru.Cache[string, silence]

	mu    sync.Mutex     // guards under, and orders hushWaiting before end
	under map[string]int // flights under way, by key
}

type silence struct {
	until time.Time
	away  bool
}

func newQuiet() (*quiet, error) {
	known, err := lru.New[string, silence](maxQuiet)
	return &quiet{known: known, under: make(map[string]int)}, err
}

// begin notes that a flight for key is under way, until end.
func (q *quiet) begin(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.under[key]++
}

// end notes that the flight has landed; confirmed lifts the silence with it.
func (q *quiet) end(key string, confirmed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if confirmed {
		q.known.Remove(key)
	}
	if q.under[key]--; q.under[key] == 0 {
		delete(q.under, key)
	}
}

func (q *quiet) hush(key string, until time.Time, away bool) { q.known.Add(key, silence{until, away}) }

// hushWaiting is hush for a caller who waits no longer for a flight. If that
// has landed meanwhile there is nothing to be silent about, and nobody who
// would lift it.
func (q *quiet) hushWaiting(key string, until time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.under[key] > 0 {
		q.hush(key, until, true)
	}
}

func (q *quiet) hushed(key string, now time.Time) (away, ok bool) {
	s, ok := q.known.Get(key)
	return s.away, ok && now.Before(s.until)
}
