package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"testing"

	"larder/cache"
)

// noise returns n bytes that do not pack.
func noise(n int) []byte {
	b := make([]byte, n)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(b) // never fails
	return b
}

func TestChecklist04_EscapedScopeInTarballPath(t *testing.T) {
	w := newWorld(t)
	want := noise(1000)
	w.up.publish("@types/node", "20.1.0", want)
	for _, path := range []string{"/@types/node/-/node-20.1.0.tgz", "/@types%2fnode/-/node-20.1.0.tgz", "/@types%2Fnode/-/node-20.1.0.tgz"} {
		if got := w.get(path).want(t, 200).body; !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, not those that were published", path, len(got))
		}
	}
}

func TestChecklist10And29And44_TarballHeaders(t *testing.T) {
	for _, size := range []int{0, 1000, 300_000} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			w := newWorld(t)
			want := noise(size)
			w.up.publish("lodash", "1.0.0", want)
			for _, result := range []string{"miss", "hit"} {
				r := w.get("/lodash/-/lodash-1.0.0.tgz", "Accept-Encoding", "gzip, zstd", "Accept", corgi).want(t, 200)
				if sha512.Sum512(r.body) != sha512.Sum512(want) {
					t.Errorf("%s: wrong bytes", result)
				}
				r.wantHeader(t, "X-Larder-Cache", result)
				r.wantHeader(t, "Content-Length", strconv.Itoa(size))
				r.wantHeader(t, "Content-Type", "application/octet-stream")
				r.wantHeader(t, "Content-Encoding", "")
				r.wantHeader(t, "Set-Cookie", "")
				r.wantHeader(t, "Access-Control-Allow-Origin", "*")
				r.wantHeader(t, "Cache-Control", "public, immutable, max-age=31557600")
				r.wantHeader(t, "Accept-Ranges", "bytes")
				if result == "hit" {
					if r.Header.Get("ETag") == "" || r.Header.Get("Last-Modified") == "" {
						t.Error("a hit lacks a validator")
					}
				}
			}
		})
	}
}

func TestChecklist17_UnknownTarball(t *testing.T) {
	w := newWorld(t)
	w.up.publish("lodash", "1.0.0", []byte("x"))
	for _, path := range []string{
		"/lodash/-/lodash-9.9.9.tgz", "/lodash/-/other.tgz", "/lodash/-/lodash-1.0.0.zip", "/nope/-/nope-1.0.0.tgz",
	} {
		w.get(path).wantError(t, 404)
	}
}

func TestChecklist24_TruncatedTarball(t *testing.T) {
	w := newWorld(t)
	whole := noise(400_000)
	w.up.publish("lodash", "1.0.0", whole)
	w.up.handle("/lodash/-/lodash-1.0.0.tgz", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Length", strconv.Itoa(len(whole)))
		_, _ = rw.Write(whole[:200_000])
		panic(http.ErrAbortHandler)
	})
	res, err := w.client.Get(w.URL + "/lodash/-/lodash-1.0.0.tgz")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if res.StatusCode == http.StatusOK && err == nil {
		t.Errorf("%d of %d bytes and no error: the client takes them for the tarball", len(got), len(whole))
	}
}

func TestChecklist25_WrongBytes(t *testing.T) {
	for name, size := range map[string]int{"small": 1000, "large": 300_000, "of unknown size": 3 << 20} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.up.publish("lodash", "1.0.0", noise(size))
			w.up.handle("/lodash/-/lodash-1.0.0.tgz", func(rw http.ResponseWriter, _ *http.Request) {
				if name != "of unknown size" {
					rw.Header().Set("Content-Length", strconv.Itoa(size))
				}
				_, _ = rw.Write(make([]byte, size))
			})
			res, err := w.client.Get(w.URL + "/lodash/-/lodash-1.0.0.tgz")
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadAll(res.Body)
			res.Body.Close()
			if name == "small" && res.StatusCode != 502 || err == nil && res.StatusCode == 200 {
				t.Errorf("status %d, error %v", res.StatusCode, err)
			}
			w.get("/lodash/-/lodash-1.0.0.tgz").wantError(t, 502)
		})
	}
}

func TestChecklist33_Ranges(t *testing.T) {
	w := newWorld(t)
	whole := noise(300_000)
	w.up.publish("lodash", "1.0.0", whole)
	const path = "/lodash/-/lodash-1.0.0.tgz"
	for _, state := range []string{"cold", "warm"} {
		r := w.get(path, "Range", "bytes=0-99").want(t, 206)
		r.wantHeader(t, "Content-Range", "bytes 0-99/300000")
		if !bytes.Equal(r.body, whole[:100]) {
			t.Errorf("%s: wrong bytes", state)
		}
	}
	etag := w.get(path).Header.Get("ETag")
	tests := []struct {
		name       string
		header     []string
		status     int
		from, to   int // bytes of whole
		rangeValue string
	}{
		{"suffix", []string{"Range", "bytes=-10"}, 206, 299_990, 300_000, "bytes 299990-299999/300000"},
		{"If-Range holds", []string{"Range", "bytes=5-9", "If-Range", etag}, 206, 5, 10, "bytes 5-9/300000"},
		{"unknown unit", []string{"Range", "lines=1-2"}, 200, 0, 300_000, ""},
		{"If-Range fails", []string{"Range", "bytes=5-9", "If-Range", `"other"`}, 200, 0, 300_000, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := w.get(path, tt.header...).want(t, tt.status)
			r.wantHeader(t, "Content-Range", tt.rangeValue)
			if !bytes.Equal(r.body, whole[tt.from:tt.to]) {
				t.Errorf("%d wrong bytes", len(r.body))
			}
		})
	}
	r := w.get(path, "Range", "bytes=300000-")
	r.wantError(t, 416)
	r.wantHeader(t, "Content-Range", "bytes */300000")
	w.get(path, "If-Match", `"other"`).wantError(t, 412)
}

