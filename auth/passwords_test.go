package auth

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"larder/npm"
)

// checker is a passwords whose hash function is "=PASSWORD", and counts.
type checker struct {
	*passwords
	throttle *throttle
	clock    *clock
	asked    atomic.Int64 // comparisons
	dummies  atomic.Int64 // of those with the dummy
}

func newChecker(t *testing.T) *checker {
	t.Helper()
	c := &checker{clock: newClock()}
	p, err := newPasswords(bcrypt.MinCost, c.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	p.matches = func(hash, password string) bool {
		c.asked.Add(1)
		if hash == p.dummy {
			c.dummies.Add(1)
		}
		return hash == "$2a$="+password
	}
	c.passwords, c.throttle = p, newThrottle(c.clock.now)
	return c
}

func (c *checker) try(user, hash, password string) error {
	return c.check(account{user, hash}, password, c.throttle.attempt(user, here))
}

func TestCheckRemembers(t *testing.T) {
	c := newChecker(t)
	for range 100 {
		wantKind(t, "the right password", c.try("alice", "$2a$=secret", "secret"), npm.Internal)
	}
	if n := c.asked.Load(); n != 1 {
		t.Errorf("100 checks of one password took %d hashes, want 1", n)
	}
	c.clock.advance(rightFor)
	wantKind(t, "later", c.try("alice", "$2a$=secret", "secret"), npm.Internal)
	if n := c.asked.Load(); n != 2 {
		t.Errorf("%v later it is still remembered", rightFor)
	}
	// Nothing else is right because that was.
	wantKind(t, "a new hash", c.try("alice", "$2a$=changed", "secret"), npm.Unauthorized)
	wantKind(t, "another user", c.try("bob", "$2a$=other", "secret"), npm.Unauthorized)
	wantKind(t, "another password", c.try("alice", "$2a$=secret", "secre"), npm.Unauthorized)
	wantKind(t, "a removed user", c.try("alice", "", "secret"), npm.Unauthorized)
}

// A user who does not exist takes as long as one who does.
func TestCheckTakesItsTime(t *testing.T) {
	tests := []struct {
		name, hash, password string
		dummies              int64
	}{
		{"bcrypt", "$2a$=secret", "wrong", 0},
		{"no such user", "", "wrong", 1},
		{"a cheap hash", "{SHA}x", "wrong", 1},
		{"more than bcrypt reads", "$2a$=secret", string(make([]byte, maxPassword+1)), 1},
		{"more than anybody reads", "$2a$=secret", string(make([]byte, maxTried+1)), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newChecker(t)
			wantKind(t, "check", c.try("alice", tt.hash, tt.password), npm.Unauthorized)
			if n := c.dummies.Load(); n != tt.dummies {
				t.Errorf("%d comparisons with the dummy, want %d", n, tt.dummies)
			}
		})
	}
	p, err := newPasswords(5, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if cost, err := bcrypt.Cost([]byte(p.dummy)); cost != 5 || err != nil {
		t.Errorf("the dummy's cost is %d, want 5: %v", cost, err)
	}
	if err := bcrypt.CompareHashAndPassword([]byte(p.dummy), nil); err != bcrypt.ErrMismatchedHashAndPassword {
		t.Errorf("the dummy is not compared: %v", err)
	}
}

func TestCheckThrottles(t *testing.T) {
	c := newChecker(t)
	refused := 0
	for range 50 {
		if npm.KindOf(c.try("alice", "$2a$=secret", "wrong")) == npm.TooMany {
			refused++
		}
	}
	if n := c.asked.Load(); n != 10 || refused != 40 {
		t.Errorf("50 wrong passwords: %d hashes and %d refused, want 10 and 40", n, refused)
	}
	err := c.try("alice", "$2a$=secret", "secret")
	wantKind(t, "the right one", err, npm.TooMany)
	if retryAfter(err) <= 0 {
		t.Error("it does not say when to try again")
	}
	wantKind(t, "a user who does not exist is throttled alike", func() (err error) {
		for range 11 {
			err = c.check(account{"nobody", ""}, "wrong", c.throttle.attempt("nobody", there))
		}
		return err
	}(), npm.TooMany)
	c.clock.advance(time.Minute)
	wantKind(t, "a minute later", c.try("alice", "$2a$=secret", "secret"), npm.Internal)
}

// A password that is remembered must not become one that can be guessed at any
// speed.
func TestCheckThrottlesTheRemembered(t *testing.T) {
	c := newChecker(t)
	wantKind(t, "the right password", c.try("alice", "$2a$=secret", "secret"), npm.Internal)
	for range 20 {
		c.check(account{"alice", "$2a$=secret"}, "wrong", c.throttle.attempt("alice", there))
	}
	wantKind(t, "guessed right by somebody who guessed too often",
		c.check(account{"alice", "$2a$=secret"}, "secret", c.throttle.attempt("alice", there)), npm.TooMany)
	wantKind(t, "from where alice always comes", c.try("alice", "$2a$=secret", "secret"), npm.Internal)
}

// An install that begins with forty requests at once is one check, and no
// storm of failures before the first has succeeded.
func TestChecksAtOnceAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChecker(t)
		release := c.takeAllSlots(t)
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				wantKind(t, "one of forty", c.try("alice", "$2a$=secret", "secret"), npm.Internal)
			})
		}
		synctest.Wait()
		release()
		wg.Wait()
		if n := c.asked.Load(); n != 1 {
			t.Errorf("%d hashes, want 1", n)
		}
	})
}

func TestGuessesAtOnceAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChecker(t)
		release := c.takeAllSlots(t)
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() { c.try("alice", "$2a$=secret", string(rune('A'+i))) })
		}
		synctest.Wait()
		release()
		wg.Wait()
		if n := c.asked.Load(); n != 10 {
			t.Errorf("%d guesses were let through, want 10", n)
		}
	})
}

func TestNoCoreToBeHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChecker(t)
		release := c.takeAllSlots(t)
		for range 20 { // none of them counts as a failure
			wantKind(t, "check", c.try("alice", "$2a$=secret", "secret"), npm.Unavailable)
		}
		release()
		wantKind(t, "check", c.try("alice", "$2a$=secret", "secret"), npm.Internal)
	})
}

// Strangers who guess from many addresses, none of them often enough to be
// slowed down, keep out nobody who has signed in from theirs before.
func TestStrangersLeaveACoreToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChecker(t)
		wantKind(t, "the first time", c.try("alice", "$2a$=secret", "secret"), npm.Internal)
		c.clock.advance(rightFor)
		defer c.takeAllSlots(t)()
		wantKind(t, "again", c.try("alice", "$2a$=secret", "secret"), npm.Internal)
		wantKind(t, "somebody else there", c.try("bob", "$2a$=secret", "secret"), npm.Unavailable)
	})
}

// takeAllSlots keeps every check of a stranger waiting until release.
func (c *checker) takeAllSlots(t *testing.T) (release func()) {
	t.Helper()
	n := int64(0)
	for c.slots.TryAcquire(1) {
		n++
	}
	if n == 0 {
		t.Fatal("no slot is free")
	}
	return func() { c.slots.Release(n) }
}

func BenchmarkBasicAuth(b *testing.B) {
	a := open(b, Config{BcryptCost: 10})
	addUser(b, a, "alice", "password")
	header := basic("alice", "password")
	for b.Loop() {
		if c := a.Caller(context.Background(), header, here); c.User != "alice" {
			b.Fatal(c.Fault)
		}
	}
}
