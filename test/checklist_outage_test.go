package test

import (
	"bytes"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/test/registry"
)

// alwaysStale are the settings of a Larder that asks upstream again on each
// request.
var alwaysStale = []string{"LARDER_CACHE_FRESH_FOR=1ms", "LARDER_CACHE_STALE_WHILE_REVALIDATE=1ms"}

// unavailable are the statuses that tell a client to come again. A 404 would
// end up in a lockfile.
var unavailable = []int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}

func TestChecklist16_UnknownPackage(t *testing.T) {
	p := newPair(t)
	for range 2 { // npm asks a second time, for the full form
		p.get(t, "/nobody-has-this", corgi).wantRefusal(t, http.StatusNotFound)
		p.get(t, "/nobody-has-this").wantRefusal(t, http.StatusNotFound)
		p.get(t, "/nobody-has-this/-/nobody-has-this-1.0.0.tgz").wantRefusal(t, http.StatusNotFound)
	}
	p.wantRequests(t, "/nobody-has-this", 1)

	p.add(t, registry.Package{Name: "nobody-has-this", Version: "1.0.0"})
	p.ok(t, "/nobody-has-this", "Cache-Control: no-cache")
	p.ok(t, "/nobody-has-this/-/nobody-has-this-1.0.0.tgz")
}

// away are the ways for an upstream to be of no use. None of them tells
// whether a package exists.
func away() map[string]func(*registry.Server) {
	always := func(f registry.Fault) func(*registry.Server) {
		return func(s *registry.Server) { s.SetFault("*", f) }
	}
	return map[string]func(*registry.Server){
		"refuses connections": (*registry.Server).Stop,
		"resets":              always(registry.Fault{Reset: true}),
		"500":                 always(registry.Fault{Status: http.StatusInternalServerError}),
		"429":                 always(registry.Fault{Status: http.StatusTooManyRequests}),
		"401":                 always(registry.Fault{Status: http.StatusUnauthorized}),
		"captive portal":      always(registry.HTML()),
		"bad JSON":            always(registry.BadJSON()),
		"breaks off":          always(registry.Fault{Truncate: 20}),
	}
}

func TestChecklist18_OutageIsNotAbsence(t *testing.T) {
	for name, fail := range away() {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			fail(p.registry)
			for _, path := range []string{
				"/is-odd", "/@types%2fms", "/is-odd/latest", "/is-odd/-/is-odd-3.0.1.tgz", "/-/package/is-odd/dist-tags",
			} {
				r := p.get(t, path, corgi)
				if err := r.refusal(unavailable...); err != nil {
					t.Errorf("%s: %v", path, err)
				}
				if r.status == http.StatusServiceUnavailable && r.header.Get("Retry-After") == "" {
					t.Errorf("%s: 503 without Retry-After", path)
				}
			}
		})
	}
	t.Run("offline", func(t *testing.T) {
		p := newPair(t, "LARDER_OFFLINE=true")
		p.get(t, "/is-odd").wantRefusal(t, unavailable...)
		p.get(t, "/is-odd/-/is-odd-3.0.1.tgz").wantRefusal(t, unavailable...)
		p.wantRequests(t, "*", 0)
	})
}

func TestChecklist19_ExpiredPackumentOutlivesUpstream(t *testing.T) {
	ways := away()
	delete(ways, "breaks off") // a 304 has nothing to break off
	ways["404"] = func(s *registry.Server) { s.Remove("is-odd") }
	ways["403"] = func(s *registry.Server) { s.SetFault("*", registry.Fault{Status: http.StatusForbidden}) }
	for name, fail := range ways {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, alwaysStale...)
			forms := []string{"Accept: application/json", corgi}
			var want [][]byte
			for _, accept := range forms {
				want = append(want, p.ok(t, "/is-odd", accept).body)
			}
			fail(p.registry)
			for range 3 {
				for i, accept := range forms {
					r := p.ok(t, "/is-odd", accept)
					r.wantCache(t, "stale")
					if !bytes.Equal(r.body, want[i]) {
						t.Errorf("%s: another body: %.200s", accept, r.body)
					}
				}
			}
			p.ok(t, "/is-odd", "Cache-Control: no-cache").wantCache(t, "stale")
		})
	}
}

func TestChecklist20_TarballOutlivesUpstream(t *testing.T) {
	p := newPair(t, alwaysStale...)
	want := p.original(t, "/is-odd/-/is-odd-3.0.1.tgz").body
	p.ok(t, "/is-odd/-/is-odd-3.0.1.tgz") // without its packument
	p.registry.Stop()
	r := p.ok(t, "/is-odd/-/is-odd-3.0.1.tgz")
	r.wantCache(t, "hit")
	if !bytes.Equal(r.body, want) {
		t.Error("other bytes")
	}
}

func TestChecklist21_SlowUpstreamDelaysNoCachedPackument(t *testing.T) {
	for name, fault := range map[string]registry.Fault{
		"no answer":         {Hang: true},
		"a byte per second": {Rate: 1}, // for ever, as far as clients are concerned
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, alwaysStale...)
			want := p.ok(t, "/is-odd").body
			if err := p.registry.Deprecate("is-odd", "3.0.1", "so that a 304 will not do"); err != nil {
				t.Fatal(err)
			}
			p.registry.SetFault("*", fault)
			// The copy is due after 3 s; the bounds on upstream alone would make it 20.
			p.client.Timeout = 15 * time.Second
			for range 2 {
				r := p.ok(t, "/is-odd")
				r.wantCache(t, "stale")
				if !bytes.Equal(r.body, want) {
					t.Error("another body")
				}
			}
		})
	}
}

