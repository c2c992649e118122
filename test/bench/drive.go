package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// driveGo is drive with one goroutine and one connection each. It takes more of
// the machine than wrk does.
func driveGo(ctx context.Context, req Request, connections int, window time.Duration) (Load, error) {
	target, err := url.Parse(req.URL)
	if err != nil {
		return Load{}, err
	}
	out, err := http.NewRequestWithContext(ctx, req.Method, req.URL, nil)
	if err != nil {
		return Load{}, err
	}
	out.Header = req.Header.Clone()
	var wires [][]byte
	for _, path := range append([]string{target.RequestURI()}, req.Paths...) {
		var wire bytes.Buffer
		if out.URL, err = target.Parse(path); err != nil {
			return Load{}, err
		}
		if err := out.Write(&wire); err != nil {
			return Load{}, err
		}
		wires = append(wires, wire.Bytes())
	}
	if len(req.Paths) > 0 {
		wires = wires[1:]
	}

	lines := make([]line, connections)
	begin := time.Now()
	end := begin.Add(window)
	var all sync.WaitGroup
	for i := range lines {
		all.Go(func() { lines[i].err = lines[i].run(ctx, target.Host, wires, i*len(wires)/connections, out, end) })
	}
	all.Wait()
	load := Load{Took: time.Since(begin)}
	var times []time.Duration
	for _, l := range lines {
		if l.err != nil {
			return Load{}, l.err
		}
		load.Requests += len(l.times)
		load.Bytes += l.bytes
		times = append(times, l.times...)
	}
	if len(times) > 0 {
		slices.Sort(times)
		load.P50, load.P99 = times[len(times)/2], times[len(times)*99/100]
	}
	return load, ctx.Err()
}

// line is one connection and what came over it.
type line struct {
	times []time.Duration // from the request to the end of its answer
	bytes int64           // of bodies
	err   error
}

// run sends the requests in wires in turn, from the one numbered at on.
func (l *line) run(ctx context.Context, host string, wires [][]byte, at int, req *http.Request, end time.Time) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(end.Add(patience)); err != nil {
		return err
	}
	in := bufio.NewReaderSize(conn, 64<<10)
	begin := time.Now()
	for { // one request at least: what took a moment too long to connect counts, too
		if _, err := conn.Write(wires[at%len(wires)]); err != nil {
			return err
		}
		at++
		n, err := readAnswer(in, req)
		if err != nil {
			return err
		}
		now := time.Now()
		l.times = append(l.times, now.Sub(begin))
		l.bytes += n
		if begin = now; !now.Before(end) || ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// readAnswer reads an answer to its end and returns the size of its body.
func readAnswer(in *bufio.Reader, req *http.Request) (body int64, err error) {
	if req.Method == http.MethodHead { // no headers are of interest: parsing them would take longer than the server does
		return 0, skipHead(in)
	}
	resp, err := http.ReadResponse(in, req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return 0, errors.New(resp.Status)
	}
	return io.Copy(io.Discard, resp.Body)
}

// skipHead reads an answer that has no body.
func skipHead(in *bufio.Reader) error {
	status, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(status, "HTTP/1.1 2") && !strings.HasPrefix(status, "HTTP/1.1 3") {
		return errors.New(strings.TrimSpace(status))
	}
	for {
		line, err := in.ReadSlice('\n')
		if err != nil || len(bytes.TrimRight(line, "\r\n")) == 0 {
			return err
		}
	}
}
