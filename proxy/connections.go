package proxy

import (
	"container/list"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"larder/metrics"
)

// ConnectionsConfig configures Connections.
type ConnectionsConfig struct {
	Max       int            // at once, of all clients; at least 1
	PerClient int            // at once, of one address; 0: no bound
	Trusted   []netip.Prefix // proxies, for which PerClient does not hold: they stand for many
	Metrics   *metrics.Metrics
	Log       *slog.Logger
	// SendSilence is how long a connection with HTTP/2 may take nothing of what is to
	// be sent [2m].
	SendSilence time.Duration
}

// Connections bounds the connections that are open. With HTTP/1.1 it bounds the
// requests that are answered at once, too, and all that each of them may hold;
// with HTTP/2, Requests does.
//
// Whoever comes when it is full is not refused: of a refusal a package manager
// makes a pause of ten seconds or more, or a failed install. New connections wait
// in the kernel's queue, all but one of each listener, while those that are idle are closed, the one that is
// idle longest first, and others end with the answer that they wait for. The
// connections over PerClient wait here in the same way, as many again; further
// ones are closed.
type Connections struct {
	cfg    ConnectionsConfig
	places chan struct{} // holds an element for each connection that is open

	mu      sync.Mutex // guards what follows; never held during I/O
	waiting int        // listeners that wait for a place
	idle    *list.List // of *clientConn, the longest idle first
	fresh   *list.List // of *clientConn that have sent nothing yet, the oldest first
	clients map[netip.Addr]*connClient
	warned  time.Time // when the log last said that it is full
}

// connClient is one address with connections.
type connClient struct {
	open   int
	parked []*clientConn // accepted and not served yet
}

const (
	// spareAfter is when a connection that has sent nothing is taken for a spare
	// one: clients open them for requests that others answer first.
	spareAfter = time.Second
	// roomPause is how often who waits for a place looks for such a one.
	roomPause = 100 * time.Millisecond
)

// fullWarning is how often the log says that all places are taken.
const fullWarning = time.Minute

// NewConnections returns Connections of which none is open.
func NewConnections(cfg ConnectionsConfig) *Connections {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Max = max(cfg.Max, 1)
	if cfg.SendSilence <= 0 {
		cfg.SendSilence = sendSilence
	}
	return &Connections{
		cfg:     cfg,
		places:  make(chan struct{}, cfg.Max),
		idle:    list.New(),
		fresh:   list.New(),
		clients: make(map[netip.Addr]*connClient),
	}
}

// place waits for a place. It returns false when stop is closed first.
func (cs *Connections) place(stop <-chan struct{}) bool {
	select {
	case cs.places <- struct{}{}:
		return true
	default:
	}
	cs.wait(1)
	defer cs.wait(-1)
	again := time.NewTicker(roomPause)
	defer again.Stop()
	for {
		cs.makeRoom()
		select {
		case cs.places <- struct{}{}:
			return true
		case <-stop:
			return false
		case <-again.C:
		}
	}
}

func (cs *Connections) wait(n int) {
	cs.mu.Lock()
	cs.waiting += n
	warn := n > 0 && time.Since(cs.warned) > fullWarning
	if warn {
		cs.warned = time.Now()
	}
	cs.mu.Unlock()
	if n > 0 {
		cs.cfg.Metrics.ConnectionBounded("waited")
	}
	if warn {
		cs.cfg.Log.Warn("all places for connections are taken: new ones wait", "limits.connections", cs.cfg.Max)
	}
}

// makeRoom closes the connection that is idle longest, or a spare one, if there
// is any.
func (cs *Connections) makeRoom() {
	cs.mu.Lock()
	oldest := cs.idleLocked(func(*clientConn) bool { return true })
	if front := cs.fresh.Front(); oldest == nil && front != nil {
		if c := front.Value.(*clientConn); time.Since(c.since) >= spareAfter {
			oldest = c
		}
	}
	if oldest != nil {
		cs.wakeLocked(oldest)
	}
	cs.mu.Unlock()
	if oldest != nil {
		cs.closeIdle(oldest)
	}
}

func (cs *Connections) closeIdle(c *clientConn) {
	cs.cfg.Metrics.ConnectionBounded("idle_closed")
	c.Close() // nobody reads or writes it
}

