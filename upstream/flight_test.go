package upstream

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"larder/npm"
)

func TestFlightThatPanicsIsAnError(t *testing.T) {
	var f flights
	landed := <-f.start(t.Context(), "k", func(context.Context) (any, error) { panic("oops") })
	if landed.Err == nil || !strings.Contains(landed.Err.Error(), "oops") {
		t.Errorf("error %v", landed.Err)
	}
	if err := f.close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFlightsAreCancelledWhenCloseRunsOut(t *testing.T) {
	var f flights
	boarded := make(chan struct{})
	flight := f.start(t.Context(), "k", func(ctx context.Context) (any, error) {
		close(boarded)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	<-boarded
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("close: %v", err)
	}
	if landed := <-flight; !errors.Is(landed.Err, context.Canceled) {
		t.Errorf("the flight: %v", landed.Err)
	}
}

func TestFlightKeepsTheValuesOfItsCaller(t *testing.T) {
	type key struct{}
	var f flights
	landed := <-f.start(context.WithValue(t.Context(), key{}, "id"), "k", func(ctx context.Context) (any, error) {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the flight has no bound")
		}
		return ctx.Value(key{}), nil
	})
	if landed.Val != "id" {
		t.Errorf("value %v", landed.Val)
	}
}

// TestFlightsAreBounded: whoever asks for other names again and again, and hangs
// up, while upstream hangs, does not fill the memory.
func TestFlightsAreBounded(t *testing.T) {
	var f flights
	for n := range maxFlights {
		f.start(t.Context(), strconv.Itoa(n), func(ctx context.Context) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
	}
	for f.count() < maxFlights {
		runtime.Gosched()
	}
	landed := <-f.start(t.Context(), "one more", func(context.Context) (any, error) { return nil, nil })
	if npm.KindOf(landed.Err) != npm.Unavailable || !errors.Is(landed.Err, errFull) {
		t.Errorf("one more: %v", landed.Err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("close: %v", err)
	}
}

func (f *flights) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.cancels)
}