func TestTarballConditions(t *testing.T) {
	w := newWorld(t)
	w.up.publish("lodash", "1.0.0", noise(300_000))
	const path = "/lodash/-/lodash-1.0.0.tgz"
	w.get(path, "If-None-Match", `"other"`).want(t, 200) // cold
	etag := w.get(path).Header.Get("ETag")
	r := w.get(path, "If-None-Match", etag).want(t, 304) // npm --prefer-online
	r.wantHeader(t, "ETag", etag)
	r.wantHeader(t, "Cache-Control", "public, immutable, max-age=31557600")
	w.get(path, "If-None-Match", "W/"+etag).want(t, 304)
}

func TestChecklist32_HeadOfTarball(t *testing.T) {
	w := newWorld(t)
	w.up.publish("lodash", "1.0.0", noise(300_000))
	for _, state := range []string{"cold", "warm"} {
		r := w.do(http.MethodHead, "/lodash/-/lodash-1.0.0.tgz", "").want(t, 200)
		if len(r.body) != 0 || r.ContentLength != 300_000 {
			t.Errorf("%s: %d bytes of body, Content-Length %d", state, len(r.body), r.ContentLength)
		}
	}
}

func TestChecklist36_BuildMetadata(t *testing.T) {
	w := newWorld(t)
	want := noise(10)
	w.up.publish("n", "1.0.0+build.1", want)
	for _, path := range []string{"/n/-/n-1.0.0+build.1.tgz", "/n/-/n-1.0.0%2Bbuild.1.tgz"} {
		if got := w.get(path).want(t, 200).body; !bytes.Equal(got, want) {
			t.Errorf("%s: wrong bytes", path)
		}
	}
}

// TestTarballStreams checks that a client gets bytes while upstream still
// sends: the fake goes on only when the client has read some.
func TestTarballStreams(t *testing.T) {
	for name, declared := range map[string]bool{"known size": true, "unknown size": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			whole := noise(3 << 20)
			w.up.publish("lodash", "1.0.0", whole)
			goOn := make(chan struct{})
			w.up.handle("/lodash/-/lodash-1.0.0.tgz", func(rw http.ResponseWriter, _ *http.Request) {
				if declared {
					rw.Header().Set("Content-Length", strconv.Itoa(len(whole)))
				}
				_, _ = rw.Write(whole[:2<<20])
				rw.(http.Flusher).Flush()
				<-goOn
				_, _ = rw.Write(whole[2<<20:])
			})
			res, err := w.client.Get(w.URL + "/lodash/-/lodash-1.0.0.tgz")
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if known := res.ContentLength >= 0; known != declared {
				t.Errorf("Content-Length %d", res.ContentLength)
			}
			begin := make([]byte, 1<<20)
			if _, err := io.ReadFull(res.Body, begin); err != nil {
				t.Fatal(err)
			}
			close(goOn)
			rest, err := io.ReadAll(res.Body)
			if err != nil || !bytes.Equal(append(begin, rest...), whole) {
				t.Errorf("%d bytes, error %v", len(begin)+len(rest), err)
			}
		})
	}
}

// TestHTTP10GetsALength checks that a client without chunks waits for the size.
func TestHTTP10GetsALength(t *testing.T) {
	w := newWorld(t)
	whole := noise(2 << 20)
	w.up.publish("lodash", "1.0.0", whole)
	w.up.handle("/lodash/-/lodash-1.0.0.tgz", func(rw http.ResponseWriter, _ *http.Request) {
		rw.(http.Flusher).Flush()
		_, _ = rw.Write(whole)
	})
	conn, err := net.Dial("tcp", w.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /lodash/-/lodash-1.0.0.tgz HTTP/1.0\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil || res.ContentLength != int64(len(whole)) || !bytes.Equal(got, whole) {
		t.Errorf("Content-Length %d, %d bytes, error %v", res.ContentLength, len(got), err)
	}
}

// brokenStore refuses every write, as a full disk does.
type brokenStore struct{ cache.Store }

func (brokenStore) Create(context.Context, string) (cache.Writer, error) {
	return nil, errors.New("no space left on device")
}

func TestFullDiskBreaksNoInstall(t *testing.T) {
	store := brokenStore{cache.NewMem()}
	w := newWorld(t, func(c *Config) {
		c.Blobs = cache.NewBlobs(cache.BlobsConfig{Store: store})
		c.Documents = cache.NewDocuments(cache.DocumentsConfig{Store: store})
	})
	whole := noise(300_000)
	w.up.publish("lodash", "1.0.0", whole)
	const path = "/lodash/-/lodash-1.0.0.tgz"
	w.get("/lodash").want(t, 200)
	for _, header := range [][]string{nil, {"Range", "bytes=0-9"}, {"If-None-Match", `"x"`}} {
		if got := w.get(path, header...).want(t, 200).body; !bytes.Equal(got, whole) {
			t.Errorf("with %v: %d wrong bytes", header, len(got))
		}
	}
	w.do(http.MethodHead, path, "").want(t, 200)
}