func TestChecklist22_OneRequestForAColdPackument(t *testing.T) {
	p := newPair(t)
	want := bytes.ReplaceAll(p.original(t, "/is-number").body, []byte(p.registry.URL()), []byte(p.url()+"/"))
	p.together(t, 50, "/is-number", want)
	p.wantRequests(t, "*", 1)
}

func TestChecklist23_OneTransferForAColdTarball(t *testing.T) {
	p := newPair(t)
	p.add(t, blob("big", large))
	p.together(t, 50, blobPath("big"), p.original(t, blobPath("big")).body)
	p.wantRequests(t, blobPath("big"), 1)
}

// together asks n times at once for path. All must get want.
func (p *pair) together(t *testing.T, n int, path string, want []byte) {
	t.Helper()
	p.registry.SetFault("*", registry.Fault{Latency: 300 * time.Millisecond}) // so that they meet
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			r, err := p.ask(http.MethodGet, path)
			if err != nil || r.status != http.StatusOK || !bytes.Equal(r.body, want) {
				t.Errorf("%s: %d with %d bytes, %v; want %d bytes", path, r.status, len(r.body), err, len(want))
			}
		})
	}
	all.Wait()
}

func TestChecklist24_25_WrongBytesNeverComplete(t *testing.T) {
	const unfinished = 0 // no status: the answer begins, and breaks off, unless the machine is slow enough for a clean 502
	tests := []struct {
		name   string
		size   int
		fault  registry.Fault
		status int // of the first answer
	}{
		{"little-corrupt", small, registry.Fault{Corrupt: true}, http.StatusBadGateway},
		{"little-corrupt-in-chunks", small, registry.Fault{Corrupt: true, NoLength: true}, http.StatusBadGateway},
		{"little-cut", small, registry.Fault{Truncate: 4 << 10, NoRange: true}, http.StatusServiceUnavailable},
		{"little-cut-cleanly", small, registry.Fault{Truncate: 4 << 10, NoLength: true, NoRange: true}, http.StatusBadGateway},
		{"little-other", small, registry.Fault{Body: "no tarball"}, http.StatusBadGateway},
		{"big-corrupt", large, registry.Fault{Corrupt: true}, unfinished},
		{"big-corrupt-in-chunks", large, registry.Fault{Corrupt: true, NoLength: true}, http.StatusBadGateway}, // held for its length
		{"big-cut", large, registry.Fault{Truncate: 200 << 10, NoRange: true}, unfinished},
		{"big-cut-cleanly", large, registry.Fault{Truncate: 200 << 10, NoLength: true, NoRange: true}, http.StatusBadGateway},
		{"big-other", large, registry.Fault{Body: strings.Repeat("no tarball ", 30<<10)}, unfinished},
	}
	p := newPair(t)
	for _, tt := range tests {
		p.add(t, blob(tt.name, tt.size))
		p.registry.SetFault(blobPath(tt.name), tt.fault)
	}
	for _, tt := range tests {
		r, err := p.ask(http.MethodGet, blobPath(tt.name))
		switch {
		case tt.status == unfinished && err != nil:
		case tt.status == unfinished:
			// The fill had failed before its first bytes were looked at.
			if err := r.refusal(http.StatusBadGateway); err != nil {
				t.Errorf("%s: complete: %v", tt.name, err)
			}
		case err != nil:
			t.Errorf("%s: %v, instead of a %d", tt.name, err, tt.status)
		default:
			if err := r.refusal(tt.status); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
	}

	p.registry.ClearFaults()
	server := p.larder
	p.stop(t) // what was wrong is remembered for a minute
	p.start(t)
	for _, tt := range tests {
		if !regexp.MustCompile(`level=(INFO|WARN|ERROR) .*` + blobPath(tt.name) + ` .*error=.`).MatchString(server.Log()) {
			t.Errorf("%s: nothing in the log", tt.name)
		}
		want := p.original(t, blobPath(tt.name)).body
		r := p.ok(t, blobPath(tt.name))
		if got := r.header.Get("X-Larder-Cache"); got != "miss" || !bytes.Equal(r.body, want) {
			t.Errorf("%s: afterwards a %s, with %d bytes of %d", tt.name, got, len(r.body), len(want))
		}
	}
}

func TestChecklist24_ABreakIsMended(t *testing.T) {
	p := newPair(t)
	p.add(t, blob("big", large))
	want := p.original(t, blobPath("big")).body
	p.registry.SetFault(blobPath("big"), registry.Fault{Truncate: 200 << 10, Times: 1})
	if r := p.ok(t, blobPath("big")); !bytes.Equal(r.body, want) {
		t.Error("other bytes")
	}
	p.wantRequests(t, blobPath("big"), 2)
	if got := p.registry.Count(blobPath("big")).Header.Get("Range"); got == "" {
		t.Error("the second request was for all of it")
	}
}

func TestChecklist25_WrongBytesAreRemembered(t *testing.T) {
	p := newPair(t)
	p.registry.SetFault("/is-odd/-/*", registry.Fault{Corrupt: true})
	p.get(t, "/is-odd/-/is-odd-3.0.1.tgz").wantRefusal(t, http.StatusBadGateway)
	asked := p.registry.Requests("/is-odd/-/*")
	for range 5 { // npm asks six times
		p.get(t, "/is-odd/-/is-odd-3.0.1.tgz").wantRefusal(t, http.StatusBadGateway)
	}
	p.wantRequests(t, "/is-odd/-/*", asked)
}
