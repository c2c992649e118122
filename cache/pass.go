package cache

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"larder/metrics"
)

// Ordered is what a Store implements if it can be walked over in the order of
// its keys, from any of them on. Dir does.
type Ordered interface {
	// WalkFrom is Walk over all keys greater than after, in ascending order.
	WalkFrom(ctx context.Context, after string, fn func(Info) error) error
}

// Rot is what a Look found: bytes that are not those that were stored.
type Rot struct {
	Key   string
	Label string // of what it is, for people
	Err   error
}

func (r *Rot) Error() string { return r.Label + ": " + r.Err.Error() }
func (r *Rot) Unwrap() error { return r.Err }

// Look looks at one object and reads it by way of reads. Its error is a *Rot,
// or why the object could not be read; of one that is gone, fs.ErrNotExist.
type Look func(ctx context.Context, reads Store, o Info) error

// PassConfig configures a Pass.
type PassConfig struct {
	Store   Store
	Look    Look
	Cursor  string // file that remembers how far it came
	Pace    *rate.Limiter
	Name    string // of the store: "cache" or "hosted"
	Metrics *metrics.Metrics
	Log     *slog.Logger
	Found   func(*Rot)   // is told of rot; may be nil
	Step    func(Cursor) // is told after each file; may be nil
}

// saveEvery is how much of a pass is done again after a crash, at most.
const saveEvery = 5 * time.Second

// Pass looks once at every object of a store, in the order of their keys. It
// goes on where the last one was cut off, in this process or an earlier one.
type Pass struct {
	cfg    PassConfig
	reads  *paced
	cursor Cursor
	saved  time.Time
	unsafe bool // the cursor cannot be written, and that was said
}

// NewPass returns a Pass that goes on at the cursor in cfg.Cursor.
func NewPass(cfg PassConfig) *Pass {
	cfg.Log = logOrDiscard(cfg.Log)
	p := &Pass{cfg: cfg, saved: time.Now()}
	p.reads = &paced{Store: cfg.Store, pace: cfg.Pace, read: p.count}
	c, err := ReadCursor(cfg.Cursor)
	if err != nil {
		cfg.Log.Warn("where the last pass over a store stopped cannot be read: beginning anew", "store", cfg.Name, "error", err)
	}
	if _, ok := cfg.Store.(Ordered); !ok {
		c.After, c.Files, c.Bytes = "", 0, 0
	}
	p.cursor = c
	cfg.Metrics.ScrubPassed(cfg.Name, last(c))
	return p
}

// last returns when a whole pass ended last, zero if none has.
func last(c Cursor) time.Time {
	if !c.Ended.IsZero() {
		return c.Ended
	}
	return c.Before
}

// Cursor returns how far the pass has come. It is not for while Run runs.
func (p *Pass) Cursor() Cursor { return p.cursor }

// Restart makes the next Run begin anew.
func (p *Pass) Restart() { p.cursor = Cursor{Before: last(p.cursor)} }

// Run makes a pass, or the rest of one. It returns nil at its end, and otherwise
// leaves the cursor where the next Run goes on.
func (p *Pass) Run(ctx context.Context) error {
	if !p.cursor.Ended.IsZero() {
		p.Restart()
	}
	if p.cursor.Began.IsZero() {
		p.cursor.Began = time.Now().UTC()
	}
	err := p.walk(ctx, func(o Info) error {
		if err := p.look(ctx, o); err != nil {
			return err
		}
		p.cursor.After = o.Key
		if time.Since(p.saved) > saveEvery {
			p.save()
		}
		if p.cfg.Step != nil {
			p.cfg.Step(p.cursor)
		}
		return nil
	})
	if err == nil {
		p.cursor.After, p.cursor.Ended = "", time.Now().UTC()
		p.cfg.Metrics.ScrubPassed(p.cfg.Name, p.cursor.Ended)
	}
	p.save()
	return err
}

func (p *Pass) walk(ctx context.Context, fn func(Info) error) error {
	if s, ok := p.cfg.Store.(Ordered); ok {
		return s.WalkFrom(ctx, p.cursor.After, fn)
	}
	return p.cfg.Store.Walk(ctx, "", fn)
}

// look looks at one object. Its error ends the pass.
func (p *Pass) look(ctx context.Context, o Info) error {
	err := p.cfg.Look(ctx, p.reads, o)
	if ctx.Err() != nil {
		return ctx.Err() // o is looked at again
	}
	p.cursor.Files++
	p.cfg.Metrics.Scrubbed(p.cfg.Name, 0, 1)
	var rot *Rot
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, errReplaced):
	case errors.As(err, &rot):
		p.cursor.Rotten++
		if p.cfg.Found != nil {
			p.cfg.Found(rot)
		}
	default:
		p.cursor.Unread++
		p.cfg.Log.Error("a stored file cannot be read", "store", p.cfg.Name, "key", o.Key, "error", err)
	}
	return nil
}

func (p *Pass) count(bytes int64) {
	p.cursor.Bytes += bytes
	p.cfg.Metrics.Scrubbed(p.cfg.Name, bytes, 0)
}

// save writes the cursor. A disk that does not take it costs nothing but the
// work that is done again.
func (p *Pass) save() {
	p.saved = time.Now()
	err := p.cursor.write(p.cfg.Cursor)
	if err != nil && !p.unsafe {
		p.cfg.Log.Warn("where a pass over a store is cannot be kept", "store", p.cfg.Name, "error", err)
	}
	p.unsafe = err != nil
}
