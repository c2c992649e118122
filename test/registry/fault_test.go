package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// big has a tarball of some 100 kB.
var big = Package{Name: "big", Version: "1.0.0", Filler: 100_000}

const bigTarball = "big/-/big-1.0.0.tgz"

func TestFaults(t *testing.T) {
	s := start(t, Config{}, big)
	right := ask(t, s, bigTarball)
	size := int64(len(right.body))
	tests := []struct {
		name  string
		fault Fault
		check func(t *testing.T, got response, err error)
	}{
		{"status", Fault{Status: 429, Header: http.Header{"Retry-After": {"7"}}}, func(t *testing.T, got response, err error) {
			if err != nil || got.StatusCode != 429 || got.Header.Get("Retry-After") != "7" || string(got.body) != `{"error":"Too Many Requests"}` {
				t.Errorf("%v, %s", err, got.body)
			}
		}},
		{"reset", Fault{Reset: true}, func(t *testing.T, _ response, err error) {
			if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
				t.Errorf("error %v", err)
			}
		}},
		{"captive portal", HTML(), func(t *testing.T, got response, err error) {
			if err != nil || got.StatusCode != 200 || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/html") || !bytes.Contains(got.body, []byte("<html>")) {
				t.Errorf("%v, %v %s", err, got.Header, got.body)
			}
		}},
		{"bad JSON", BadJSON(), func(t *testing.T, got response, err error) {
			if err != nil || got.StatusCode != 200 || got.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%v, %v", err, got.Header)
			}
		}},
		{"corrupt", Fault{Corrupt: true}, func(t *testing.T, got response, err error) {
			if err != nil || len(got.body) != len(right.body) {
				t.Fatalf("%v, %d bytes", err, len(got.body))
			}
			wrong := 0
			for i := range got.body {
				if got.body[i] != right.body[i] {
					wrong++
				}
			}
			if wrong != 1 {
				t.Errorf("%d wrong bytes", wrong)
			}
		}},
		{"truncated", Fault{Truncate: 1000}, func(t *testing.T, got response, err error) {
			if err != nil || got.ContentLength != size || len(got.body) != 1000 || !errors.Is(got.err, io.ErrUnexpectedEOF) {
				t.Errorf("%v, length %d, %d bytes, then %v", err, got.ContentLength, len(got.body), got.err)
			}
		}},
		{"truncated unseen", Fault{Truncate: 1000, NoLength: true}, func(t *testing.T, got response, err error) {
			if err != nil || got.ContentLength != -1 || len(got.body) != 1000 || got.err != nil {
				t.Errorf("%v, length %d, %d bytes, then %v", err, got.ContentLength, len(got.body), got.err)
			}
		}},
		{"no length", Fault{NoLength: true}, func(t *testing.T, got response, err error) {
			if err != nil || got.ContentLength != -1 || !bytes.Equal(got.body, right.body) {
				t.Errorf("%v, length %d, %d bytes", err, got.ContentLength, len(got.body))
			}
		}},
		{"slow", Fault{Rate: 2_000_000}, func(t *testing.T, got response, err error) {
			if err != nil || !bytes.Equal(got.body, right.body) {
				t.Errorf("%v, %d bytes", err, len(got.body))
			}
		}},
		{"late", Fault{Latency: time.Millisecond}, func(t *testing.T, got response, err error) {
			if err != nil || !bytes.Equal(got.body, right.body) {
				t.Errorf("%v, %d bytes", err, len(got.body))
			}
		}},
		{"redirect", Fault{Redirect: "http://files.registry.example/x/"}, func(t *testing.T, got response, err error) {
			if err != nil || got.StatusCode != 302 || got.Header.Get("Location") != "http://files.registry.example/x/"+bigTarball {
				t.Errorf("%v, %v", err, got.Header)
			}
		}},
		{"no validators", Fault{Header: http.Header{"Etag": nil}}, func(t *testing.T, got response, err error) {
			if err != nil || got.Header["Etag"] != nil || !bytes.Equal(got.body, right.body) {
				t.Errorf("%v, %v", err, got.Header)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.SetFault("*.tgz", tt.fault)
			got, err := try(t, s, bigTarball)
			tt.check(t, got, err)
			s.ClearFaults()
			if healed := ask(t, s, bigTarball); !bytes.Equal(healed.body, right.body) {
				t.Error("it does not heal")
			}
		})
	}
	t.Run("no range", func(t *testing.T) {
		s.SetFault("*.tgz", Fault{NoRange: true})
		if got := ask(t, s, bigTarball, "Range: bytes=10-"); got.StatusCode != 200 || !bytes.Equal(got.body, right.body) {
			t.Errorf("%d, %d bytes", got.StatusCode, len(got.body))
		}
	})
}

