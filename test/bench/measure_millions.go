package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

const (
	// manyFiles and fewFiles are what is compared, and quickFiles stands for the
	// former in a short run.
	manyFiles  = 1_000_000
	fewFiles   = 1_000
	quickFiles = 4_000
	// spreadConnections ask for tarballs.
	spreadConnections = 32
	// firstReads are how many tarballs are asked for in a round that nobody has
	// asked for since the start.
	firstReads = 100_000
)

// stocked is Larder with a stock in its cache.
type stocked struct {
	*Instance
	stock
	name string // of the case
}

// measureMillions compares Larder with many files in its cache and Larder with
// few, and with none: how long it takes to start, what memory it holds, and what
// a request costs. It takes minutes and gigabytes to make the files, so it is
// done only if it is asked for.
func measureMillions(ctx context.Context, b *Bench) error {
	files := manyFiles
	switch {
	case b.Quick:
		files = quickFiles
	case !b.Millions:
		b.Report.Note("millions: not measured: run with -millions")
		return nil
	}
	up, err := b.Upstream()
	if err != nil {
		return err
	}
	defer up.Close()
	larder := b.Servers[0]
	if larder.Name() != "larder" {
		return errors.New("larder is not among the servers")
	}
	var all []stocked
	for _, n := range []int{0, fewFiles, files} {
		s, err := b.stocked(ctx, larder, up.URL(), n)
		if err != nil {
			return err
		}
		defer os.RemoveAll(s.Dir)
		all = append(all, s)
	}
	for round := range b.Rounds {
		if err := b.idle(ctx, all); err != nil {
			return err
		}
		if err := b.compare(ctx, all[1], all[2], round); err != nil {
			return err
		}
	}
	return b.scrubbed(ctx, all[2])
}

// stocked makes a Larder with so many files in its cache, which does not run.
func (b *Bench) stocked(ctx context.Context, larder Server, upstream string, files int) (stocked, error) {
	s := stocked{name: "an empty cache"}
	begin := time.Now()
	in, err := b.Launch(ctx, larder, upstream) // it has been asked for readyPackage, and has it
	if err != nil {
		return s, err
	}
	in.Stop()
	s.Instance = in
	if files > 0 {
		s.stock = newStock(files)
		s.name = fmt.Sprintf("%d files", s.files())
		if err := s.fill(ctx, filepath.Join(in.Dir, "data"), "npm"); err != nil {
			return s, err
		}
		b.progress("millions: made %s in %v", s.name, time.Since(begin).Round(time.Second))
	}
	return s, nil
}

// start starts it again.
func (s *stocked) start(ctx context.Context) (err error) {
	s.Instance, err = Relaunch(ctx, s.Instance)
	return err
}

func (s *stocked) figure(name string) Figure {
	return Figure{Section: "millions", Case: name, Server: s.Name()}
}

// idle starts each of them and leaves it alone.
func (b *Bench) idle(ctx context.Context, all []stocked) error {
	for _, s := range all {
		if err := b.leaveAlone(ctx, &s, s.name); err != nil {
			return err
		}
	}
	return nil
}

// leaveAlone adds what a server that was just started does and holds while
// nobody wants anything.
func (b *Bench) leaveAlone(ctx context.Context, s *stocked, name string) error {
	if err := s.start(ctx); err != nil {
		return err
	}
	defer s.Stop()
	before, err := s.CPU()
	if err != nil {
		return err
	}
	time.Sleep(b.Settle)
	after, err := s.CPU()
	if err != nil {
		return err
	}
	idle, err := s.Resident()
	if err != nil {
		return err
	}
	f := s.figure(name)
	b.Report.Add(f.named("first answer", "ms", false), milliseconds(s.FirstAnswer))
	b.Report.Add(f.named("idle memory", "MB", false), megabytes(idle))
	b.Report.Add(f.named("idle cpu", "ms/s", false), milliseconds(after-before)/b.Settle.Seconds())
	b.progress("millions, %s: first answer after %v, idle with %.1f MB and %v of CPU time in %v", name, s.FirstAnswer.Round(time.Millisecond), megabytes(idle), after-before, b.Settle)
	return nil
}

