package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// crowdOrder is what clients are to do who all come at once.
type crowdOrder struct {
	Request
	Clients int
	Sample  int           // every so manieth client hashes what it gets
	Limit   time.Duration // after which those who wait hang up
}

// crowdResult is what became of it.
type crowdResult struct {
	Done    int       // clients that got a whole answer
	Failed  string    // why the first of the others did not
	Took    []float64 // seconds from the start to the end of each answer, in order of the ends
	Bytes   int64     // of one answer's body
	Samples []string  // the different SHA-256 of bodies
}

// last returns the seconds until the last client was done, or the limit where
// one was not.
func (r crowdResult) last(limit time.Duration) float64 {
	if r.Failed != "" || len(r.Took) == 0 {
		return limit.Seconds()
	}
	return r.Took[len(r.Took)-1]
}

// sendCrowd runs a crowd in a process of its own.
func sendCrowd(ctx context.Context, o crowdOrder) (crowdResult, error) {
	var r crowdResult
	err := child(ctx, "crowd", o, &r, nil)
	if err == nil && len(r.Samples) > 1 {
		err = fmt.Errorf("%s: clients got %d different bodies", o.URL, len(r.Samples))
	}
	return r, err
}

// crowd is the child's part.
func crowd(ctx context.Context, o crowdOrder) crowdResult {
	ctx, cancel := context.WithTimeout(ctx, o.Limit)
	defer cancel()
	var (
		mu      sync.Mutex // guards what follows
		r       crowdResult
		failed  error
		sums    = map[string]bool{}
		clients sync.WaitGroup
	)
	start, begin := make(chan struct{}), time.Now()
	for i := range o.Clients {
		clients.Go(func() {
			<-start
			n, sum, err := fetchAlone(ctx, o, i%o.Sample == 0)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && r.Bytes != 0 && n != r.Bytes {
				err = fmt.Errorf("%d bytes for one client and %d for another", r.Bytes, n)
			}
			if err != nil {
				failed = cmp.Or(failed, err)
				return
			}
			r.Done++
			r.Bytes = n
			r.Took = append(r.Took, time.Since(begin).Seconds())
			if sum != "" {
				sums[sum] = true
			}
		})
	}
	begin = time.Now()
	close(start)
	clients.Wait()
	if failed != nil {
		r.Failed, _, _ = strings.Cut(failed.Error(), "\n")
	}
	for sum := range sums {
		r.Samples = append(r.Samples, sum)
	}
	return r
}

// crowdBuffer is how much a client of a crowd reads at once, in bytes.
const crowdBuffer = 128 << 10

// fetchAlone gets the body over a connection of its own, and drops it.
func fetchAlone(ctx context.Context, o crowdOrder, hash bool) (n int64, sum string, err error) {
	req, err := http.NewRequestWithContext(ctx, o.Method, o.URL, nil)
	if err != nil {
		return 0, "", err
	}
	req.Header = o.Header
	t := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, "", fmt.Errorf("%s %s: %s", o.Method, o.URL, resp.Status)
	}
	h := sha256.New()
	buf := make([]byte, crowdBuffer)
	for {
		m, err := resp.Body.Read(buf)
		n += int64(m)
		if hash {
			h.Write(buf[:m])
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return n, "", err
		}
	}
	if hash {
		sum = hex.EncodeToString(h.Sum(nil))
	}
	return n, sum, nil
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
