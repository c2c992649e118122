package upstream

import (
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"

	"larder/npm"
)

// TestBest: which of the held documents a form is rendered from.
func TestBest(t *testing.T) {
	now := time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC)
	early, late := now.AddDate(0, -2, 0), now.AddDate(0, -1, 0)
	fresh, stale := now.Add(-time.Minute), now.Add(-time.Hour)
	doc := func(form npm.Form, modified, checked time.Time) *revision {
		return &revision{rev: "r", form: form, modified: modified, checked: checked}
	}
	full := func(modified, checked time.Time) *revision { return doc(npm.Full, modified, checked) }
	abbr := func(modified, checked time.Time) *revision { return doc(npm.Abbreviated, modified, checked) }
	outdated := full(early, fresh)
	outdated.outdated = true
	for _, tt := range []struct {
		name       string
		full, abbr *revision
		asked      npm.Form
		want       npm.Form
		ok         bool
	}{
		{"nothing", nil, nil, npm.Abbreviated, 0, false},
		{"full of nothing but abbreviated", nil, abbr(early, fresh), npm.Full, 0, false},
		{"full", full(early, stale), abbr(late, fresh), npm.Full, npm.Full, true},
		{"abbreviated of nothing but full", full(early, stale), nil, npm.Abbreviated, npm.Full, true},
		{"abbreviated of nothing but abbreviated", nil, abbr(early, stale), npm.Abbreviated, npm.Abbreviated, true},
		{"abbreviated where full is fresh", full(early, fresh), abbr(early, fresh), npm.Abbreviated, npm.Full, true},
		{"abbreviated where full is stale", full(early, stale), abbr(early, fresh), npm.Abbreviated, npm.Abbreviated, true},
		{"abbreviated where full is stale but later", full(late, stale), abbr(early, fresh), npm.Abbreviated, npm.Full, true},
		{"abbreviated where full is outdated", outdated, abbr(late, fresh), npm.Abbreviated, npm.Abbreviated, true},
		{"abbreviated where neither says when", full(time.Time{}, stale), abbr(time.Time{}, stale), npm.Abbreviated, npm.Abbreviated, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := &entry{held: [2]*revision{npm.Full: tt.full, npm.Abbreviated: tt.abbr}}
			got, ok := e.best(tt.asked, testFresh, now)
			if ok != tt.ok || ok && got.form != tt.want {
				t.Errorf("%s, %t", got.form, ok)
			}
		})
	}
}

func TestConfirmExpiresOnlyWhatIsOlder(t *testing.T) {
	early := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name         string
		other        time.Time
		confirmed    time.Time
		wantOutdated bool
	}{
		{"older", early, early.Add(time.Hour), true},
		{"the same", early, early, false},
		{"later", early.Add(time.Hour), early, false},
		{"it does not say", early, time.Time{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var e entry
			e.confirm(revision{rev: "1", form: npm.Abbreviated, modified: tt.other})
			e.confirm(revision{rev: "2", form: npm.Full, modified: tt.confirmed})
			other, _ := e.get(npm.Abbreviated)
			confirmed, _ := e.get(npm.Full)
			if other.outdated != tt.wantOutdated || confirmed.outdated {
				t.Errorf("outdated: %t and %t", other.outdated, confirmed.outdated)
			}
		})
	}
}

// TestFormToAsk: revalidating the full document costs a 304, fetching it anew
// megabytes.
func TestFormToAsk(t *testing.T) {
	g := newRig(t)
	for _, tt := range []struct {
		name string
		form npm.Form
		held revision
		want npm.Form
	}{
		{"full", npm.Full, revision{form: npm.Full}, npm.Full},
		{"abbreviated of abbreviated", npm.Abbreviated, revision{form: npm.Abbreviated, validator: true}, npm.Abbreviated},
		{"abbreviated of full", npm.Abbreviated, revision{form: npm.Full, validator: true}, npm.Full},
		{"abbreviated of full without validator", npm.Abbreviated, revision{form: npm.Full}, npm.Abbreviated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := g.formToAsk(tt.form, tt.held); got != tt.want {
				t.Errorf("asks for %s", got)
			}
		})
	}
}

