package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// probeOrder is what a probe is to do: ask for small things at a modest rate,
// however long the answers take.
type probeOrder struct {
	Requests []Request     // in turn
	Every    time.Duration // from one to the next
	For      time.Duration
}

// probeResult has the times of the answers.
type probeResult struct {
	Took   []float64 // milliseconds from when the request was due to the end of its answer, in ascending order
	Failed int       // requests without a whole answer
	Why    string    // the last of them failed
}

// sendProbe runs a probe in a process of its own, until it is done or enough is
// closed.
func sendProbe(ctx context.Context, o probeOrder, enough <-chan struct{}) (probeResult, error) {
	var r probeResult
	err := child(ctx, "probe", o, &r, enough)
	if err == nil && len(r.Took) == 0 {
		err = fmt.Errorf("no small document was answered: %s", r.Why)
	}
	return r, err
}

// p99 returns the time that one in a hundred answers took longer than.
func (r probeResult) p99() float64 { return percentile(r.Took, 0.99) }

// percentile returns what the share p of sorted values does not exceed.
func percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}

// probe is the child's part. A request that is late because the one before it
// was slow would hide the wait: each has a goroutine, and counts from when it was
// due.
func probe(ctx context.Context, o probeOrder) probeResult {
	var (
		mu       sync.Mutex // guards r
		r        probeResult
		requests sync.WaitGroup
	)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}}
	begin := time.Now()
	for i := 0; ; i++ {
		due := begin.Add(time.Duration(i) * o.Every)
		if due.Sub(begin) >= o.For {
			break
		}
		if wait := time.Until(due); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			break
		}
		requests.Go(func() {
			err := askSmall(context.WithoutCancel(ctx), client, o.Requests[i%len(o.Requests)])
			took := float64(time.Since(due)) / float64(time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				r.Failed, r.Why = r.Failed+1, err.Error()
				return
			}
			r.Took = append(r.Took, took)
		})
	}
	requests.Wait()
	slices.Sort(r.Took)
	return r
}

// askSmall is ask of a client that has connections of its own, and must get an
// answer.
func askSmall(ctx context.Context, client *http.Client, r Request) error {
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, nil)
	if err != nil {
		return err
	}
	req.Header = r.Header
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK || n == 0 {
		return fmt.Errorf("%s: %s, %d bytes: %w", r.URL, resp.Status, n, err)
	}
	return nil
}
