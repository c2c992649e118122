package test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"larder/test/registry"
	"larder/test/rig"
)

// The tests named after a number of the protocol's conformance checklist, and
// those beside them, look at the built binary as clients do: each has a Larder
// of its own before a registry of its own.

// patience bounds one request, in every test here. Nothing that Larder does
// may take as long, yarn 1 being the least patient of clients at 30 s.
const patience = 29 * time.Second

// corgi is the Accept header of installers that know the abbreviated form.
const corgi = "Accept: application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"

// pair is a registry and the Larder before it.
type pair struct {
	registry *registry.Server
	upstream string // what Larder takes for the registry's URL
	larder   *rig.Larder
	port     int    // of larder, the same after each start
	data     string // larder's directory
	env      []string
	args     []string // further flags
	binary   string   // larder; "" is the one that is built as the tests are
	client   *http.Client
}

// newPair starts a registry that holds registry.Graph, and a Larder that is
// configured by settings, such as "LARDER_OFFLINE=true". When the test is over
// both end, and Larder fails the test if it does not end in good order.
func newPair(t *testing.T, settings ...string) *pair {
	t.Helper()
	p := newIdlePair(t, settings...)
	p.start(t)
	return p
}

// newIdlePair is newPair without start, for tests that change something first.
func newIdlePair(t *testing.T, settings ...string) *pair {
	t.Helper()
	t.Parallel()
	up, err := registry.New(registry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := up.Load(registry.Graph()); err != nil {
		t.Fatal(err)
	}
	p := &pair{
		registry: up,
		upstream: up.URL(),
		data:     t.TempDir(),
		env:      settings,
		client: &http.Client{
			Timeout:   patience,
			Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // an answer like any other
			},
		},
	}
	t.Cleanup(func() {
		up.Close() // first, so that nothing waits for it
		if p.larder != nil {
			p.stop(t)
		}
	})
	return p
}

// start starts Larder, on the data of the last time.
func (p *pair) start(t *testing.T) {
	t.Helper()
	env := append([]string{
		"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"),
		"GORACE=atexit_sleep_ms=20", // the default, a second, is long for so many ends
	}, p.env...)
	var err error
	if p.binary == "" {
		p.binary = rig.Tested(t)
	}
	args := append([]string{"--data", p.data, "--upstream", p.upstream}, p.args...)
	for range rig.Tries {
		fresh := p.port == 0
		if fresh {
			if p.port, err = rig.FreePort(); err != nil {
				t.Fatal(err)
			}
		}
		p.larder, err = rig.Start(p.binary, p.port, args, env)
		if err == nil {
			return
		}
		if fresh && strings.Contains(err.Error(), "address already in use") {
			p.port = 0 // somebody else was given it meanwhile
		}
	}
	t.Fatal(err)
}

// stop ends Larder, which must not mind.
func (p *pair) stop(t *testing.T) {
	t.Helper()
	p.client.CloseIdleConnections()
	err := p.larder.Stop()
	if err != nil {
		t.Errorf("larder did not end well: %v", err)
	}
	if t.Failed() {
		t.Log("larder's log:\n" + rig.Tail(p.larder.Log(), 20))
	}
	p.larder = nil
}

// add publishes packages in the registry.
func (p *pair) add(t *testing.T, packages ...registry.Package) {
	t.Helper()
	if err := p.registry.Add(packages...); err != nil {
		t.Fatal(err)
	}
}

// url is Larder's base, without a slash at its end.
func (p *pair) url() string { return fmt.Sprintf("http://127.0.0.1:%d", p.port) }

// reply is an answer with all of its body.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// ask sends a request without a body to Larder. Headers are "Name: value"; Host
// is one of them. An error means that no whole answer came, and what came is in
// the reply.
func (p *pair) ask(method, path string, headers ...string) (reply, error) {
	return p.send(method, p.url()+path, nil, headers)
}

func (p *pair) send(method, url string, body io.Reader, headers []string) (reply, error) {
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		return reply{}, err
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
		}
		req.Header.Add(name, value)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	r := reply{status: resp.StatusCode, header: resp.Header}
	r.body, err = io.ReadAll(resp.Body)
	return r, err
}

