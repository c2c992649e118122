package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"larder/test/registry"
)

// What is done about a server that is too slow for the window: it gets more of
// it, and fewer rounds.
const (
	slow    = 4                // windows; who needs so many has one round
	slowest = 20 * time.Second // of load, however slow the server is
	huge    = 20_000_000       // bytes of a document that is for close rivals alone: others take minutes for a few answers
)

// A warm answer may need upstream now and then, when what is held gets stale.
const freshenings = 3

// measureHits runs all cases, on all servers in turn, in each round. A case that
// fails on a server is noted and not tried again there; on the product it is an
// error.
func measureHits(ctx context.Context, b *Bench) error {
	cases := b.chosenHits()
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
	var instances []*Instance
	for _, s := range b.Servers {
		i, err := b.Launch(ctx, s, up.URL())
		if err != nil {
			if err := b.spare(ctx, "hits", s, err); err != nil {
				return err
			}
			continue
		}
		defer i.Stop()
		instances = append(instances, i)
	}

	m := measurement{b, up, newChecker(up.URL())}
	done := map[string]bool{} // cases on servers that will have no further round
	var failed []error
	if len(instances) == 0 {
		return errors.New("no server to measure")
	}
	for round := range b.Rounds {
		for _, h := range cases {
			for n, connections := range h.connections {
				for _, i := range inTurn(instances, round) {
					where := fmt.Sprintf("%s on %s", h.name, i.Name())
					if done[where] || (n > 0 || h.shape.Full > huge) && !closeRival(i) || ctx.Err() != nil {
						continue
					}
					again, err := m.run(ctx, h, connections, i)
					done[where] = err != nil || !again
					if err != nil {
						failed = append(failed, b.spare(ctx, "hits, "+h.name, i, err))
					}
				}
			}
		}
	}
	return errors.Join(append(failed, ctx.Err())...)
}

// chosenHits are those of the table that the profile wants.
func (b *Bench) chosenHits() []hit {
	var chosen []hit
	for _, h := range hits {
		if b.Quick {
			if !quick(h) {
				continue
			}
			h.connections = h.connections[:1]
		}
		if strings.Contains(h.name, b.Match) {
			chosen = append(chosen, h)
		}
	}
	return chosen
}

// closeRival tells who is measured in all cases at all numbers of connections.
func closeRival(s Server) bool { return s.Name() == product || s.Name() == "nginx" }

// due tells whether a server has a part in a round of what takes long: others
// than the close rivals have one round of it.
func due(s Server, round int) bool { return round == 0 || closeRival(s) }

// measurement is what the measuring of single cases needs.
type measurement struct {
	*Bench
	upstream *registry.Server
	*checker
}

// run warms a server up and checks what it says, sends load, and adds the
// figures. It returns whether another round is worth its time.
func (m measurement) run(ctx context.Context, h hit, connections int, i *Instance) (again bool, err error) {
	if _, err := ask(ctx, h.request(i.URL(), "")); err != nil { // it may be a miss, or stale
		return false, err
	}
	req, got, err := m.check(ctx, h, i.URL())
	if err != nil {
		return false, err
	}
	// Long enough for an answer on each connection, and another, of a server
	// that makes one at a time.
	window := min(max(m.Window, time.Duration(2*connections)*got.took), slowest)
	again = closeRival(i) || window < slow*m.Window

	asked := m.upstream.Total()
	var load Load
	use, err := i.Measure(func() (err error) {
		load, err = drive(ctx, req, connections, window)
		return err
	})
	if err != nil {
		return false, err
	}
	if load.Bytes < int64(load.Requests)*int64(len(got.body)) {
		// A server may pack what is hot better meanwhile.
		_, later, err := m.check(ctx, h, i.URL())
		if err != nil {
			return false, err
		}
		if want := int64(load.Requests) * int64(min(len(got.body), len(later.body))); load.Bytes < want {
			return false, fmt.Errorf("%d answers came in %d bytes, not %d", load.Requests, load.Bytes, want)
		}
	}
	f := Figure{Section: "hits", Case: fmt.Sprintf("%s (%d)", h.name, connections), Server: i.Name()}
	m.add(f, load, use)
	if h.how == whole && connections == h.connections[0] {
		m.Report.Add(f.named("body", "B", false), float64(len(got.body)))
	}
	if n := m.upstream.Total() - asked; n > freshenings {
		m.Report.Note("%s on %s: asked upstream %d times for %d answers: it is no hit", f.Case, i.Name(), n, load.Requests)
	}
	if !again {
		m.Report.Note("%s on %s: so slow that there was one round, of %v, with %d answers", f.Case, i.Name(), window.Round(time.Second), load.Requests)
	}
	return again, i.calm(ctx)
}

// add enters what a load came to.
func (m measurement) add(f Figure, load Load, use Usage) {
	add := func(name, unit string, higher bool, v float64) { m.Report.Add(f.named(name, unit, higher), v) }
	cpu := microseconds(use.CPU) / float64(max(1, load.Requests))
	add("rate", "1/s", true, load.Rate())
	if load.Requests > 0 {
		add("p50", "µs", false, microseconds(load.P50))
		add("p99", "µs", false, microseconds(load.P99))
		add("cpu", "µs", false, cpu)
	}
	add("peak memory", "MB", false, megabytes(use.Peak))
	m.progress("hits: %s, %s: %s/s, p99 %s ms, %s µs CPU", f.Case, f.Server, number(load.Rate()), number(milliseconds(load.P99)), number(cpu))
}
