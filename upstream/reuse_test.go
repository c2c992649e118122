package upstream

import (
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"larder/npm"
)

// newSecureFake is newFake for a registry that speaks TLS, with or without
// HTTP/2. use makes a Config ask it, by way of address unless that is empty.
func newSecureFake(t *testing.T, http2 bool) (f *fake, use func(address string) func(*Config)) {
	t.Helper()
	f = unstartedFake()
	f.EnableHTTP2 = http2
	f.StartTLS()
	t.Cleanup(f.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return f, func(address string) func(*Config) {
		return func(c *Config) {
			c.CAFile = ca
			u := parseURL(t, f.URL)
			if address != "" {
				u.Host = address
			}
			c.URLs = nil
			c.URLs = append(c.URLs, u)
		}
	}
}

// package i of a fake that has many.
func pkg(i int) string { return fmt.Sprintf("p%d", i) }

func (f *fake) serveMany(n int) {
	for i := range n {
		f.handle("/"+pkg(i), docServer(npm.FullType, always(fullDoc(pkg(i), "2020-01-01T00:00:00.000Z", "1.0.0"))))
	}
}

// fetchAll gets packages from up to below to, all at once.
func (g *rig) fetchAll(t *testing.T, from, to int) {
	t.Helper()
	var all sync.WaitGroup
	for i := from; i < to; i++ {
		all.Go(func() {
			if _, err := g.Packument(t.Context(), pkg(i), npm.Full, false); err != nil {
				t.Errorf("%s: %v", pkg(i), err)
			}
		})
	}
	all.Wait()
}

// TestConnectionsToUpstreamAreReused: after the first wave of requests there are
// as many as ever needed, and with HTTP/2 that is one.
func TestConnectionsToUpstreamAreReused(t *testing.T) {
	const row, wave = 20, 64
	for proto, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(proto, func(t *testing.T) {
			f, use := newSecureFake(t, http2)
			f.serveMany(row + 3*wave)
			g := newRig(t, use(""))
			for i := range row {
				g.fetchAll(t, i, i+1)
			}
			if n := f.opened(); n != 1 {
				t.Errorf("%d requests in a row took %d connections", row, n)
			}
			for i := range 3 {
				g.fetchAll(t, row+i*wave, row+(i+1)*wave)
			}
			most := wave
			if http2 {
				most = 1
			}
			if n := f.opened(); n > most {
				t.Errorf("three waves of %d requests took %d connections, want %d at most", wave, n, most)
			}
			if got := f.last(t, "").Proto; got != proto {
				t.Errorf("%s was spoken", got)
			}
		})
	}
}

// TestColdWaveOverHTTP2: who comes before the first connection is there may dial
// on their own, and all are answered; nobody dials any more after that.
func TestColdWaveOverHTTP2(t *testing.T) {
	const wave = 64
	f, use := newSecureFake(t, true)
	f.serveMany(2 * wave)
	g := newRig(t, use(""))
	g.fetchAll(t, 0, wave)
	g.fetchAll(t, wave, wave+1) // of the dials that were not needed, none is under way
	before := f.opened()
	g.fetchAll(t, wave, 2*wave)
	t.Logf("the cold wave opened %d connections", before)
	if n := f.opened(); n > before {
		t.Errorf("a warm wave opened %d connections", n-before)
	}
}

// TestGoAwayInTheMiddle: an upstream that restarts ends its connection, answers
// what it was asked on it, and is asked the rest on another one.
func TestGoAwayInTheMiddle(t *testing.T) {
	const wave = 20
	f, use := newSecureFake(t, true)
	f.serveMany(3 * wave)
	entered, release := make(chan struct{}, wave), make(chan struct{})
	for i := range wave {
		plain := docServer(npm.FullType, always(fullDoc(pkg(i), "2020-01-01T00:00:00.000Z", "1.0.0")))
		f.handle("/"+pkg(i), func(w http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			<-release
			plain(w, r)
		})
	}
	last := docServer(npm.FullType, always(fullDoc("last", "2020-01-01T00:00:00.000Z", "1.0.0")))
	f.handle("/last", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // which net/http says as GOAWAY
		last(w, r)
	})
	g := newRig(t, use(""), func(c *Config) { c.RetryBudget = time.Minute })
	g.fetchAll(t, 2*wave, 2*wave+1) // opens the connection
	var held sync.WaitGroup
	held.Go(func() { g.fetchAll(t, 0, wave) })
	for range wave {
		<-entered
	}
	g.get(t, "last", npm.Full, false, Miss)
	g.fetchAll(t, wave, 2*wave)
	close(release)
	held.Wait()
	if n := f.opened(); n < 2 {
		t.Errorf("%d connections were opened, so that none had ended", n)
	}
}

