package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// Bounds of what readers see of a fill, in bytes.
const (
	// heldBack is how much of the end is not shown before all is verified. A
	// blob that is no bigger is not shown before at all.
	heldBack = 64 << 10
	// unsizedHold is how much of a blob of unknown size is awaited for its end.
	unsizedHold = 1 << 20
	// chunk is how much is read from the source at once, at most.
	chunk = 32 << 10
)

// wrongTries is how often in a row bytes are fetched that turn out to be wrong,
// while no reader has seen any of them, and how often they must have come for
// a key until they are remembered. Most are one proxy's bad moment (a login
// page in place of a tarball), and clients that are told of them either give
// up within a second or wait for ten.
const wrongTries = 5

// fill brings one blob into the store while readers follow. Its work is done
// by one goroutine, which Blobs waits for; the readers look at its state and
// at the growing file, which they share: reading at an offset needs no
// descriptor of one's own. It is closed by the last who holds the fill.
type fill struct {
	blobs *Blobs
	key   string
	src   Source
	abort context.CancelCauseFunc
	holds atomic.Int64 // readers, and the goroutine while it works

	// Set by the goroutine before it tells of the first bytes or of the end,
	// not changed afterwards.
	expected Expectation
	file     FollowReader

	wary bool // wrong bytes came last time: nothing is shown before all is verified

	written     int64 // bytes; like what follows, the goroutine's own
	wrong       int   // attempts that gave wrong bytes
	asked       bool  // the source has said the next two
	expectation Expectation
	unknown     error

	progress
}

func newFill(b *Blobs, key string, src Source, abort context.CancelCauseFunc) *fill {
	f := &fill{blobs: b, key: key, src: src, abort: abort}
	f.state.size = -1
	f.hold() // the goroutine's
	return f
}

func (f *fill) hold() { f.holds.Add(1) }

// release gives back a hold. The last one closes the file.
func (f *fill) release() {
	if f.holds.Add(-1) == 0 && f.file != nil {
		f.file.Close() // it was only read
	}
}

// run does the work of the fill and tells the readers how it ended.
func (f *fill) run(ctx context.Context) {
	defer f.release()
	meta, err := f.work(ctx)
	f.blobs.judge(f.key, f.wrong, err)
	f.blobs.leave(f)

	var disk *storeError
	switch {
	case err == nil:
		f.tell(func(s *state) { s.end, s.size, s.shown, s.meta = whole, meta.Size, meta.Size, meta })
	case errors.As(err, &disk):
		f.blobs.log.Log(ctx, levelOf(err), "a blob could not be stored: passing it through", "key", f.key, "label", f.expected.Label, "error", err)
		f.tell(func(s *state) { s.end = passed })
	default:
		deserted := f.holds.Load() == 1 // no reader is left to hear of it
		f.tell(func(s *state) { s.end, s.err = failed, err })
		if deserted {
			f.blobs.log.Warn("a download failed after its last reader left", "key", f.key, "label", f.expected.Label, "error", err)
		}
	}
}

// storeError is a failure of the store, which costs the readers nothing.
type storeError struct {
	op  string
	err error
}

func (e *storeError) Error() string { return e.op + ": " + e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

// work fills the blob and returns its description.
func (f *fill) work(ctx context.Context) (meta BlobMeta, err error) {
	defer recovered(&err)
	leave, err := f.blobs.places.get(ctx, groupOf(f.src))
	if err != nil {
		return BlobMeta{}, err
	}
	defer leave()
	// An earlier fill may have ended after this one's first reader had looked.
	if content, meta, err := f.blobs.lookup(ctx, f.key); err == nil {
		f.file = content
		f.expected = meta.expectation() // for who cannot read it there
		return meta, nil
	}
	if meta, ok := f.adopt(ctx); ok {
		return meta, nil
	}
	started := time.Now()
	f.blobs.metrics.FillStarted()
	meta, err = f.fetch(ctx)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // whatever came of it
	}
	f.blobs.metrics.FillEnded(outcome(err), f.written, time.Since(started))
	return meta, err
}

