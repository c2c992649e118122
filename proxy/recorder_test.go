package proxy

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"larder/cache"
)

// readFromWriter notes what it is asked to read from.
type readFromWriter struct {
	*httptest.ResponseRecorder
	sources []io.Reader
}

func (w *readFromWriter) ReadFrom(src io.Reader) (int64, error) {
	w.sources = append(w.sources, src)
	return io.Copy(w.ResponseRecorder.Body, src)
}

// TestFilesReachSendfile checks that files of the store arrive at net/http's
// own ReadFrom as files: wrapped in anything but an io.LimitedReader they
// would be copied through memory.
func TestFilesReachSendfile(t *testing.T) {
	dir, err := cache.OpenDir(cache.DirConfig{Path: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dir.Close(); err != nil {
			t.Error(err)
		}
	})
	w := newWorld(t, func(c *Config) {
		c.Blobs = cache.NewBlobs(cache.BlobsConfig{Store: dir})
		c.Documents = cache.NewDocuments(cache.DocumentsConfig{Store: dir})
	})
	w.up.publish("lodash", "1.0.0", noise(3<<20))
	// Too big for the memory, also when packed: random letters do not pack well.
	letters := []byte(nil)
	for _, b := range noise(4 << 20) {
		letters = append(letters, 'a'+b%26)
	}
	w.up.serve("/big", `{"name":"big","dist-tags":{},"versions":{},"readme":"`+string(letters)+`"}`)
	w.get("/lodash/-/lodash-1.0.0.tgz").want(t, 200)
	w.get("/big").want(t, 200)

	tests := []struct{ name, path, header, value string }{
		{"tarball", "/lodash/-/lodash-1.0.0.tgz", "", ""},
		{"range", "/lodash/-/lodash-1.0.0.tgz", "Range", "bytes=10-2000000"},
		{"packument", "/big", "Accept-Encoding", "gzip"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rw := &readFromWriter{ResponseRecorder: httptest.NewRecorder()}
			r := httptest.NewRequest(http.MethodGet, tt.path, nil)
			r.Host = strings.TrimPrefix(w.URL, "http://")
			r.Header.Set(tt.header, tt.value)
			w.proxy.Handler().ServeHTTP(rw, r)
			if got := rw.Header().Get("X-Larder-Cache"); got != "hit" {
				t.Fatalf("status %d, X-Larder-Cache %q, want a hit", rw.Code, got)
			}
			if len(rw.sources) == 0 {
				t.Fatal("ReadFrom was not called")
			}
			for _, src := range rw.sources {
				if limited, ok := src.(*io.LimitedReader); ok {
					src = limited.R
				}
				if _, ok := src.(*os.File); !ok {
					t.Errorf("ReadFrom got a %T, want an *os.File", src)
				}
			}
			if size := rw.Header().Get("Content-Length"); size != strconv.Itoa(rw.Body.Len()) {
				t.Errorf("%d bytes came, want %s", rw.Body.Len(), size)
			}
		})
	}
}

func TestRecorderCounts(t *testing.T) {
	interim := &recorder{ResponseWriter: httptest.NewRecorder()}
	interim.WriteHeader(http.StatusEarlyHints)
	if interim.status != 0 {
		t.Errorf("status %d after an interim one, want none yet", interim.status)
	}
	w := &recorder{ResponseWriter: httptest.NewRecorder()}
	w.WriteHeader(http.StatusNotFound)
	if _, err := io.WriteString(w, "abc"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, strings.NewReader("defg")); err != nil {
		t.Fatal(err)
	}
	if w.status != http.StatusNotFound || w.bytes != 7 {
		t.Errorf("status %d, %d bytes, want 404 and 7", w.status, w.bytes)
	}
}

func TestRecorderImpliesOK(t *testing.T) {
	for name, write := range map[string]func(*recorder){
		"Write":    func(w *recorder) { _, _ = w.Write(nil) },
		"ReadFrom": func(w *recorder) { _, _ = w.ReadFrom(strings.NewReader("")) },
	} {
		t.Run(name, func(t *testing.T) {
			w := &recorder{ResponseWriter: httptest.NewRecorder()}
			write(w)
			if w.status != http.StatusOK {
				t.Errorf("status %d, want 200", w.status)
			}
		})
	}
}
