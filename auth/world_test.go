package auth

import (
	"encoding/base64"
	"net/netip"
	"sync"
	"testing"
	"time"

	"larder/npm"
)

// Addresses that tests come from.
var (
	here  = netip.MustParseAddr("192.0.2.1")
	there = netip.MustParseAddr("198.51.100.7")
)

// clock is a time of day that tests move.
type clock struct {
	mu sync.Mutex // guards t
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// open opens an Auth with hashes as cheap as bcrypt's go.
func open(t testing.TB, cfg Config) *Auth {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.BcryptCost == 0 {
		cfg.BcryptCost = 4
	}
	a, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func addUser(t testing.TB, a *Auth, user, password string) {
	t.Helper()
	if err := a.AddUser(t.Context(), user, password, user+"@example.com"); err != nil {
		t.Fatal(err)
	}
}

func createToken(t testing.TB, a *Auth, r TokenRequest) (secret string, token Token) {
	t.Helper()
	secret, token, err := a.CreateToken(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return secret, token
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// wantKind fails unless err has the kind; npm.Internal stands for no error.
func wantKind(t testing.TB, what string, err error, kind npm.Kind) {
	t.Helper()
	if kind == npm.Internal {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	if got := npm.KindOf(err); err == nil || got != kind {
		t.Errorf("%s: %v (kind %v), want kind %v", what, err, got, kind)
	}
}
