package faults

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"larder/test/registry"
	"larder/test/rig"
)

const (
	// stalledClients ask and never read, longStalledClients at full length.
	stalledClients     = 100
	longStalledClients = 500
	// stalledMemory bounds, in bytes, by how much they may make Larder grow: some
	// 60 KB each for what unpacks on the way, and 16 encoders of zstd.
	stalledMemory = 120 << 20
)

// stall opens n connections that ask for path and read nothing, and waits until
// Larder is busy with all of them. What it returns closes them.
func stall(t *testing.T, r *rig.Rig, n int, path, encoding string) (leave func()) {
	t.Helper()
	host := strings.TrimSuffix(strings.TrimPrefix(r.Base, "http://"), "/")
	var conns []net.Conn
	leave = func() {
		for _, c := range conns {
			c.Close()
		}
		conns = nil
		if !rig.Eventually(t, time.Minute, func() bool { return r.Metric(t, "larder_requests_in_flight") <= 1 }) {
			t.Errorf("%d requests are still being answered", r.Metric(t, "larder_requests_in_flight"))
		}
	}
	t.Cleanup(func() {
		for _, c := range conns {
			c.Close()
		}
	})
	for range n {
		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		if _, err := fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: %s\r\nAccept: %s\r\nAccept-Encoding: %s\r\n\r\n", path, host, rig.Full, encoding); err != nil {
			t.Fatal(err)
		}
	}
	if !rig.Eventually(t, time.Minute, func() bool { return r.Metric(t, "larder_requests_in_flight") > n }) { // and ours
		t.Errorf("%d requests are being answered, want %d", r.Metric(t, "larder_requests_in_flight"), n+1)
	}
	return leave
}

// resident is the memory of Larder's process.
func resident(t *testing.T, r *rig.Rig) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.Larder.PID()))
	if err != nil {
		t.Skip("only Linux tells a process's memory")
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("there is no VmRSS in the process's status")
	return 0
}

// TestStalledReaders has hundreds of clients that ask for something big and read
// nothing of it. They pin little memory, whatever the encoding, and nobody else
// waits for them, least of all the download that they share.
func TestStalledReaders(t *testing.T) {
	if testing.Short() {
		t.Skip("it opens hundreds of connections")
	}
	clients := stalledClients
	if rig.Long {
		clients = longStalledClients
	}
	r := rig.New(t, rig.Config{Binary: rig.Plain(t)})
	// More than the sockets of both sides hold, in any encoding.
	letters := make([]byte, 4<<20)
	rand.NewChaCha8([32]byte{}).Read(letters)
	r.Add(t, registry.Package{Name: "big-pkg", Version: "1.0.0",
		Manifest: fmt.Sprintf(`{"name":"big-pkg","version":"1.0.0","description":%q}`, base64.StdEncoding.EncodeToString(letters))})
	r.Add(t, registry.Package{Name: "heavy-pkg", Version: "1.0.0", Filler: 6 << 20})
	g := &goods{name: "heavy-pkg"}
	g.learn(t, r)
	fetch := func(path string, header ...string) (result string, size int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		resp, body, err := r.Fetch(ctx, r.Base+path, header...)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("GET %s beside clients that read nothing: %v, %v", path, resp, err)
		}
		return resp.Header.Get("X-Larder-Cache"), len(body)
	}
	fetch("big-pkg", "Accept", rig.Full)
	for _, encoding := range []string{"gzip", "identity", "zstd;q=1, gzip;q=0.5"} {
		before := resident(t, r)
		leave := stall(t, r, clients, "big-pkg", encoding)
		_, whole := fetch("big-pkg", "Accept", rig.Full, "Accept-Encoding", "identity")
		grown := resident(t, r) - before
		t.Logf("%d clients that do not take a packument of %d MB in %s: %d MB", clients, whole>>20, encoding, grown>>20)
		if grown > stalledMemory {
			t.Errorf("%s: it grew by %d MB, want at most %d", encoding, grown>>20, stalledMemory>>20)
		}
		leave()
	}

	r.Upstream.SetFault("*.tgz", registry.Fault{Rate: 2 << 20})
	before := resident(t, r)
	leave := stall(t, r, clients, g.tarballPath("1.0.0"), "identity")
	result, size := fetch(g.tarballPath("1.0.0"))
	grown := resident(t, r) - before
	t.Logf("%d clients that do not take a tarball while it is fetched: %d MB", clients, grown>>20)
	if size != len(g.tarballs["1.0.0"]) || result != "miss" {
		t.Errorf("beside them: %d bytes, %s", size, result)
	}
	if grown > stalledMemory {
		t.Errorf("it grew by %d MB, want at most %d", grown>>20, stalledMemory>>20)
	}
	leave()
	if n := r.Upstream.Count(g.tarballPath("1.0.0")).Started; n > 2 { // ours was one
		t.Errorf("upstream was asked %d times", n)
	}
	mustStore(t, r, g.at("1.0.0"))
}

// at is g with another latest version.
func (g *goods) at(version string) *goods {
	h := *g
	h.latest = version
	return &h
}

// fewDescriptors is a binary that may have no more than n files open.
func fewDescriptors(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "larder")
	script := fmt.Sprintf("#!/bin/sh\nulimit -n %d\nexec %s \"$@\"\n", n, rig.Tested(t))
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFewDescriptors puts more load on Larder than it may have files open for.
// Requests wait, or at worst are told to come again; none is answered wrongly,
// and when it is over all is as it was.
func TestFewDescriptors(t *testing.T) {
	if testing.Short() {
		t.Skip("it puts load on a server")
	}
	r := rig.New(t, rig.Config{Binary: fewDescriptors(t, 64), Settings: diskSettings()})
	if !strings.Contains(r.Larder.Log(), "few files may be open at once") {
		t.Error("the log does not say that the limit is low")
	}
	stock := steady(t, r, "d", 3)
	var clients sync.WaitGroup
	var again, asked atomic.Int64
	for n := range 80 { // eight times what it has places for
		clients.Go(func() {
			for i := range stock {
				for _, q := range everything(r, stock[(i+n)%len(stock)]) {
					asked.Add(1)
					if err := persist(r, q, &again); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	clients.Wait()
	t.Logf("%d requests, of which %d were told to come again", asked.Load(), again.Load())
	if bounded := r.Metric(t, "larder_connections_bounded_total"); bounded == 0 {
		t.Error("no connection had to wait: the load was too little to show anything")
	}
	if again.Load() > asked.Load()/20 {
		t.Errorf("%d of %d requests were told to come again", again.Load(), asked.Load())
	}
	allRight(t, r, stock, "when the load is over")
	mustStore(t, r, stock[0])
	if log := r.Larder.Log(); strings.Contains(log, "panic") || strings.Contains(log, "level=ERROR") {
		t.Errorf("larder complained:\n%s", rig.Tail(log, 50))
	}
}

// persist is insist without a pause: nobody has gone away.
func persist(r *rig.Rig, q request, again *atomic.Int64) error {
	for try := 0; ; try++ {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		outcome, err := q.send(ctx, r, false)
		cancel()
		switch {
		case outcome == "right":
			return nil
		case errors.Is(err, errWrong), outcome == "no patience", try == 10:
			return fmt.Errorf("%s %s: %s after %d tries, %v", q.what, q.path, outcome, try+1, err)
		}
		again.Add(1)
		time.Sleep(50 * time.Millisecond)
	}
}
