package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"runtime"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"larder/npm"
)

const (
	defaultCost = 10 // of bcrypt: some 50 ms

	maxRight = 4096             // passwords that were right and are remembered
	rightFor = 10 * time.Minute // for how long

	// maxTried bounds the passwords that are looked at, in bytes: sha512-crypt
	// takes time by their length.
	maxTried = 1024

	// slotWait is how long a check waits for a core.
	slotWait = 10 * time.Second
)

// passwords checks passwords against hashes. What a check costs is the point
// of a password hash, so checks are made few: one that was right is remembered
// for a while, the same ones at the same time are one, and no more run at once
// than leave cores for everything else.
type passwords struct {
	cost    int
	matches func(hash, password string) bool // matches, if no test counts
	dummy   string                           // a hash that nothing matches, for users that do not exist
	now     func() time.Time
	key     [sha256.Size]byte             // of this process alone: what is remembered is worth nothing elsewhere
	slots   *semaphore.Weighted           // cores for strangers, and for new hashes
	kept    *semaphore.Weighted           // cores for users who sign in from where they did before; strangers may come from many addresses
	right   *lru.Cache[digest, time.Time] // until when
	flights singleflight.Group
}

// digest stands for a line of htpasswd and a password.
type digest [sha256.Size]byte

func newPasswords(cost int, now func() time.Time) (*passwords, error) {
	if cost == 0 {
		cost = defaultCost
	}
	if cost < bcrypt.MinCost || cost > maxCost {
		return nil, fmt.Errorf("bcrypt's cost %d is not from %d to %d", cost, bcrypt.MinCost, maxCost)
	}
	right, err := lru.New[digest, time.Time](maxRight)
	if err != nil {
		return nil, err
	}
	cores := int64(max(1, runtime.GOMAXPROCS(0)/2))
	p := &passwords{
		cost: cost, matches: matches,
		dummy: fmt.Sprintf("$2a$%02d$%s", cost, "larderlarderlarderlarOlarderlarderlarderlarderlarderl"),
		now:   now,
		slots: semaphore.NewWeighted(cores),
		kept:  semaphore.NewWeighted(cores), // seldom in use: it takes a right password first, and few wrong ones may follow
		right: right,
	}
	rand.Read(p.key[:]) // never fails: it would crash the program
	return p, nil
}

// account is a line of htpasswd. Of a user who does not exist the hash is "".
type account struct{ user, hash string }

func (p *passwords) digest(acc account, password string) digest {
	mac := hmac.New(sha256.New, p.key[:])
	for _, s := range []string{acc.user, acc.hash, password} {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
		mac.Write([]byte(s))
	}
	return digest(mac.Sum(nil))
}

// check returns nil if the password is the account's. Kinds: Unauthorized,
// TooMany, Unavailable where no core was to be had.
func (p *passwords) check(acc account, password string, try attempt) error {
	if wait := try.wait(); wait > 0 {
		// Even the right password: otherwise a remembered one could be
		// guessed at the speed of a hash.
		return tooManyFailures(wait)
	}
	d := p.digest(acc, password)
	if !p.remembered(d) {
		_, err, _ := p.flights.Do(string(d[:]), func() (any, error) {
			undo, wait := try.begin()
			if wait > 0 {
				return nil, tooManyFailures(wait)
			}
			slots := p.slots
			if try.isFamiliar() {
				slots = p.kept
			}
			right, err := p.compare(acc, password, slots)
			if right || err != nil {
				undo()
			}
			if right {
				p.remember(d)
			} else if err == nil {
				err = badLogin()
			}
			return nil, err
		})
		if err != nil {
			return err
		}
	}
	try.succeeded()
	return nil
}

// compare takes its time, and as much for an account that does not exist, or
// whose hash is cheap, as for any other.
func (p *passwords) compare(acc account, password string, slots *semaphore.Weighted) (right bool, err error) {
	release, err := slot(slots)
	if err != nil {
		return false, err
	}
	defer release()
	if acc.hash != "" && len(password) <= maxTried && p.matches(acc.hash, password) {
		return true, nil
	}
	if !isBcrypt(acc.hash) || len(password) > maxPassword {
		p.matches(p.dummy, "") // for the time that it takes
	}
	return false, nil
}

// hash makes a new password's hash.
func (p *passwords) hash(password string) (string, error) {
	release, err := slot(p.slots)
	if err != nil {
		return "", err
	}
	defer release()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), p.cost)
	return string(hash), err
}

// slot waits for the right to use a core. It does not end with the request
// that waits: others may wait for the same check.
func slot(slots *semaphore.Weighted) (release func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), slotWait)
	defer cancel()
	if err := slots.Acquire(ctx, 1); err != nil {
		return nil, &npm.Error{
			Kind: npm.Unavailable, Op: "auth.passwords", RetryAfter: slotWait,
			Msg: "Too many people are signing in at once; try again",
			Err: err,
		}
	}
	return func() { slots.Release(1) }, nil
}

func (p *passwords) remember(d digest) { p.right.Add(d, p.now().Add(rightFor)) }

func (p *passwords) remembered(d digest) bool {
	until, ok := p.right.Get(d)
	return ok && p.now().Before(until)
}
