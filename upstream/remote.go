package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"larder/npm"
)

const (
	maxRedirects    = 5
	maxHeaderBytes  = 256 << 10 // of one response
	idleConnTimeout = 90 * time.Second
	// An HTTP/2 connection that says nothing for pingAfter is asked whether it is
	// alive, and is given up after pingTimeout. All requests share one, so that a
	// dead one must not outlive the tries of one request.
	pingAfter   = 5 * time.Second
	pingTimeout = 5 * time.Second
)

// remote is the network side of one upstream: which hosts it may talk to, what
// it tells whom, and how long it waits. Every hop of every exchange goes
// through RoundTrip, so a redirect can neither leave the hosts that the
// administrator wrote down nor carry credentials away.
type remote struct {
	name          string
	bases         []*url.URL      // without trailing slash, query, fragment
	listed        map[string]bool // authorities of Config.TarballHosts
	credentials   http.Header     // for the hosts of bases alone
	userAgent     string
	via           string
	headerTimeout time.Duration
	idleTimeout   time.Duration
	transport     *http.Transport
	client        *http.Client // follows redirects over RoundTrip
}

func newRemote(cfg Config) (*remote, error) {
	if len(cfg.URLs) == 0 {
		return nil, errors.New("it has no URL")
	}
	m := &remote{
		name:          cfg.Name,
		listed:        make(map[string]bool),
		credentials:   credentials(cfg),
		userAgent:     cfg.UserAgent,
		headerTimeout: cfg.HeaderTimeout,
		idleTimeout:   cfg.IdleTimeout,
	}
	if cfg.Via != "" {
		m.via = "1.1 " + cfg.Via
	}
	for _, u := range cfg.URLs {
		base, err := baseURL(u)
		if err != nil {
			return nil, err
		}
		m.bases = append(m.bases, base)
	}
	for _, host := range cfg.TarballHosts {
		if err := m.list(host); err != nil {
			return nil, err
		}
	}
	roots, err := rootCAs(cfg.CAFile)
	if err != nil {
		return nil, err
	}
	m.transport = &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: cfg.HeaderTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: roots},
		TLSHandshakeTimeout:    cfg.HeaderTimeout,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		DisableCompression:     true, // what is stored is what was sent
		MaxIdleConnsPerHost:    cfg.Concurrency,
		IdleConnTimeout:        idleConnTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
	m.client = &http.Client{Transport: m, CheckRedirect: m.checkRedirect}
	return m, nil
}

func credentials(cfg Config) http.Header {
	h := maps.Clone(cfg.Headers)
	if h == nil {
		h = make(http.Header)
	}
	switch {
	case cfg.Auth.Token != "":
		h.Set("Authorization", "Bearer "+cfg.Auth.Token)
	case cfg.Auth.User != "":
		pair := cfg.Auth.User + ":" + cfg.Auth.Password
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	return h
}

func rootCAs(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil // the system's
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the CA file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("load the system's certificates: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("there is no certificate in the CA file %s", file)
	}
	return pool, nil
}

// RoundTrip sends one hop of an exchange. Nothing but this function adds
// headers that say who Larder is.
func (m *remote) RoundTrip(req *http.Request) (*http.Response, error) {
	if !m.permitted(req.URL) {
		return nil, m.foreign(req.URL)
	}
	req = req.Clone(req.Context())
	req.Header.Del("Referer") // net/http adds it to redirects
	req.Header.Del("Authorization")
	if m.own(req.URL) {
		for k, v := range m.credentials {
			req.Header[k] = v
		}
	}
	req.Header.Set("User-Agent", m.userAgent)
	if m.via != "" {
		req.Header.Set("Via", m.via)
	}
	return m.transport.RoundTrip(req)
}

func (m *remote) checkRedirect(req *http.Request, via []*http.Request) error {
	bad := func(why string) error {
		return &npm.Error{Kind: npm.BadUpstream, Msg: fmt.Sprintf("upstream %s %s", m.name, why)}
	}
	switch {
	case len(via) > maxRedirects:
		return bad("redirects in circles")
	case req.URL.Scheme == "http" && via[len(via)-1].URL.Scheme == "https":
		return bad("redirects from https to http")
	}
	return nil
}

// send sends one request and waits for the response's header, for at most
// HeaderTimeout and not past deadline, which is zero for a tarball. The body
// fails by itself after IdleTimeout of silence (a document after HeaderTimeout,
// if that is less), or where its first byte does not come before deadline. Closing it ends the exchange. Errors are failures.
func (m *remote) send(ctx context.Context, method string, u *url.URL, header http.Header, body []byte, deadline time.Time) (*http.Response, *failure) {
	ctx, cancel := context.WithCancelCause(ctx)
	watch := &watchdog{cancel: cancel, upstream: m.name, deadline: deadline}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		defer cancel(nil)
		return nil, m.transportFailure(ctx, err)
	}
	if header != nil {
		req.Header = header.Clone()
	}
	watch.start("sent no answer", m.headerTimeout)
	resp, err := m.client.Do(req)
	watch.stop()
	if err != nil {
		defer cancel(nil)
		return nil, m.transportFailure(ctx, err)
	}
	silence := m.idleTimeout
	if !deadline.IsZero() {
		silence = min(silence, m.headerTimeout)
	}
	resp.Body = &watchedBody{
		ReadCloser: resp.Body,
		cause:      func() error { return context.Cause(ctx) },
		watch:      watch,
		silence:    silence,
	}
	return resp, nil
}

// drain reads the rest of a short body, so that its connection can be used
// again, and closes it.
func drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, maxDrain)
	_ = body.Close()
}

// maxDrain is how much of an unwanted body is read to save its connection, in
// bytes; of a longer one the connection is the smaller loss.
const maxDrain = 64 << 10
