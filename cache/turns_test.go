package cache

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
)

// TestBigRendersTakeTurns: no more go on at once than there are turns, and small
// ones wait for none of them.
func TestBigRendersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDocuments(DocumentsConfig{Store: NewMem(), Turns: NewTurns(0)})
		defer d.Close()
		chunk := make([]byte, LongWork)
		proceed, in := make(chan struct{}), 0 // in: how many have got beyond their first bytes; one at a time changes it
		slow := func(_ context.Context, w io.Writer) error {
			if _, err := w.Write(chunk); err != nil {
				return err
			}
			in++
			<-proceed
			_, err := w.Write(chunk)
			return err
		}
		made := make(chan error)
		for _, id := range []string{"a", "b", "c"} {
			key := testKey
			key.Slot, key.ID = id, id
			go func() {
				doc, err := d.Make(t.Context(), key, slow)
				if err == nil {
					doc.Close()
				}
				made <- err
			}()
		}
		for n := 1; n <= 3; n++ {
			synctest.Wait()
			if in != n {
				t.Errorf("%d big renders go on or are done, want %d", in, n)
			}
			if n == 1 {
				wantDocument(t, mustMake(t, d, testKey, renders(smallDoc())), smallDoc())
			}
			proceed <- struct{}{}
			if err := <-made; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestTurns(t *testing.T) {
	var none *Turns
	if release, err := none.Take(t.Context(), 1<<40); err != nil {
		t.Error(err)
	} else {
		release()
	}
	turns := NewTurns(1)
	release, err := turns.Take(t.Context(), LongWork)
	if err != nil {
		t.Fatal(err)
	}
	if short, err := turns.Take(t.Context(), LongWork-1); err != nil {
		t.Errorf("short work waits: %v", err)
	} else {
		short()
	}
	tired := errors.New("tired")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(tired)
	if _, err := turns.Take(ctx, LongWork); !errors.Is(err, tired) {
		t.Errorf("the wait ended with %v", err)
	}
	release()
	if release, err = turns.Take(t.Context(), LongWork); err != nil {
		t.Fatal(err)
	}
	release()
}
