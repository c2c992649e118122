package upstream

import (
	"net/http"
	"testing"
	"time"

	"larder/npm"
)

// What was written down by one process is read by the next, and in between the
// clock may have been set, by a day either way. Nothing may then be believed
// that is not known, and nothing may last for longer than it would have. (Within
// a process Go's times go forward whatever the clock does.)
func TestClockJumps(t *testing.T) {
	noted := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	document := func(now time.Time) bool {
		header := http.Header{headerRev: {"r"}, headerSize: {"1"}, "Date": {noted.Format(http.TimeFormat)}}
		v, ok := revisionOf(header, npm.Full)
		return ok && v.within(5*time.Minute, now)
	}
	hidden := func(now time.Time) bool {
		return removal{Since: noted, Evidence: byTarball, Status: 404, Until: noted.Add(10 * time.Minute)}.hides(now)
	}
	removed := func(now time.Time) bool { return removal{Since: noted, Evidence: byTime}.hides(now) }
	believed := func(now time.Time) bool {
		told := &tally{Loss: "x", First: noted, Answers: tallyAnswers}
		return told.again("x", now).again("x", now.Add(tallyTime)).due(now.Add(tallyTime))
	}
	absent, err := newAbsences()
	if err != nil {
		t.Fatal(err)
	}
	absent.note("x", &npm.Error{Kind: npm.NotFound, Err: errSaidSo}, noted)
	recalled := func(now time.Time) bool { return absent.recalls("x", now) }
	r := new(Registry)
	r.fullOnly.Store(noted.Add(fullOnlyFor).Unix())

	tests := []struct {
		name  string
		holds func(now time.Time) bool
		// A minute later; after a set of the clock by a day back, and forward.
		later, back, forward bool
	}{
		{"a document is fresh", document, true, false, false},
		{"a version is hidden for some minutes", hidden, true, false, false},
		{"a version is removed for good", removed, true, true, true},
		{"an unlikely answer is believed an hour after another", believed, true, true, true},
		{"a package was absent and upstream cannot be asked", recalled, true, false, true},
		{"upstream has no abbreviated form", r.onlyFull, true, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for when, want := range map[time.Duration]bool{30 * time.Second: tt.later, -day: tt.back, day: tt.forward} {
				if got := tt.holds(noted.Add(when)); got != want {
					t.Errorf("%v from then: %t, want %t", when, got, want)
				}
			}
		})
	}
}
