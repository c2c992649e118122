package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"larder/test/registry"
	"larder/test/rig"
)

// storm is many clients who want one document at once that their server has
// never seen, while others want small ones that it has.
type storm struct {
	clients int
	shape   Shape
	limit   time.Duration // after which the clients hang up
	calm    time.Duration // for which the small ones are asked for without a storm
}

var (
	bigStorm = storm{clients: 500, limit: time.Minute, calm: 10 * time.Second,
		shape: Shape{Versions: 3500, Full: 40_000_000, Abbreviated: 15_000_000}}
	quickStorm = storm{clients: 30, limit: time.Minute, calm: time.Second,
		shape: Shape{Versions: 90, Full: 1_000_000, Abbreviated: 400_000}}
)

// The names of what a storm asks for: the document for a client that is alone, and
// one like it for all of them.
const (
	aloneName = "storm-alone"
	crowdName = "storm-crowd"
)

const (
	// stormSample is how many clients hash what they get, one in so many.
	stormSample = 25
	// smallPackages are the small documents, and probeEvery is from one request for
	// them to the next.
	smallPackages = 50
	probeEvery    = 10 * time.Millisecond
)

func (s storm) named(name string) Shape {
	s.shape.Name = name
	return s.shape
}

func smallName(i int) string { return fmt.Sprintf("small-%d", i) }

// npmAsks is how npm asks for a document.
func npmAsks(url string) Request {
	return Request{Method: http.MethodGet, URL: url, Header: http.Header{"Accept": {rig.Full}, "Accept-Encoding": {"gzip"}}}
}

// measureStorms lets a storm break over each server, which starts cold. One that
// has not answered all of it in time is spared the other rounds.
func measureStorms(ctx context.Context, b *Bench) error {
	s := bigStorm
	if b.Quick {
		s = quickStorm
	}
	b.progress("storm: generating packages")
	up, err := b.Upstream(s.named(aloneName), s.named(crowdName))
	if err != nil {
		return err
	}
	defer up.Close()
	for i := range smallPackages {
		if err := up.Add(registry.Package{Name: smallName(i), Version: "1.0.0"}); err != nil {
			return err
		}
	}
	for _, name := range []string{aloneName, crowdName} { // the registry makes it when it is first asked for
		if _, err := ask(ctx, npmAsks(up.URL()+name)); err != nil {
			return err
		}
	}
	spared := map[string]bool{}
	for round := range b.Rounds {
		for _, server := range b.order(round) {
			if spared[server.Name()] || !due(server, round) {
				continue
			}
			done, err := s.over(ctx, b, server, up)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				b.Report.Note("storm on %s: failed: %v", server.Name(), err)
				b.progress("storm, %s: failed: %v", server.Name(), err)
			}
			spared[server.Name()] = err != nil || done < s.clients
		}
	}
	return nil
}

