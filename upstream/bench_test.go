package upstream

import (
	"log/slog"
	"net/url"
	"testing"

	"larder/cache"
	"larder/npm"
)

// BenchmarkPackumentHit is what a fresh document costs before its finished
// bytes are looked up: it must not touch the store.
func BenchmarkPackumentHit(b *testing.B) {
	r, err := New(Config{
		Name:      "npm",
		URLs:      []*url.URL{{Scheme: "http", Host: "registry.example"}},
		Responses: cache.NewResponses(cache.NewMem(), nil, slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		b.Fatal(err)
	}
	r.entry("a").confirm(revision{rev: "1", form: npm.Full, checked: r.now()})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if p, err := r.Packument(b.Context(), "a", npm.Abbreviated, false); err != nil || p.Outcome != Hit {
				b.Fatal(p, err)
			}
		}
	})
}
