package proxy

import (
	"container/list"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// clientConn is a connection that has a place. It embeds what net/http looks
// for in a connection, ReadFrom for sendfile above all.
type clientConn struct {
	*net.TCPConn
	all  *Connections
	from netip.Addr // invalid where PerClient does not hold
	hand chan<- *clientConn
	once sync.Once

	// What is held back; see gather. They belong to the goroutine that answers.
	gathering bool
	holds     *[gathered]byte // nil: nothing yet
	held      int             // bytes
	pieces    [2][]byte       // that send writes

	// The base that the last request's Host header meant; see serverBase.
	host string
	base base

	// Guarded by all.mu:
	idling  *list.Element // while it is idle or fresh
	in      *list.List    // of which idling is
	since   time.Time     // when it was put there
	streams bool          // while it is idle: it speaks HTTP/2
}

// Close gives the place back.
func (c *clientConn) Close() error {
	err := c.TCPConn.Close()
	c.once.Do(func() { c.all.left(c) })
	return err
}

// Listen returns l, a TCP listener, with the bounds on what it accepts. Closing
// it closes l.
func (cs *Connections) Listen(l net.Listener) net.Listener {
	b := &boundListener{
		Listener: l,
		all:      cs,
		accepted: make(chan *clientConn, cs.cfg.Max),
		closing:  make(chan struct{}),
		ended:    make(chan struct{}),
	}
	go b.run() // Close waits for it
	return b
}

// boundListener accepts in a goroutine of its own, since a connection may be
// ready that was accepted before.
type boundListener struct {
	net.Listener
	all      *Connections
	accepted chan *clientConn
	once     sync.Once
	closing  chan struct{}
	ended    chan struct{} // closed once err is set
	err      error
}

// The pauses after a failed accept: the process, or the machine, has too many
// files open, and will have less.
const minAcceptPause, maxAcceptPause = 5 * time.Millisecond, time.Second

func (b *boundListener) run() {
	defer close(b.ended)
	pause := minAcceptPause
	for {
		conn, err := b.Listener.Accept()
		if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
			pause = minAcceptPause
			boundUnsent(tcp)
			if !b.all.place(b.closing) {
				tcp.Close() // nobody has read it
				return
			}
			b.all.admit(&clientConn{TCPConn: tcp, all: b.all, from: b.all.bounded(tcp.RemoteAddr()), hand: b.accepted})
			continue
		}
		if !passing(err) {
			b.err = err
			return
		}
		b.all.cfg.Log.Warn("a connection cannot be accepted: trying again", "error", err)
		b.all.makeRoom()
		select {
		case <-time.After(pause):
		case <-b.closing:
		}
		pause = min(2*pause, maxAcceptPause)
	}
}

// passing reports whether Accept may succeed later.
func passing(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// bounded returns the address that a connection counts for, invalid for none.
func (cs *Connections) bounded(addr net.Addr) netip.Addr {
	tcp, ok := addr.(*net.TCPAddr)
	if cs.cfg.PerClient == 0 || !ok {
		return netip.Addr{}
	}
	from := tcp.AddrPort().Addr().Unmap()
	for _, p := range cs.cfg.Trusted {
		if p.Contains(from) {
			return netip.Addr{}
		}
	}
	return from
}

// Accept implements net.Listener.
func (b *boundListener) Accept() (net.Conn, error) {
	select {
	case c := <-b.accepted:
		return c, nil
	case <-b.ended:
	}
	select {
	case c := <-b.accepted:
		return c, nil
	default:
	}
	if b.err == nil {
		return nil, net.ErrClosed
	}
	return nil, b.err
}

// Close implements net.Listener. Connections that nobody has accepted are closed,
// too.
func (b *boundListener) Close() error {
	err := b.Listener.Close()
	b.once.Do(func() { close(b.closing) })
	<-b.ended
	for _, c := range b.all.parked(b.accepted) {
		c.Close() // nobody has read it
	}
	for {
		select {
		case c := <-b.accepted:
			c.Close() // nobody has read it
		default:
			return err
		}
	}
}

// parked takes away the connections that wait to be handed to a listener.
func (cs *Connections) parked(hand chan<- *clientConn) (taken []*clientConn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, client := range cs.clients {
		var others []*clientConn
		for _, c := range client.parked {
			if c.hand == hand {
				taken = append(taken, c)
			} else {
				others = append(others, c)
			}
		}
		client.parked = others
	}
	return taken
}
