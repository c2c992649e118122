package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"larder/auth"
	"larder/cache"
	"larder/hosted"
	"larder/metrics"
)

// openJournal opens the audit log of a data directory. A server and commands
// may have it open at once.
func openJournal(data string, cfg AuditConfig) (*auth.Journal, error) {
	path := auditPath(data)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	return auth.OpenJournal(auth.JournalConfig{Path: path, MaxSize: int64(cfg.MaxSize), Keep: cfg.Keep})
}

// openAuth opens the accounts of a data directory. A server and commands may
// have them open at once.
func openAuth(data string, s *settings, info build, journal *auth.Journal, counters *metrics.Metrics, log *slog.Logger) (*auth.Auth, error) {
	dir := authPath(data)
	// An htpasswd of Verdaccio's or Apache's may be there already.
	if err := openFormat(dir, authFormat, 0o700, info, "htpasswd"); err != nil {
		return nil, err
	}
	return auth.Open(auth.Config{
		Dir:          dir,
		Registration: s.registrationOpen(),
		Groups:       s.groups(),
		Rules:        s.rules(),
		Journal:      journal,
		Metrics:      counters,
		Log:          log,
	})
}

// openHosted opens the packages of a data directory, which are store's as much
// as the result's: the caller closes both, the packages first. shared says
// that this process does not hold the data directory's lock.
func openHosted(data string, cfg hosted.Config, info build, shared bool) (*hosted.Packages, *cache.Dir, error) {
	dir := hostedPath(data)
	if err := openFormat(dir, hostedFormat, 0o750, info); err != nil {
		return nil, nil, err
	}
	// Without metrics: the size of a store has one gauge, which is the cache's.
	store, err := cache.OpenDir(cache.DirConfig{Path: dir, Durable: true, Shared: shared, Log: cfg.Log})
	if err != nil {
		return nil, nil, err
	}
	cfg.Store = store
	packages, err := hosted.New(cfg)
	if err != nil {
		store.Close() // it was not used
		return nil, nil, err
	}
	return packages, store, nil
}

// bootstrap makes the first account of a server that has none, as the
// configuration wants it. Afterwards the password file may go.
func bootstrap(ctx context.Context, accounts *auth.Auth, journal *auth.Journal, cfg BootstrapConfig, log *slog.Logger) error {
	if cfg.User == "" {
		return nil
	}
	users, err := accounts.Users(ctx)
	if err != nil || len(users) > 0 {
		return err
	}
	text, err := readBounded(cfg.PasswordFile, maxSecretBytes)
	if err != nil {
		return fmt.Errorf("bootstrap.password_file, for the first account: %w", err)
	}
	password := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if err := accounts.AddUser(ctx, cfg.User, password, ""); err != nil {
		return fmt.Errorf("bootstrap.user %s: %w", cfg.User, explained(err))
	}
	log.Info("the first administrator was made; bootstrap.password_file is not needed any more", "user", cfg.User)
	return journal.Record(auth.Event{Time: time.Now().UTC(), Actor: "bootstrap", Action: "user.add", Subject: cfg.User, Result: "ok"})
}

// unclaimed returns the users whom groups and access rules name and who have no
// account, sorted: they are misspelt, or somebody waits for theirs.
func unclaimed(s *settings, accounts *auth.Auth) []string {
	groups := s.groups()
	named := make(map[string]bool)
	for _, users := range groups {
		for _, user := range users {
			named[user] = true
		}
	}
	for _, entry := range s.Access {
		for _, user := range slices.Concat(entry.Read, entry.Publish, entry.Unpublish) {
			_, isGroup := groups[user]
			named[user] = named[user] || !isGroup && auth.CheckUserName(user) == nil
		}
	}
	maps.DeleteFunc(named, func(user string, is bool) bool { return !is || accounts.Exists(user) })
	return slices.Sorted(maps.Keys(named))
}
