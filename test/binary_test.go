package test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// The bounds on a start, a stop, and the attempts to find a free port.
const (
	startTimeout = 20 * time.Second
	stopTimeout  = 30 * time.Second
	startTries   = 3
)

// binary builds larder once per test run, with the race detector where the
// test itself runs under it, and returns the path.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "larder-test")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "larder")
	args := []string{"build", "-o", path}
	if raceDetector {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "larder/cmd/larder")...).CombinedOutput()
	if err != nil {
		os.RemoveAll(dir)
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	built = dir
	return path, nil
})

// built is the directory that binary made, if it was called.
var built string

func removeBinary() error {
	if built == "" {
		return nil
	}
	return os.RemoveAll(built)
}

// larder is a running server.
type larder struct {
	cmd    *exec.Cmd
	log    *syncBuffer
	exited chan struct{} // closed once err is set
	err    error
}

// startLarder starts "larder serve" with args on a port of 127.0.0.1 and waits
// until it is ready.
func startLarder(port int, args, env []string) (*larder, error) {
	path, err := binary()
	if err != nil {
		return nil, err
	}
	return startBinary(path, port, args, env)
}

// startBinary is startLarder for another build of it.
func startBinary(path string, port int, args, env []string) (*larder, error) {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	l := &larder{log: new(syncBuffer), exited: make(chan struct{})}
	l.cmd = exec.Command(path, append([]string{"serve", "--listen", address}, args...)...)
	l.cmd.Env = append(slices.Clone(env), "GORACE=atexit_sleep_ms=10") // a clean end need not wait a second for races to show
	l.cmd.Stdout, l.cmd.Stderr = l.log, l.log
	if err := l.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		l.err = l.cmd.Wait()
		close(l.exited)
	}()
	if err := l.waitReady("http://" + address + "/-/health/ready"); err != nil {
		l.kill()
		return nil, fmt.Errorf("larder serve: %w\n%s", err, l.log)
	}
	return l, nil
}

// waitReady asks until the server answers 200.
func (l *larder) waitReady(url string) error {
	client := &http.Client{Timeout: time.Second}
	deadline := time.After(startTimeout)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-l.exited:
			return fmt.Errorf("exited before it was ready: %w", l.err)
		case <-deadline:
			return errors.New("not ready in time")
		case <-again.C:
		}
		resp, err := client.Get(url)
		if err != nil {
			continue
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
}

// stop asks the server to end, and fails unless it does so cleanly. Under the
// race detector a race counts as an unclean end.
func (l *larder) stop() error {
	if err := l.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-l.exited:
		return l.err
	case <-time.After(stopTimeout):
		l.kill()
		return errors.New("larder did not end in time")
	}
}

func (l *larder) kill() {
	_ = l.cmd.Process.Kill() // an error means that it has ended
	<-l.exited
}

// freePort returns a port that nobody listens on at the moment. The caller must
// be ready to lose the race for it.
func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

// syncBuffer is a bytes.Buffer for one writer and readers in other goroutines.
type syncBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
