package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/test/rig"
)

const (
	rotStock      = 25 // packages, each of two versions
	longRotStock  = 50
	rotRounds     = 4
	longRotRounds = 200
	rotClients    = 8
	scrubLimit    = 20 * time.Second
)

// rots are the ways in which a file changes behind the back of a server.
var rots = []struct {
	name string
	rot  func(dice *rand.Rand, data []byte) []byte
}{
	{"a bit", func(dice *rand.Rand, data []byte) []byte {
		data[dice.IntN(len(data))] ^= 1 << dice.IntN(8)
		return data
	}},
	{"zeroes", func(_ *rand.Rand, data []byte) []byte { return make([]byte, len(data)) }},
	{"cut", func(dice *rand.Rand, data []byte) []byte { return data[:dice.IntN(len(data))] }},
	{"longer", func(_ *rand.Rand, data []byte) []byte { return append(data, 'x') }},
}

// rotten is a warm Larder whose disk is about to rot, and what it must answer
// all the same: each path, in the form that the header asks for.
type rotten struct {
	*rig.Rig
	dice *rand.Rand
	want map[[2]string][]byte // by path and Accept
}

func newRotten(t *testing.T, settings ...string) *rotten {
	t.Helper()
	r := &rotten{Rig: rig.New(t, rig.Config{Settings: settings}), dice: rand.New(rand.NewPCG(rig.Seed(t), 0)), want: make(map[[2]string][]byte)}
	packages := rotStock
	if rig.Long {
		packages = longRotStock
	}
	for _, g := range newStock(t, r.Rig, "rot", packages) {
		for version, tgz := range g.tarballs {
			r.want[[2]string{g.tarballPath(version), rig.Full}] = tgz
		}
		for _, form := range []string{rig.Full, rig.Abbreviated} {
			resp, body, err := r.Fetch(t.Context(), r.Base+g.name, "Accept", form)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %v, %v", g.name, resp, err)
			}
			r.want[[2]string{g.name, form}] = body
		}
	}
	r.ask(t, "cold")
	return r
}

// same reports whether an answer is the one that is wanted. An abbreviated
// document may be upstream's or made of the full one: what is installed by must
// be the same.
func same(got, want []byte, form string) bool {
	if form == rig.Full || bytes.Equal(got, want) {
		return bytes.Equal(got, want)
	}
	type document struct {
		Name     string            `json:"name"`
		Tags     map[string]string `json:"dist-tags"`
		Versions map[string]struct {
			Name, Version string
			Dependencies  map[string]string
			Dist          struct{ Tarball, Integrity, Shasum string }
		} `json:"versions"`
	}
	var a, b document
	if json.Unmarshal(got, &a) != nil || json.Unmarshal(want, &b) != nil {
		return false
	}
	return reflect.DeepEqual(a, b)
}

// ask asks for everything, and wants all of it right.
func (r *rotten) ask(t *testing.T, when string) {
	t.Helper()
	paths := make(chan [2]string)
	var wg sync.WaitGroup
	for range rotClients {
		wg.Go(func() {
			for path := range paths {
				resp, body, err := r.Fetch(t.Context(), r.Base+path[0], "Accept", path[1])
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Errorf("%s: %s: %v, %v %.200s", when, path[0], err, resp, body)
				} else if !same(body, r.want[path], path[1]) {
					t.Errorf("%s: %s: %d wrong bytes", when, path[0], len(body))
				}
			}
		})
	}
	for path := range r.want {
		paths <- path
	}
	close(paths)
	wg.Wait()
}

// rot changes a share of the cache's files, or of those whose names begin with a
// prefix without their sidecars, and returns how many. As on a rotting disk, their times stay, unless touched.
func (r *rotten) rot(t *testing.T, how func(*rand.Rand, []byte) []byte, prefix string, share float64, touched bool) (n int) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(r.Data, "cache", "v1", "objects"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasPrefix(d.Name(), prefix) || strings.HasPrefix(d.Name(), "rotten-") || prefix != "" && strings.HasSuffix(d.Name(), ".meta") || r.dice.Float64() >= share {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil || len(data) == 0 {
			return err
		}
		n++
		if err := os.WriteFile(path, how(r.dice, data), 0o640); err != nil || touched {
			return err
		}
		return os.Chtimes(path, time.Time{}, fi.ModTime())
	})
	if err != nil || n == 0 {
		t.Fatalf("%d files rotted: %v", n, err)
	}
	return n
}

