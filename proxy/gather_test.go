package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// serveBounded serves w on connections of ours as well. It returns the address,
// and the connections that requests come in on.
func (w *world) serveBounded() (addr string, conns <-chan *clientConn) {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	all := NewConnections(ConnectionsConfig{Max: 10})
	seen := make(chan *clientConn, 1)
	server := &http.Server{ConnState: all.State, ConnContext: all.Context}
	server.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		select {
		case seen <- connOf(r.Context()):
		default:
		}
		w.proxy.Handler().ServeHTTP(rw, r)
	})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(all.Listen(l)) }()
	w.t.Cleanup(func() {
		server.Close()
		<-ended
	})
	return l.Addr().String(), seen
}

// TestHostsOfOneConnection: what a connection remembers of its last request does
// not reach the next one that is for another host.
func TestHostsOfOneConnection(t *testing.T) {
	w := newWorld(t)
	w.up.publish("lodash", "1.0.0", noise(100))
	addr, _ := w.serveBounded()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for _, host := range []string{"one.example", "one.example", "two.example", "one.example"} {
		if _, err := fmt.Fprintf(conn, "GET /lodash HTTP/1.1\r\nHost: %s\r\n\r\n", host); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if want := "http://" + host + "/lodash/-/lodash-1.0.0.tgz"; !strings.Contains(string(body), want) {
			t.Errorf("asked as %s: %.200s lacks %s", host, body, want)
		}
	}
}
