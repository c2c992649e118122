package upstream

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestBudgetParkedGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100)
		d, err := b.acquire(t.Context(), 80)
		if err != nil {
			t.Fatal(err)
		}
		b.park(d)
		start := time.Now()
		other, err := b.acquire(t.Context(), 50)
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("waited %s behind a parked document", waited)
		}
		if b.take(d) {
			t.Error("the parked document was given away twice")
		}
		other.release()
	})
}

func TestBudgetParksForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100)
		d, err := b.acquire(t.Context(), 80)
		if err != nil {
			t.Fatal(err)
		}
		b.park(d)
		time.Sleep(parkFor + 1)
		if b.take(d) || !b.shares.TryAcquire(100) {
			t.Error("it is still parked")
		}
	})
}

func TestBudgetDoesNotParkWhileSomeoneWaits(t *testing.T) {
	b := newBudget(100)
	d, err := b.acquire(t.Context(), 80)
	if err != nil {
		t.Fatal(err)
	}
	b.wait(1) // as acquire does before it blocks
	b.park(d)
	if b.take(d) {
		t.Error("it was parked")
	}
	b.wait(-1)
	if !b.shares.TryAcquire(100) {
		t.Error("its share is not given back")
	}
}

func TestBudgetTake(t *testing.T) {
	b := newBudget(100)
	d, err := b.acquire(t.Context(), 80)
	if err != nil {
		t.Fatal(err)
	}
	b.park(d)
	if !b.take(d) {
		t.Fatal("it is gone")
	}
	if b.take(d) {
		t.Error("it was taken twice")
	}
	d.release()
	if b.take(nil) {
		t.Error("nothing was taken")
	}
	b.park(nil)
}

func TestBudgetOfMoreThanAll(t *testing.T) {
	b := newBudget(100)
	d, err := b.acquire(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	if b.shares.TryAcquire(1) {
		t.Error("the rest is free")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.acquire(ctx, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	d.release()
}

func TestBudgetEmptiesItself(t *testing.T) {
	b := newBudget(100)
	for range 3 {
		d, err := b.acquire(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		b.park(d)
	}
	b.empty()
	if !b.shares.TryAcquire(100) {
		t.Error("a share is not given back")
	}
}

// TestSmallDocumentsPassBigOnes: who wants little does not queue up behind those
// who want much, and may park meanwhile.
func TestSmallDocumentsPassBigOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const capacity, small = 6400, 100
		b := newBudget(capacity)
		big, err := b.acquire(t.Context(), capacity)
		if err != nil {
			t.Fatal(err)
		}
		next := make(chan *document)
		go func() {
			d, err := b.acquire(t.Context(), small+1)
			if err != nil {
				t.Error(err)
			}
			next <- d
		}()
		synctest.Wait()
		var held []*document
		for range capacity / asideShare / small {
			d, err := b.acquire(t.Context(), small)
			if err != nil {
				t.Fatal(err)
			}
			b.park(d)
			if !b.take(d) {
				t.Error("a small document was not parked")
			}
			held = append(held, d)
		}
		full, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.acquire(full, small); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("more small documents than there is room for: %v", err)
		}
		for _, d := range held {
			d.release()
		}
		big.release()
		(<-next).release()
		if !b.shares.TryAcquire(capacity) || !b.aside.TryAcquire(capacity/asideShare) {
			t.Error("a share is not given back")
		}
	})
}
