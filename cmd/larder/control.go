package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A running server listens on a socket in its data directory, by which the
// commands of this program change it: HTTP, with JSON bodies (control_api.go).
// Who may use it is for the file's mode to say: the server's own user and root.

// The bounds of a request on the socket.
const (
	controlTimeout  = 30 * time.Second // from its first byte to the end of its answer
	maxControlBytes = 64 << 10         // of its body, and of its header; and of the answer
)

// controlPath is where the socket of the server on a data directory is.
func controlPath(data string) string { return filepath.Join(data, "control.sock") }

// maxSocketPath is how long the path of a socket may be everywhere, in bytes:
// Linux takes 107, macOS and the BSDs 103.
const maxSocketPath = 100

// socketAddress returns an address under which the kernel finds the socket at
// path, until release is called. A long path is shortened by way of its
// directory's descriptor, where the system has such names.
func socketAddress(path string) (address string, release func(), err error) {
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	if runtime.GOOS != "linux" {
		return "", nil, fmt.Errorf("the path %s is longer than the %d bytes that a socket's may have here: give the data directory a shorter one", path, maxSocketPath)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	// It was only opened to be named.
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), func() { dir.Close() }, nil
}

// control is the socket of a running server.
type control struct {
	path   string
	server *http.Server
	served sync.WaitGroup
}

// openControl makes the socket and answers on it until Close. The caller holds
// the data directory's lock, so that a socket that is there already is one that
// a server left when it was killed.
func openControl(ctx context.Context, data string, handler http.Handler, log *slog.Logger) (*control, error) {
	c := &control{path: controlPath(data)}
	if err := removeSocket(c.path); err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l, err := listenUnix(ctx, c.path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	c.server = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       controlTimeout,
		WriteTimeout:      controlTimeout,
		IdleTimeout:       controlTimeout,
		MaxHeaderBytes:    maxControlBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	c.served.Go(func() {
		if err := c.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the control socket broke: the commands that change a running server do not reach it any more", "path", c.path, "error", err)
		}
	})
	return c, nil
}

// listenUnix listens on a socket that is this user's alone from its first
// moment on.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	address, release, err := socketAddress(path)
	if err != nil {
		return nil, err
	}
	defer release()
	config := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		// On Linux the file gets this mode when it is made. Elsewhere the call
		// fails, and the data directory keeps others out until Chmod has run.
		return conn.Control(func(fd uintptr) { _ = unix.Fchmod(int(fd), 0o600) })
	}}
	l, err := config.Listen(ctx, "unix", address)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // the address may not be the file's path
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(path))
	}
	return l, nil
}

// removeSocket removes a socket, and nothing else, that may be at path.
func removeSocket(path string) error {
	fi, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case fi.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there, and is no socket", path)
	}
	return os.Remove(path)
}

// Close lets the requests that run finish, until ctx is done, and removes the
// socket.
func (c *control) Close(ctx context.Context) error {
	err := c.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, c.server.Close())
	}
	c.served.Wait()
	return errors.Join(err, removeSocket(c.path))
}
