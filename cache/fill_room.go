package cache

import "context"

const (
	// roomStep is what is reserved at once for a blob of unknown size, in bytes, at
	// least; it doubles with the blob, up to maxRoomStep.
	roomStep    = 1 << 20
	maxRoomStep = 64 << 20
)

// reservation is the room that a fill has set aside in its store. The zero value
// has none; a store without a bound needs none.
type reservation struct {
	store    Reserver // nil: without a bound
	bytes    int64
	releases []func()
}

func newReservation(s Store) *reservation {
	r, _ := s.(Reserver)
	return &reservation{store: r}
}

// reach sees to it that there is room for size bytes. Its error means that the
// store is of no use to this fill.
func (r *reservation) reach(ctx context.Context, size int64) error {
	if r.store == nil || len(r.releases) > 0 && size <= r.bytes {
		return nil
	}
	step := size - r.bytes
	if len(r.releases) > 0 { // it grows, and nobody knows how far
		step = max(step, min(max(r.bytes, roomStep), maxRoomStep))
	}
	release, err := r.store.Reserve(ctx, step)
	if err != nil {
		return err
	}
	r.releases = append(r.releases, release)
	r.bytes += step
	return nil
}

// release gives it all back.
func (r *reservation) release() {
	for _, release := range r.releases {
		release()
	}
	r.releases, r.bytes = nil, 0
}

// firstRoom returns what is reserved for a blob of size bytes, -1 where that is
// unknown, before it begins.
func firstRoom(size int64) int64 {
	if size < 0 {
		return roomStep
	}
	return size
}