// get is ask for a whole answer to GET.
func (p *pair) get(t *testing.T, path string, headers ...string) reply {
	t.Helper()
	return p.do(t, http.MethodGet, path, headers...)
}

// do is ask for a whole answer.
func (p *pair) do(t *testing.T, method, path string, headers ...string) reply {
	t.Helper()
	r, err := p.ask(method, path, headers...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// ok is get for a 200.
func (p *pair) ok(t *testing.T, path string, headers ...string) reply {
	t.Helper()
	r := p.get(t, path, headers...)
	if r.status != http.StatusOK {
		t.Fatalf("GET %s %q: %d %s", path, headers, r.status, r.body)
	}
	return r
}

// post sends a JSON body.
func (p *pair) post(t *testing.T, path, body string, headers ...string) reply {
	t.Helper()
	r, err := p.send(http.MethodPost, p.url()+path, strings.NewReader(body), append(headers, "Content-Type: application/json"))
	if err != nil {
		t.Fatalf("POST %s: %v", path, err)
	}
	return r
}

// original is what the registry itself answers. It resets the registry's
// counts.
func (p *pair) original(t *testing.T, path string, headers ...string) reply {
	t.Helper()
	r, err := p.send(http.MethodGet, strings.TrimSuffix(p.registry.URL(), "/")+path, nil, headers)
	if err != nil || r.status != http.StatusOK {
		t.Fatalf("the registry's %s: %d, %v", path, r.status, err)
	}
	p.registry.ResetCounts()
	return r
}

// raw sends a request target and a Host as they are, which no client library
// would, and returns the answer.
func (p *pair) raw(t *testing.T, method, target, host string) reply {
	t.Helper()
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", p.port), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", method, target, host)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%.80q: %v", target, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%.80q: %v", target, err)
	}
	return reply{resp.StatusCode, resp.Header, body}
}

// refusal returns why r is not an error with one of the statuses and a body
// that every client can read, or nil.
func (r reply) refusal(statuses ...int) error {
	var body struct{ Error, Message string }
	switch {
	case !slices.Contains(statuses, r.status):
		return fmt.Errorf("status %d, want one of %d: %.200s", r.status, statuses, r.body)
	case r.header.Get("Content-Type") != "application/json":
		return fmt.Errorf("%d with the Content-Type %q", r.status, r.header.Get("Content-Type"))
	case json.Unmarshal(r.body, &body) != nil || body.Error == "" || body.Error != body.Message:
		return fmt.Errorf("%d with the body %.200s", r.status, r.body)
	case r.header.Get("Cache-Control") != "no-store":
		return fmt.Errorf("%d with Cache-Control %q", r.status, r.header.Get("Cache-Control"))
	case r.header.Get("X-Request-Id") == "":
		return errors.New("no X-Request-Id")
	}
	return nil
}

// wantRefusal fails the test unless r is an error with one of the statuses.
func (r reply) wantRefusal(t *testing.T, statuses ...int) {
	t.Helper()
	if err := r.refusal(statuses...); err != nil {
		t.Error(err)
	}
}

// wantCache fails the test unless r came about as X-Larder-Cache should say.
func (r reply) wantCache(t *testing.T, result string) {
	t.Helper()
	if got := r.header.Get("X-Larder-Cache"); got != result {
		t.Errorf("X-Larder-Cache: %q, want %q", got, result)
	}
}

// manifestOf is one version in a packument.
func manifestOf(t *testing.T, packument []byte, version string) gjson.Result {
	t.Helper()
	m, ok := gjson.GetBytes(packument, "versions").Map()[version]
	if !ok {
		t.Fatalf("no version %s in %.200s", version, packument)
	}
	return m
}

// wantRequests fails the test unless the registry was asked n times for the
// paths that match pattern.
func (p *pair) wantRequests(t *testing.T, pattern string, n int) {
	t.Helper()
	if got := p.registry.Requests(pattern); got != n {
		t.Errorf("the registry was asked %d times for %s, want %d: %q", got, pattern, n, p.registry.Paths())
	}
}
