package test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"larder/test/registry"
	"larder/test/rig"
)

const (
	storm = 500 // clients that want the same thing at once
	// stormTarball is the size of a tarball, in bytes; longStormTarball at full
	// length.
	stormTarball     = 3 << 20
	longStormTarball = 10 << 20

	slowKeys  = 40 // below the 64 that Larder asks of an upstream at once
	otherKeys = 200
	// otherLimit is far above what otherKeys need, and far below the half minute
	// of silence after which Larder gives a body up.
	otherLimit = 15 * time.Second
)

// TestStorm lets hundreds of clients want one cold thing at once.
func TestStorm(t *testing.T) {
	if testing.Short() {
		t.Skip("it moves gigabytes")
	}
	r := rig.New(t, rig.Config{})
	if err := r.Upstream.Big("storm-full", 50, 2<<20); err != nil {
		t.Fatal(err)
	}
	if err := r.Upstream.Big("storm-short", 50, 2<<20); err != nil {
		t.Fatal(err)
	}
	size := stormTarball
	if rig.Long {
		size = longStormTarball
	}
	if err := r.Upstream.Add(registry.Package{Name: "storm-tgz", Version: "1.0.0", Filler: size}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		path   string
		accept string
		fault  registry.Fault // only slows: the storm is to come while upstream still answers
		asked  map[string]int // upstream, by path
	}{
		{
			name:   "full packument",
			path:   "storm-full",
			accept: rig.Full,
			fault:  registry.Fault{Latency: time.Second},
			asked:  map[string]int{"/storm-full": 1},
		},
		{
			name:   "abbreviated packument",
			path:   "storm-short",
			accept: rig.Abbreviated,
			fault:  registry.Fault{Latency: time.Second},
			asked:  map[string]int{"/storm-short": 1},
		},
		{
			name:  "tarball",
			path:  "storm-tgz/-/storm-tgz-1.0.0.tgz",
			fault: registry.Fault{Rate: 2 << 20},
			// The version's document has the hash.
			asked: map[string]int{"/storm-tgz/-/storm-tgz-1.0.0.tgz": 1, "/storm-tgz/1.0.0": 1},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := r.Published(t, tt.path, "Accept", tt.accept)
			want = bytes.ReplaceAll(want, []byte(r.Source), []byte(r.Base)) // a tarball does not hold it
			r.Upstream.SetFault("/"+tt.path, tt.fault)
			r.Upstream.ResetCounts()

			sums := make([]string, storm)
			start := make(chan struct{})
			var clients sync.WaitGroup
			for i := range storm {
				clients.Go(func() {
					<-start
					var err error
					if sums[i], err = sum(t.Context(), r, tt.path, tt.accept); err != nil {
						t.Error(err)
					}
				})
			}
			close(start)
			clients.Wait()

			// One more has its answer looked at; the others have the same bytes.
			resp, got, err := r.Fetch(t.Context(), r.Base+tt.path, "Accept", tt.accept)
			if err != nil || resp.StatusCode != http.StatusOK || !bytes.Equal(got, want) {
				t.Fatalf("GET %s: %v, %v, %d bytes, want %d", tt.path, resp, err, len(got), len(want))
			}
			sum, err := sum(t.Context(), r, tt.path, tt.accept)
			if err != nil {
				t.Fatal(err)
			}
			for i := range sums {
				if sums[i] != sum {
					t.Errorf("client %d got other bytes", i)
				}
			}
			for path, n := range tt.asked {
				if got := r.Upstream.Requests(path); got != n {
					t.Errorf("%d clients made %d requests for %s upstream, want %d", storm, got, path, n)
				}
			}
			if got := r.Upstream.Total(); got != len(tt.asked) {
				t.Errorf("upstream was asked %d times, want %d: %v", got, len(tt.asked), r.Upstream.Paths())
			}
		})
	}
}

// sum returns the hash of a body as Larder sends it: unpacking hundreds of them
// would take longer than the storm.
func sum(ctx context.Context, r *rig.Rig, path, accept string) (string, error) {
	resp, err := r.Open(ctx, http.MethodGet, r.Base+path, "Accept", accept, "Accept-Encoding", "gzip")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	h := sha256.New()
	if _, err := io.Copy(h, resp.Body); err != nil {
		return "", fmt.Errorf("GET %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// TestSlowKeysDelayNoOther has upstream fall silent in the middle of some
// answers, fewer than Larder asks for at once.
func TestSlowKeysDelayNoOther(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs the built binary")
	}
	tests := []struct {
		name string
		path func(pkg string) string
	}{
		{"packuments", func(pkg string) string { return pkg }},
		{"tarballs", func(pkg string) string { return pkg + "/-/" + pkg + "-1.0.0.tgz" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := rig.New(t, rig.Config{})
			for i := range slowKeys {
				r.Add(t, registry.Package{Name: fmt.Sprintf("slow-%d", i), Version: "1.0.0"})
			}
			for i := range otherKeys {
				r.Add(t, registry.Package{Name: fmt.Sprintf("other-%d", i), Version: "1.0.0"})
			}
			r.Upstream.SetFault("/"+tt.path("slow-*"), registry.Fault{HangAfter: 1})

			ctx, hangUp := context.WithCancel(t.Context())
			var slow, others sync.WaitGroup
			defer slow.Wait()
			defer hangUp()
			for i := range slowKeys {
				slow.Go(func() {
					if _, _, err := r.Fetch(ctx, r.Base+tt.path(fmt.Sprintf("slow-%d", i))); ctx.Err() == nil {
						t.Errorf("a slow key was answered early: %v", err)
					}
				})
			}
			if !rig.Eventually(t, otherLimit, func() bool { return r.Upstream.Requests("/"+tt.path("slow-*")) == slowKeys }) {
				t.Fatalf("of %d slow keys %d reached upstream", slowKeys, r.Upstream.Requests("/"+tt.path("slow-*")))
			}

			inTime, cancel := context.WithTimeout(t.Context(), otherLimit)
			defer cancel()
			for i := range otherKeys {
				others.Go(func() {
					path := tt.path(fmt.Sprintf("other-%d", i))
					resp, _, err := r.Fetch(inTime, r.Base+path)
					if err != nil {
						t.Error(err)
					} else if resp.StatusCode != http.StatusOK {
						t.Errorf("GET %s: %s", path, resp.Status)
					}
				})
			}
			others.Wait()
		})
	}
}