// fetch brings the blob from its source into the store. Wrong bytes that no
// reader has seen are fetched again.
func (f *fill) fetch(ctx context.Context) (meta BlobMeta, err error) {
	defer recovered(&err)
	for {
		meta, err = f.try(ctx)
		if !errors.Is(err, ErrIntegrity) {
			return meta, err
		}
		if f.wrong++; f.wrong == wrongTries || f.look().shown > 0 {
			return meta, err
		}
		f.blobs.metrics.IntegrityFailure()
		f.blobs.log.Warn("wrong bytes: fetching them again", "key", f.key, "label", f.expected.Label, "error", err)
		if err := pause(ctx, minPause<<f.wrong); err != nil {
			return meta, err
		}
		if f.file != nil {
			f.file.Close() // it was only read, and by nobody
			f.file = nil
		}
		f.written, f.asked, f.unknown = 0, false, nil // it may be the hash that was wrong
	}
}

// try is one attempt at it.
func (f *fill) try(ctx context.Context) (meta BlobMeta, err error) {
	d, err := f.locate(ctx)
	if err != nil {
		return BlobMeta{}, err
	}
	defer d.close()
	f.tell(func(s *state) { s.size = d.size })
	if f.expected.NewCheck == nil {
		f.blobs.log.Info("no hash is known: checking length and gzip checksum", "key", f.key, "label", f.expected.Label)
	}
	return f.store(ctx, d)
}

// outcome returns the metrics' word for the end of a fill.
func outcome(err error) string {
	var disk *storeError
	switch {
	case err == nil:
		return "stored"
	case errors.As(err, &disk):
		return "passed"
	case errors.Is(err, ErrClosed):
		return "aborted"
	}
	return "failed"
}

func (f *fill) resumed(at int64, cause error) {
	f.blobs.metrics.FillResumed()
	f.blobs.log.Info("a broken download goes on", "key", f.key, "label", f.expected.Label, "at", at, "cause", cause)
}

// store copies the download into the store. A blob whose sidecar cannot be
// written is taken out again.
func (f *fill) store(ctx context.Context, d *download) (BlobMeta, error) {
	room := newReservation(f.blobs.store)
	defer room.release()
	if err := room.reach(ctx, firstRoom(d.size)); err != nil {
		return BlobMeta{}, &storeError{"reserve", err}
	}
	stored := underReservation(ctx)
	w, err := f.blobs.store.Create(stored, f.key)
	if err != nil {
		return BlobMeta{}, &storeError{"create", err}
	}
	defer w.Abort() // after a Commit it does nothing
	follower, ok := w.(Follower)
	if !ok {
		return BlobMeta{}, &storeError{"follow", errors.ErrUnsupported}
	}
	file, err := follower.Follow()
	if err != nil {
		f.blobs.metrics.StoreError("open") // the other operations are counted by the store
		return BlobMeta{}, &storeError{"follow", err}
	}
	f.file = file
	if err := f.copy(ctx, w, d, room); err != nil {
		return BlobMeta{}, err
	}
	rev, err := w.Commit(Precondition{})
	if err != nil {
		return BlobMeta{}, &storeError{"commit", err}
	}
	meta := newBlobMeta(d.offset, d.sha512(), f.expected.Label)
	if err := f.blobs.sidecars.put(stored, f.key, meta); err != nil {
		return BlobMeta{}, &storeError{"sidecar", errors.Join(err, f.blobs.store.Delete(ctx, f.key, IfRev(rev)))}
	}
	f.blobs.checks.Right(f.key, rev)
	return meta, nil
}

// copy writes the download to w until it is whole and verified.
func (f *fill) copy(ctx context.Context, w io.Writer, d *download, room *reservation) error {
	size := int64(chunk)
	if d.size >= 0 {
		size = min(size, d.size+1) // most are small; one byte more finds the end, or that it is none
	}
	buf := make([]byte, size)
	for {
		n, err := d.next(ctx, buf)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := room.reach(ctx, f.written+int64(n)); err != nil {
			return &storeError{"reserve", err}
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return &storeError{"write", err}
		}
		f.written += int64(n)
		f.show(d.size)
	}
}

// show lets the readers have what they may of a blob that is not verified yet.
func (f *fill) show(size int64) {
	switch {
	case f.wary, size >= 0 && size <= heldBack, f.written <= heldBack:
		return
	case size < 0 && f.written < unsizedHold:
		return
	}
	f.tell(func(s *state) { s.size, s.shown = size, f.written-heldBack })
}

// recovered turns a panic into the error of the function that defers it: one
// bad source must not end the server.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("cache: panic: %v\n%s", p, debug.Stack())
	}
}
