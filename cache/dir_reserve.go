package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// ErrNoRoom is returned where something is not stored because the store is full,
// or its volume nearly is, and nothing can go to make room for it.
var ErrNoRoom = errors.New("cache: no room")

// Reserver is what a Store implements if its size is bounded.
type Reserver interface {
	// Reserve sets room aside for an object of so many bytes that is about to be
	// written, and for a small one beside it. It may wait a few seconds until others have
	// gone; ErrNoRoom if they cannot. The caller calls release once, when the object has
	// been committed or given up.
	Reserve(ctx context.Context, bytes int64) (release func(), err error)
}

const (
	// reserveWait bounds the wait for room. A reader waits that long before it
	// gets the bytes without the store.
	reserveWait = 2 * time.Second

	// maxReservedBeside is the size in bytes that a reservation has room for beside
	// the object.
	maxReservedBeside = blockSize
)

// Reserve implements Reserver. Without a bound there is always room.
func (d *Dir) Reserve(ctx context.Context, bytes int64) (release func(), err error) {
	if !d.bounded() {
		return func() {}, nil
	}
	d.measure()
	bytes = min(bytes, maxUsage) // an upstream may announce any size
	cost := usageOf(bytes).plus(usageOf(maxReservedBeside)).cost()
	c, err := d.size.reserve(cost)
	if err == nil && c != nil {
		err = d.wait(ctx, c)
	}
	if err != nil {
		d.metrics.StoreRefused()
		return nil, err
	}
	return func() { d.size.release(cost) }, nil
}

// admit lets in what is written without a reservation, until release.
func (d *Dir) admit(bytes int64) (release func(), err error) {
	d.measure()
	cost := usageOf(bytes).cost()
	if err := d.size.admit(cost); err != nil {
		return nil, err
	}
	return func() { d.size.release(cost) }, nil
}

// wait waits until c is decided upon.
func (d *Dir) wait(ctx context.Context, c *claim) error {
	patience := time.NewTimer(reserveWait)
	defer patience.Stop()
	var why error
	select {
	case err := <-c.settled:
		return err
	case <-patience.C:
		why = fmt.Errorf("%w within %v", ErrNoRoom, reserveWait)
	case <-ctx.Done():
		why = context.Cause(ctx)
	}
	if d.size.abandon(c) {
		return nil
	}
	return why
}

// reservedKey marks the context of a Create for which there is a reservation.
type reservedKey struct{}

// levelOf returns the level at which a failure to store something is logged. That
// there is no room is said once, by the evictor, and not for each that suffers from it.
func levelOf(err error) slog.Level {
	if errors.Is(err, ErrNoRoom) {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// underReservation returns a context whose Creates are for what was reserved.
func underReservation(ctx context.Context) context.Context {
	return context.WithValue(ctx, reservedKey{}, true)
}
