package cache

import (
	"context"
	"time"
)

// scrubEvery is how long after the begin of a pass the next one begins, at the
// earliest: a small store is read once a day, a big one all the time.
const scrubEvery = 24 * time.Hour

// scrubRetry is when a pass that failed is taken up again.
const scrubRetry = time.Minute

// Scrub makes one pass after the other until ctx is done.
func Scrub(ctx context.Context, p *Pass) {
	log := p.cfg.Log.With("store", p.cfg.Name)
	for {
		if began := p.cursor.Began; !p.cursor.Ended.IsZero() && !sleep(ctx, time.Until(began.Add(scrubEvery))) {
			return
		}
		err := p.Run(ctx)
		c := p.cursor
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			log.Warn("the scrub was interrupted, and goes on later", "error", err)
			if !sleep(ctx, scrubRetry) {
				return
			}
		case c.Files > 0: // a new server has nothing to tell
			log.Info("everything on disk was read and checked", "files", c.Files, "bytes", c.Bytes,
				"rotten", c.Rotten, "unreadable", c.Unread, "took", c.Ended.Sub(c.Began).Round(time.Second).String())
		}
	}
}

// sleep reports false if ctx was done first. A clock that was set back makes no
// pause longer than scrubEvery.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(min(d, scrubEvery))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
