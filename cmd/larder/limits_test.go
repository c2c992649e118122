package main

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// TestDescriptorsAreShared: what may be open at once never adds up to more than
// the limit, and is never nothing.
func TestDescriptorsAreShared(t *testing.T) {
	tests := []struct {
		descriptors, upstreams int
		want                   shares
	}{
		{0, 1, shares{4, 1, 1}},
		{64, 1, shares{10, 2, 5}},
		{256, 2, shares{58, 14, 14}},
		{1024, 1, shares{250, 62, 125}},
		{4096, 3, shares{1018, 254, 169}},
		{1 << 20, 1, shares{10_000, 256, 10_000}},
	}
	for _, tt := range tests {
		got := share(tt.descriptors, tt.upstreams)
		if got != tt.want {
			t.Errorf("%d descriptors, %d upstreams: %+v, want %+v", tt.descriptors, tt.upstreams, got, tt.want)
		}
		used := 2*got.connections + 2*got.fills + 2*got.upstream*tt.upstreams + ownDescriptors
		if tt.descriptors >= 64 && used > tt.descriptors {
			t.Errorf("of %d descriptors %d may be open", tt.descriptors, used)
		}
	}
}

func TestStartWaitsForAnotherServer(t *testing.T) {
	args := serveArgs(t, "http://127.0.0.1:1/")
	first, stop := launch(t, nil, args...)
	first.url()
	second, _ := launch(t, []string{"LARDER_LIMITS_LOCK_WAIT=1m"}, args...)
	second.waitFor("waiting for another server")
	stop()
	first.exit()
	if status, _ := get(t, second.url()+"-/ping"); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
}

func TestSignalEndsTheWaitForAnotherServer(t *testing.T) {
	args := serveArgs(t, "http://127.0.0.1:1/")
	first, _ := launch(t, nil, args...)
	first.url()
	second, signal := spawn(t, append(args, "--config", write(t, "larder.yaml", "limits: {lock_wait: 1h}\n"))...)
	second.waitFor("waiting for another server")
	signal(syscall.SIGTERM)
	if status := second.exit(); status != exitFailure {
		t.Errorf("exit status %d:\n%s", status, second.output())
	}
}

// TestReadinessTurnsFirst: for shutdown_delay a server that was told to stop
// says so, and serves all the same.
func TestReadinessTurnsFirst(t *testing.T) {
	upstream, tarball, release := slowRegistry(t)
	larder, signal := spawn(t, serveArgs(t, upstream, "--config", write(t, "larder.yaml", "limits: {shutdown_delay: 3s}\n"))...)
	base := larder.url()
	if status, _ := get(t, base+"slow"); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	signal(syscall.SIGTERM)
	larder.waitFor("stopping")
	for {
		status, body := get(t, base+"-/health/ready")
		if status == http.StatusServiceUnavailable && strings.Contains(body, "shutting down") {
			break
		}
	}
	res, begun := beginDownload(t, base) // a new one
	if !res.Close {
		t.Error("the client is not told that its connection ends")
	}
	release()
	rest, err := io.ReadAll(res.Body)
	if err != nil || !bytes.Equal(append(begun, rest...), tarball) {
		t.Errorf("the download ended after %d of %d bytes with %v", len(begun)+len(rest), len(tarball), err)
	}
	if status := larder.exit(); status != exitOK {
		t.Errorf("exit status %d:\n%s", status, larder.output())
	}
}
