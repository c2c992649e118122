package rig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"larder/test/netguard"
)

// The bounds on a start, on a stop, and on the attempts to find a free port.
const (
	startTimeout = time.Minute
	stopTimeout  = time.Minute
	Tries        = 3
)

// Larder is a running server.
type Larder struct {
	cmd    *exec.Cmd
	log    *syncBuffer
	exited chan struct{} // closed once err is set
	err    error
}

// Start is Launch, and waits until the server is ready.
func Start(path string, port int, args, env []string) (*Larder, error) {
	l, err := Launch(path, port, args, env)
	if err != nil {
		return nil, err
	}
	if err := l.waitReady(http.DefaultTransport, fmt.Sprintf("http://127.0.0.1:%d/-/health/ready", port)); err != nil {
		l.Kill()
		return nil, fmt.Errorf("larder serve: %w\n%s", err, l.log)
	}
	return l, nil
}

// Launch starts "larder serve" from the binary at path, with args, on a port of
// 127.0.0.1. env is all of its environment.
func Launch(path string, port int, args, env []string) (*Larder, error) {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	l := &Larder{log: new(syncBuffer), exited: make(chan struct{})}
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
	return l, nil
}

// waitReady asks until the server answers 200.
func (l *Larder) waitReady(transport http.RoundTripper, url string) error {
	client := &http.Client{Transport: transport, Timeout: time.Second}
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

// Stop asks the server to end, and fails unless it does so cleanly. Under the
// race detector a race counts as an unclean end.
func (l *Larder) Stop() error {
	if err := l.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-l.exited:
		return l.err
	case <-time.After(stopTimeout):
		l.Kill()
		return errors.New("larder did not end in time")
	}
}

// Kill ends the server by SIGKILL.
func (l *Larder) Kill() {
	_ = l.cmd.Process.Kill() // an error means that it has ended
	<-l.exited
}

// Signal sends the process a signal.
func (l *Larder) Signal(s os.Signal) error { return l.cmd.Process.Signal(s) }

// Exited is closed when the process has ended. Err says how.
func (l *Larder) Exited() <-chan struct{} { return l.exited }

// Err is how the process ended, nil being well. It is for use after Exited.
func (l *Larder) Err() error { return l.err }

// PID is the number of the process.
func (l *Larder) PID() int { return l.cmd.Process.Pid }

// Log is all that the server has printed so far.
func (l *Larder) Log() string { return l.log.String() }

// PeakMemory is the most bytes that the process ever had resident. Only Linux
// tells.
func (l *Larder) PeakMemory() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", l.PID()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("there is no VmHWM in the process's status")
}

// Tail is the last lines of a text.
func Tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// FreePort returns a port for a server that is started again on it. The caller
// must be ready to lose the race for it.
func FreePort() (int, error) { return netguard.Port() }

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
