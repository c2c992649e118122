package metrics

import (
	"bufio"
	"compress/gzip"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata/names.golden")

// TestNames holds every name and label value: dashboards and alerts depend on
// them, so a change must show up in a diff.
func TestNames(t *testing.T) {
	const golden = "testdata/names.golden"
	m := New("1.2.3", "abcdef")
	m.Upstream("npm")
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), namespace+"_") {
			continue
		}
		labels := map[string][]string{}
		for _, metric := range f.GetMetric() {
			for _, l := range metric.GetLabel() {
				if v := l.GetValue(); l.GetName() != "go" && !slices.Contains(labels[l.GetName()], v) {
					labels[l.GetName()] = append(labels[l.GetName()], v)
				}
			}
		}
		fmt.Fprintf(&got, "%s %s: %s\n", f.GetName(), strings.ToLower(f.GetType().String()), f.GetHelp())
		for _, name := range sortedKeys(labels) {
			fmt.Fprintf(&got, "  %s: %s\n", name, strings.Join(labels[name], " "))
		}
	}
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("names differ from %s (-update rewrites it):\n%s", golden, d)
	}
}

func sortedKeys(m map[string][]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func TestValues(t *testing.T) {
	m := New("1.2.3", "abcdef")
	m.RequestStarted()
	m.RequestStarted()
	m.RequestEnded()
	m.Request("tarball", "hit", 200, 1000, 3*time.Millisecond)
	m.Request("packument", "", 499, 0, time.Second)
	m.Request("made-up", "made-up", 503, 7, time.Second)
	m.FillStarted()
	m.FillStarted()
	m.FillEnded("stored", 5000, time.Second)
	m.FillResumed()
	m.IntegrityFailure()
	m.StoreError("commit")
	m.StoreSize(1<<20, 17)
	m.Rendered(300, time.Second)
	m.Refined()
	m.DocumentMemory(4096)
	u := m.Upstream("npm")
	u.Request("document", "not_modified", time.Second)
	u.Request("made-up", "ok", time.Second)
	u.Retry()
	u.Received(99)
	u.Breaker("half-open")
	u.StaleServed()

	lines := expose(t, m)
	for _, want := range []string{
		`larder_requests_in_flight 1`,
		`larder_requests_total{class="2xx",route="tarball"} 1`,
		`larder_requests_total{class="canceled",route="packument"} 1`,
		`larder_requests_total{class="4xx",route="packument"} 0`,
		`larder_requests_total{class="5xx",route="other"} 1`,
		`larder_request_cache_results_total{result="hit",route="tarball"} 1`,
		`larder_request_cache_results_total{result="none",route="packument"} 1`,
		`larder_request_cache_results_total{result="other",route="other"} 1`,
		`larder_response_bytes_total{route="tarball"} 1000`,
		`larder_request_duration_seconds_bucket{route="tarball",le="0.0025"} 0`,
		`larder_request_duration_seconds_bucket{route="tarball",le="0.005"} 1`,
		`larder_fills_started_total 2`,
		`larder_fills_in_flight 1`,
		`larder_fills_ended_total{outcome="stored"} 1`,
		`larder_fill_bytes_total 5000`,
		`larder_fills_resumed_total 1`,
		`larder_integrity_failures_total 1`,
		`larder_store_errors_total{op="commit"} 1`,
		`larder_store_bytes 1.048576e+06`,
		`larder_store_files 17`,
		`larder_rendered_bytes_total 300`,
		`larder_documents_refined_total 1`,
		`larder_render_duration_seconds_count 1`,
		`larder_document_memory_bytes 4096`,
		`larder_upstream_requests_total{kind="document",outcome="not_modified",upstream="npm"} 1`,
		`larder_upstream_requests_total{kind="other",outcome="ok",upstream="npm"} 1`,
		`larder_upstream_request_duration_seconds_count{kind="document",upstream="npm"} 1`,
		`larder_upstream_retries_total{upstream="npm"} 1`,
		`larder_upstream_received_bytes_total{upstream="npm"} 99`,
		`larder_upstream_breaker_state{upstream="npm"} 1`,
		`larder_upstream_stale_served_total{upstream="npm"} 1`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %s", want)
		}
	}
	for _, prefix := range []string{"go_goroutines ", "process_cpu_seconds_total ", "larder_build_info{commit=\"abcdef\""} {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, prefix) }) {
			t.Errorf("no line beginning with %s", prefix)
		}
	}
}

// expose scrapes m as Prometheus does, asking for gzip.
func expose(t *testing.T, m *Metrics) (lines []string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/-/metrics", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, r)
	if got := w.Header().Get("Content-Encoding"); w.Code != http.StatusOK || got != "gzip" {
		t.Fatalf("status %d, Content-Encoding %q, want 200 and gzip", w.Code, got)
	}
	unpacked, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	scanner := bufio.NewScanner(unpacked)
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestNilCountsNothing(t *testing.T) {
	var m *Metrics
	m.Request("tarball", "hit", 200, 1, 1)
	m.RequestStarted()
	m.RequestEnded()
	m.FillStarted()
	m.FillEnded("stored", 1, 1)
	m.FillResumed()
	m.IntegrityFailure()
	m.StoreError("open")
	m.StoreSize(1, 1)
	m.Rendered(1, 1)
	m.Refined()
	m.DocumentMemory(1)
	u := m.Upstream("npm")
	u.Request("document", "ok", 1)
	u.Retry()
	u.Received(1)
	u.Breaker("open")
	u.StaleServed()

	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/-/metrics", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("status %d, want 404", w.Code)
	}
}

func TestRequestAllocatesNothing(t *testing.T) {
	m := New("", "")
	if n := testing.AllocsPerRun(100, func() { m.Request("tarball", "hit", 200, 1, time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations, want none: the labels are bound beforehand", n)
	}
}
