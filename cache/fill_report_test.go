package cache_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/cache"
	"larder/metrics"
)

// What readers are not told of, the operator must be: each fill is counted
// once, and what no error reports is logged.
func TestFillsAreCountedAndLogged(t *testing.T) {
	wrong := func(src *source) *cache.Stream { return src.stream(0, part(flipped(src.data, 5))) }
	tests := []struct {
		name   string
		fault  string
		legacy bool
		first  func(src *source) *cache.Stream
		always bool          // that is what comes each time
		leave  time.Duration // when the reader hangs up, if it does
		abort  bool          // whether Close does not wait
		counts []string
		logged string
	}{
		{name: "stored", counts: []string{`fills_ended_total{outcome="stored"} 1`}},
		{name: "resumed", first: func(src *source) *cache.Stream { return src.stream(0, part(src.data[:kb]), broken()) },
			counts: []string{`fills_ended_total{outcome="stored"} 1`, `fills_resumed_total 1`}, logged: "connection reset"},
		{name: "wrong once", first: wrong,
			counts: []string{`fills_ended_total{outcome="stored"} 1`, `integrity_failures_total 1`}, logged: "fetching them again"},
		{name: "wrong", first: wrong, always: true,
			counts: []string{`fills_ended_total{outcome="failed"} 1`, `integrity_failures_total 5`}, logged: "fetching them again"},
		{name: "wrong, and nobody there", leave: time.Second, always: true, first: func(src *source) *cache.Stream {
			return src.stream(0, part(src.data[:kb]), sleeper(time.Minute), part(flipped(src.data, 5*kb)[kb:]))
		}, counts: []string{`fills_ended_total{outcome="failed"} 1`, `integrity_failures_total 5`}, logged: "after its last reader left"},
		{name: "legacy", legacy: true, first: wrong,
			counts: []string{`fills_ended_total{outcome="failed"} 1`, `integrity_failures_total 5`}, logged: "no hash is known"},
		{name: "disk full", fault: "write",
			counts: []string{`fills_ended_total{outcome="passed"} 1`}, logged: "input/output error"},
		{name: "follow", fault: "follow",
			counts: []string{`fills_ended_total{outcome="passed"} 1`, `store_errors_total{op="open"} 1`}, logged: "input/output error"},
		{name: "aborted", abort: true, leave: time.Second, first: func(src *source) *cache.Stream {
			return src.stream(0, sleeper(time.Hour), broken())
		}, counts: []string{`fills_ended_total{outcome="aborted"} 1`}, logged: "cache: closed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := metrics.New("1.0.0", "0123456")
				var log bytes.Buffer
				store := &faultyStore{Store: cache.NewMem(), fault: tt.fault}
				store.broken.Store(true)
				b := cache.NewBlobs(cache.BlobsConfig{Store: store, Metrics: m, Log: slog.New(slog.NewTextHandler(&log, nil))})

				src := &source{data: randomBytes(1, 10*kb)}
				src.open = func(_ context.Context, r request, n int) (*cache.Stream, error) {
					if (n == 1 || tt.always) && tt.first != nil {
						return tt.first(src), nil
					}
					return src.whole(r.Offset), nil
				}
				if tt.legacy {
					src.expect = func(context.Context) (cache.Expectation, error) { return cache.Expectation{}, nil }
				}
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if tt.leave > 0 {
					ctx, cancel = context.WithTimeout(ctx, tt.leave)
				}
				defer cancel()
				if blob, err := b.Get(ctx, blobKey, src); err == nil {
					blob.Close()
				}
				end, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.abort {
					cancel()
				}
				_ = b.Close(end)

				page := httptest.NewRecorder()
				m.Handler().ServeHTTP(page, httptest.NewRequest("GET", "/", nil))
				var counted []string
				for line := range strings.Lines(page.Body.String()) {
					line = strings.TrimPrefix(strings.TrimSpace(line), "larder_")
					for _, name := range []string{"fills_ended_total", "fills_resumed_total", "integrity_failures_total", "store_errors_total"} {
						if strings.HasPrefix(line, name) && !strings.HasSuffix(line, " 0") {
							counted = append(counted, line)
						}
					}
				}
				if diff := cmp.Diff(tt.counts, counted); diff != "" {
					t.Errorf("counters (-want +got):\n%s", diff)
				}
				if got := strings.Contains(page.Body.String(), "larder_fills_in_flight 0\n"); !got {
					t.Error("a fill is still counted as running")
				}
				if !strings.Contains(log.String(), tt.logged) || tt.logged == "" && log.Len() > 0 {
					t.Errorf("the log wants %q, says:\n%s", tt.logged, log.String())
				}
			})
		})
	}
}

// sleeper is at its end after a time.
type sleeper time.Duration

func (s sleeper) Read([]byte) (int, error) {
	time.Sleep(time.Duration(s))
	return 0, io.EOF
}