func TestHang(t *testing.T) {
	tests := []struct {
		name  string
		fault Fault
		got   int // bytes of body before it hangs; -1: not even headers
	}{
		{"before the headers", Fault{Hang: true}, -1},
		{"in the body", Fault{HangAfter: 500}, 500},
	}
	for _, tt := range tests {
		t.Run(tt.name+", until the client leaves", func(t *testing.T) {
			s := start(t, Config{}, big)
			s.SetFault("*", tt.fault)
			ctx, cancel := context.WithCancel(t.Context())
			hang(t, s, ctx, tt.got, cancel)
		})
		t.Run(tt.name+", until the server stops", func(t *testing.T) {
			s := start(t, Config{}, big)
			s.SetFault("*", tt.fault)
			hang(t, s, t.Context(), tt.got, s.Stop)
		})
	}
}

// hang asks for a tarball, sees it hang after so many bytes, and calls end,
// which must end it.
func hang(t *testing.T, s *Server, ctx context.Context, bytes int, end func()) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+bigTarball, nil)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	read := make(chan int, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			failed <- err
			return
		}
		defer resp.Body.Close()
		n, err := io.ReadFull(resp.Body, make([]byte, bytes))
		if err != nil {
			failed <- err
			return
		}
		read <- n
		_, err = resp.Body.Read(make([]byte, 1))
		failed <- err
	}()
	if bytes >= 0 {
		select {
		case <-read:
		case err := <-failed:
			t.Fatalf("no %d bytes: %v", bytes, err)
		}
	}
	end()
	if err := <-failed; err == nil {
		t.Error("it went on")
	}
}

func TestFaultTimes(t *testing.T) {
	s := start(t, Config{}, big)
	s.SetFault("/big", Fault{Status: 500, Times: 2})
	for i, want := range []int{500, 500, 200} {
		if got := ask(t, s, "big").StatusCode; got != want {
			t.Errorf("request %d: %d, want %d", i+1, got, want)
		}
	}
}

func TestFaultPatterns(t *testing.T) {
	s := start(t, Config{})
	s.SetFault("*", Fault{Status: 500})
	s.SetFault("/@types/*", Fault{Status: 503})
	s.SetFault("*.tgz", Fault{})
	for path, want := range map[string]int{
		"is-odd":                     500,
		"@types%2fms":                503,
		"@types/ms/-/ms-2.1.0.tgz":   200,
		"is-odd/-/is-odd-3.0.1.tgz":  200,
		"-/package/is-odd/dist-tags": 500,
	} {
		if got := ask(t, s, path).StatusCode; got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, path string
		want          bool
	}{
		{"/a", "/a", true},
		{"/a", "/ab", false},
		{"*", "", true},
		{"*", "/a/b", true},
		{"/a*", "/a/b", true},
		{"*.tgz", "/a/-/a.tgz", true},
		{"*.tgz", "/a/-/a.tgz/x", false},
		{"/*/-/*-1.tgz", "/a/-/a-1.tgz", true},
		{"/*/-/*-1.tgz", "/a/-/a-2.tgz", false},
	}
	for _, tt := range tests {
		if got := match(tt.pattern, tt.path); got != tt.want {
			t.Errorf("match(%q, %q) = %v", tt.pattern, tt.path, got)
		}
	}
}

func TestChaos(t *testing.T) {
	const requests = 200
	play := func(seed uint64) (statuses [requests]int) {
		s := start(t, Config{}, big)
		s.SetChaos(seed, Chance{P: 0.2, Pattern: "*", Fault: Fault{Status: 500}}, Chance{P: 0.1, Pattern: "/big", Fault: Fault{Status: 429}})
		for i := range statuses {
			statuses[i] = ask(t, s, "big").StatusCode
		}
		return statuses
	}
	one := play(1)
	counts := map[int]int{}
	for _, status := range one {
		counts[status]++
	}
	if counts[500] < 20 || counts[500] > 60 || counts[429] < 5 || counts[429] > 40 || counts[200] == 0 {
		t.Errorf("answers: %v", counts)
	}
	if play(1) != one {
		t.Error("the same seed throws other dice")
	}
	if play(2) == one {
		t.Error("another seed throws the same dice")
	}
}
