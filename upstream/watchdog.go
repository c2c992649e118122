package upstream

import (
	"context"
	"errors"
	"io"
	"time"
)

// watchdog cancels an exchange whose sender is silent for too long.
type watchdog struct {
	cancel   context.CancelCauseFunc
	upstream string
	deadline time.Time // of the first byte; zero when it has come, or is not asked for
	timer    *time.Timer
}

// start cancels the exchange after d, or at the deadline, unless stop comes first.
func (w *watchdog) start(silent string, d time.Duration) {
	if !w.deadline.IsZero() {
		d = min(d, time.Until(w.deadline))
	}
	w.timer = time.AfterFunc(d, func() {
		w.cancel(timeoutFailure(w.upstream, silent))
	})
}

func (w *watchdog) stop() { w.timer.Stop() }

// watchedBody is a response body that fails when its sender falls silent. Time
// that passes between reads, while the reader is busy, does not count.
type watchedBody struct {
	io.ReadCloser
	cause   func() error // why the exchange was cancelled
	watch   *watchdog
	silence time.Duration
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.watch.start("fell silent in the middle of an answer", b.silence)
	n, err := b.ReadCloser.Read(p)
	b.watch.stop()
	if n > 0 {
		b.watch.deadline = time.Time{}
	}
	if err != nil && err != io.EOF {
		var late *failure
		if errors.As(b.cause(), &late) {
			err = late
		}
	}
	return n, err
}

func (b *watchedBody) Close() error {
	b.watch.cancel(nil)
	return b.ReadCloser.Close()
}
