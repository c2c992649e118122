package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"larder/test/netguard"
)

// beLarder makes the test binary be larder: what signals do to a process is
// tried on a process.
const beLarder = "TEST_BINARY_IS_LARDER=1"

func TestMain(m *testing.M) {
	if name, value, _ := strings.Cut(beLarder, "="); os.Getenv(name) == value {
		main()
	}
	netguard.Guard()
	os.Exit(m.Run())
}

// running is a larder at work, in this process or in one of its own.
type running struct {
	t      *testing.T
	status int           // once done is closed
	done   chan struct{} // closed when it has ended

	mu      sync.Mutex // guards stderr
	changed *sync.Cond // stderr has grown, or will not any more
	stderr  bytes.Buffer
	ended   bool
}

func newRunning(t *testing.T) *running {
	r := &running{t: t, done: make(chan struct{})}
	r.changed = sync.NewCond(&r.mu)
	return r
}

// Write takes what larder writes to its standard error.
func (r *running) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed.Broadcast()
	return r.stderr.Write(p)
}

func (r *running) end(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status, r.ended = status, true
	r.changed.Broadcast()
	close(r.done)
}

// waitFor waits until larder has written a line that holds text, and returns
// that line.
func (r *running) waitFor(text string) string {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		for line := range strings.Lines(r.stderr.String()) {
			if strings.Contains(line, text) && strings.HasSuffix(line, "\n") {
				return line
			}
		}
		if r.ended {
			r.t.Fatalf("larder has ended without %q:\n%s", text, r.stderr.String())
		}
		r.changed.Wait()
	}
}

// url waits until larder listens and returns its URL, with a slash at the end.
func (r *running) url() string {
	r.t.Helper()
	_, rest, _ := strings.Cut(r.waitFor("msg=listening"), "url=")
	url, _, _ := strings.Cut(rest, " ")
	return url
}

// exit waits for the end and returns the status.
func (r *running) exit() int {
	<-r.done
	return r.status
}

func (r *running) output() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stderr.String()
}

// launch runs larder in this process until the test ends or stop is called.
func launch(t *testing.T, environ []string, args ...string) (r *running, stop func()) {
	t.Helper()
	r = newRunning(t)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { r.end(run(ctx, args, environ, strings.NewReader(""), &bytes.Buffer{}, r)) }()
	t.Cleanup(func() {
		cancel()
		r.exit()
	})
	return r, cancel
}

// spawn runs larder as a process of its own.
func spawn(t *testing.T, args ...string) (r *running, signal func(syscall.Signal)) {
	t.Helper()
	r = newRunning(t)
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = []string{beLarder}
	cmd.Stderr = r
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		cmd.Wait() // the status says it
		r.end(cmd.ProcessState.ExitCode())
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		r.exit()
	})
	return r, func(s syscall.Signal) {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCommandLine(t *testing.T) {
	good := write(t, "good.yaml", "data: elsewhere\n")
	bad := write(t, "bad.yaml", "data: [elsewhere]\n")
	tests := []struct {
		name   string
		args   string
		env    []string
		status int
		stdout string // a part of it
		stderr string
	}{
		{name: "bare", status: exitOK, stdout: "Available Commands:"},
		{name: "help", args: "help serve", status: exitOK, stdout: "--public-url URL"},
		{name: "version", args: "version", status: exitOK, stdout: "larder "},
		{name: "unknown command", args: "server", status: exitUsage, stderr: `unknown command "server"`},
		{name: "unknown sub-command", args: "config show", status: exitUsage, stderr: `unknown command "show"`},
		{name: "unknown flag", args: "serve --port 1", status: exitUsage, stderr: "unknown flag: --port"},
		{name: "bad flag", args: "serve --offline=perhaps", status: exitUsage, stderr: "--offline"},
		{name: "argument too many", args: "serve here", status: exitUsage, stderr: `unknown command "here"`},
		{name: "bad value", args: "serve --log-level loud", status: exitUsage, stderr: "--log-level: must be debug, info, warn or error"},
		{name: "no file", args: "serve --config missing.yaml", status: exitUsage, stderr: "--config: open missing.yaml"},
		{name: "check defaults", args: "config check", status: exitOK, stdout: "ok\n"},
		{name: "check good", args: "config check " + good, status: exitOK, stdout: "ok\n"},
		{name: "check bad", args: "config check " + bad, status: exitUsage, stderr: bad + ":1:7: data: must be a single value\n"},
		{name: "check stray variable", args: "config check", env: []string{"LARDER_DATE=x"}, status: exitOK, stderr: `warning: no setting: LARDER_DATE (did you mean "LARDER_DATA"?)`},
		{name: "print", args: "config print --offline --config " + good, status: exitOK, stdout: "data: elsewhere # " + good + ":1:1\n"},
		{name: "print bad", args: "config print --config " + bad, status: exitUsage, stderr: "must be a single value"},
		{name: "init", args: "config init", status: exitOK, stdout: "\nlisten: [127.0.0.1:4873]\n"},
		{name: "init over a file", args: "config init " + good, status: exitFailure, stderr: "file exists"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := run(t.Context(), strings.Fields(tt.args), tt.env, strings.NewReader(""), &stdout, &stderr)
			if status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
			if !strings.Contains(stdout.String(), tt.stdout) || tt.stdout == "" && stdout.Len() > 0 && tt.status != exitOK {
				t.Errorf("standard output %q, want %q in it", stdout.String(), tt.stdout)
			}
			if !strings.Contains(stderr.String(), tt.stderr) || tt.stderr == "" && stderr.Len() > 0 {
				t.Errorf("standard error %q, want %q in it", stderr.String(), tt.stderr)
			}
		})
	}
}

func TestInitWritesAFileThatServes(t *testing.T) {
	file := t.TempDir() + "/larder.yaml"
	var out bytes.Buffer
	for _, args := range [][]string{{"config", "init", file}, {"config", "check", file}} {
		if status := run(t.Context(), args, nil, strings.NewReader(""), &out, &out); status != exitOK {
			t.Fatalf("%v: status %d: %s", args, status, &out)
		}
	}
	if want := "ok\n"; out.String() != want {
		t.Errorf("output %q, want %q", out.String(), want)
	}
}

func TestVersion(t *testing.T) {
	want := fmt.Sprintf("larder %s\ncommit %s\n", "1.2.3", "abc")
	if got := (build{version: "1.2.3", commit: "abc"}).String(); !strings.HasPrefix(got, want) || !strings.Contains(got, "go1.") {
		t.Errorf("got %q, want it to begin with %q and to name Go's version", got, want)
	}
	if b := readBuild(); b.version == "" || b.commit == "" {
		t.Errorf("an untold build is %+v", b)
	}
}

// cli runs a command that ends by itself.
func cli(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, nil, strings.NewReader(stdin), &out, &errs)
	return status, out.String(), errs.String()
}
