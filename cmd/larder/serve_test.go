package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/upstream"
)

// flags returns the arguments of a server of the test's own on a free port.
func serveArgs(t *testing.T, upstream string, more ...string) []string {
	args := []string{"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--upstream", upstream}
	return append(args, more...)
}

// get fetches url and returns status and body.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// slowRegistry serves one package, whose tarball it holds back in the middle
// until release is called.
func slowRegistry(t *testing.T) (url string, tarball []byte, release func()) {
	tarball = make([]byte, 1<<20)
	rand.Read(tarball)
	released := make(chan struct{})
	var upstream *httptest.Server
	upstream = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow/-/slow-1.0.0.tgz" {
			w.Header().Set("Content-Length", fmt.Sprint(len(tarball)))
			w.Write(tarball[:len(tarball)/2])
			w.(http.Flusher).Flush()
			select {
			case <-released:
				w.Write(tarball[len(tarball)/2:])
			case <-r.Context().Done():
			}
			return
		}
		hash := sha512.Sum512(tarball)
		manifest := map[string]any{"name": "slow", "version": "1.0.0", "dist": map[string]any{
			"tarball":   upstream.URL + "/slow/-/slow-1.0.0.tgz",
			"integrity": "sha512-" + base64.StdEncoding.EncodeToString(hash[:]),
		}}
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/slow":
			json.NewEncoder(w).Encode(map[string]any{
				"name": "slow", "modified": "2020-01-01T00:00:00.000Z", "dist-tags": map[string]string{"latest": "1.0.0"},
				"versions": map[string]any{"1.0.0": manifest},
			})
		case "/slow/1.0.0":
			json.NewEncoder(w).Encode(manifest)
		default:
			http.Error(w, `{"error":"not found"}`, http.StatusNotFound)
		}
	}))
	t.Cleanup(upstream.Close)
	return upstream.URL + "/", tarball, func() { close(released) }
}

// beginDownload fetches the slow tarball as far as it comes and returns the
// response that has the rest.
func beginDownload(t *testing.T, base string) (res *http.Response, begun []byte) {
	t.Helper()
	res, err := http.Get(base + "slow/-/slow-1.0.0.tgz")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	begun = make([]byte, 100_000)
	if _, err := io.ReadFull(res.Body, begun); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", res.StatusCode, err)
	}
	return res, begun
}

func TestServe(t *testing.T) {
	upstream, _, _ := slowRegistry(t)
	larder, stop := launch(t, []string{"LARDER_FRESH=x"}, serveArgs(t, upstream)...)
	base := larder.url()
	if status, _ := get(t, base+"-/ping"); status != http.StatusOK {
		t.Errorf("ping: status %d", status)
	}
	if status, body := get(t, base+"slow"); status != http.StatusOK || !strings.Contains(body, base+"slow/-/slow-1.0.0.tgz") {
		t.Errorf("packument: status %d, %s", status, body)
	}
	if banner := "is listening on " + base; !strings.Contains(larder.output(), banner) {
		t.Errorf("no %q in\n%s", banner, larder.output())
	}
	larder.waitFor("LARDER_FRESH")
	stop()
	if status := larder.exit(); status != exitOK {
		t.Errorf("exit status %d:\n%s", status, larder.output())
	}
	if _, err := http.Get(base + "-/ping"); err == nil {
		t.Error("it still answers")
	}
}

func TestServeLogsJSONAlone(t *testing.T) {
	larder, stop := launch(t, nil, serveArgs(t, "http://127.0.0.1:1/", "--log-format", "json", "--listen", "[::1]:0")...)
	larder.waitFor(`"http://[::1]:`)
	stop()
	larder.exit()
	listening := 0
	for line := range strings.Lines(larder.output()) {
		var entry struct{ Msg, URL string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("%v: %s", err, line)
		}
		if entry.Msg == "listening" {
			listening++
		}
	}
	if listening != 2 {
		t.Errorf("%d lines say listening, want one for each address", listening)
	}
}

func TestReadinessNamesTheDataDirectory(t *testing.T) {
	args := serveArgs(t, "http://127.0.0.1:1/")
	data := args[4]
	larder, _ := launch(t, nil, args...)
	base := larder.url()
	if status, body := get(t, base+"-/health/ready"); status != http.StatusOK || !strings.Contains(body, `"data directory"`) ||
		!strings.Contains(body, "published packages") || !strings.Contains(body, "accounts") {
		t.Errorf("status %d, %s", status, body)
	}
	if strings.Contains(larder.output(), "probe-") {
		t.Error("the probe is in the log")
	}
	if entries, err := os.ReadDir(data); err != nil || len(entries) != 6 {
		t.Errorf("the data directory holds %v, %v; want audit, auth, cache, control.sock, hosted and lock", entries, err)
	}
}

