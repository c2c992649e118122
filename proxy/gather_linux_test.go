package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"

	"golang.org/x/sys/unix"

	"larder/cache"
)

// dataSegments returns how many segments with data a connection has sent. What is
// written at once is one, if it is not more than 64 KB on the loopback interface.
func dataSegments(t *testing.T, c *clientConn) int {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	if ctl := raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); ctl != nil || err != nil {
		t.Fatal(ctl, err)
	}
	return int(info.Data_segs_out)
}

// TestResponsesLeaveInOnePiece: a response that lies in memory costs one write,
// its header included.
func TestResponsesLeaveInOnePiece(t *testing.T) {
	dir, err := cache.OpenDir(cache.DirConfig{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dir.Close(); err != nil {
			t.Error(err)
		}
	})
	w := newWorld(t, func(c *Config) { c.Blobs = cache.NewBlobs(cache.BlobsConfig{Store: dir}) })
	addr, conns := w.serveBounded()

	bodies := map[string][]byte{}
	for _, size := range []int{1, 3000, 3500, 4 << 10, 10_000, 50 << 10, 3 << 20} {
		name := fmt.Sprintf("p%d", size)
		bodies["/"+name+"/-/"+name+"-1.0.0.tgz"] = noise(size)
		w.up.publish(name, "1.0.0", noise(size))
	}
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	get := func(path string) []byte {
		t.Helper()
		res, err := client.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: status %d, error %v", path, res.StatusCode, err)
		}
		return body
	}
	get("/-/ping")
	conn := <-conns
	for path, want := range bodies {
		get(path)
		get(path) // net/http may still end the first answer when the client has it all
		before := dataSegments(t, conn)
		if got := get(path); !bytes.Equal(got, want) {
			t.Errorf("%s: other bytes came, %d of %d", path, len(got), len(want))
		}
		if sent := dataSegments(t, conn) - before; sent != 1 && len(want) <= 50<<10 {
			t.Errorf("%s left in %d pieces, want 1", path, sent)
		}
	}
	get("/p10000")
	get("/p10000")
	before := dataSegments(t, conn)
	get("/p10000")
	if sent := dataSegments(t, conn) - before; sent != 1 {
		t.Errorf("a packument left in %d pieces, want 1", sent)
	}
}
