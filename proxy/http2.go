package proxy

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"time"
)

// With HTTP/2, which clients speak over TLS, one connection carries many
// requests: what the number of connections bounds elsewhere must be bounded
// by itself.

const (
	// maxStreams is how many requests may be under way on one connection.
	maxStreams = 100
	// silentAfter and silentFor are how long a connection may send nothing until
	// it is asked whether it is alive, and how long it has to say so.
	silentAfter = time.Minute
	silentFor   = 15 * time.Second
)

// HTTP2 returns the bounds of a connection, for http.Server.HTTP2. Frames, and
// what a client may send ahead, have net/http's own: 1 MB, and 1 MB in all.
func (cs *Connections) HTTP2() *http.HTTP2Config {
	streams := min(maxStreams, cs.cfg.Max)
	if cs.cfg.PerClient > 0 {
		streams = min(streams, cs.cfg.PerClient)
	}
	return &http.HTTP2Config{
		MaxConcurrentStreams: streams,
		// The deadline of a response resets its stream, for which the connection
		// must take a frame. One that takes nothing is for this to close.
		WriteByteTimeout: cs.cfg.SendSilence,
		SendPingTimeout:  silentAfter,
		PingTimeout:      silentFor,
	}
}

// Requests lets as many requests into next at once as there may be connections;
// as many again wait.
func (cs *Connections) Requests(next http.Handler) http.Handler {
	places, queue := make(chan struct{}, cs.cfg.Max), make(chan struct{}, cs.cfg.Max)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
		default:
			if !cs.queue(r.Context(), places, queue) {
				cs.cfg.Metrics.ConnectionBounded("refused")
				w.Header().Set("Retry-After", "1")
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusServiceUnavailable)
				io.WriteString(w, `{"error":"too many requests are under way","message":"too many requests are under way"}`)
				return
			}
		}
		defer func() { <-places }()
		next.ServeHTTP(w, r)
	})
}

// queue waits for one of places. It returns false where too many do, or ctx ends.
func (cs *Connections) queue(ctx context.Context, places, queue chan struct{}) bool {
	select {
	case queue <- struct{}{}:
		defer func() { <-queue }()
	default:
		return false
	}
	cs.cfg.Metrics.ConnectionBounded("waited")
	select {
	case places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// flushTime is after how long a connection with HTTP/2 is taken for idle. It is
// called so when the last frame has been written, and before it has been sent.
const flushTime = 50 * time.Millisecond

// flushed reports whether c, which is idle, has sent all that was written. It is
// called with all.mu held.
func (c *clientConn) flushed() bool { return !c.streams || time.Since(c.since) >= flushTime }

// closeLaterLocked closes c as soon as it has sent everything, unless it is not
// idle then.
func (cs *Connections) closeLaterLocked(c *clientConn) {
	idling := c.idling
	time.AfterFunc(flushTime, func() {
		cs.mu.Lock()
		still := c.idling == idling && cs.wantedLocked(c)
		if still {
			cs.wakeLocked(c)
		}
		cs.mu.Unlock()
		if still {
			cs.closeIdle(c)
		}
	})
}

// speaksHTTP2 reports whether conn, which is idle, does.
func speaksHTTP2(conn net.Conn) bool {
	secure, ok := conn.(*tls.Conn)
	return ok && secure.ConnectionState().NegotiatedProtocol == "h2"
}

// clientOf returns the connection under conn, which may speak TLS, if it has a
// place.
func clientOf(conn net.Conn) (*clientConn, bool) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	c, ok := conn.(*clientConn)
	return c, ok
}
