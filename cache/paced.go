package cache

import (
	"context"

	"golang.org/x/time/rate"
)

// QuietOpener is what a Store implements if an object can be read without
// making it look used. Dir does.
type QuietOpener interface {
	OpenQuiet(ctx context.Context, key string) (*Object, error)
}

const (
	// pacedChunk is how much is read at once at a pace, in bytes.
	pacedChunk = 128 << 10
	// pacedFile is what opening a file counts for, in bytes: many small ones
	// are work, too.
	pacedFile = 4 << 10
)

// NewPace returns the pace of that many bytes per second, without a bound if
// it is 0. Several may share one.
func NewPace(bytesPerSecond int64) *rate.Limiter {
	if bytesPerSecond <= 0 {
		return rate.NewLimiter(rate.Inf, pacedChunk)
	}
	return rate.NewLimiter(rate.Limit(bytesPerSecond), pacedChunk)
}

// paced is a Store whose objects are read quietly and at a pace.
type paced struct {
	Store
	pace *rate.Limiter
	read func(bytes int64) // is told of what was read
}

func (p *paced) Open(ctx context.Context, key string) (*Object, error) {
	if err := p.pace.WaitN(ctx, pacedFile); err != nil {
		return nil, err
	}
	open := p.Store.Open
	if q, ok := p.Store.(QuietOpener); ok {
		open = q.OpenQuiet
	}
	o, err := open(ctx, key)
	if err != nil {
		return nil, err
	}
	return &Object{Content: &pacedContent{o.Content, p, ctx}, Info: o.Info}, nil
}

// pacedContent lives within the call that its context is of.
type pacedContent struct {
	Content
	store *paced
	ctx   context.Context
}

func (c *pacedContent) Read(p []byte) (int, error) {
	n, err := c.Content.Read(p[:min(len(p), pacedChunk)])
	return c.took(n, err)
}

func (c *pacedContent) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for {
		n, err := c.Content.ReadAt(p[done:min(len(p), done+pacedChunk)], off+int64(done))
		n, err = c.took(n, err)
		if done += n; err != nil || done == len(p) {
			return done, err
		}
	}
}

func (c *pacedContent) took(n int, err error) (int, error) {
	if n == 0 {
		return n, err
	}
	c.store.read(int64(n))
	if late := c.store.pace.WaitN(c.ctx, n); late != nil {
		return n, late
	}
	return n, err
}
