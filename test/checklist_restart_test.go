package test

import (
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"larder/test/registry"
	"larder/test/rig"
)

// gate is an upstream that lets everything through but the second half of the
// tarballs, until it is opened.
type gate struct {
	open chan struct{}
	half chan struct{} // gets a value for each tarball of which a half went through
}

// newGate puts a gate between the registry and a Larder that is not started
// yet.
func newGate(t *testing.T, p *pair) *gate {
	t.Helper()
	target, err := url.Parse(p.registry.URL())
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{open: make(chan struct{}), half: make(chan struct{}, 10)}
	forward := httputil.NewSingleHostReverseProxy(target)
	forward.FlushInterval = -1
	forward.ErrorLog = log.New(io.Discard, "", 0) // of clients that leave
	forward.ModifyResponse = func(resp *http.Response) error {
		if strings.HasSuffix(resp.Request.URL.Path, ".tgz") {
			resp.Body = &halfBody{resp.Body, resp.ContentLength / 2, g, resp.Request}
		}
		return nil
	}
	server := httptest.NewServer(forward)
	t.Cleanup(server.Close)
	p.upstream = server.URL + "/"
	p.registry.SetMode(registry.Mode{TarballBase: p.upstream})
	return g
}

// halfBody stops after left bytes until the gate opens or the client leaves.
type halfBody struct {
	io.ReadCloser
	left    int64
	gate    *gate
	request *http.Request
}

func (b *halfBody) Read(buf []byte) (int, error) {
	if b.left > 0 {
		n, err := b.ReadCloser.Read(buf[:min(int64(len(buf)), b.left)])
		b.left -= int64(n)
		if b.left == 0 {
			b.gate.half <- struct{}{}
		}
		return n, err
	}
	select {
	case <-b.gate.open:
		return b.ReadCloser.Read(buf)
	case <-b.request.Context().Done():
		return 0, b.request.Context().Err()
	}
}

// download begins a download and returns it when its first byte is there.
func (p *pair) download(t *testing.T, path string) (body io.ReadCloser, first byte) {
	t.Helper()
	resp, err := p.client.Get(p.url() + path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	b := make([]byte, 1)
	if _, err := io.ReadFull(resp.Body, b); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
	}
	return resp.Body, b[0]
}

func TestChecklist23_AClientThatLeavesStopsNobody(t *testing.T) {
	p := newIdlePair(t)
	p.add(t, blob("big", large))
	g := newGate(t, p)
	p.start(t)
	want := p.original(t, blobPath("big")).body

	leaver, _ := p.download(t, blobPath("big"))
	stayer, first := p.download(t, blobPath("big"))
	<-g.half
	leaver.Close()
	close(g.open)
	rest, err := io.ReadAll(stayer)
	if err != nil || !bytes.Equal(append([]byte{first}, rest...), want) {
		t.Errorf("the other got %d bytes of %d, %v", len(rest)+1, len(want), err)
	}
	p.wantRequests(t, blobPath("big"), 1)
}

func TestChecklist23_TheLastClientLeaves(t *testing.T) {
	p := newIdlePair(t)
	p.add(t, blob("big", large))
	g := newGate(t, p)
	p.start(t)
	leaver, _ := p.download(t, blobPath("big"))
	<-g.half
	leaver.Close()
	close(g.open)
	p.ok(t, blobPath("big"))
	p.wantRequests(t, blobPath("big"), 1)
}

func TestChecklist89_StopFinishesDownloads(t *testing.T) {
	p := newIdlePair(t)
	p.add(t, blob("big", large))
	g := newGate(t, p)
	p.start(t)
	want := p.original(t, blobPath("big")).body

	body, first := p.download(t, blobPath("big"))
	<-g.half
	if err := p.larder.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.waitClosed(t)
	close(g.open)
	rest, err := io.ReadAll(body)
	if err != nil || !bytes.Equal(append([]byte{first}, rest...), want) {
		t.Errorf("the download ended with %d bytes of %d, %v", len(rest)+1, len(want), err)
	}
	<-p.larder.Exited()
	if p.larder.Err() != nil {
		t.Errorf("larder did not end well: %v", p.larder.Err())
	}

	p.registry.Stop()
	p.start(t)
	r := p.ok(t, blobPath("big"))
	r.wantCache(t, "hit")
	if !bytes.Equal(r.body, want) {
		t.Error("other bytes after the restart")
	}
}

// waitClosed waits until Larder accepts no connection any more.
func (p *pair) waitClosed(t *testing.T) {
	t.Helper()
	for {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url(), "http://"))
		if err != nil {
			return
		}
		conn.Close()
	}
}

func TestChecklist89_DeathLeavesNoPartsBehind(t *testing.T) {
	for name, end := range map[string]func(*rig.Larder){
		"killed": (*rig.Larder).Kill,
		"told twice": func(l *rig.Larder) {
			_ = l.Signal(syscall.SIGTERM) // it may have ended after the first
			_ = l.Signal(syscall.SIGINT)
			<-l.Exited()
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newIdlePair(t)
			p.add(t, blob("big", large))
			g := newGate(t, p)
			p.start(t)
			body, _ := p.download(t, blobPath("big"))
			<-g.half
			end(p.larder)
			if _, err := io.ReadAll(body); err == nil {
				t.Error("half a tarball looked whole")
			}
			if name == "killed" && p.temporaries(t) == 0 {
				t.Error("there is no temporary file where this test looks for them")
			}

			close(g.open)
			p.start(t)
			want := p.original(t, blobPath("big")).body
			r := p.ok(t, blobPath("big"))
			r.wantCache(t, "miss")
			if !bytes.Equal(r.body, want) {
				t.Error("other bytes after the restart")
			}
			for deadline := time.Now().Add(patience); p.temporaries(t) > 0; { // swept in the background
				if time.Now().After(deadline) {
					t.Fatal("temporary files are left behind")
				}
			}
		})
	}
}

// temporaries is the number of temporary files in the cache.
func (p *pair) temporaries(t *testing.T) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.data, "cache", "*", "tmp", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func TestRestartKeepsWhatIsCached(t *testing.T) {
	p := newPair(t)
	paths := []string{"/is-odd", "/@types%2fms", "/is-odd/-/is-odd-3.0.1.tgz", "/@types/ms/-/ms-2.1.0.tgz", "/is-number/latest"}
	before := map[string]reply{}
	for _, path := range paths {
		before[path] = p.ok(t, path)
	}
	p.stop(t)
	p.registry.Stop()
	p.registry.ResetCounts()
	p.start(t)
	for _, path := range paths {
		r := p.ok(t, path)
		r.wantCache(t, "hit")
		if !bytes.Equal(r.body, before[path].body) || r.header.Get("ETag") != before[path].header.Get("ETag") {
			t.Errorf("%s: another body, or ETag", path)
		}
	}
	r := p.ok(t, "/is-odd", corgi) // derived now, out of what was kept
	if r.header.Get("Content-Type") != "application/vnd.npm.install-v1+json" {
		t.Errorf("Content-Type %q", r.header.Get("Content-Type"))
	}
	p.wantRequests(t, "*", 0)
}
