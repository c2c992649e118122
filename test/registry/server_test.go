package registry

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestStopAndStart(t *testing.T) {
	s := start(t, Config{}, big)
	url := s.URL()
	s.Stop()
	s.Stop()
	if _, err := try(t, s, "big"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error %v, want a refused connection", err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err == nil {
		t.Error("started twice")
	}
	if s.URL() != url || ask(t, s, "big").StatusCode != 200 {
		t.Errorf("back at %s, was at %s", s.URL(), url)
	}
}

func TestCounts(t *testing.T) {
	s := start(t, Config{})
	ask(t, s, "@types%2fms", "Authorization: Bearer one")
	ask(t, s, "@types/ms", "Authorization: Bearer two")
	ask(t, s, "@types/ms", http.MethodHead)
	ask(t, s, "@types/ms/2.1.0")
	ask(t, s, "@types/ms/-/ms-2.1.0.tgz")
	s.SetFault("*.tgz", Fault{Truncate: 10})
	ask(t, s, "@types/ms/-/ms-2.1.0.tgz")

	doc, tarball := s.Count("/@types/ms"), s.Count("/@types/ms/-/ms-2.1.0.tgz")
	if doc.Requests != 3 || doc.Started != 2 || doc.Completed != 2 {
		t.Errorf("packument: %+v", doc)
	}
	if tarball.Requests != 2 || tarball.Started != 2 || tarball.Completed != 1 {
		t.Errorf("tarball: %+v", tarball)
	}
	if got := doc.Header.Get("Authorization"); got != "" {
		t.Errorf("the last request had none, not %q", got)
	}
	if n := s.Carried("authorization"); n != 2 {
		t.Errorf("%d requests with credentials", n)
	}
	if n := s.Packuments(); n != 3 {
		t.Errorf("%d packuments", n)
	}
	if n := s.Requests("*"); n != 6 || n != s.Total() {
		t.Errorf("%d requests, %d in total", n, s.Total())
	}
	s.ResetCounts()
	if s.Total() != 0 || len(s.Paths()) != 0 || s.Count("/@types/ms").Requests != 0 {
		t.Errorf("still %d, %v", s.Total(), s.Paths())
	}
}

func TestMaxConcurrent(t *testing.T) {
	s := start(t, Config{}, big)
	s.SetFault("*", Fault{Hang: true})
	const n = 5
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"big", nil)
			if err != nil {
				t.Error(err)
				return
			}
			if resp, err := http.DefaultClient.Do(req); err == nil {
				resp.Body.Close()
				t.Error("an answer")
			}
		})
	}
	for s.MaxConcurrent() < n && !t.Failed() {
		time.Sleep(time.Millisecond) // all of them hang until cancel, so this ends
	}
	cancel()
	wg.Wait()
	if got := s.MaxConcurrent(); got != n {
		t.Errorf("%d at once, want %d", got, n)
	}
}
