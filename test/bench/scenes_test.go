package main

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"larder/test/rig"
)

// TestStorm lets a small storm break over Larder alone.
func TestStorm(t *testing.T) {
	b := quickBench(t)
	if err := b.Run(t.Context(), []string{"storm"}); err != nil {
		t.Fatal(err)
	}
	mustMeasure(t, b, "storm", "answered", "asked upstream", "alone", "last", "last / alone", "peak memory", "peak memory / document",
		"small p99 before", "small p99 meanwhile", "small p99 meanwhile / before")
	for _, f := range b.Report.Figures {
		if f.Name == "asked upstream" && f.Values[0] != 1 || f.Name == "answered" && f.Values[0] != float64(quickStorm.clients) {
			t.Errorf("%+v", f)
		}
	}
}

// TestMillions compares thousands with a thousand.
func TestMillions(t *testing.T) {
	b := quickBench(t)
	b.Window, b.Settle = 200*time.Millisecond, 200*time.Millisecond
	if err := b.Run(t.Context(), []string{"millions"}); err != nil {
		t.Fatal(err)
	}
	mustMeasure(t, b, "millions", "first answer", "idle memory", "idle cpu", "rate", "cpu")
	cases := map[string]bool{}
	for _, f := range b.Report.Figures {
		cases[f.Case] = true
	}
	for _, want := range []string{"an empty cache", "1000 files", "4000 files", "4000 files / 1000 files", "4000 files, while they are scrubbed"} {
		if !cases[want] {
			t.Errorf("no %q in %v", want, cases)
		}
	}
}

// TestInstalls installs a small project with a real package manager.
func TestInstalls(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs a real package manager")
	}
	b := quickBench(t)
	if err := b.Run(t.Context(), []string{"installs"}); err != nil {
		t.Fatal(err)
	}
	mustMeasure(t, b, "installs", "cold", "warm", "cold / direct", "warm / direct", "cold, cpu", "warm, cpu")
	for _, server := range []string{direct, "larder"} {
		if !slices.ContainsFunc(b.Report.Figures, func(f Figure) bool { return f.Server == server }) {
			t.Errorf("nothing of %s", server)
		}
	}
}

// quickBench is a short run with Larder alone.
func quickBench(t *testing.T) *Bench {
	t.Helper()
	needLinux(t)
	b, err := newBench(t.Context(), Profile{Rounds: 1, Quick: true}, t.TempDir(), []Server{Larder{Binary: rig.Plain(t)}}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// mustMeasure fails t unless a section has figures of all the names, each of
// which says something, and nothing else.
func mustMeasure(t *testing.T, b *Bench, section string, names ...string) {
	t.Helper()
	if len(b.Report.Notes) > 0 {
		t.Errorf("notes: %q", b.Report.Notes)
	}
	seen := map[string]bool{}
	for _, f := range b.Report.Figures {
		seen[f.Name] = true
		if f.Section != section || !slices.Contains(names, f.Name) || len(f.Values) != b.Rounds || !strings.HasSuffix(f.Name, "cpu") && slices.Min(f.Values) <= 0 { // so little is done that the CPU time may be nothing
			t.Errorf("%+v", f)
		}
	}
	if len(seen) != len(names) {
		t.Errorf("figures are called %v, want %q", seen, names)
	}
}