// TestRot lets the cache rot, each file or half of them, while Larder runs or
// between two starts: nobody notices.
func TestRot(t *testing.T) {
	r := newRotten(t, "LARDER_CACHE_SCRUB_RATE=0", "LARDER_CACHE_FRESH_FOR=1h")
	rounds := rotRounds
	if rig.Long {
		rounds = longRotRounds
	}
	for round := range rounds {
		way := rots[round%len(rots)]
		share := []float64{1, 0.5}[round%2]
		running := round%3 == 1
		when := fmt.Sprintf("round %d, %s, running %v", round, way.name, running)
		if !running {
			r.Stop(t)
		}
		n := r.rot(t, way.rot, "", share, running)
		if !running {
			r.Start(t)
		}
		r.ask(t, when)
		r.ask(t, when+", again")
		if found := r.Metric(t, `larder_rotten_files_total{store="cache",where="read"}`); found == 0 {
			t.Errorf("%s: %d files rotted and none was counted", when, n)
		}
	}
	r.verified(t)
}

// verified runs larder cache verify beside the server, which has seen to it
// that everything is right, or will find it wrong.
func (r *rotten) verified(t *testing.T) {
	t.Helper()
	verify := func() error {
		cmd := exec.CommandContext(t.Context(), rig.Tested(t), "cache", "verify", "--data", r.Data)
		cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return err
	}
	// What nobody has asked for since it rotted is found now, and not again.
	_ = verify()
	if err := verify(); err != nil {
		t.Errorf("verify: %v", err)
	}
	r.ask(t, "after a verification")
}

// TestRotWithUpstreamAway: what is rotten is refused, the rest is served.
func TestRotWithUpstreamAway(t *testing.T) {
	r := newRotten(t, "LARDER_CACHE_SCRUB_RATE=0", "LARDER_CACHE_FRESH_FOR=1h")
	r.Stop(t)
	bad := r.rot(t, rots[0].rot, "blob-", 0.3, false)
	r.Upstream.Stop()
	r.Start(t)
	refused := 0
	for path, want := range r.want {
		resp, body, err := r.Fetch(t.Context(), r.Base+path[0], "Accept", path[1])
		switch {
		case err != nil:
			t.Errorf("%s: %v", path[0], err)
		case resp.StatusCode == http.StatusServiceUnavailable && strings.HasSuffix(path[0], ".tgz"):
			refused++
		case resp.StatusCode != http.StatusOK || !same(body, want, path[1]):
			t.Errorf("%s: %s with %d bytes", path[0], resp.Status, len(body))
		}
	}
	if refused == 0 || refused > bad {
		t.Errorf("%d tarballs were refused, %d files are rotten", refused, bad)
	}
	if err := r.Upstream.Start(); err != nil {
		t.Fatal(err)
	}
	r.Restart(t) // or it would spare upstream for some seconds more
	r.ask(t, "upstream is back")
}

// TestScrub: the scrub finds what nobody asks for and fetches it again, so that
// it is there when upstream is not; and it goes on where it was.
func TestScrub(t *testing.T) {
	r := newRotten(t, "LARDER_CACHE_SCRUB_RATE=0", "LARDER_CACHE_FRESH_FOR=1h")
	r.Stop(t)
	blobs := r.rot(t, rots[0].rot, "blob-", 0.2, false)
	r.Configure([]string{"LARDER_CACHE_SCRUB_RATE=2MB", "LARDER_CACHE_FRESH_FOR=1h"}, nil)
	r.Start(t)
	const scrubbed = `larder_scrubbed_files_total{store="cache"}`
	if !rig.Eventually(t, scrubLimit, func() bool { return r.Metric(t, scrubbed) > 20 }) {
		t.Fatal("nothing is scrubbed")
	}
	before := r.Metric(t, scrubbed)
	first := r.Larder
	r.Stop(t)
	r.Configure([]string{"LARDER_CACHE_SCRUB_RATE=500MB", "LARDER_CACHE_FRESH_FOR=1h"}, nil)
	r.Start(t)
	const passed = `larder_scrub_last_pass_timestamp_seconds{store="cache"}`
	if !rig.Eventually(t, scrubLimit, func() bool { return r.Metric(t, passed) > 0 }) {
		t.Fatal("the pass does not end")
	}
	after := r.Metric(t, scrubbed)
	found := func(l *rig.Larder) int { return strings.Count(l.Log(), "a blob has rotted on disk") }
	if n, m := found(first), found(r.Larder); n+m != blobs {
		t.Errorf("%d and %d rotten files were found of %d", n, m, blobs)
	}
	if files := r.files(t); before+after > files+files/4 {
		t.Errorf("%d and %d files were read of %d: it did not go on where it was", before, after, files)
	}
	r.Upstream.Stop()
	r.ask(t, "upstream away after a scrub")
}

// files counts what lies in the cache.
func (r *rotten) files(t *testing.T) (n int) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(r.Data, "cache", "v1", "objects"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
