// Package storetest is the compliance suite of cache.Store: what passes it can
// stand under every part of Larder that stores anything.
package storetest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"testing"

	"larder/cache"
)

// Run runs the suite. open returns an empty store and registers with
// t.Cleanup whatever closing it takes.
func Run(t *testing.T, open func(t *testing.T) cache.Store) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s cache.Store)
	}{
		{"a missing key is ErrNotExist", missing},
		{"a malformed key is ErrKey", malformed},
		{"bytes are visible at Commit and not before", visibility},
		{"nothing is left of an aborted write", abort},
		{"a Writer ends once", ending},
		{"objects of many sizes come back whole", sizes},
		{"content seeks and reads at offsets", seeking},
		{"an open object survives its replacement and deletion", survival},
		{"preconditions of Commit", commitPreconditions},
		{"preconditions of Delete", deletePreconditions},
		{"a failed precondition changes nothing", failedPrecondition},
		{"one of many racing IfAbsent wins", racingAbsent},
		{"no increment of a counter is lost", racingCounter},
		{"one of many racing deletes wins", racingDelete},
		{"revisions never return", revisions},
		{"Walk lists all keys or one owner's", walk},
		{"Walk stops at an error or a done context", walkStops},
		{"Walk suffers changes meanwhile", walkChanges},
		{"followers read what is being written", follow},
		{"followers outlive the write", followEnds},
		{"a retargeted Writer commits under its new key alone", retarget},
		{"preconditions are those of the new key", retargetPreconditions},
		{"a malformed new key leaves the old one", retargetMalformed},
		{"a Writer that has ended has no key to change", retargetEnds},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// Keys of two owners.
const (
	key      = "0123456789abcdef/blob-1"
	sibling  = "0123456789abcdef/blob-2.meta"
	stranger = "fedcba9876543210/blob-1"
)

// put commits data under key and returns its revision.
func put(t *testing.T, s cache.Store, key, data string) string {
	t.Helper()
	rev, err := commit(t, s, key, data, cache.Precondition{})
	if err != nil {
		t.Fatalf("Commit %s: %v", key, err)
	}
	return rev
}

// commit writes data under key and returns what Commit does.
func commit(t *testing.T, s cache.Store, key, data string, p cache.Precondition) (string, error) {
	t.Helper()
	w := create(t, s, key)
	write(t, w, data)
	return w.Commit(p)
}

func create(t *testing.T, s cache.Store, key string) cache.Writer {
	t.Helper()
	w, err := s.Create(t.Context(), key)
	if err != nil {
		t.Fatalf("Create %s: %v", key, err)
	}
	return w
}

func write(t *testing.T, w cache.Writer, data string) {
	t.Helper()
	if n, err := io.WriteString(w, data); n != len(data) || err != nil {
		t.Fatalf("Write = %d, %v; want %d", n, err, len(data))
	}
}

// get opens key; the test closes it.
func get(t *testing.T, s cache.Store, key string) *cache.Object {
	t.Helper()
	o, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatalf("Open %s: %v", key, err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

// want fails the test unless key holds data, "" meaning that it is missing.
func want(t *testing.T, s cache.Store, key, data string) {
	t.Helper()
	o, err := s.Open(t.Context(), key)
	if data == "" {
		if err == nil {
			o.Close()
		}
		wantErr(t, "Open "+key, err, fs.ErrNotExist)
		return
	}
	if err != nil {
		t.Fatalf("Open %s: %v", key, err)
	}
	defer o.Close()
	wantBytes(t, o, data)
}

// wantBytes reads r to its end.
func wantBytes(t *testing.T, r io.Reader, data string) {
	t.Helper()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	if !bytes.Equal(got, []byte(data)) {
		t.Fatalf("read %d bytes, %.40q; want %d, %.40q", len(got), got, len(data), data)
	}
}

func wantErr(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("%s: error %v, want %v", what, err, target)
	}
}