// wakeLocked notes that c is neither idle nor fresh. It is called with mu held.
func (cs *Connections) wakeLocked(c *clientConn) {
	if c.idling != nil {
		c.in.Remove(c.idling)
		c.idling = nil
	}
}

// admit hands c to whoever serves it, now or when its client has ended another.
func (cs *Connections) admit(c *clientConn) {
	cs.cfg.Metrics.ConnectionOpened()
	if !c.from.IsValid() {
		c.hand <- c
		return
	}
	var idle *clientConn
	cs.mu.Lock()
	client, ok := cs.clients[c.from]
	if !ok {
		client = new(connClient)
		cs.clients[c.from] = client
	}
	client.open++
	fits, refused := client.open-len(client.parked) <= cs.cfg.PerClient, len(client.parked) >= cs.cfg.PerClient
	if !fits && !refused {
		client.parked = append(client.parked, c)
		if idle = cs.idleLocked(func(other *clientConn) bool { return other.from == c.from }); idle != nil {
			cs.wakeLocked(idle)
		}
	}
	cs.mu.Unlock()
	switch {
	case fits:
		c.hand <- c // there is room for all that have a place
	case refused:
		cs.cfg.Metrics.ConnectionBounded("refused")
		c.Close() // it is over the bound
	default:
		cs.cfg.Metrics.ConnectionBounded("waited")
		if idle != nil {
			cs.closeIdle(idle)
		}
	}
}

// idleLocked returns the longest idle connection that suits, if it can be closed.
func (cs *Connections) idleLocked(suits func(*clientConn) bool) *clientConn {
	for e := cs.idle.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*clientConn); suits(c) {
			if c.flushed() {
				return c
			}
			cs.closeLaterLocked(c)
			return nil
		}
	}
	return nil
}

// left is called once when a connection has been closed.
func (cs *Connections) left(c *clientConn) {
	cs.cfg.Metrics.ConnectionClosed()
	var next *clientConn
	cs.mu.Lock()
	cs.wakeLocked(c)
	if client := cs.clients[c.from]; client != nil {
		client.open--
		if len(client.parked) > 0 && client.open-len(client.parked) < cs.cfg.PerClient {
			next, client.parked = client.parked[0], client.parked[1:]
		}
		if client.open == 0 {
			delete(cs.clients, c.from)
		}
	}
	cs.mu.Unlock()
	<-cs.places
	if next != nil {
		next.hand <- next // there is room for all that have a place
	}
}

// State is for http.Server.ConnState.
func (cs *Connections) State(conn net.Conn, state http.ConnState) {
	c, ok := clientOf(conn)
	if !ok {
		return
	}
	streams := state == http.StateIdle && speaksHTTP2(conn)
	cs.mu.Lock()
	cs.wakeLocked(c)
	wanted := state == http.StateIdle && cs.wantedLocked(c)
	c.streams = streams
	switch {
	case state == http.StateNew:
		c.in, c.since = cs.fresh, time.Now()
		c.idling = c.in.PushBack(c)
	case state == http.StateIdle && (!wanted || c.streams):
		c.in, c.since = cs.idle, time.Now()
		c.idling = c.in.PushBack(c)
		if wanted {
			cs.closeLaterLocked(c)
		}
		wanted = false
	}
	cs.mu.Unlock()
	if wanted {
		cs.closeIdle(c)
	}
}

// wantedLocked reports whether somebody waits for c's place.
func (cs *Connections) wantedLocked(c *clientConn) bool {
	if cs.waiting > 0 {
		return true
	}
	client := cs.clients[c.from]
	return client != nil && len(client.parked) > 0
}

type connKey struct{}

// Context is for http.Server.ConnContext: it lets a request find its connection.
func (cs *Connections) Context(ctx context.Context, conn net.Conn) context.Context {
	c, _ := clientOf(conn)
	return context.WithValue(ctx, connKey{}, c)
}

// connOf returns the connection that a request came in on, nil where it is none of
// ours.
func connOf(ctx context.Context) *clientConn {
	c, _ := ctx.Value(connKey{}).(*clientConn)
	return c
}

// crowded reports whether somebody waits for the place of a request's
// connection, so that its client had better be told that it ends.
func (c *clientConn) crowded() bool {
	if c == nil {
		return false
	}
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	return c.all.wantedLocked(c)
}
