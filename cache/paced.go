package cache

import (
	"context"
	"time"

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
	// pacedFile is what opening a file counts for, in bytes: many small ones are
	// work, too, for the processor as for the disk. A million tarballs with what
	// is known of them are opened in three hours at the default pace.
	pacedFile = 16 << 10
	// pacedPause is how far a pass runs ahead of its pace before it waits. A pause
	// for every file would cost more than reading it does.
	pacedPause = 100 * time.Millisecond
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
	if err := p.wait(ctx, pacedFile); err != nil {
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

// wait takes n bytes off the pace, at most pacedChunk.
func (p *paced) wait(ctx context.Context, n int) error {
	ahead := p.pace.ReserveN(time.Now(), n).Delay()
	if ahead < pacedPause {
		return ctx.Err()
	}
	if !sleep(ctx, ahead) {
		return ctx.Err()
	}
	return nil
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
	if late := c.store.wait(c.ctx, n); late != nil {
		return n, late
	}
	return n, err
}
