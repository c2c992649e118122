package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/metrics"
)

// secureServer is a server that speaks TLS within the bounds of all.
func secureServer(t *testing.T, all *Connections, handler http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(all.Requests(handler))
	s.Listener = all.Listen(s.Listener)
	s.Config.ConnState, s.Config.ConnContext, s.Config.HTTP2 = all.State, all.Context, all.HTTP2()
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(func() {
		s.Close()
		if n := len(all.places); n != 0 {
			t.Errorf("%d places are taken when all is over", n)
		}
	})
	return s
}

// secureClient returns a client with connections of its own.
func secureClient(t *testing.T, s *httptest.Server, http2 bool) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetHTTP2(http2)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// fetch returns the answer to a GET, and the local address of its connection.
func fetch(t *testing.T, c *http.Client, url string) (body string, connection string) {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Error(err)
		return "", ""
	}
	defer res.Body.Close()
	read, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return res.Proto + " " + string(read), res.Header.Get("X-Connection")
}

// who answers with the path, after release where that begins with /hold.
func who(entered chan<- string, release <-chan struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entered <- r.URL.Path
		if strings.HasPrefix(r.URL.Path, "/hold") {
			<-release
		}
		if connOf(r.Context()).crowded() {
			w.Header().Set("Connection", "close")
		}
		w.Header().Set("X-Connection", r.RemoteAddr)
		fmt.Fprint(w, r.URL.Path)
	})
}

// TestBoundsHoldUnderTLS: idle connections make room, whatever is spoken.
func TestBoundsHoldUnderTLS(t *testing.T) {
	for proto, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(proto, func(t *testing.T) {
			entered := make(chan string, 100)
			all := NewConnections(ConnectionsConfig{Max: 2})
			s := secureServer(t, all, who(entered, nil))
			var clients []*http.Client
			var used []string
			for i := range 3 { // the third needs the place of the first
				clients = append(clients, secureClient(t, s, http2))
				body, connection := fetch(t, clients[i], s.URL+"/a")
				if body != proto+" /a" {
					t.Fatalf("the answer is %q", body)
				}
				used = append(used, connection)
				b := boundServer{t: t, all: all}
				b.untilIdle(min(i+1, 2))
			}
			if _, again := fetch(t, clients[1], s.URL+"/b"); again != used[1] {
				t.Error("the connection that was not idle longest was closed")
			}
			if _, again := fetch(t, clients[0], s.URL+"/b"); again == used[0] {
				t.Error("the connection that was idle longest is open")
			}
		})
	}
}

// TestCrowdedHTTP2ConnectionEnds: one that answers gives its place to another
// that waits for it.
func TestCrowdedHTTP2ConnectionEnds(t *testing.T) {
	entered, release := make(chan string, 100), make(chan struct{})
	counters := metrics.New("test", "")
	all := NewConnections(ConnectionsConfig{Max: 1, Metrics: counters})
	s := secureServer(t, all, who(entered, release))
	var clients sync.WaitGroup
	clients.Go(func() { fetch(t, secureClient(t, s, true), s.URL+"/hold") })
	<-entered
	clients.Go(func() {
		if body, _ := fetch(t, secureClient(t, s, true), s.URL+"/next"); body != "HTTP/2.0 /next" {
			t.Errorf("the next one is answered %q", body)
		}
	})
	b := boundServer{t: t, metrics: counters}
	b.until(fmt.Sprintf(bounded, "waited", 1))
	close(release)
	clients.Wait()
}

// TestRequestsOfOneConnection: with HTTP/2 one connection brings no more
// requests than as many connections would.
func TestRequestsOfOneConnection(t *testing.T) {
	for _, tt := range []struct{ max, perClient, want int }{{1000, 0, maxStreams}, {1000, 7, 7}, {5, 0, 5}} {
		if got := NewConnections(ConnectionsConfig{Max: tt.max, PerClient: tt.perClient}).HTTP2().MaxConcurrentStreams; got != tt.want {
			t.Errorf("%+v: %d streams", tt, got)
		}
	}
}

