package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"larder/test/netguard"
	"larder/test/rig"
)

// The bounds on a start, and on an orderly stop.
const (
	startTimeout = 60 * time.Second
	stopTimeout  = 30 * time.Second
)

// Server is one kind of server that is measured.
type Server interface {
	Name() string
	// Version is the installed version. An error says why there is none.
	Version(ctx context.Context) (string, error)
	// Command makes what the server needs below s.Dir, and returns the command
	// that runs it in the foreground.
	Command(s Setup) (*exec.Cmd, error)
	// Cache is the directory of all that the server keeps of upstream's answers;
	// without it a stopped server starts cold.
	Cache(s Setup) string
}

// Setup is where an instance of a server runs.
type Setup struct {
	Dir      string // the instance's own
	Port     int    // on 127.0.0.1
	Upstream string // URL with a slash at its end
}

// URL is the instance's base, with a slash at its end.
func (s Setup) URL() string { return fmt.Sprintf("http://127.0.0.1:%d/", s.Port) }

// Instance is a server that runs.
type Instance struct {
	Server
	Setup
	Tree
	FirstAnswer time.Duration // from the start of the process to the end of its first answer

	cmd    *exec.Cmd
	exited chan struct{} // closed once the process has ended
}

// Launch starts a server in dir and waits for its first answer.
func Launch(ctx context.Context, server Server, dir, upstream string) (*Instance, error) {
	port, err := netguard.Port()
	if err != nil {
		return nil, err
	}
	return Relaunch(ctx, &Instance{Server: server, Setup: Setup{Dir: dir, Port: port, Upstream: upstream}})
}

// Relaunch starts a stopped instance again, with its port and all that it has
// kept.
func Relaunch(ctx context.Context, old *Instance) (*Instance, error) {
	i := &Instance{Server: old.Server, Setup: old.Setup, exited: make(chan struct{})}
	if err := os.MkdirAll(i.Dir, 0o755); err != nil {
		return nil, err
	}
	var err error
	if i.cmd, err = i.Command(i.Setup); err != nil {
		return nil, fmt.Errorf("%s: %w", i.Name(), err)
	}
	log, err := os.OpenFile(filepath.Join(i.Dir, "output.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	i.cmd.Stdout, i.cmd.Stderr = log, log
	i.cmd.SysProcAttr = ownGroup()
	begin := time.Now()
	if err := i.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", i.Name(), err)
	}
	i.Root = i.cmd.Process.Pid
	go func() {
		_ = i.cmd.Wait() // a signal is how servers end here
		close(i.exited)
	}()
	if err := i.awaitAnswer(ctx); err != nil {
		i.Stop()
		said, _ := os.ReadFile(log.Name()) // nothing to read says enough
		return nil, fmt.Errorf("%s: %w\n%s", i.Name(), err, rig.Tail(string(said), 20))
	}
	i.FirstAnswer = time.Since(begin)
	return i, nil
}

// awaitAnswer asks until the server answers, whatever it says.
func (i *Instance) awaitAnswer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, i.URL()+readyPackage, nil)
		if err != nil {
			return err
		}
		req.Close = true
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if err == nil {
				return nil
			}
		}
		select {
		case <-again.C:
		case <-i.exited:
			return errors.New("ended before it answered")
		case <-ctx.Done():
			return errors.New("did not answer in time")
		}
	}
}

// Stop ends the server, in order if it can.
func (i *Instance) Stop() {
	_ = i.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	select {
	case <-i.exited:
	case <-time.After(stopTimeout):
		_ = syscall.Kill(-i.Root, syscall.SIGKILL) // its process group
		<-i.exited
	}
}

// Forget removes all that a stopped server has kept.
func (i *Instance) Forget() error { return os.RemoveAll(i.Cache(i.Setup)) }

// servers are all that are measured, the product first.
func servers(larder, peers string) []Server {
	return []Server{Larder{Binary: larder}, Nginx{}, Pnpr{Dir: peers}, Verdaccio{Dir: peers}}
}
