package cache

import (
	"context"
	"io"
)

// LongWork is from how many bytes on what is done to a document in one go, such
// as to unpack, check or render it, waits for a turn: from there on it keeps a
// processor busy for ten milliseconds and more.
const LongWork = 2 << 20

// Turns bounds how much long work goes on at once, so that a processor is left
// for all that takes microseconds. Who waits for a turn may hold a share of a
// memory budget; who has one must not wait for anything else. A nil *Turns has no
// bound.
type Turns struct{ places chan struct{} }

// NewTurns returns Turns for n at once, or 1 if that is more.
func NewTurns(n int) *Turns { return &Turns{make(chan struct{}, max(1, n))} }

// Take waits for a turn if size bytes are long work. The error is ctx's cause.
func (t *Turns) Take(ctx context.Context, size int64) (release func(), err error) {
	if t == nil || size < LongWork {
		return func() {}, nil
	}
	select {
	case t.places <- struct{}{}:
		return func() { <-t.places }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// turnWriter counts what is written to w, and takes a turn when that becomes long
// work.
type turnWriter struct {
	w       io.Writer
	ctx     context.Context // of the one render that writes
	turns   *Turns
	n       int64
	release func() // nil: it has no turn
}

func (t *turnWriter) Write(p []byte) (int, error) {
	if t.release == nil && t.n+int64(len(p)) >= LongWork {
		release, err := t.turns.Take(t.ctx, LongWork)
		if err != nil {
			return 0, err
		}
		t.release = release
	}
	n, err := t.w.Write(p)
	t.n += int64(n)
	return n, err
}

// done gives the turn back.
func (t *turnWriter) done() {
	if t.release != nil {
		t.release()
		t.release = nil
	}
}
