package upstream

import (
	"context"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"larder/cache"
	"larder/npm"
)

// troubledStore is a Store whose disk is full, or whose process has no
// descriptors left, for as long as a test wants it.
type troubledStore struct {
	cache.Store
	full       atomic.Bool // no body can be written
	unreadable atomic.Bool
}

func (s *troubledStore) Create(ctx context.Context, key string) (cache.Writer, error) {
	if s.full.Load() && strings.Contains(key, "/body-") {
		return nil, syscall.ENOSPC
	}
	return s.Store.Create(ctx, key)
}

func (s *troubledStore) Open(ctx context.Context, key string) (*cache.Object, error) {
	if s.unreadable.Load() {
		return nil, syscall.EMFILE
	}
	return s.Store.Open(ctx, key)
}

func newTroubledRig(t *testing.T) (*rig, *troubledStore) {
	t.Helper()
	store := &troubledStore{Store: cache.NewMem()}
	g := newRig(t, func(c *Config) { c.Responses = cache.NewResponses(store, nil, nil) })
	return g, store
}

// TestBodyIsOfItsRevisionThoughTheDiskIsFull: the disk has the old document, a
// flight has brought the new one, and nobody came for that in time. Callers
// keep what they make of a body under Rev, so it must not be the old one's.
func TestBodyIsOfItsRevisionThoughTheDiskIsFull(t *testing.T) {
	g, store := newTroubledRig(t)
	older, newer := fullDoc("a", jan, "1.0.0"), fullDoc("a", feb, "1.0.0", "2.0.0")
	doc := older
	g.fake.handle("/a", docServer(npm.FullType, func() string { return doc }))
	was := g.get(t, "a", npm.Full, false, Miss)
	store.full.Store(true)
	doc = newer
	fetched := g.get(t, "a", npm.Full, true, Miss)
	g.budget.empty()
	for _, p := range []*Packument{fetched, g.get(t, "a", npm.Full, false, Hit)} {
		if got := body(t, p); got != newer || p.Rev == was.Rev {
			t.Errorf("body %q of revision %s", got, p.Rev)
		}
	}

	// With upstream away, too, the old document is all there is.
	p := g.get(t, "a", npm.Full, false, Hit)
	g.fake.Close()
	_, _, err := p.Body(t.Context())
	wantError(t, err, npm.Unavailable, "cannot be reached")
	if p := g.get(t, "a", npm.Full, false, Hit); p.Rev != was.Rev || body(t, p) != older {
		t.Errorf("revision %s, which is not the one that is held", p.Rev)
	}
}

// TestBodyThatWasReplacedMeanwhile: Rev describes what came.
func TestBodyThatWasReplacedMeanwhile(t *testing.T) {
	g := newRig(t)
	doc := fullDoc("a", jan, "1.0.0")
	g.fake.handle("/a", docServer(npm.FullType, func() string { return doc }))
	body(t, g.get(t, "a", npm.Full, false, Miss))
	early := g.get(t, "a", npm.Full, false, Hit)
	doc = fullDoc("a", feb, "1.0.0", "2.0.0")
	late := g.get(t, "a", npm.Full, true, Miss)
	if got := body(t, early); got != doc || early.Rev != late.Rev || early.Size != int64(len(doc)) {
		t.Errorf("body %q is called revision %s of %d bytes; the new one is %s", got, early.Rev, early.Size, late.Rev)
	}
}

// TestCopyThatCannotBeReadForNowIsKept: a process without descriptors is no
// reason to give up a good copy.
func TestCopyThatCannotBeReadForNowIsKept(t *testing.T) {
	g, store := newTroubledRig(t)
	doc := fullDoc("a", jan, "1.0.0")
	g.fake.handle("/a", docServer(npm.FullType, always(doc)))
	body(t, g.get(t, "a", npm.Full, false, Miss))
	p := g.get(t, "a", npm.Full, false, Hit)
	store.unreadable.Store(true)
	g.fake.Close()
	_, _, err := p.Body(t.Context())
	wantError(t, err, npm.Unavailable, "cannot be reached")
	_, err = g.Packument(t.Context(), "a", npm.Full, true)
	if err == nil {
		t.Error("a copy that cannot be read is served")
	}
	store.unreadable.Store(false)
	if got := body(t, g.get(t, "a", npm.Full, false, Hit)); got != doc {
		t.Errorf("body %q", got)
	}
}
