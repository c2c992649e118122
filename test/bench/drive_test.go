package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestDriveGo sends load to a server that counts.
func TestDriveGo(t *testing.T) {
	const body = "twelve bytes"
	var served atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if served.Add(1); r.Header.Get("X-Fail") != "" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, body)
	}))
	defer s.Close()
	tests := []struct {
		name, method string
		header       http.Header
		size         int // of a body
		err          string
	}{
		{"GET", http.MethodGet, http.Header{}, len(body), ""},
		{"HEAD", http.MethodHead, http.Header{}, 0, ""},
		{"GET, refused", http.MethodGet, http.Header{"X-Fail": {"1"}}, 0, "503"},
		{"HEAD, refused", http.MethodHead, http.Header{"X-Fail": {"1"}}, 0, "503"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			served.Store(0)
			l, err := driveGo(t.Context(), Request{Method: tt.method, URL: s.URL + "/", Header: tt.header}, 3, 20*time.Millisecond)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if l.Requests < 3 || int64(l.Requests) != served.Load() || l.Bytes != int64(l.Requests*tt.size) || l.P50 <= 0 || l.P99 < l.P50 {
				t.Errorf("%+v, %d served", l, served.Load())
			}
		})
	}
}

// TestDriveGoInTurns sends it to several paths, and to each of them about as
// often.
func TestDriveGoInTurns(t *testing.T) {
	paths := []string{"/a", "/b/-/b-1.0.0.tgz", "/c"}
	counts := make([]atomic.Int64, len(paths))
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		counts[slices.Index(paths, r.URL.Path)].Add(1)
	}))
	defer s.Close()
	l, err := driveGo(t.Context(), Request{Method: http.MethodGet, URL: s.URL, Paths: paths}, 1, 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	for i := range counts {
		if n := counts[i].Load(); n < int64(l.Requests/len(paths)) || n > int64(l.Requests/len(paths)+1) {
			t.Errorf("%s was asked for %d times of %d", paths[i], n, l.Requests)
		}
	}
}
