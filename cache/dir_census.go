package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/time/rate"
)

const (
	// censusRate is how many files per second the census looks at: slow
	// enough that a big store's users never notice it. The first one of a
	// store whose size nobody knows is in a hurry.
	censusRate  = 2000
	censusHurry = 20000
	// censusEvery is the time from one census to the next, at most, and
	// censusDelay the time from the start to the first one, which lets those go first
	// who wait for answers.
	censusEvery = 24 * time.Hour
	censusDelay = time.Minute
	// A store whose objects go by age is gone through ten times in that age, but not more
	// often than once a minute.
	agePart     = 10
	minAgeEvery = time.Minute
	// countTries is how often an owner is counted that changes meanwhile, with
	// countPause in between.
	countTries = 100
	countPause = 5 * time.Millisecond
)

// censusPeriod returns the time from one census to the next.
func censusPeriod(maxAge time.Duration) time.Duration {
	if maxAge <= 0 {
		return censusEvery
	}
	return min(censusEvery, max(minAgeEvery, maxAge/agePart))
}

// censuses takes a census now and then: soon, if nothing is known.
func (d *Dir) censuses(ctx context.Context) {
	period := censusPeriod(d.maxAge)
	next := time.NewTimer(min(period, censusDelay))
	defer next.Stop()
	for {
		select {
		case <-next.C:
		case <-d.recount:
		case <-ctx.Done():
			return
		}
		d.census(ctx, censusRate)
		next.Reset(period)
	}
}

// census goes through the store, counts what is there, and takes away what is
// too old or of no use. pace is the number of files per second.
func (d *Dir) census(ctx context.Context, pace int) {
	c := census{dir: d, pace: rate.NewLimiter(rate.Limit(pace), pace)}
	d.size.begin()
	var err error
	for n := range branches {
		if err = c.branch(ctx, branchName(n)); err != nil {
			break
		}
	}
	off := d.size.end(err == nil)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		d.log.Warn("the store's size stays unknown", "dir", d.objects, "error", err)
	case off != usage{}:
		d.log.Debug("the store's size was corrected", "dir", d.objects, "bytes", off.Bytes, "files", off.Files)
	}
	if c.gone.Files > 0 {
		d.log.Info("removed what was not used for long, and leftovers", "files", c.gone.Files, "bytes", c.gone.Bytes, "max_age", d.maxAge)
	}
}

// census is one walk through a store.
type census struct {
	dir  *Dir
	pace *rate.Limiter
	gone usage
}

// branch counts what is kept of the owners that begin with name.
func (c *census) branch(ctx context.Context, name string) error {
	end := name + "g" // comes after all of them
	c.dir.size.listing(end)
	if err := c.dir.owners(ctx, name, func(owner string) error { return c.visit(ctx, owner) }); err != nil {
		return err
	}
	for {
		late := c.dir.size.counting(end)
		if late == end {
			return nil
		}
		if err := c.visit(ctx, late); err != nil {
			return err
		}
	}
}

// visit counts what is kept under owner, and before that under those that no
// listing had.
func (c *census) visit(ctx context.Context, owner string) error {
	for {
		first := c.dir.size.counting(owner)
		if err := c.weigh(ctx, first); err != nil || first == owner {
			return err
		}
	}
}

// weigh counts what is kept under owner.
func (c *census) weigh(ctx context.Context, owner string) error {
	var found usage
	for try := 1; ; try++ {
		c.dir.size.counting(owner)
		groups, err := c.dir.look(owner)
		if err == nil {
			groups, err = c.dir.describe(groups)
		}
		if err != nil {
			return err
		}
		changed, err := c.tidy(ctx, groups)
		if err != nil {
			return err
		}
		found = usage{}
		for _, g := range groups {
			found = found.plus(g.usage())
		}
		if !changed && c.dir.size.counted(found, false) {
			break
		}
		if try == countTries { // as good as it gets
			c.dir.size.counted(found, true)
			break
		}
		if !sleep(ctx, countPause) {
			return ctx.Err()
		}
	}
	for n := int(found.Files); n > 0; n -= c.pace.Burst() {
		if err := c.pace.WaitN(ctx, min(n, c.pace.Burst())); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// tidy removes the groups that are too old or of no use, and reports whether
// there were any.
func (c *census) tidy(ctx context.Context, groups []*group) (changed bool, err error) {
	d := c.dir
	if !d.evicts() {
		return false, nil
	}
	for _, g := range groups {
		reason := "orphan"
		if !g.orphan {
			if d.maxAge <= 0 || d.age(g.used) <= d.maxAge {
				continue
			}
			reason = "age"
		}
		gone, err := d.removeGroup(ctx, g, reason)
		c.gone = c.gone.plus(gone)
		if err != nil && !errors.Is(err, ErrPrecondition) {
			return changed, fmt.Errorf("removing what is too old: %w", err)
		}
		changed = changed || gone.Files > 0
	}
	return changed, nil
}
