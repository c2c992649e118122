package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"larder/upstream"
)

// deepData returns a data directory whose socket has a path longer than any
// system takes, and a new one of a common length.
func dataDirs(t *testing.T) map[string]string {
	t.Helper()
	long := filepath.Join(t.TempDir(), strings.Repeat("a-long-name-", 15))
	if len(controlPath(long)) <= 108 {
		t.Fatalf("%s is not long", long)
	}
	short, err := os.MkdirTemp("", "larder")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	return map[string]string{"short": short, "long": long}
}

// TestOfflineSwitch drives the command against a running server.
func TestOfflineSwitch(t *testing.T) {
	for name, data := range dataDirs(t) {
		t.Run(name, func(t *testing.T) {
			up, _, _ := slowRegistry(t)
			larder, stop := launch(t, nil, "serve", "--listen", "127.0.0.1:0", "--data", data, "--upstream", up)
			base := larder.url()
			offline := func(word, want string) {
				t.Helper()
				if got := must(t, "", "offline", word, "--data", data); got != want {
					t.Errorf("offline %s: %q, want %q", word, got, want)
				}
			}
			if fi, err := os.Stat(controlPath(data)); err != nil || fi.Mode() != fs.ModeSocket|0o600 {
				t.Errorf("the socket: %v, %v", fi.Mode(), err)
			}
			offline("status", "online\nupstream npm: ok\n")
			for range 2 { // once more changes nothing, and is noted once
				offline("on", "offline\nupstream npm: offline\n")
			}
			offline("status", "offline\nupstream npm: offline\n")
			if status, body := get(t, base+"slow"); status != http.StatusServiceUnavailable || !strings.Contains(body, "Larder is offline") {
				t.Errorf("while offline: status %d, %s", status, body)
			}
			if status, body := get(t, base+"-/metrics"); status != http.StatusOK || !strings.Contains(body, `larder_upstream_offline{upstream="npm"} 1`) {
				t.Errorf("metrics: status %d, and no gauge", status)
			}
			offline("off", "online\nupstream npm: ok\n")
			if status, body := get(t, base+"slow"); status != http.StatusOK {
				t.Errorf("online again: status %d, %s", status, body)
			}
			stop()
			larder.exit()
			if _, err := os.Lstat(controlPath(data)); !os.IsNotExist(err) {
				t.Errorf("the socket was left behind: %v", err)
			}
			log, err := os.ReadFile(auditPath(data))
			if err != nil {
				t.Fatal(err)
			}
			for _, action := range []string{"offline", "online"} {
				if want := `"actor":"cli:` + systemUser() + `","action":"` + action + `"`; strings.Count(string(log), want) != 1 {
					t.Errorf("not one %s in\n%s", want, log)
				}
			}
		})
	}
}

// TestNobodyToSwitch: without a server, with the socket of one that was killed,
// and with one that knows of no upstream.
func TestNobodyToSwitch(t *testing.T) {
	data := t.TempDir()
	refused := func(want string, args ...string) {
		t.Helper()
		status, stdout, stderr := cli(t, "", append([]string{"offline"}, args...)...)
		if status != exitFailure || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("offline %v: status %d, %q, %q; want %q", args, status, stdout, stderr, want)
		}
	}
	for _, word := range []string{"on", "off", "status"} {
		refused("no larder is running on the data directory "+data, word, "--data", data)
		refused("no larder is running on the data directory", word, "--data", filepath.Join(data, "none"))
	}
	if _, err := os.Stat(filepath.Join(data, "none")); err == nil {
		t.Error("the command has made a data directory")
	}
	leaveSocket(t, controlPath(data))
	refused("no larder is running", "on", "--data", data)

	larder, stop := launch(t, nil, "serve", "--listen", "127.0.0.1:0", "--data", data, "--config", write(t, "larder.yaml", "upstreams: []"))
	larder.url()
	refused("this larder has no upstream", "on", "--data", data)
	if got := must(t, "", "offline", "status", "--data", data); got != "online\n" {
		t.Errorf("status: %q", got)
	}
	stop()
	larder.exit()

	if status, _, stderr := cli(t, "", "offline", "on", "--data", data, "--config", write(t, "bad.yaml", "offlin: true")); status != exitUsage || !strings.Contains(stderr, "offlin") {
		t.Errorf("a bad configuration: status %d, %q", status, stderr)
	}
	if status, _, _ := cli(t, "", "offline", "on", "now", "--data", data); status != exitUsage {
		t.Errorf("too many words: status %d", status)
	}
}

