package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Request is what a load is made of, over and over.
type Request struct {
	Method string // GET or HEAD
	URL    string
	Header http.Header
	Paths  []string // if there are any, what is asked for in turn in place of URL's path
}

// Load is what came of sending requests for a while.
type Load struct {
	Requests int // that were answered
	Bytes    int64
	Took     time.Duration
	P50, P99 time.Duration
}

// Rate is in answers per second.
func (l Load) Rate() float64 { return float64(l.Requests) / l.Took.Seconds() }

// patience is how long one answer may take before it is an error.
const patience = 2 * time.Minute

// drive sends requests over so many connections, each its next as soon as the
// last is answered. wrk does it where it is installed; it can do neither HEAD
// nor less than a second. Statuses from 400 on and broken connections make an
// error.
func drive(ctx context.Context, req Request, connections int, window time.Duration) (Load, error) {
	if wrk, err := exec.LookPath("wrk"); err == nil && req.Method != http.MethodHead && window >= time.Second {
		return driveWrk(ctx, wrk, req, connections, window)
	}
	return driveGo(ctx, req, connections, window)
}

// wrkScript prints what wrk knows, in fields. It costs nothing per request.
const wrkScript = `done = function(s, l)
	io.write(string.format("\nfigures %d %d %d %d %d %d %d %d %d %d\n", s.requests, s.duration, s.bytes, l:percentile(50), l:percentile(99),
		s.errors.connect, s.errors.read, s.errors.write, s.errors.status, s.errors.timeout))
end
`

// wrkTurns makes wrk ask for the paths in the file that its first argument
// names, each thread beginning elsewhere.
const wrkTurns = `local threads, requests, at = 0, {}, 0
setup = function(thread)
	thread:set("number", threads)
	threads = threads + 1
end
init = function(args)
	for path in io.lines(args[1]) do requests[#requests + 1] = wrk.format(nil, path) end
	at = math.floor(number * #requests / 2)
end
request = function()
	at = at % #requests + 1
	return requests[at]
end
`

func driveWrk(ctx context.Context, wrk string, req Request, connections int, window time.Duration) (Load, error) {
	dir, err := os.MkdirTemp("", "larder-bench-wrk")
	if err != nil {
		return Load{}, err
	}
	defer os.RemoveAll(dir)
	script, text, turns := filepath.Join(dir, "script.lua"), wrkScript, filepath.Join(dir, "paths")
	if len(req.Paths) > 0 {
		text += wrkTurns
		if err := os.WriteFile(turns, []byte(strings.Join(req.Paths, "\n")+"\n"), 0o644); err != nil {
			return Load{}, err
		}
	}
	if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
		return Load{}, err
	}
	args := []string{
		"-t", strconv.Itoa(min(connections, runtime.NumCPU())), "-c", strconv.Itoa(connections),
		"-d", fmt.Sprintf("%ds", int(window.Seconds())), "--timeout", fmt.Sprintf("%ds", int(patience.Seconds())), "-s", script,
	}
	for name, values := range req.Header {
		for _, v := range values {
			args = append(args, "-H", name+": "+v)
		}
	}
	out, err := exec.CommandContext(ctx, wrk, append(args, req.URL, "--", turns)...).CombinedOutput()
	if err != nil {
		return Load{}, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	return parseWrk(string(out))
}

// parseWrk reads what wrkScript prints. wrk's unit is the microsecond.
func parseWrk(out string) (Load, error) {
	_, line, ok := strings.Cut(out, "\nfigures ")
	fields := strings.Fields(line)
	const count = 10
	if !ok || len(fields) < count {
		return Load{}, fmt.Errorf("wrk says %q", out)
	}
	n := make([]int64, count)
	for i := range n {
		var err error
		if n[i], err = strconv.ParseInt(fields[i], 10, 64); err != nil {
			return Load{}, fmt.Errorf("wrk says %q", line)
		}
	}
	if errors := n[5:]; slices.Max(errors) > 0 {
		return Load{}, fmt.Errorf("errors: %d connecting, %d reading, %d writing, %d statuses from 400 on, %d timeouts", n[5], n[6], n[7], n[8], n[9])
	}
	return Load{
		Requests: int(n[0]), Took: time.Duration(n[1]) * time.Microsecond, Bytes: n[2],
		P50: time.Duration(n[3]) * time.Microsecond, P99: time.Duration(n[4]) * time.Microsecond,
	}, nil
}
