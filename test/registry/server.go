package registry

import (
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"larder/test/netguard"
)

// Config sets up a Server; the zero value is a good one.
type Config struct {
	// Prefix is the path below which everything is served, such as "/npm";
	// empty means the root.
	Prefix string
	// GzipLevel is how hard packuments are compressed, 1 to 9. The zero value is
	// the fastest; the public registry's are about as small as 6 makes them.
	GzipLevel int
}

// Mode is how a whole registry may differ from the public one. The zero Mode
// is the public registry's.
type Mode struct {
	// Thin mirrors ignore Accept and send one form, without ETag, compression,
	// Cache-Control, signing keys, tags other than latest, or true times, and
	// answer 404 with nothing.
	Thin bool
	// NoVersionDocuments answers 404 to /NAME/VERSION and /NAME/TAG.
	NoVersionDocuments bool
	// OddTarballs puts the tarballs at /-/files/NAME/FILE?sig=1 and nowhere
	// else.
	OddTarballs bool
	// TarballBase is where dist.tarball points; empty means the server's own
	// URL.
	TarballBase string
}

// Server is a registry that listens on a loopback port of its own. All its
// methods may be called concurrently, and while it serves.
type Server struct {
	prefix    string // "" or "/npm"
	gzipLevel int
	addr      string // host:port, the same for life
	signer

	mu         sync.Mutex // guards all that follows, and what the packuments hold
	packages   map[string]*packument
	advisories []Advisory
	mode       Mode
	faults     []patternFault
	chaos      *chaos
	counters   counters
	server     *http.Server  // nil while stopped
	stopping   chan struct{} // closed by Stop, to free what hangs
	serving    chan struct{} // closed when the accept loop has ended
	handlers   *sync.WaitGroup
}

// New returns an empty registry that already serves. Close it.
func New(cfg Config) (*Server, error) {
	key, err := newSigner()
	if err != nil {
		return nil, err
	}
	s := &Server{
		prefix:    strings.TrimSuffix(cfg.Prefix, "/"),
		gzipLevel: cmp.Or(cfg.GzipLevel, gzip.BestSpeed),
		signer:    key,
		packages:  map[string]*packument{},
		counters:  counters{paths: map[string]*Count{}, headers: map[string]int{}},
	}
	for range startTries {
		port, err := netguard.Port()
		if err != nil {
			return nil, err
		}
		s.addr = fmt.Sprintf("127.0.0.1:%d", port)
		if err = s.Start(); !errors.Is(err, syscall.EADDRINUSE) {
			return s, err
		}
	}
	return nil, errors.New("registry: others were faster on all ports")
}

// startTries bounds the attempts to find a port that nobody takes meanwhile.
const startTries = 10

// URL is the registry's base, with a slash at its end. It outlives Stop.
func (s *Server) URL() string { return "http://" + s.addr + s.prefix + "/" }

// Start listens again after Stop, on the same port.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		return errors.New("registry: already started")
	}
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	s.stopping, s.serving, s.handlers = make(chan struct{}), make(chan struct{}), new(sync.WaitGroup)
	s.server = &http.Server{Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: 10 * time.Second}
	go func(server *http.Server, serving chan struct{}) {
		defer close(serving)
		_ = server.Serve(ln) // always ErrServerClosed: nothing but Stop closes the listener
	}(s.server, s.serving)
	return nil
}

// Stop breaks all connections and frees the port, so that new ones are
// refused. When it returns nothing is being served any more. Stopping twice is
// harmless.
func (s *Server) Stop() {
	s.mu.Lock()
	server, serving, handlers := s.server, s.serving, s.handlers
	s.server = nil
	if server != nil {
		close(s.stopping)
	}
	s.mu.Unlock()
	if server == nil {
		return
	}
	_ = server.Close() // its error is the listener's, which is gone either way
	<-serving
	handlers.Wait()
}

// Close ends the registry.
func (s *Server) Close() { s.Stop() }

// SetMode changes what kind of registry this is.
func (s *Server) SetMode(m Mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = m
	for _, p := range s.packages {
		p.rendered = nil
	}
}
