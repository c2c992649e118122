package proxy

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// How many refusals and failures of one kind the journal takes from one
// caller; nobody in particular is one, whatever the address. A refusal costs
// nothing, so that a flood of them would rotate away within minutes what
// somebody did before. Those left out are in the access log.
const (
	refusalBurst = 200
	refusalEvery = 10 * time.Second // from then on
	refusalKinds = 10_000           // remembered, the least recent forgotten
)

// refusalKind is who is refused what: a flood of one kind hides no other.
type refusalKind struct{ actor, action string }

// refusalBuckets holds a token bucket per kind.
type refusalBuckets struct {
	held *lru.Cache[refusalKind, *rate.Limiter]
}

func newRefusalBuckets() (*refusalBuckets, error) {
	held, err := lru.New[refusalKind, *rate.Limiter](refusalKinds)
	return &refusalBuckets{held}, err
}

// allow takes a token of the kind's bucket, if there is one.
func (b *refusalBuckets) allow(kind refusalKind) bool {
	limiter, ok := b.held.Get(kind)
	if !ok {
		fresh := rate.NewLimiter(rate.Every(refusalEvery), refusalBurst)
		if raced, found, _ := b.held.PeekOrAdd(kind, fresh); found {
			fresh = raced
		}
		limiter = fresh
	}
	return limiter.Allow()
}
