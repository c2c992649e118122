package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// adminURL waits until larder has an admin listener and returns its URL.
func (r *running) adminURL() string {
	r.t.Helper()
	_, rest, _ := strings.Cut(r.waitFor(`msg="admin listening"`), "url=")
	return strings.TrimSpace(rest)
}

func TestAdminListener(t *testing.T) {
	larder, stop := launch(t, []string{"LARDER_ADMIN_LISTEN=127.0.0.1:0"}, serveArgs(t, "http://127.0.0.1:1/")...)
	admin, base := larder.adminURL(), larder.url()
	for path, want := range map[string]string{
		"":                               "/debug/pprof/",
		"metrics":                        "larder_build_info{",
		"debug/pprof/":                   "goroutine",
		"debug/pprof/heap?debug=1":       "heap profile",
		"debug/pprof/mutex?debug=1":      "sampling period=100",
		"debug/pprof/goroutine?debug=1":  "net/http.(*Server).Serve",
		"debug/pprof/cmdline":            "",
		"debug/pprof/symbol?0x1":         "num_symbols: 1",
		"debug/pprof/trace?seconds=0.01": "go 1.",
	} {
		if status, body := get(t, admin+path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("/%s: status %d, %.200q, want %q in it", path, status, body, want)
		}
	}
	// Both expositions hold ours and the process's, and the runtime's are there
	// for who looks inside alone.
	const ours, process, detail = "larder_requests_total", "process_cpu_seconds_total", "go_sched_latencies_seconds"
	if _, body := get(t, admin+"metrics"); !strings.Contains(body, ours) || !strings.Contains(body, process) || !strings.Contains(body, detail) {
		t.Errorf("admin's metrics lack something:\n%s", body)
	}
	if _, body := get(t, base+"-/metrics"); !strings.Contains(body, ours) || !strings.Contains(body, process) || strings.Contains(body, detail) {
		t.Errorf("everybody's metrics lack something, or have too much:\n%s", body)
	}
	if status, _ := get(t, base+"debug/pprof/"); status == http.StatusOK {
		t.Error("profiles are to be had from the public listener")
	}
	if status, _ := get(t, admin+"-/ping"); status != http.StatusNotFound {
		t.Errorf("the admin listener is a registry: status %d", status)
	}
	stop()
	if status := larder.exit(); status != exitOK {
		t.Errorf("exit status %d:\n%s", status, larder.output())
	}
	if _, err := http.Get(admin); err == nil {
		t.Error("it still answers")
	}
}

func TestNoAdminListenerUnlessAskedFor(t *testing.T) {
	larder, stop := launch(t, nil, serveArgs(t, "http://127.0.0.1:1/")...)
	larder.url()
	stop()
	larder.exit()
	if strings.Contains(larder.output(), "admin") {
		t.Errorf("there is something about it in\n%s", larder.output())
	}
}

func TestAdminListenerThatIsTaken(t *testing.T) {
	first, _ := launch(t, []string{"LARDER_ADMIN_LISTEN=127.0.0.1:0"}, serveArgs(t, "http://127.0.0.1:1/")...)
	taken := strings.TrimSuffix(strings.TrimPrefix(first.adminURL(), "http://"), "/")
	second, _ := launch(t, []string{"LARDER_ADMIN_LISTEN=" + taken}, serveArgs(t, "http://127.0.0.1:1/")...)
	if status := second.exit(); status != exitFailure || !strings.Contains(second.output(), "admin.listen: listen tcp "+taken) {
		t.Errorf("status %d:\n%s", status, second.output())
	}
}

// TestProfilesDoNotHoldUpAStop: one of an hour ends with the server, and is good.
func TestProfilesDoNotHoldUpAStop(t *testing.T) {
	larder, stop := launch(t, []string{"LARDER_ADMIN_LISTEN=127.0.0.1:0"}, serveArgs(t, "http://127.0.0.1:1/")...)
	admin := larder.adminURL()
	larder.url()
	profile := make(chan []byte)
	go func() {
		defer close(profile)
		res, err := http.Get(admin + "debug/pprof/profile?seconds=3600")
		if err != nil {
			t.Error(err)
			return
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Error(err)
		}
		profile <- body
	}()
	for begun := false; !begun; {
		_, stacks := get(t, admin+"debug/pprof/goroutine?debug=1")
		begun = strings.Contains(stacks, "net/http/pprof.sleep")
	}
	stop()
	if status := larder.exit(); status != exitOK || strings.Contains(larder.output(), "cut off") {
		t.Errorf("exit status %d:\n%s", status, larder.output())
	}
	packed, err := gzip.NewReader(bytes.NewReader(<-profile))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, packed); err != nil {
		t.Error(err)
	}
}

// TestAdminAndMadeUpNames: a page in a browser reaches this machine's listener
// under the page's own name, and must learn nothing.
func TestAdminAndMadeUpNames(t *testing.T) {
	for _, tt := range []struct {
		host   string
		remote bool
		want   int
	}{
		{"127.0.0.1:4874", false, http.StatusOK},
		{"localhost:4874", false, http.StatusOK},
		{"[::1]:4874", false, http.StatusOK},
		{"evil.example:4874", false, http.StatusForbidden},
		{"evil.example", false, http.StatusForbidden},
		{"10.1.2.3:4874", false, http.StatusForbidden},
		{"larder.example:4874", true, http.StatusOK},
	} {
		h := adminHandler(AdminConfig{Remote: tt.remote}, http.NotFoundHandler())
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://"+tt.host+"/debug/pprof/cmdline", nil))
		if w.Code != tt.want {
			t.Errorf("%s, remote %v: status %d, want %d", tt.host, tt.remote, w.Code, tt.want)
		}
	}
}