func TestRequestsWaitForAPlace(t *testing.T) {
	entered, release := make(chan string, 100), make(chan struct{})
	counters := metrics.New("test", "")
	handler := NewConnections(ConnectionsConfig{Max: 2, Metrics: counters}).Requests(who(entered, release))
	get := func(ctx context.Context) int {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/hold", nil))
		return w.Code
	}
	var answers sync.WaitGroup
	for range 2 {
		answers.Go(func() {
			if code := get(t.Context()); code != http.StatusOK {
				t.Errorf("who has a place: status %d", code)
			}
		})
	}
	<-entered
	<-entered
	leaving, leave := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		get(leaving)
		close(left)
	}()
	answers.Go(func() {
		if code := get(t.Context()); code != http.StatusOK {
			t.Errorf("who waits: status %d", code)
		}
	})
	b := boundServer{t: t, metrics: counters}
	b.until(fmt.Sprintf(bounded, "waited", 2))
	if code := get(t.Context()); code != http.StatusServiceUnavailable {
		t.Errorf("one too many: status %d", code)
	}
	b.until(fmt.Sprintf(bounded, "refused", 1))
	leave() // who goes leaves its place in the queue
	<-left
	if len(entered) > 0 {
		t.Error("more were let in than there are places")
	}
	close(release)
	answers.Wait()
}

// TestStalledStreams: a client that does not take its response is broken off
// with HTTP/2, too, by itself where it takes others, else with its connection.
func TestStalledStreams(t *testing.T) {
	counters := metrics.New("test", "")
	w := newWorld(t, func(c *Config) {
		c.SendSilence = time.Second
		c.Metrics = counters
	})
	w.up.publish("lodash", "1.0.0", noise(24<<20)) // more than a stream's window and the sockets hold
	w.get("/lodash/-/lodash-1.0.0.tgz").want(t, 200)
	all := NewConnections(ConnectionsConfig{Max: 10, SendSilence: time.Second, Metrics: counters})
	s := secureServer(t, all, w.proxy.Handler())
	b := boundServer{t: t, metrics: counters}

	t.Run("its stream", func(t *testing.T) {
		client := secureClient(t, s, true)
		res, err := client.Get(s.URL + "/lodash/-/lodash-1.0.0.tgz")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b.until("larder_responses_stalled_total 1")
		if n, err := io.Copy(io.Discard, res.Body); err == nil {
			t.Errorf("%d bytes were taken for the whole", n)
		}
		if body, _ := fetch(t, client, s.URL+"/-/ping"); !strings.HasPrefix(body, "HTTP/2.0 {") {
			t.Errorf("another request of the same client is answered %q", body)
		}
		client.CloseIdleConnections()
	})
	t.Run("its connection", func(t *testing.T) {
		b.until("larder_connections 0")
		conn, err := tls.Dial("tcp", s.Listener.Addr().String(), &tls.Config{RootCAs: secureClient(t, s, true).Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com", NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(greedyRequest("/lodash/-/lodash-1.0.0.tgz")); err != nil {
			t.Fatal(err)
		}
		b.until("larder_connections 1")
		b.until("larder_connections 0") // nothing is ever read
	})
}

// TestSlowUploadOverHTTP2: the time for a response does not run while the request
// is still being sent.
func TestSlowUploadOverHTTP2(t *testing.T) {
	const silence = 2 * time.Second
	w := newWorld(t, func(c *Config) { c.SendSilence = silence })
	s := secureServer(t, NewConnections(ConnectionsConfig{Max: 10}), w.proxy.Handler())
	body, rest := io.Pipe()
	go func() {
		io.WriteString(rest, `{"lodash":`)
		time.Sleep(silence + silence/2)
		io.WriteString(rest, `["1.0.0"]}`)
		rest.Close()
	}()
	res, err := secureClient(t, s, true).Post(s.URL+"/-/npm/v1/security/advisories/bulk", "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadAll(res.Body); err != nil || res.ProtoMajor != 2 {
		t.Errorf("%s, %v", res.Proto, err)
	}
}

// greedyRequest is what a client sends that would take 2 GB at once: RFC 9113,
// with a header of RFC 7541.
func greedyRequest(path string) []byte {
	frame := func(kind, flags byte, stream uint32, payload ...byte) []byte {
		head := []byte{0, 0, byte(len(payload)), kind, flags}
		return append(binary.BigEndian.AppendUint32(head, stream), payload...)
	}
	const settings, headers, windowUpdate = 4, 1, 8
	out := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	out = append(out, frame(settings, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff)...) // of each stream
	out = append(out, frame(windowUpdate, 0, 0, 0x7f, 0xff, 0, 0)...)         // of the connection
	block := []byte{0x82, 0x87, 0x04, byte(len(path))}                        // GET, https, and the path
	block = append(append(block, path...), 0x01, 1, 'x')                      // from the host x
	return append(out, frame(headers, 0x5, 1, block...)...)                   // END_HEADERS, END_STREAM
}
