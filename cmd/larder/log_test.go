package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pieces is a log that keeps what each write was.
type pieces struct {
	writes []string
	fail   error
}

func (p *pieces) Write(b []byte) (int, error) {
	p.writes = append(p.writes, string(b))
	return len(b), p.fail
}

func (p *pieces) lines() string { return strings.Join(p.writes, "") }

func TestAccessLinesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out pieces
		w := &logWriter{w: &out, delay: accessDelay}
		access := func(line string) { fmt.Fprintln(delayed{w}, line) }

		access("one that comes alone") // is seen at once
		access("two")
		access("three")
		if got := len(out.writes); got != 1 {
			t.Fatalf("%d writes for one line that may not wait, want 1: %q", got, out.writes)
		}
		fmt.Fprintln(w, "a warning") // takes along what was before it
		if got, want := out.lines(), "one that comes alone\ntwo\nthree\na warning\n"; got != want || len(out.writes) != 2 {
			t.Fatalf("%d writes of %q, want 2 of %q", len(out.writes), got, want)
		}
		access("four")
		time.Sleep(accessDelay)
		synctest.Wait()
		if got := out.writes[len(out.writes)-1]; got != "four\n" {
			t.Fatalf("after the delay %q was written, want the line that waited", got)
		}
		access("five")
		access("six")
		time.Sleep(accessDelay)
		synctest.Wait()
		if got := out.writes[len(out.writes)-1]; !strings.HasSuffix(got, "six\n") {
			t.Fatalf("after another delay %q was written, want the line that waited", got)
		}

		before := len(out.writes)
		for range accessBytes/100 + 1 {
			access(strings.Repeat("x", 99))
		}
		if got := len(out.writes) - before; got != 1 {
			t.Errorf("%d writes for as much as may wait, want 1", got)
		}
		access("last")
		if err := w.close(); err != nil || !strings.HasSuffix(out.lines(), "last\n") {
			t.Errorf("closing lost the end of the log, error %v", err)
		}
		access("after the end")
		if !strings.HasSuffix(out.lines(), "after the end\n") {
			t.Error("a line after the end waits for ever")
		}
	})
}

// TestLogFailures: lines that could not be written do not wait for ever.
func TestLogFailures(t *testing.T) {
	out := pieces{fail: errors.New("the pipe is broken")}
	w := &logWriter{w: &out, delay: time.Hour}
	for _, line := range []string{"one\n", "two\n"} {
		if _, err := w.Write([]byte(line)); !errors.Is(err, out.fail) || out.writes[len(out.writes)-1] != line {
			t.Errorf("writing %q: %v, and %q was tried", line, err, out.writes)
		}
	}
}

func TestLogs(t *testing.T) {
	for _, tt := range []struct{ format, level, want string }{
		{"text", "info", "level=INFO msg=said\n"},
		{"json", "info", `"level":"INFO","msg":"said"}` + "\n"},
		{"text", "warn", ""},
	} {
		for name, logger := range map[string]func(logs) *slog.Logger{
			"log":    func(l logs) *slog.Logger { return l.Logger },
			"access": func(l logs) *slog.Logger { return l.access },
		} {
			var out pieces
			l := newLogs(LogConfig{Format: tt.format, Level: tt.level}, &out)
			logger(l).Info("said")
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if got := out.lines(); !strings.HasSuffix(got, tt.want) || (got == "") != (tt.want == "") {
				t.Errorf("%s, %s, %s: %q, want %q", tt.format, tt.level, name, got, tt.want)
			}
		}
	}
}
