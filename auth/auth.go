package auth

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"larder/metrics"
)

// Config configures an Auth. What is zero means the default in brackets.
type Config struct {
	Dir          string              // auth/ of the data directory; made if missing; other processes may use it at the same time
	Registration bool                // may strangers make accounts
	Groups       map[string][]string // users by group; those of Admins may do everything
	Rules        []Rule              // [DefaultRules], if nil
	// Journal gets the web logins, which nobody else sees. All else is
	// recorded by the callers, who know who did it by which request. May be nil.
	Journal    *Journal
	Metrics    *metrics.Metrics
	Log        *slog.Logger     // [none]
	Now        func() time.Time // [time.Now]
	BcryptCost int              // of new hashes [10]
}

// Auth knows who is asking and what they may do. Its methods may be called by
// many goroutines, and several processes may have the same directory open.
type Auth struct {
	registration bool
	access       *access
	disk         disk
	accounts     *accounts
	tokens       *tokens
	passwords    *passwords
	throttle     *throttle
	logins       *logins
	key          *ecdsa.PrivateKey
	publicKey    PublicKey
	journal      *Journal
	metrics      *metrics.Metrics
	log          *slog.Logger
	now          func() time.Time
}

// Open opens or makes the directory, and makes the signing key if there is none.
func Open(cfg Config) (*Auth, error) {
	fail := func(err error) (*Auth, error) { return nil, fmt.Errorf("auth.Open %s: %w", cfg.Dir, err) }
	if cfg.Dir == "" {
		return nil, errors.New("auth.Open: no directory is configured")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := CheckRules(cfg.Rules, cfg.Groups); err != nil {
		return fail(err)
	}
	disk, err := openDisk(cfg.Dir)
	if err != nil {
		return fail(err)
	}
	key, err := openKey(disk)
	if err != nil {
		return fail(err)
	}
	tokens, err := newTokens(disk, cfg.Log)
	if err != nil {
		return fail(err)
	}
	passwords, err := newPasswords(cfg.BcryptCost, cfg.Now)
	if err != nil {
		return fail(err)
	}
	a := &Auth{
		registration: cfg.Registration,
		access:       newAccess(cfg.Rules, cfg.Groups),
		disk:         disk,
		accounts:     &accounts{disk: disk, path: disk.path("htpasswd")},
		tokens:       tokens,
		passwords:    passwords,
		throttle:     newThrottle(cfg.Now),
		logins:       newLogins(cfg.Now),
		key:          key,
		journal:      cfg.Journal,
		metrics:      cfg.Metrics,
		log:          cfg.Log,
		now:          cfg.Now,
	}
	a.publicKey, err = publicKey(key)
	if err != nil {
		return fail(err)
	}
	return a, nil
}

// Close gives nothing back yet: no file is held open, and no goroutine runs.
func (a *Auth) Close() error { return nil }

// Registration reports whether strangers may make accounts.
func (a *Auth) Registration() bool { return a.registration }