// scrubbed leaves a server alone that reads all that it has, once a day.
func (b *Bench) scrubbed(ctx context.Context, s stocked) error {
	for range b.Rounds {
		if err := os.Remove(s.scrubCursor(filepath.Join(s.Dir, "data"))); err != nil && !os.IsNotExist(err) {
			return err
		}
		if err := b.leaveAlone(ctx, &s, s.name+", while they are scrubbed"); err != nil {
			return err
		}
	}
	return nil
}

// compare sends the same load to a server with few files and to one with many, in
// turn: to as many tarballs of the one as the other has, spread over all of it. Then
// many are asked for that nobody wanted before.
func (b *Bench) compare(ctx context.Context, few, many stocked, round int) error {
	for _, s := range []*stocked{&few, &many} {
		if err := s.start(ctx); err != nil {
			return err
		}
		defer s.Stop()
	}
	hot := func(s *stocked) []int {
		numbers := make([]int, few.tarballs())
		for i := range numbers {
			numbers[i] = i * (s.tarballs() / few.tarballs())
		}
		return numbers
	}
	var cost, rate [2]float64
	for _, s := range []*stocked{&few, &many} {
		if err := s.check(ctx, hot(s)); err != nil {
			return err
		}
	}
	// Twice in turn, the other one first the second time.
	for _, i := range []int{0, 1, 1, 0} {
		s := []*stocked{&few, &many}[i]
		load, cpu, err := s.spread(ctx, b, hot(s))
		if err != nil {
			return err
		}
		rate[i] += load.Rate() / 2
		cost[i] += cpu / 2
	}
	for i, s := range []*stocked{&few, &many} {
		f := s.figure(s.name)
		b.Report.Add(f.named("rate", "1/s", true), rate[i])
		b.Report.Add(f.named("cpu", "µs", false), cost[i])
	}
	f := few.figure(many.name + " / " + few.name)
	b.Report.Add(f.named("rate", "×", true), rate[1]/rate[0])
	if cost[0] > 0 { // the kernel counts in hundredths of a second
		b.Report.Add(f.named("cpu", "×", false), cost[1]/cost[0])
	}
	b.progress("millions: %.0f/s and %.1f µs with %s, %.0f/s and %.1f µs with %s", rate[0], cost[0], few.name, rate[1], cost[1], many.name)

	first := rand.New(rand.NewPCG(Seed, uint64(round))).Perm(many.tarballs())
	load, cpu, err := many.spread(ctx, b, first[:min(len(first), firstReads)])
	if err != nil {
		return err
	}
	f = many.figure(many.name + ", each tarball for the first time")
	b.Report.Add(f.named("rate", "1/s", true), load.Rate())
	b.Report.Add(f.named("cpu", "µs", false), cpu)
	return nil
}

// check asks for tarballs once each, and looks at what comes.
func (s *stocked) check(ctx context.Context, numbers []int) error {
	for _, n := range numbers {
		got, err := ask(ctx, Request{Method: http.MethodGet, URL: s.URL() + s.path(n)})
		if err != nil || got.status != http.StatusOK {
			return errors.Join(err, checkStatus(got, http.StatusOK))
		}
		if !bytes.Equal(got.body, s.body(n)) {
			return fmt.Errorf("%s has %d bytes that are not what was stored", s.path(n), len(got.body))
		}
		if c := got.header.Get("X-Larder-Cache"); c != "hit" {
			return fmt.Errorf("%s was no hit but a %s", s.path(n), c)
		}
	}
	return nil
}

// spread asks for tarballs in turn for a while. It returns what came of it, and the
// microseconds of CPU time for each.
func (s *stocked) spread(ctx context.Context, b *Bench, numbers []int) (Load, float64, error) {
	req := Request{Method: http.MethodGet, URL: s.URL()}
	for _, n := range numbers {
		req.Paths = append(req.Paths, "/"+s.path(n))
	}
	before, err := s.CPU()
	if err != nil {
		return Load{}, 0, err
	}
	load, err := drive(ctx, req, spreadConnections, b.Window)
	if err != nil {
		return Load{}, 0, err
	}
	after, err := s.CPU()
	if err == nil && load.Requests == 0 {
		err = errors.New("nothing was answered")
	}
	return load, microseconds(after-before) / float64(max(1, load.Requests)), err
}
