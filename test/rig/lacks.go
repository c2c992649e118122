package rig

import (
	"fmt"
	"os"
	"testing"
)

// Lacks skips a test that this machine cannot run, for want of what the reason
// says. go test tells of that only where it is verbose: so that nothing is skipped
// silently where nobody reads that much, .ci/run names a file in LARDER_SKIPPED, and
// prints what stands in it at the end.
func Lacks(t testing.TB, format string, args ...any) {
	t.Helper()
	reason := fmt.Sprintf(format, args...)
	if path := os.Getenv("LARDER_SKIPPED"); path != "" {
		if err := note(path, t.Name()+": "+reason); err != nil {
			t.Fatalf("%s, and that cannot be noted: %v", reason, err)
		}
	}
	t.Skip(reason)
}

// note appends a line in one write, since several processes do.
func note(path, line string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(line + "\n")
	return err
}
