package upstream

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"larder/npm"
)

// flightTimeout bounds a flight from start to end: a document of the largest
// size over a slow line.
const flightTimeout = 5 * time.Minute

// maxFlights bounds the flights that run or wait for a place to run. Who has
// asked may have hung up and asked for something else, any number of times,
// while upstream hangs.
const maxFlights = 16384

var (
	errClosed = errors.New("the registry is closed")
	errFull   = errors.New("too many flights")
)

// flights runs what several callers may want at once, once. A flight is
// detached from whoever started it: a caller who hangs up does not end it, and
// finds its result in the cache when he comes back.
type flights struct {
	group singleflight.Group

	mu      sync.Mutex // guards what follows
	closed  bool
	cancels map[int]context.CancelFunc // of the running flights
	next    int                        // key in cancels
	running sync.WaitGroup             // added to under mu while not closed
}

// start runs fn under key, or joins the flight that is under way.
func (f *flights) start(ctx context.Context, key string, fn func(ctx context.Context) (any, error)) <-chan singleflight.Result {
	return f.group.DoChan(key, func() (result any, err error) {
		ctx, land, err := f.board(ctx)
		switch err {
		case errClosed:
			return nil, &npm.Error{Kind: npm.Unavailable, Op: "upstream", Msg: "the server is shutting down", Err: err}
		case errFull:
			return nil, &npm.Error{Kind: npm.Unavailable, Op: "upstream", Msg: "too many documents are being fetched at once", Err: err}
		}
		defer land()
		// singleflight would bring a panic down on the whole process.
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("upstream flight %s: panic: %v\n%s", key, p, debug.Stack())
			}
		}()
		return fn(ctx)
	})
}

// board enters a flight into the books and returns its context; land leaves.
// Its error is errClosed or errFull.
func (f *flights) board(ctx context.Context) (flight context.Context, land func(), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return nil, nil, errClosed
	case len(f.cancels) >= maxFlights:
		return nil, nil, errFull
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightTimeout)
	id := f.next
	f.next++
	if f.cancels == nil {
		f.cancels = make(map[int]context.CancelFunc)
	}
	f.cancels[id] = cancel
	f.running.Add(1)
	return ctx, func() {
		cancel()
		f.mu.Lock()
		delete(f.cancels, id)
		f.mu.Unlock()
		f.running.Done()
	}, nil
}

// close refuses new flights and waits for the running ones; when ctx is done it
// cancels them, waits all the same, and returns ctx's error.
func (f *flights) close(ctx context.Context) error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	landed := make(chan struct{})
	go func() {
		f.running.Wait()
		close(landed)
	}()
	select {
	case <-landed:
		return nil
	case <-ctx.Done():
	}
	f.mu.Lock()
	for _, cancel := range f.cancels {
		cancel()
	}
	f.mu.Unlock()
	<-landed
	return ctx.Err()
}
