package test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"larder/test/netguard"
	"larder/test/registry"
)

// long asks for the soaks at their full length.
var long = os.Getenv("LARDER_TEST_LONG") != ""

// rig is a registry, a Larder before it and an HTTP client of Larder's, for
// the tests that put load on the built binary.
type rig struct {
	upstream *registry.Server
	source   string  // its URL, with a slash at its end
	larder   *larder // nil once it was ended
	data     string  // its directory
	base     string  // its URL, with a slash at its end
	client   *http.Client
}

// newRig starts all of it, Larder from the binary at path. settings are
// environment variables. When the test ends, a Larder that does not end cleanly
// fails it, which under the race detector includes one that raced.
func newRig(t *testing.T, path string, settings ...string) *rig {
	t.Helper()
	r := &rig{data: t.TempDir()}
	r.client = &http.Client{Transport: &http.Transport{DialContext: netguard.Dial, MaxIdleConnsPerHost: 64}}
	up, err := registry.New(registry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r.upstream, r.source = up, up.URL()
	t.Cleanup(up.Close)
	args := []string{"--data", r.data, "--upstream", r.source, "--log-level", "warn"}
	env := append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}, settings...)
	for range startTries {
		var port int
		if port, err = freePort(); err != nil {
			t.Fatal(err)
		}
		r.base = fmt.Sprintf("http://127.0.0.1:%d/", port)
		if r.larder, err = startBinary(path, port, args, env); err == nil {
			t.Cleanup(func() { r.end(t) })
			return r
		}
	}
	t.Fatal(err)
	return nil
}

func (r *rig) end(t *testing.T) {
	if r.larder == nil {
		return
	}
	r.upstream.Stop() // or what hangs there would be waited for
	r.client.CloseIdleConnections()
	err := r.larder.stop()
	if err != nil {
		t.Errorf("larder did not end well: %v", err)
	}
	if t.Failed() {
		t.Log("larder's log:\n" + tail(r.larder.log.String(), 100))
	}
	r.larder = nil
}

// testedBinary is the binary under the same race detector as the test.
func testedBinary(t *testing.T) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// plainBinary builds larder without the race detector, which multiplies memory.
func plainBinary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "larder")
	build := exec.Command("go", "build", "-o", path, "larder/cmd/larder")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// fetch reads the answer to a GET of url. header holds names and values in
// turn.
func (r *rig) fetch(ctx context.Context, url string, header ...string) (*http.Response, []byte, error) {
	resp, err := r.open(ctx, http.MethodGet, url, header...)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

// open sends a request. The caller closes the response's body.
func (r *rig) open(ctx context.Context, method, url string, header ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	req.Host = req.Header.Get("Host") // "": as in the URL
	req.Header.Del("Host")
	return r.client.Do(req)
}

// published is what the registry itself answers at a path.
func (r *rig) published(t *testing.T, path string, header ...string) []byte {
	t.Helper()
	resp, body, err := r.fetch(t.Context(), r.source+path, header...)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the registry answers %s for %s", resp.Status, path)
	}
	return body
}

// metrics returns the sums of the series of several metrics, of one scrape.
func (r *rig) metrics(t *testing.T, names ...string) []int {
	t.Helper()
	resp, body, err := r.fetch(t.Context(), r.base+"-/metrics")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET /-/metrics: %v, %v", resp, err)
	}
	sums, found := make([]int, len(names)), make([]bool, len(names))
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		series, value, _ := strings.Cut(lines.Text(), " ")
		series, _, _ = strings.Cut(series, "{")
		for i, name := range names {
			if series != name {
				continue
			}
			n, err := strconv.ParseFloat(value[strings.LastIndexByte(value, ' ')+1:], 64)
			if err != nil {
				t.Fatalf("metric %s: %v", name, err)
			}
			sums[i] += int(n)
			found[i] = true
		}
	}
	for i, name := range names {
		if !found[i] {
			t.Fatalf("there is no metric %s", name)
		}
	}
	return sums
}

// eventually asks until ok, for at most limit, and reports whether it was.
func eventually(t *testing.T, limit time.Duration, ok func() bool) bool {
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