// over is one storm over one server. It returns how many clients were answered.
func (s storm) over(ctx context.Context, b *Bench, server Server, up *registry.Server) (done int, err error) {
	in, err := b.Launch(ctx, server, up.URL())
	if err != nil {
		return 0, err
	}
	defer in.Stop()
	alone, err := sendCrowd(ctx, crowdOrder{Request: npmAsks(in.URL() + aloneName), Clients: 1, Sample: 1, Limit: s.limit})
	if err != nil {
		return 0, err
	}
	if alone.Failed != "" {
		return 0, errors.New(alone.Failed)
	}
	small := probeOrder{Every: probeEvery, For: s.calm}
	for i := range smallPackages {
		req := npmAsks(in.URL() + smallName(i))
		if got, err := ask(ctx, req); err != nil || got.status != http.StatusOK {
			return 0, errors.Join(err, checkStatus(got, http.StatusOK))
		}
		small.Requests = append(small.Requests, req)
	}
	calm, err := sendProbe(ctx, small, nil)
	if err != nil {
		return 0, err
	}
	if err := in.ResetPeak(); err != nil {
		return 0, err
	}
	up.ResetCounts()
	release := in.guard(lowMemory)
	crowd, rough, err := s.crowdAndProbe(ctx, crowdOrder{Request: npmAsks(in.URL() + crowdName), Clients: s.clients, Sample: stormSample, Limit: s.limit}, small)
	if gone := release(); gone != nil {
		return 0, gone
	}
	if err != nil {
		return 0, err
	}
	peak, err := in.Peak()
	if err != nil {
		return 0, err
	}
	fetches := up.Requests("/" + crowdName)
	size, err := checkStorm(ctx, in, up, crowd)
	if err != nil {
		return 0, err
	}
	if crowd.Failed != "" {
		b.Report.Note("storm on %s: %d of %d clients were answered within %v: %s", server.Name(), crowd.Done, s.clients, s.limit, crowd.Failed)
	}
	if rough.Failed > 0 {
		b.Report.Note("storm on %s: %d small documents were not answered meanwhile: %s", server.Name(), rough.Failed, rough.Why)
	}
	f := Figure{Section: "storm", Case: fmt.Sprintf("%d clients, one cold packument of %d MB", s.clients, s.shape.Full/1_000_000), Server: server.Name()}
	add := func(name, unit string, v float64) { b.Report.Add(f.named(name, unit, false), v) }
	b.Report.Add(f.named("answered", "", true), float64(crowd.Done))
	add("asked upstream", "", float64(fetches))
	add("alone", "s", alone.last(s.limit))
	add("last", "s", crowd.last(s.limit))
	add("last / alone", "×", crowd.last(s.limit)/alone.last(s.limit))
	add("peak memory", "MB", megabytes(peak))
	add("peak memory / document", "×", float64(peak)/float64(size))
	add("small p99 before", "ms", calm.p99())
	add("small p99 meanwhile", "ms", rough.p99())
	add("small p99 meanwhile / before", "×", rough.p99()/calm.p99())
	b.progress("storm, %s: upstream asked %d times, alone %.2f s, %d answered within %.2f s, peak %.0f MB, small p99 %.1f ms before, %.1f ms meanwhile",
		server.Name(), fetches, alone.last(s.limit), crowd.Done, crowd.last(s.limit), megabytes(peak), calm.p99(), rough.p99())
	return crowd.Done, nil
}

// crowdAndProbe sends a crowd, and a probe for as long as that takes.
func (s storm) crowdAndProbe(ctx context.Context, many crowdOrder, small probeOrder) (crowdResult, probeResult, error) {
	small.For = 2 * s.limit
	var rough probeResult
	var probeErr error
	enough, probed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(probed)
		rough, probeErr = sendProbe(ctx, small, enough)
	}()
	crowd, err := sendCrowd(ctx, many)
	close(enough)
	<-probed
	return crowd, rough, errors.Join(err, probeErr)
}

// checkStorm looks at one answer more: that it has as many bytes as each of the
// crowd got, the hash that some of them saw, and what upstream's document has. It
// returns the size of that, unpacked.
func checkStorm(ctx context.Context, in *Instance, up *registry.Server, crowd crowdResult) (int, error) {
	want, err := ask(ctx, Request{Method: http.MethodGet, URL: up.URL() + crowdName, Header: http.Header{"Accept": {rig.Full}}})
	if err != nil || crowd.Done == 0 {
		return len(want.body), err
	}
	got, err := ask(ctx, npmAsks(in.URL()+crowdName))
	if err != nil {
		return 0, err
	}
	if sum := hexSum(got.body); int64(len(got.body)) != crowd.Bytes || len(crowd.Samples) > 0 && sum != crowd.Samples[0] {
		return 0, fmt.Errorf("one client more got another body: %d bytes, not %d", len(got.body), crowd.Bytes)
	}
	document, err := documentOf(got)
	if err != nil {
		return 0, err
	}
	return len(want.body), sameDocument(document, want.body)
}
