package proxy

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// Bounds on the bodies of PUTs that are being read. Each may hold a document of
// tens of megabytes in memory, and unpacks its tarball once to look into it.
const (
	maxUploads     = 64               // at once
	maxUploadsEach = 16               // of those, of one caller: a body may come slowly, and others publish, too
	uploadWait     = 30 * time.Second // for a place among them
)

// uploads are the places for those bodies.
type uploads struct {
	all *semaphore.Weighted

	mu sync.Mutex // guards of, and users of each in it
	of map[string]*ownUploads
}

// ownUploads are one caller's.
type ownUploads struct {
	*semaphore.Weighted
	users int // who have a place or wait for it
}

func newUploads() *uploads {
	return &uploads{all: semaphore.NewWeighted(maxUploads), of: make(map[string]*ownUploads)}
}

// enter waits for a place, as long as ctx lasts.
func (u *uploads) enter(ctx context.Context, caller string) (leave func(), err error) {
	own := u.join(caller)
	if err := own.Acquire(ctx, 1); err != nil {
		u.quit(caller, own)
		return nil, err
	}
	if err := u.all.Acquire(ctx, 1); err != nil {
		own.Release(1)
		u.quit(caller, own)
		return nil, err
	}
	return func() {
		u.all.Release(1)
		own.Release(1)
		u.quit(caller, own)
	}, nil
}

func (u *uploads) join(caller string) *ownUploads {
	u.mu.Lock()
	defer u.mu.Unlock()
	own, ok := u.of[caller]
	if !ok {
		own = &ownUploads{Weighted: semaphore.NewWeighted(maxUploadsEach)}
		u.of[caller] = own
	}
	own.users++
	return own
}

func (u *uploads) quit(caller string, own *ownUploads) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if own.users--; own.users == 0 {
		delete(u.of, caller)
	}
}

// uploader names whoever sends x's body: nobody in particular by the address.
func (x *exchange) uploader() string {
	if name := x.caller.Name(); name != "" {
		return name
	}
	return "from " + x.client.String()
}