func TestRevisionOf(t *testing.T) {
	h := http.Header{}
	h.Set("Date", "Mon, 01 Jan 2024 00:00:00 GMT")
	h.Set("Etag", `W/"v"`)
	h.Set(headerRev, "abc")
	h.Set(headerSize, "123")
	h.Set(headerModified, "2023-01-01T00:00:00.5Z")
	got, ok := revisionOf(h, npm.Full)
	want := revision{
		rev:       "abc",
		size:      123,
		modified:  time.Date(2023, 1, 1, 0, 0, 0, 5e8, time.UTC),
		checked:   time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC),
		validator: true,
	}
	if !ok || got != want {
		t.Errorf("%+v, %t, want %+v", got, ok, want)
	}
	h.Del("Date")
	h.Del(headerModified)
	if got, ok := revisionOf(h, npm.Full); !ok || !got.checked.IsZero() || !got.modified.IsZero() {
		t.Errorf("without dates: %+v, %t", got, ok)
	}
	for _, k := range []string{headerRev, headerSize} {
		bad := h.Clone()
		bad.Del(k)
		if _, ok := revisionOf(bad, npm.Full); ok {
			t.Errorf("a header without %s is one of ours", k)
		}
	}
}

// TestClockSetBack: a document that was confirmed in the future is not fresh
// until then.
func TestClockSetBack(t *testing.T) {
	g := newRig(t)
	g.fake.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
	g.get(t, "a", npm.Full, false, Miss)
	g.clock.advance(-1000 * time.Hour)
	g.restart(t)
	g.get(t, "a", npm.Full, false, Revalidated)
}

// TestDateAheadOfTheClock: httpcache takes a copy that bears a later date than
// today's for fresh until that date comes. No copy is confirmed by that.
func TestDateAheadOfTheClock(t *testing.T) {
	g := newRig(t)
	const keys = "/-/npm/v1/keys"
	g.fake.handle("/a", docServer(npm.FullType, always(fullDoc("a", jan, "1.0.0"))))
	g.fake.handle(keys, docServer("application/json", always(`{"keys":[]}`)))
	g.get(t, "a", npm.Full, false, Miss)
	if _, _, err := g.Small(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	ahead := []byte("Date: " + time.Now().Add(1000*time.Hour).UTC().Format(http.TimeFormat) + "\r\n")
	for _, u := range []*url.URL{g.packumentURL("a", npm.Full), g.logicalURL(keys, "")} {
		dump, ok := g.responses.Get(u.String())
		if !ok {
			t.Fatalf("%s is not stored", u)
		}
		g.responses.Set(u.String(), regexp.MustCompile("(?m)^Date: .*\n").ReplaceAll(dump, ahead))
	}
	g.restart(t)
	g.get(t, "a", npm.Full, false, Revalidated)
	_, from, err := g.Small(t.Context(), keys)
	if err != nil || from.Outcome != Revalidated {
		t.Errorf("the small document: %s, %v", from.Outcome, err)
	}
	for _, path := range []string{"/a", keys} {
		if n := len(g.fake.asked(path)); n != 2 {
			t.Errorf("%s was asked for %d times, want twice", path, n)
		}
	}
}

func TestWithin(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name     string
		age      time.Duration
		outdated bool
		want     bool
	}{
		{"young", time.Minute, false, true},
		{"old", time.Hour, false, false},
		{"outdated", time.Minute, true, false},
		{"dated within what clocks differ by", -clockSlack / 2, false, true},
		{"the clock was set back", -time.Hour, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := revision{checked: now.Add(-tt.age), outdated: tt.outdated}
			if got := v.within(time.Hour, now); got != tt.want {
				t.Errorf("within an hour: %t", got)
			}
		})
	}
}
