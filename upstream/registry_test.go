package upstream

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"larder/npm"
)

func TestUnreadableConfig(t *testing.T) {
	good := newRig(t).cfg
	for name, edit := range map[string]func(*Config){
		"no URL":              func(c *Config) { c.URLs = nil },
		"no scheme":           func(c *Config) { c.URLs = []*url.URL{{Host: "registry.example"}} },
		"credentials in URL":  func(c *Config) { c.URLs = []*url.URL{parseURL(t, "https://a:b@registry.example/")} },
		"bad name":            func(c *Config) { c.Name = "My Registry" },
		"no name":             func(c *Config) { c.Name = "" },
		"no cache":            func(c *Config) { c.Responses = nil },
		"CA file without any": func(c *Config) { c.CAFile = write(t, "not a certificate") },
		"missing CA file":     func(c *Config) { c.CAFile = t.TempDir() + "/none.pem" },
		"tarball host is URL": func(c *Config) { c.TarballHosts = []string{"https://cdn.example/x"} },
		"tarball host is *":   func(c *Config) { c.TarballHosts = []string{"*"} },
		"negative":            func(c *Config) { c.Concurrency = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			edit(&cfg)
			if _, err := New(cfg); err == nil {
				t.Error("no error")
			}
		})
	}
}

func write(t *testing.T, content string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCAFile(t *testing.T) {
	secure := httptest.NewTLSServer(docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
	defer secure.Close()
	g := newRig(t, func(c *Config) { c.URLs = []*url.URL{parseURL(t, secure.URL)} })
	_, err := g.Packument(t.Context(), "a", npm.Full, false)
	wantError(t, err, npm.Unavailable, "its certificate is not trusted")
	g.cfg.CAFile = write(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	g.restart(t)
	g.get(t, "a", npm.Full, false, Miss)
}

func TestCloseCancelsWhatHangs(t *testing.T) {
	g := newRig(t)
	arrived := make(chan struct{})
	g.fake.handle("/a", func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	flight := g.refresh(t.Context(), "a", npm.Full, false)
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close: %v", err)
	}
	landed := <-flight
	wantError(t, landed.Err, npm.Unavailable, "given up")
}

func TestCloseWaitsForFlights(t *testing.T) {
	g := newRig(t)
	arrived, answer := make(chan struct{}), make(chan struct{})
	g.fake.handle("/a", func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-answer
		io.WriteString(w, fullDoc("a", jan, "1.0.0"))
	})
	flight := g.refresh(t.Context(), "a", npm.Full, false)
	<-arrived
	closed := make(chan error)
	go func() { closed <- g.Close(t.Context()) }()
	select {
	case <-closed:
		t.Fatal("closed while a flight is under way")
	case answer <- struct{}{}:
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if landed := <-flight; landed.Err != nil {
		t.Error(landed.Err)
	}
	_, err := g.Packument(t.Context(), "b", npm.Full, false)
	wantError(t, err, npm.Unavailable, "shutting down")
}
