package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cacheVersion is the layout of the cache that this release reads and writes,
// in cache/vN of the data directory.
const cacheVersion = 1

// dataDir is the data directory, held by this process alone.
type dataDir struct {
	path string // absolute
	lock *os.File
}

// openData makes the data directory if it is missing, and takes its lock. A
// directory that another server holds is a *heldError.
func openData(path string) (*dataDir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o750); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &heldError{path, holder(lock)}
		}
		return nil, fmt.Errorf("data directory: lock %s: %w", lock.Name(), err)
	}
	d := &dataDir{path: path, lock: lock}
	if err := d.writeHolder(); err != nil {
		lock.Close()
		return nil, fmt.Errorf("data directory: %w", err)
	}
	return d, nil
}

// heldError is about a data directory that another server holds.
type heldError struct{ path, holder string }

func (e *heldError) Error() string {
	return fmt.Sprintf("data directory %s is in use by another larder (%s)", e.path, e.holder)
}

// lockPoll is how often a start looks whether another server has ended.
const lockPoll = 200 * time.Millisecond

// awaitData is openData that waits for another server to end, one that stops
// after its successor was started: two containers on one volume, for example.
func awaitData(ctx context.Context, path string, patience time.Duration, log *slog.Logger) (*dataDir, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(lockPoll)
	defer again.Stop()
	for first := true; ; first = false {
		data, err := openData(path)
		var held *heldError
		if !errors.As(err, &held) || ctx.Err() != nil {
			return data, err
		}
		if first {
			log.Info("waiting for another server to give the data directory back", "data", held.path, "holder", held.holder, "at_most", patience.String())
		}
		select {
		case <-again.C:
		case <-ctx.Done():
		}
	}
}

// writeHolder names this process in the lock file.
func (d *dataDir) writeHolder() error {
	if err := d.lock.Truncate(0); err != nil {
		return err
	}
	_, err := d.lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// holder reads who has a lock, for a person.
func holder(lock *os.File) string {
	text, err := io.ReadAll(io.LimitReader(lock, 32))
	if pid := strings.TrimSpace(string(text)); err == nil && pid != "" {
		return "process " + pid
	}
	return "unknown process"
}

// Close gives the directory back. The lock file stays: removing it would race
// with a server that has just opened it.
func (d *dataDir) Close() error { return d.lock.Close() }

// cachePath returns where the cache of this release lies.
func (d *dataDir) cachePath() string {
	return filepath.Join(d.path, "cache", "v"+strconv.Itoa(cacheVersion))
}

// What the data directory called data holds beside the cache. None of it can be
// fetched again from anywhere.
func hostedPath(data string) string { return filepath.Join(data, "hosted") }
func authPath(data string) string   { return filepath.Join(data, "auth") }
func auditPath(data string) string  { return filepath.Join(data, "audit", "audit.jsonl") }

var versionDir = regexp.MustCompile(`^v([0-9]{1,9})$`)

// sweepCaches removes the caches of older releases. Those of newer ones stay,
// so that going back a release for a day costs nothing.
func (d *dataDir) sweepCaches(ctx context.Context) error {
	entries, err := os.ReadDir(filepath.Dir(d.cachePath()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		m := versionDir.FindStringSubmatch(entry.Name())
		if m == nil || !entry.IsDir() {
			continue
		}
		if n, err := strconv.Atoi(m[1]); err == nil && n < cacheVersion {
			if err := removeTree(ctx, filepath.Join(d.path, "cache", entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeTree is os.RemoveAll that stops when ctx is done: an old cache may be
// millions of files, and the server must not wait for them when it stops.
func removeTree(ctx context.Context, dir string) error {
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		case entry.IsDir():
			return nil
		}
		return os.Remove(path)
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}
