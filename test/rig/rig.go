package rig

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"larder/test/netguard"
	"larder/test/registry"
)

// Long asks for the soaks at their full length.
var Long = os.Getenv("LARDER_TEST_LONG") != ""

// The Accept headers of clients that want one form of a packument.
const (
	Full        = "application/json"
	Abbreviated = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"
)

// Config sets up a Rig; the zero value is a good one.
type Config struct {
	Binary   string           // of larder; "" is Tested
	Settings []string         // "NAME=value" for larder's environment
	Args     []string         // further flags of "larder serve"
	Data     string           // larder's directory; "" is a temporary one
	Upstream *registry.Server // what stands behind it; nil is a new and empty one
}

// Rig is a registry, a Larder before it and an HTTP client of Larder's.
type Rig struct {
	Upstream *registry.Server
	Source   string  // its URL, with a slash at its end
	Larder   *Larder // nil while there is none
	Data     string  // its directory
	Base     string  // its URL, with a slash at its end, the same after each start
	Client   *http.Client

	binary    string
	args, env []string
	port      int
}

// New starts all of it. When the test ends, a Larder that does not end cleanly
// fails it, which under the race detector includes one that raced.
func New(t testing.TB, cfg Config) *Rig {
	t.Helper()
	r := &Rig{Upstream: cfg.Upstream, Data: cfg.Data, binary: cfg.Binary}
	if r.binary == "" {
		r.binary = Tested(t)
	}
	if r.Data == "" {
		r.Data = t.TempDir()
	}
	r.Client = &http.Client{Transport: &http.Transport{DialContext: netguard.Dial, MaxIdleConnsPerHost: 64}}
	if r.Upstream == nil {
		up, err := registry.New(registry.Config{})
		if err != nil {
			t.Fatal(err)
		}
		r.Upstream = up
	}
	r.Source = r.Upstream.URL()
	t.Cleanup(r.Upstream.Close)
	r.args = append([]string{"--data", r.Data, "--upstream", r.Source, "--log-level", "warn"}, cfg.Args...)
	r.env = append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}, cfg.Settings...)
	t.Cleanup(func() { r.end(t) })
	r.Start(t)
	return r
}

// Start starts Larder, on the data and the port of the last time.
func (r *Rig) Start(t testing.TB) {
	t.Helper()
	var err error
	for range Tries {
		fresh := r.port == 0
		if fresh {
			if r.port, err = FreePort(); err != nil {
				t.Fatal(err)
			}
			r.Base = fmt.Sprintf("http://127.0.0.1:%d/", r.port)
		}
		if r.Larder, err = Start(r.binary, r.port, r.args, r.env); err == nil {
			return
		}
		if !fresh || !strings.Contains(err.Error(), "address already in use") {
			break
		}
		r.port = 0 // somebody else was given it meanwhile
	}
	t.Fatal(err)
}

// StartTLS is Start for a Larder whose settings make it speak TLS. Client trusts
// the authority in a file from then on.
func (r *Rig) StartTLS(t testing.TB, ca string) {
	t.Helper()
	text, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	r.Client.Transport = &http.Transport{DialContext: netguard.Dial, TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	r.Base = fmt.Sprintf("https://127.0.0.1:%d/", r.port)
	if r.Larder, err = Launch(r.binary, r.port, r.args, r.env); err != nil {
		t.Fatal(err)
	}
	if err := r.Larder.waitReady(r.Client.Transport, r.Base+"-/health/ready"); err != nil {
		t.Fatalf("larder serve: %v\n%s", err, r.Larder.Log())
	}
}

// Stop ends Larder, which must not mind, and shows the end of its log where the
// test has failed.
func (r *Rig) Stop(t testing.TB) {
	t.Helper()
	r.Client.CloseIdleConnections()
	if err := r.Larder.Stop(); err != nil {
		t.Errorf("larder did not end well: %v", err)
	}
	if t.Failed() {
		t.Log("larder's log:\n" + Tail(r.Larder.Log(), 100))
	}
	r.Larder = nil
}

// Kill ends Larder by SIGKILL, and returns what it had printed.
func (r *Rig) Kill() (log string) {
	r.Larder.Kill()
	r.Client.CloseIdleConnections()
	log = r.Larder.Log()
	r.Larder = nil
	return log
}

// KillWhileStarting starts Larder and ends it by SIGKILL a little later, ready
// or not.
func (r *Rig) KillWhileStarting(t testing.TB, after time.Duration) {
	t.Helper()
	l, err := Launch(r.binary, r.port, r.args, r.env)
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(after)
	l.Kill()
}

// Restart stops Larder and starts it again.
func (r *Rig) Restart(t testing.TB) {
	t.Helper()
	r.Stop(t)
	r.Start(t)
}

// Command runs another command of the binary, such as "offline" "on", on
// Larder's data directory, and returns what it prints.
func (r *Rig) Command(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), r.binary, append(args, "--data", r.Data)...)
	cmd.Env = r.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("larder %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Configure replaces what Config said of Settings and Args, from the next start
// on.
func (r *Rig) Configure(settings, args []string) {
	r.args, r.env = append(r.args[:baseArgs:baseArgs], args...), append(r.env[:baseEnv:baseEnv], settings...)
}

// What New puts before the arguments and the settings of a Config.
const (
	baseArgs = 6
	baseEnv  = 2
)

func (r *Rig) end(t testing.TB) {
	r.Upstream.Stop() // or what hangs there would be waited for
	if r.Larder != nil {
		r.Stop(t)
	}
}

// Fetch reads the answer to a GET of url. header holds names and values in
// turn.
func (r *Rig) Fetch(ctx context.Context, url string, header ...string) (*http.Response, []byte, error) {
	resp, err := r.Open(ctx, http.MethodGet, url, header...)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

// Open sends a request. The caller closes the response's body.
func (r *Rig) Open(ctx context.Context, method, url string, header ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	req.Host = req.Header.Get("Host") // "": as in the URL
	req.Header.Del("Host")
	return r.Client.Do(req)
}

// Published is what the registry itself answers at a path.
func (r *Rig) Published(t testing.TB, path string, header ...string) []byte {
	t.Helper()
	resp, body, err := r.Fetch(t.Context(), r.Source+path, header...)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the registry answers %s for %s", resp.Status, path)
	}
	return body
}

// Eventually asks until ok, for at most limit, and reports whether it was.
func Eventually(t testing.TB, limit time.Duration, ok func() bool) bool {
	t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(limit)
	for !ok() {
		select {
		case <-again.C:
		case <-deadline:
			return false
		}
	}
	return true
}

// Add publishes packages in the registry.
func (r *Rig) Add(t testing.TB, packages ...registry.Package) {
	t.Helper()
	if err := r.Upstream.Add(packages...); err != nil {
		t.Fatal(err)
	}
}

// Seed is the seed of a random test. LARDER_TEST_SEED repeats a run, as far as
// scheduling lets it.
func Seed(t testing.TB) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("LARDER_TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("LARDER_TEST_SEED=%d", seed)
	return seed
}
