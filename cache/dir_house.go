package cache

import "context"

// keepHouse starts what knows the size of the store and bounds it. fresh says that
// the store has just been made.
func (d *Dir) keepHouse(ctx context.Context, fresh bool) {
	d.metrics.StoreCapacity(d.size.max)
	d.measure()
	d.learnSize(fresh)
	if !d.size.isKnown() {
		d.goOnce(func() { d.census(ctx, censusHurry) })
	}
	d.finished.Go(func() {
		d.started.Wait()
		d.censuses(ctx)
	})
	d.finished.Go(func() { d.keepCounter(ctx) })
	if d.evicts() {
		d.finished.Go(func() { d.writeTouches(ctx) })
	}
	if d.bounded() {
		d.finished.Go(func() { newEvictor(d, d.rand).run(ctx) })
	}
}

// goOnce runs fn in a goroutine of the Dir's that ends by itself.
func (d *Dir) goOnce(fn func()) {
	d.started.Add(1)
	d.finished.Go(func() {
		defer d.started.Done()
		fn()
	})
}