// leaveSocket leaves what a server leaves that is killed.
func leaveSocket(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestASocketThatCannotBeMade: packages are served all the same, and what is in
// the way, which may be somebody's file, is left alone.
func TestASocketThatCannotBeMade(t *testing.T) {
	args := serveArgs(t, "http://127.0.0.1:1/")
	path := controlPath(args[4])
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	larder, stop := launch(t, nil, args...)
	if status, _ := get(t, larder.url()+"-/ping"); status != http.StatusOK {
		t.Errorf("ping: status %d", status)
	}
	larder.waitFor("is no socket")
	if status, _, stderr := cli(t, "", "offline", "on", "--data", args[4]); status != exitFailure {
		t.Errorf("status %d, %s", status, stderr)
	}
	stop()
	if status := larder.exit(); status != exitOK {
		t.Errorf("status %d", status)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
		t.Errorf("the file: %q, %v", text, err)
	}
}

// newControls returns controls of one upstream.
func newControls(t testing.TB) *controls {
	t.Helper()
	s := &settings{Config: defaults()}
	s.Data = t.TempDir()
	s.auths = make([]upstream.Auth, len(s.Upstreams))
	srv, err := newServer(t.Context(), s, build{version: "test"}, logs{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return srv.controls(s, build{version: "test"})
}

func TestControlRefusesInSentences(t *testing.T) {
	c := newControls(t)
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"no such path", "GET", "/v1/nonsense", "", 400, "no GET /v1/nonsense"},
		{"another method", "DELETE", statusPath, "", 400, "no DELETE /v1/status"},
		{"not JSON", "PUT", offlinePath, "on", 400, "cannot be read"},
		{"empty", "PUT", offlinePath, "", 400, "cannot be read"},
		{"unknown member", "PUT", offlinePath, `{"offline":true,"actor":"a","for":"1h"}`, 400, "for"},
		{"two orders", "PUT", offlinePath, `{"offline":true,"actor":"a"}{}`, 400, "followed by"},
		{"not said which", "PUT", offlinePath, `{"actor":"a"}`, 400, `lacks "offline"`},
		{"nobody's", "PUT", offlinePath, `{"offline":true}`, 400, "who gives it"},
		{"a line in the journal", "PUT", offlinePath, `{"offline":true,"actor":"a\nb"}`, 400, "who gives it"},
		{"endless", "PUT", offlinePath, `{"actor":"` + strings.Repeat("a", maxControlBytes) + `"}`, 400, "too large"},
		{"no name", "GET", forgetPath, "", 400, "name"},
		{"a bad name", "GET", forgetPath + "?name=..", "", 400, "name"},
		{"never published", "GET", forgetPath + "?name=lib", "", 400, "lib was never published here"},
		{"never published, without asking", "POST", forgetPath, `{"name":"lib","actor":"a"}`, 400, "lib was never published here"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := order(c, tt.method, tt.path, tt.body)
			var e errorReport
			if err := json.Unmarshal(rec.Body.Bytes(), &e); err != nil || rec.Code != tt.status || !strings.Contains(e.Error, tt.want) {
				t.Errorf("status %d, %q, %v; want %d and %q", rec.Code, rec.Body, err, tt.status, tt.want)
			}
		})
	}
	if c.status().Offline {
		t.Error("one of them took it offline")
	}
}

func order(c *controls, method, path, body string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	c.handler().ServeHTTP(rec, r)
	return rec
}

// FuzzControl sends the socket whatever may come: the answer is always JSON, and
// never an internal error.
func FuzzControl(f *testing.F) {
	for _, seed := range [][3]string{
		{"PUT", offlinePath, `{"offline":true,"actor":"cli:root"}`},
		{"PUT", offlinePath, `{"offline":null,"actor":"cli:root"}`},
		{"POST", forgetPath, `{"name":"@acme/lib","actor":"cli:root"}`},
		{"GET", forgetPath + "?name=%00", ""},
		{"GET", "//v1/../v1/status", "[]"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	c := newControls(f)
	f.Fuzz(func(t *testing.T, method, path, body string) {
		r, err := http.NewRequest(method, "http://larder.invalid/"+strings.TrimPrefix(path, "/"), strings.NewReader(body))
		if err != nil {
			return
		}
		rec := httptest.NewRecorder()
		c.handler().ServeHTTP(rec, r)
		moved := rec.Code == http.StatusMovedPermanently || rec.Code == http.StatusTemporaryRedirect // the mux tidies paths up
		if !moved && (rec.Code != http.StatusOK && rec.Code != http.StatusBadRequest || !json.Valid(rec.Body.Bytes())) {
			t.Errorf("%s %s %q: status %d, %q", method, path, body, rec.Code, rec.Body)
		}
		if rec.Code == http.StatusBadRequest && !strings.Contains(rec.Body.String(), `"error":"`) {
			t.Errorf("no sentence: %s", rec.Body)
		}
	})
}

// TestControlClientReportsWhatItGets that is no answer of a larder's.
func TestControlClientReportsWhatItGets(t *testing.T) {
	data := t.TempDir()
	l, err := net.Listen("unix", controlPath(data))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet:
			fmt.Fprint(w, "hello")
		default:
			w.WriteHeader(http.StatusTeapot)
		}
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	for word, want := range map[string]string{"status": "an answer that cannot be read", "on": "answered with status 418"} {
		if status, _, stderr := cli(t, "", "offline", word, "--data", data); status != exitFailure || !strings.Contains(stderr, want) {
			t.Errorf("offline %s: status %d, %q", word, status, stderr)
		}
	}
}
