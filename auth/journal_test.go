package auth

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func openJournal(t testing.TB, cfg JournalConfig) *Journal {
	t.Helper()
	j, err := OpenJournal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func record(t testing.TB, j *Journal, subject string) {
	t.Helper()
	if err := j.Record(Event{Action: "test", Result: "ok", Subject: subject}); err != nil {
		t.Error(err)
	}
}

// subjects returns what is in a journal's files, the oldest first.
func subjects(t testing.TB, path string) (found []string) {
	t.Helper()
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(files, func(a, b string) int { // path.2, path.1, path
		return len(b) - len(a) + strings.Compare(b, a)
	})
	for _, file := range files {
		for _, e := range events(t, file) {
			found = append(found, e.Subject)
		}
	}
	return found
}

// What callers claim is cut: a few dozen of such lines would be a whole file.
func TestJournalCutsLongTexts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	j := openJournal(t, JournalConfig{Path: path})
	record(t, j, strings.Repeat("é", 30_000))
	record(t, j, strings.Repeat("x", maxEventText))
	got := subjects(t, path)
	want := []string{strings.Repeat("é", maxEventText/2) + "…", strings.Repeat("x", maxEventText)}
	if !slices.Equal(got, want) {
		t.Errorf("subjects %.1000q", got)
	}
}

func TestJournalLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	j := openJournal(t, JournalConfig{Path: path})
	at := time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
	err := j.Record(Event{
		Time: at, Actor: "alice", Token: "ci", Client: "192.0.2.1", Action: "publish", Package: "@acme/lib", Version: "1.0.0",
		Subject: "next", OldRev: "1-a", NewRev: "2-b", Result: "refused", Reason: "two\nlines", RequestID: "r1",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Record(Event{Time: at, Action: "login", Result: "ok"}); err != nil {
		t.Fatal(err)
	}
	want := `{"time":"2025-03-01T12:00:00Z","actor":"alice","token":"ci","client":"192.0.2.1","action":"publish","package":"@acme/lib",` +
		`"version":"1.0.0","subject":"next","old_rev":"1-a","new_rev":"2-b","result":"refused","reason":"two\nlines","request":"r1"}` + "\n" +
		`{"time":"2025-03-01T12:00:00Z","actor":"","action":"login","result":"ok"}` + "\n"
	if got := read(t, path); got != want {
		t.Errorf("the file is\n%s, want\n%s", got, want)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v: %v", fi.Mode(), err)
	}
}

func TestJournalRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	const size = maxEventText
	j := openJournal(t, JournalConfig{Path: path, MaxSize: size, Keep: 3})
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprintf("%03d", i))
		record(t, j, want[i])
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != 4 {
		t.Fatalf("the files are %v: %v", files, err)
	}
	for _, file := range files {
		if n := len(read(t, file)); n > size || n == 0 {
			t.Errorf("%s has %d bytes", file, n)
		}
	}
	got := subjects(t, path)
	if !slices.Equal(got, want[len(want)-len(got):]) {
		t.Errorf("kept are %v, want the last ones", got)
	}
	// One line that is longer than a file still gets a line.
	record(t, j, strings.Repeat("x", size))
	record(t, j, "after")
	if got := subjects(t, path); got[len(got)-1] != "after" || len(got[len(got)-2]) != size {
		t.Error("a long line is lost")
	}
}

// Two processes write, and both rotate.
func TestJournalsAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	cfg := JournalConfig{Path: path, MaxSize: 2000, Keep: 9}
	var wg sync.WaitGroup
	var want []string
	for w := range 4 {
		j := openJournal(t, cfg)
		for i := range 30 {
			want = append(want, fmt.Sprintf("%d-%02d", w, i))
		}
		wg.Go(func() {
			for i := range 30 {
				record(t, j, fmt.Sprintf("%d-%02d", w, i))
			}
		})
	}
	wg.Wait()
	got := subjects(t, path)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d lines of %d are there: %v", len(got), len(want), got)
	}
}

func TestJournalFollowsAMove(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	j := openJournal(t, JournalConfig{Path: path})
	record(t, j, "before")
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	record(t, j, "after")
	if got := events(t, path); len(got) != 1 || got[0].Subject != "after" {
		t.Errorf("the new file holds %v", got)
	}
}

// A full disk may leave half a line, which must not swallow the next one.
func TestJournalAfterATornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(path, []byte(`{"time":"20`), 0o600); err != nil {
		t.Fatal(err)
	}
	j := openJournal(t, JournalConfig{Path: path})
	record(t, j, "next")
	torn, rest, _ := strings.Cut(read(t, path), "\n")
	if torn != `{"time":"20` || strings.Count(rest, "\n") != 1 || !strings.HasPrefix(rest, "{") {
		t.Errorf("the file is %q", torn+"\n"+rest)
	}
}

func TestJournalFails(t *testing.T) {
	var none *Journal
	if err := none.Record(Event{}); err != nil {
		t.Errorf("no journal: %v", err)
	}
	if err := none.Close(); err != nil {
		t.Errorf("no journal: %v", err)
	}
	dir := t.TempDir()
	for name, cfg := range map[string]JournalConfig{
		"no path": {}, "a directory": {Path: dir}, "no directory": {Path: filepath.Join(dir, "a", "b")}, "negative": {Path: filepath.Join(dir, "x"), Keep: -1},
	} {
		if _, err := OpenJournal(cfg); err == nil {
			t.Errorf("%s: it opens", name)
		}
	}
	path := filepath.Join(dir, "audit.log")
	j := openJournal(t, JournalConfig{Path: path})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := j.Record(Event{}); err == nil {
		t.Error("a line that could not be written is no error")
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if err := j.Record(Event{}); err == nil {
		t.Error("a line after Close is no error")
	}
}
