package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"larder/metrics"
)

// boundServer is a server of which a test holds the handlers.
type boundServer struct {
	t       *testing.T
	server  *http.Server
	addr    string
	metrics *metrics.Metrics
	all     *Connections
	inside  atomic.Int32  // handlers that run
	most    atomic.Int32  // of them at once
	entered chan string   // gets the path of each request
	release chan struct{} // lets one of the paths that begin with /hold go
}

func newBoundServer(t *testing.T, cfg ConnectionsConfig) *boundServer {
	b := &boundServer{t: t, metrics: metrics.New("test", ""), entered: make(chan string, 100), release: make(chan struct{})}
	cfg.Metrics = b.metrics
	cs := NewConnections(cfg)
	b.all = cs
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.addr = inner.Addr().String()
	b.server = &http.Server{
		ConnState:   cs.State,
		ConnContext: cs.Context,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n := b.inside.Add(1); n > b.most.Load() {
				b.most.Store(n)
			}
			defer b.inside.Add(-1)
			b.entered <- r.URL.Path
			if strings.HasPrefix(r.URL.Path, "/hold") {
				<-b.release
			}
			if connOf(r.Context()).crowded() {
				w.Header().Set("Connection", "close")
			}
			fmt.Fprint(w, r.URL.Path)
		}),
	}
	served := make(chan error, 1)
	go func() { served <- b.server.Serve(cs.Listen(inner)) }()
	t.Cleanup(func() {
		if err := b.server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		if n := len(cs.places); n != 0 {
			t.Errorf("%d places are taken when all is over", n)
		}
		cs.mu.Lock()
		defer cs.mu.Unlock()
		if len(cs.clients) != 0 || cs.idle.Len() != 0 || cs.fresh.Len() != 0 {
			t.Errorf("%d clients, %d idle and %d fresh connections are left", len(cs.clients), cs.idle.Len(), cs.fresh.Len())
		}
	})
	return b
}

// peer is one connection of a client.
type peer struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (b *boundServer) dial(from string) *peer {
	b.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.Dial("tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	return &peer{b.t, conn, bufio.NewReader(conn)}
}

func (p *peer) send(path string) {
	p.t.Helper()
	if _, err := fmt.Fprintf(p.conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
		p.t.Fatal(err)
	}
}

// answer reads an answer, and returns whether the connection ends with it.
func (p *peer) answer(want string) (ends bool) {
	p.t.Helper()
	if err := p.conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		p.t.Fatal(err)
	}
	res, err := http.ReadResponse(p.in, nil)
	if err != nil {
		p.t.Fatalf("instead of the answer to %s: %v", want, err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || string(body) != want {
		p.t.Fatalf("answer %q, want %q: %v", body, want, err)
	}
	return res.Close
}

// ended waits until the server has closed the connection.
func (p *peer) ended() {
	p.t.Helper()
	if err := p.conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.in.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Fatalf("the connection is open: %v", err)
	}
}

// until waits for a line of the metrics.
func (b *boundServer) until(line string) {
	b.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		page := httptest.NewRecorder()
		b.metrics.Handler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/", nil))
		if strings.Contains(page.Body.String(), line+"\n") {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("the metrics never said %q", line)
		}
	}
}

// untilIdle waits until the server has seen that n connections are idle, which
// it does some time after their clients have their answers.
func (b *boundServer) untilIdle(n int) {
	b.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		b.all.mu.Lock()
		idle := b.all.idle.Len()
		b.all.mu.Unlock()
		if idle == n {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%d connections are idle, not %d", idle, n)
		}
	}
}

const bounded = `larder_connections_bounded_total{how="%s"} %d`

func TestConnectionsWaitForAPlace(t *testing.T) {
	b := newBoundServer(t, ConnectionsConfig{Max: 2})
	first, second, third := b.dial("127.0.0.1"), b.dial("127.0.0.1"), b.dial("127.0.0.1")
	first.send("/hold/1")
	<-b.entered
	second.send("/hold/2")
	<-b.entered
	third.send("/3")
	b.until(fmt.Sprintf(bounded, "waited", 1))
	b.release <- struct{}{}
	b.release <- struct{}{}
	a, c := first.answer("/hold/1"), second.answer("/hold/2")
	if !a && !c {
		t.Error("no connection ends, although one waits")
	}
	third.answer("/3")
	if n := b.most.Load(); n > 2 {
		t.Errorf("%d requests were answered at once", n)
	}
}

