package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"larder/cache"
	"larder/metrics"
)

// slowLine is a client that takes its time for each write, and a connection
// that keeps its deadline.
type slowLine struct {
	httptest.ResponseRecorder
	pace     time.Duration // for each write
	deadline time.Time
}

func (l *slowLine) SetWriteDeadline(t time.Time) error {
	l.deadline = t
	return nil
}

func (l *slowLine) Write(p []byte) (int, error) {
	time.Sleep(l.pace)
	if !l.deadline.IsZero() && time.Now().After(l.deadline) {
		return 0, fmt.Errorf("write: %w", os.ErrDeadlineExceeded)
	}
	return l.ResponseRecorder.Write(p)
}

func (l *slowLine) ReadFrom(src io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{l}, src)
}

// slowSource waits before each byte, as an upstream does that is about to fail.
type slowSource struct {
	pace time.Duration
	left int
}

func (s *slowSource) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(s.pace)
	s.left--
	return copy(p, "x"), nil
}

// TestProgressRenewsTheDeadline: however long a response takes, only a client
// that does not take the next step of it is broken off.
func TestProgressRenewsTheDeadline(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	const size = 3*sendStep + 1000
	if err := os.WriteFile(path, noise(size), 0o600); err != nil {
		t.Fatal(err)
	}
	file := func(t *testing.T) *os.File {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	sources := map[string]func(t *testing.T, w *recorder) (int64, error){
		"bytes": func(_ *testing.T, w *recorder) (int64, error) {
			n, err := w.Write(make([]byte, size))
			return int64(n), err
		},
		"bytes that are copied": func(_ *testing.T, w *recorder) (int64, error) {
			return io.Copy(w, bytes.NewReader(make([]byte, size)))
		},
		"a file": func(t *testing.T, w *recorder) (int64, error) { return w.ReadFrom(file(t)) },
		"part of a file": func(t *testing.T, w *recorder) (int64, error) {
			return w.ReadFrom(&io.LimitedReader{R: file(t), N: size - 10})
		},
		"a slow source": func(_ *testing.T, w *recorder) (int64, error) {
			return w.ReadFrom(&slowSource{pace: 10 * time.Minute, left: 5})
		},
	}
	for name, send := range sources {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				line := &slowLine{ResponseRecorder: *httptest.NewRecorder(), pace: time.Second}
				w := &recorder{ResponseWriter: line, silence: time.Minute}
				n, err := send(t, w)
				if err != nil || n != int64(line.Body.Len()) || n != w.bytes || n == 0 || w.stalled {
					t.Errorf("a slow client: %d bytes of %d came, %d were counted, stalled %t: %v", n, line.Body.Len(), w.bytes, w.stalled, err)
				}
				line = &slowLine{ResponseRecorder: *httptest.NewRecorder(), pace: time.Hour}
				w = &recorder{ResponseWriter: line, silence: time.Minute}
				if _, err := send(t, w); !errors.Is(err, os.ErrDeadlineExceeded) || !w.stalled {
					t.Errorf("a client that takes nothing: stalled %t, error %v", w.stalled, err)
				}
			})
		})
	}
}

// TestStalledClientsAreBrokenOff has clients that ask and never read, over real
// connections, and for each way in which a response is sent.
func TestStalledClientsAreBrokenOff(t *testing.T) {
	dir, err := cache.OpenDir(cache.DirConfig{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dir.Close(); err != nil {
			t.Error(err)
		}
	})
	counters := metrics.New("test", "")
	w := newWorld(t, func(c *Config) {
		c.Blobs = cache.NewBlobs(cache.BlobsConfig{Store: dir})
		c.Documents = cache.NewDocuments(cache.DocumentsConfig{Store: dir})
		c.SendSilence = time.Second
		c.Metrics = counters
	})
	scrape := func() string {
		page := httptest.NewRecorder()
		counters.Handler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/", nil))
		return page.Body.String()
	}
	const size = 24 << 20 // more than the sockets on both sides hold
	w.up.publish("lodash", "1.0.0", noise(size))
	letters := noise(size)
	for i := range letters {
		letters[i] = 'a' + letters[i]%26
	}
	w.up.serve("/big", `{"name":"big","dist-tags":{},"versions":{},"readme":"`+string(letters)+`"}`)
	w.get("/lodash/-/lodash-1.0.0.tgz").want(t, 200)

	for i, tt := range []struct{ name, path, encoding string }{
		{"a file", "/lodash/-/lodash-1.0.0.tgz", ""},
		{"a packed document", "/big", "gzip"},
		{"a document that is unpacked on the way", "/big", "identity"},
		{"a document that is packed on the way", "/big", "zstd;q=1, gzip;q=0.5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(w.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x.example\r\nAccept-Encoding: %s\r\n\r\n", tt.path, tt.encoding); err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf("larder_responses_stalled_total %d\n", i+1)
			deadline := time.Now().Add(30 * time.Second)
			for !strings.Contains(scrape(), want) {
				if time.Now().After(deadline) {
					t.Fatalf("it is not broken off; the metrics lack %q", want)
				}
				time.Sleep(20 * time.Millisecond)
			}
			if !strings.Contains(w.log.String(), errStalled.Error()) {
				t.Error("the log does not say why")
			}
			// It ends, with less than was announced.
			res, err := io.ReadAll(conn)
			if len(res) >= size {
				t.Errorf("%d bytes came, error %v", len(res), err)
			}
		})
	}
}

// TestDrainingSaysGoodbye: a client with a connection that is about to be
// closed had better know.
func TestDrainingSaysGoodbye(t *testing.T) {
	w := newWorld(t)
	if res := w.get("/-/ping"); res.Close {
		t.Error("a connection is closed before there is need")
	}
	w.proxy.Drain()
	if res := w.get("/-/ping").want(t, http.StatusOK); !res.Close {
		t.Error("a connection is kept open while the server drains")
	}
	w.get("/-/health/ready").want(t, http.StatusServiceUnavailable)
}