func TestSecondServerOnOneDirectory(t *testing.T) {
	args := serveArgs(t, "http://127.0.0.1:1/")
	first, stop := launch(t, nil, args...)
	first.url()
	second, _ := launch(t, nil, args...)
	if status := second.exit(); status != exitFailure {
		t.Errorf("exit status %d, want %d", status, exitFailure)
	}
	if want := fmt.Sprintf("is in use by another larder (process %d)", os.Getpid()); !strings.Contains(second.output(), want) {
		t.Errorf("no %q in %q", want, second.output())
	}
	stop()
	first.exit()
	third, _ := launch(t, nil, args...)
	third.url()
}

func TestTakenAddress(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	args := serveArgs(t, "http://127.0.0.1:1/", "--listen", taken.Addr().String())
	larder, _ := launch(t, nil, args...)
	if status := larder.exit(); status != exitFailure || !strings.Contains(larder.output(), "address already in use") {
		t.Errorf("status %d: %s", status, larder.output())
	}
	if strings.Contains(larder.output(), "listening") {
		t.Errorf("it announced itself all the same: %s", larder.output())
	}
	again, _ := launch(t, nil, args[:len(args)-2]...)
	again.url() // the failed start has let go of the data directory
}

func TestFirstSignalLetsDownloadsFinish(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			upstream, tarball, release := slowRegistry(t)
			larder, signal := spawn(t, serveArgs(t, upstream)...)
			res, begun := beginDownload(t, larder.url())
			signal(sig)
			larder.waitFor("stopping")
			release()
			rest, err := io.ReadAll(res.Body)
			if err != nil || !bytes.Equal(append(begun, rest...), tarball) {
				t.Errorf("the download ended after %d of %d bytes with %v", len(begun)+len(rest), len(tarball), err)
			}
			if status := larder.exit(); status != exitOK {
				t.Errorf("exit status %d:\n%s", status, larder.output())
			}
		})
	}
}

func TestSecondSignalCutsDownloadsOff(t *testing.T) {
	upstream, tarball, _ := slowRegistry(t)
	args := serveArgs(t, upstream)
	larder, signal := spawn(t, args...)
	res, begun := beginDownload(t, larder.url())
	signal(syscall.SIGTERM)
	larder.waitFor("stopping")
	signal(syscall.SIGINT)
	if status := larder.exit(); status != exitFailure {
		t.Errorf("exit status %d:\n%s", status, larder.output())
	}
	larder.waitFor("second signal")
	if rest, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("the client took %d of %d bytes for the whole", len(begun)+len(rest), len(tarball))
	}
}

// TestFailedStartSaysWhyAlone: what was built before the failure is given
// back without a word, since it was never used.
func TestFailedStartSaysWhyAlone(t *testing.T) {
	s := &settings{Config: defaults()}
	s.Data = t.TempDir()
	s.auths = make([]upstream.Auth, len(s.Upstreams))
	s.PublicURL = "not a URL, which load refuses"
	var log bytes.Buffer
	_, err := newServer(t.Context(), s, build{}, logs{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err == nil || !strings.Contains(err.Error(), "public URL") || log.Len() > 0 {
		t.Errorf("error %v, log %s", err, log.Bytes())
	}
}

// TestUpstreamsGetTheirSettings holds the translation of the configuration,
// which no other package sees.
func TestUpstreamsGetTheirSettings(t *testing.T) {
	s := &settings{Config: defaults()}
	s.Offline = true
	got := upstreamConfig(s, UpstreamConfig{
		Name: "a", Match: []string{"@a/*"}, URLs: []string{"https://a.example/npm/", "https://b.example/"},
		Headers: map[string]string{"x-mirror": "larder"}, CA: "ca.pem", TarballHosts: []string{"files.example"}, Concurrency: 7,
	})
	type brief struct {
		Name, CA, URLs, Match, Mirror, Hosts, Fresh, Stale string
		Concurrency                                        int
		Offline                                            bool
	}
	want := brief{"a", "ca.pem", "[https://a.example/npm/ https://b.example/]", "[@a/*]", "larder", "[files.example]", "5m0s", "5m0s", 7, true}
	if diff := cmp.Diff(want, brief{
		got.Name, got.CAFile, fmt.Sprint(got.URLs), fmt.Sprint(got.Match), got.Headers.Get("X-Mirror"), fmt.Sprint(got.TarballHosts),
		got.FreshFor.String(), got.StaleWhileRevalidate.String(), got.Concurrency, got.Offline,
	}); diff != "" {
		t.Error(diff)
	}
	if got := fmt.Sprint(prefixes([]string{"10.1.2.3/8", "::1", "192.0.2.7"})); got != "[10.0.0.0/8 ::1/128 192.0.2.7/32]" {
		t.Errorf("prefixes: %s", got)
	}
}