// frozenPath is the way to a server, which can swallow all that is sent on the
// connections of this moment, and go on opening new ones.
type frozenPath struct {
	net.Listener
	frozen atomic.Pointer[chan struct{}] // of the connections that are opened now
}

func newFrozenPath(t *testing.T, to string) *frozenPath {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &frozenPath{Listener: l}
	p.thaw()
	var running sync.WaitGroup
	running.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			frozen := *p.frozen.Load()
			t.Cleanup(func() { near.Close(); far.Close() })
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				running.Go(func() { forward(way[0], way[1], frozen) })
			}
		}
	})
	t.Cleanup(func() { // after those of the connections
		l.Close()
		running.Wait()
	})
	return p
}

// forward copies until an error, and nothing more once frozen is closed.
func forward(from, to net.Conn, frozen <-chan struct{}) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			to.Close()
			return
		}
		select {
		case <-frozen:
			continue // as a firewall does that has forgotten the connection
		default:
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// freeze swallows what is sent on the connections that there are.
func (p *frozenPath) freeze() {
	frozen := *p.frozen.Load()
	p.thaw()
	close(frozen)
}

func (p *frozenPath) thaw() {
	next := make(chan struct{})
	p.frozen.Store(&next)
}

// TestDeadConnectionIsNoticed: a request on a connection that has died without
// a word is sent again on another one.
func TestDeadConnectionIsNoticed(t *testing.T) {
	f, use := newSecureFake(t, true)
	f.serveMany(3)
	path := newFrozenPath(t, f.Listener.Addr().String())
	g := newRig(t, use(path.Addr().String()), func(c *Config) {
		c.HeaderTimeout, c.DocumentTimeout, c.RetryBudget = time.Hour, time.Hour, time.Hour
	})
	g.remote.transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: time.Second, PingTimeout: 2 * time.Second}
	g.get(t, pkg(0), npm.Full, false, Miss)
	path.freeze()
	g.get(t, pkg(1), npm.Full, false, Miss) // an hour would end the test
	if n := f.opened(); n != 2 {
		t.Errorf("%d connections were opened, want another one", n)
	}
}

// TestHangingStreamIsAnError: what holds without HTTP/2 holds for one stream of
// many, and the others do not notice.
func TestHangingStreamIsAnError(t *testing.T) {
	done := make(chan struct{})
	defer close(done)
	for name, handler := range hangs(t, done) {
		t.Run(name, func(t *testing.T) {
			f, use := newSecureFake(t, true)
			f.serveMany(2)
			f.handle("/a", handler)
			g := newRig(t, use(""), func(c *Config) {
				c.HeaderTimeout, c.DocumentTimeout, c.IdleTimeout = 2*time.Second, 2*time.Second, time.Hour
			})
			g.get(t, pkg(0), npm.Full, false, Miss)
			_, err := g.Packument(t.Context(), "a", npm.Full, false)
			wantError(t, err, npm.Timeout, "upstream npm")
			g.get(t, pkg(1), npm.Full, false, Miss)
			if n := f.opened(); n != 1 {
				t.Errorf("%d connections were opened", n)
			}
		})
	}
}

// TestBigAnswersShareAConnection: while clients of one answer take nothing, the
// others come through.
func TestBigAnswersShareAConnection(t *testing.T) {
	f, use := newSecureFake(t, true)
	f.serveMany(1)
	const size = 16 << 20 // more than a stream's window
	f.handle("/a/-/a-1.0.0.tgz", func(w http.ResponseWriter, _ *http.Request) {
		w.Write(make([]byte, size))
	})
	g := newRig(t, use(""))
	body, err := g.Tarball("a", "a-1.0.0.tgz").Open(t.Context(), "", 0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Body.Close()
	g.get(t, pkg(0), npm.Full, false, Miss)
	if n, err := io.Copy(io.Discard, body.Body); err != nil || n != size {
		t.Errorf("%d bytes of %d, %v", n, size, err)
	}
	if n := f.opened(); n != 1 {
		t.Errorf("%d connections were opened", n)
	}
}
