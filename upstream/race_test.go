package upstream

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"larder/cache"
	"larder/npm"
)

// interrupted is a store that lets something happen right after it was found
// out that a stored response's header is not there.
type interrupted struct {
	cache.Store
	missed func() // nil: nothing
}

func (s *interrupted) Open(ctx context.Context, key string) (*cache.Object, error) {
	o, err := s.Store.Open(ctx, key)
	if missed := s.missed; errors.Is(err, fs.ErrNotExist) && missed != nil && strings.Contains(key, "/head-") {
		s.missed = nil
		missed()
	}
	return o, err
}

// TestEntryIsNoOlderThanTheStore: while one request finds out that nothing is
// held of a package, another stores it, and a third, which was told 404 before
// that, throws away what is known of the package. The first must not bring back
// that nothing is held: the 404 that comes then would hide the copy.
func TestEntryIsNoOlderThanTheStore(t *testing.T) {
	store := &interrupted{Store: cache.NewMem()}
	g := newRig(t, func(c *Config) { c.Responses = cache.NewResponses(store, nil, slog.New(slog.DiscardHandler)) })
	g.fake.handle("/a", docServer("application/json", always(fullDoc("a", "2026-01-01T00:00:00.000Z", "1.0.0"))))
	store.missed = func() {
		g.get(t, "a", npm.Full, false, Miss)
		g.entries.Remove("a")
		g.fake.handle("/a", answerWith(http.StatusNotFound, "application/json", `{}`))
	}
	g.get(t, "a", npm.Full, false, Hit)
	g.get(t, "a", npm.Full, false, Hit)
}
