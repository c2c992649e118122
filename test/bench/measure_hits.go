package main

import (
	"context"
	"fmt"
	"time"
)

// What is done about a server that is too slow for the window.
const (
	slow    = 500 * time.Millisecond // for one warm answer, from here on
	slowest = 20 * time.Second       // of load, however slow it is
)

// measureHits runs all cases, on all servers in turn, in each round.
func measureHits(ctx context.Context, b *Bench) error {
	cases := hits
	if b.Quick {
		cases = nil
		for _, h := range hits {
			if quick(h) {
				h.connections = h.connections[:1]
				cases = append(cases, h)
			}
		}
	}
	var shapes []Shape
	for _, h := range cases {
		shapes = append(shapes, h.shape)
	}
	b.progress("hits: generating packages")
	up, err := b.Upstream(shapes...)
	if err != nil {
		return err
	}
	defer up.Close()
	running := map[string]*Instance{}
	for _, s := range b.Servers {
		i, err := b.Launch(ctx, s, up.URL())
		if err != nil {
			return err
		}
		defer i.Stop()
		running[s.Name()] = i
	}
	hopeless := map[string]bool{}
	for round := range b.Rounds {
		for _, h := range cases {
			for n, connections := range h.connections {
				for _, s := range b.order(round) {
					key := fmt.Sprintf("%s on %s", h.name, s.Name())
					if hopeless[key] || n > 0 && !closeRival(s) {
						continue
					}
					m := measurement{b, h, connections, running[s.Name()]}
					again, err := m.run(ctx, up.URL())
					if ctx.Err() != nil {
						return ctx.Err()
					}
					if err != nil {
						b.Report.Note("%s: failed: %v", key, err)
						b.progress("hits: %s: failed: %v", key, err)
					}
					hopeless[key] = err != nil || !again
				}
			}
		}
	}
	return nil
}

// closeRival tells who is measured at all numbers of connections.
func closeRival(s Server) bool { return s.Name() == "larder" || s.Name() == "nginx" }

// measurement is one case on one server at one number of connections.
type measurement struct {
	*Bench
	hit
	connections int
	*Instance
}

// run warms up and checks, sends load, and adds the figures. It returns whether
// another round is worth its time.
func (m measurement) run(ctx context.Context, upstream string) (again bool, err error) {
	const warmUps = 2 // the first may be a miss
	var req Request
	var got reply
	for range warmUps {
		if req, got, err = m.check(ctx, m.URL(), upstream); err != nil {
			return false, err
		}
	}
	window, again := m.Window, true
	if got.took > slow {
		window, again = min(max(window, time.Duration(2*m.connections)*got.took), slowest), false
	}
	if err := m.ResetPeak(); err != nil {
		return false, err
	}
	before, err := m.CPU()
	if err != nil {
		return false, err
	}
	load, err := drive(ctx, req, m.connections, window)
	if err != nil {
		return false, err
	}
	after, err := m.CPU()
	if err != nil {
		return false, err
	}
	peak, err := m.Peak()
	if err != nil {
		return false, err
	}
	m.add(load, after-before, peak, len(got.body))
	if !again {
		m.Report.Note("%s on %s: an answer takes %.1f s by itself: one round of %v, %d answers", m.hit.name, m.Name(), got.took.Seconds(), window.Round(time.Second), load.Requests)
	}
	return again, nil
}

func (m measurement) add(load Load, cpu time.Duration, peak int64, body int) {
	f := Figure{Section: "hits", Case: fmt.Sprintf("%s (%d)", m.hit.name, m.connections), Server: m.Name()}
	add := func(name, unit string, higher bool, v float64) { m.Report.Add(f.named(name, unit, higher), v) }
	add("rate", "1/s", true, load.Rate())
	if load.Requests > 0 {
		add("p50", "µs", false, microseconds(load.P50))
		add("p99", "µs", false, microseconds(load.P99))
		add("cpu", "µs", false, microseconds(cpu)/float64(load.Requests))
	}
	add("peak memory", "MB", false, megabytes(peak))
	add("body", "B", false, float64(body))
	m.progress("hits: %s, %s: %.1f/s, p99 %v, %.0f µs CPU", f.Case, m.Name(), load.Rate(), load.P99, microseconds(cpu)/float64(max(1, load.Requests)))
}
