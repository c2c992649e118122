package hosted

import (
	"testing"
	"time"

	"larder/cache"
)

// TestAbsenceIsRememberedUntilAWrite: a name that was looked for in vain costs
// the disk nothing for a moment, but is there for the very next request once it
// was published here, and soon after it was published by another process.
func TestAbsenceIsRememberedUntilAWrite(t *testing.T) {
	now := time.Now()
	s := newBrittle(cache.NewMem())
	p := newPackages(t, Config{Store: s, Now: func() time.Time { return now }})
	wantAbsent := func(opens int) {
		t.Helper()
		_, err := p.Get(t.Context(), "lib")
		wantNotOurs(t, err)
		if n := s.called("open"); n != opens {
			t.Errorf("the store was asked %d times, want %d", n, opens)
		}
	}
	s.called("open")
	wantAbsent(1)
	wantAbsent(0)
	publishAll(t, p, "other", "1.0.0")
	s.called("open")
	wantAbsent(1) // any write will do
	publishAll(t, p, "lib", "1.0.0")
	get(t, p, "lib")

	if _, err := p.Unpublish(t.Context(), "lib", "", alice); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Forget(t.Context(), "lib"); err != nil {
		t.Fatal(err)
	}
	s.called("open")
	wantAbsent(1)
	publishAll(t, newPackages(t, Config{Store: s}), "lib", "2.0.0") // another process
	s.called("open")
	wantAbsent(0)
	now = now.Add(absentFor)
	get(t, p, "lib")
}