func TestIdleConnectionsMakeRoom(t *testing.T) {
	b := newBoundServer(t, ConnectionsConfig{Max: 2})
	oldest, newest := b.dial("127.0.0.1"), b.dial("127.0.0.1")
	for i, p := range []*peer{oldest, newest} {
		p.send(fmt.Sprintf("/%d", i))
		if p.answer(fmt.Sprintf("/%d", i)) {
			t.Fatal("a connection ends before there is need")
		}
		b.untilIdle(i + 1)
	}
	third := b.dial("127.0.0.1")
	third.send("/third")
	third.answer("/third")
	oldest.ended()
	newest.send("/again")
	newest.answer("/again")
}

// Clients open connections that they do not need after all.
func TestSpareConnectionsMakeRoom(t *testing.T) {
	b := newBoundServer(t, ConnectionsConfig{Max: 2})
	spare, held, third := b.dial("127.0.0.1"), b.dial("127.0.0.1"), b.dial("127.0.0.1")
	held.send("/hold/1")
	<-b.entered
	third.send("/third")
	third.answer("/third")
	spare.ended()
	b.release <- struct{}{}
	held.answer("/hold/1")
}

func TestConnectionsOfOneClient(t *testing.T) {
	b := newBoundServer(t, ConnectionsConfig{Max: 20, PerClient: 2, Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}})
	var held, parked []*peer
	for i := range 2 {
		held = append(held, b.dial("127.0.0.1"))
		held[i].send("/hold")
		<-b.entered
	}
	for i := range 2 {
		parked = append(parked, b.dial("127.0.0.1"))
		parked[i].send("/parked")
		b.until(fmt.Sprintf(bounded, "waited", i+1))
	}
	b.dial("127.0.0.1").ended() // over both
	b.until(fmt.Sprintf(bounded, "refused", 1))
	other := b.dial("127.0.0.2")
	other.send("/other")
	other.answer("/other")
	for range 4 { // a proxy stands for many
		behind := b.dial("127.0.0.9")
		behind.send("/behind")
		behind.answer("/behind")
	}
	for range 5 {
		<-b.entered
	}
	select {
	case path := <-b.entered:
		t.Fatalf("%s was answered, over the bound", path)
	default:
	}
	for _, p := range held {
		b.release <- struct{}{}
		_ = p
	}
	for _, p := range held {
		p.answer("/hold")
	}
	for _, p := range parked {
		p.answer("/parked")
	}
}

// An idle connection gives its place to a new one of the same client.
func TestIdleConnectionOfOneClient(t *testing.T) {
	b := newBoundServer(t, ConnectionsConfig{Max: 20, PerClient: 1})
	idle := b.dial("127.0.0.1")
	idle.send("/1")
	idle.answer("/1")
	next := b.dial("127.0.0.1")
	next.send("/2")
	next.answer("/2")
	idle.ended()
}

func TestClosingWithConnectionsThatWait(t *testing.T) {
	b := newBoundServer(t, ConnectionsConfig{Max: 3, PerClient: 1})
	held, parked := b.dial("127.0.0.1"), b.dial("127.0.0.1")
	held.send("/hold")
	<-b.entered
	b.until(fmt.Sprintf(bounded, "waited", 1))
	stopped := make(chan error, 1)
	go func() { stopped <- b.server.Shutdown(context.Background()) }()
	parked.ended()
	b.release <- struct{}{}
	held.answer("/hold")
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// failingListener fails before it accepts.
type failingListener struct {
	net.Listener
	failures atomic.Int32
	err      error
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", l.err)}
	}
	return l.Listener.Accept()
}

func TestAcceptGoesOnAfterEMFILE(t *testing.T) {
	for _, tt := range []struct {
		err    error
		passes bool
	}{{syscall.EMFILE, true}, {syscall.ENFILE, true}, {syscall.ECONNABORTED, true}, {syscall.EBADF, false}} {
		inner, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		failing := &failingListener{Listener: inner, err: tt.err}
		failing.failures.Store(3)
		l := NewConnections(ConnectionsConfig{Max: 1}).Listen(failing)
		client, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn, err := l.Accept()
		if (err == nil) != tt.passes || err != nil && !errors.Is(err, tt.err) {
			t.Errorf("%v: Accept returns %v", tt.err, err)
		}
		if err == nil {
			conn.Close()
		}
		client.Close()
		l.Close()
	}
}
