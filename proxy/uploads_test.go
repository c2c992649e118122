package proxy

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// TestUploadsOfOneCallerLeaveRoom: who sends bodies that never end keeps
// nobody else from publishing.
func TestUploadsOfOneCallerLeaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUploads()
		enter := func(caller string) (leave func(), err error) {
			waiting, cancel := context.WithTimeout(t.Context(), uploadWait)
			defer cancel()
			return u.enter(waiting, caller)
		}
		var leaves []func()
		for range maxUploadsEach {
			leave, err := enter("mallory")
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, leave)
		}
		if _, err := enter("mallory"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one more of the same caller: %v", err)
		}
		leave, err := enter("alice")
		if err != nil {
			t.Fatalf("another caller: %v", err)
		}
		leave()
		for _, leave := range leaves {
			leave()
		}
		if leave, err = enter("mallory"); err != nil {
			t.Fatalf("when all have ended: %v", err)
		}
		leave()
		if len(u.of) != 0 || !u.all.TryAcquire(maxUploads) {
			t.Errorf("something is left of %d callers", len(u.of))
		}
	})
}
