package upstream

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"larder/cache"
	"larder/npm"
)

// TestAbsencesOutliveUpstream: optional peers that nobody ever published go on
// being absent while upstream is away, over a restart too. What upstream never
// spoke of is unknown, and what it has, or has by now, is never hidden.
func TestAbsencesOutliveUpstream(t *testing.T) {
	const gone = "/-/npm/v1/attestations/a@1.0.0"
	g := newRig(t, withNotes)
	page := answerWith(404, "text/html", "<h1>Not Found</h1>")
	g.fake.handle("/page", page)
	g.fake.handle("/held", docServer(npm.FullType, always(fullDoc("held", jan, "1.0.0"))))
	ask := func(ctx context.Context, name string) error {
		_, err := g.Packument(ctx, name, npm.Abbreviated, false)
		return err
	}
	for _, name := range []string{"peer", "late", "page"} {
		wantError(t, ask(t.Context(), name), npm.NotFound, "Not found: "+name)
	}
	_, _, err := g.Small(t.Context(), gone)
	wantError(t, err, npm.NotFound, gone)
	if err := ask(t.Context(), "held"); err != nil {
		t.Fatal(err)
	}

	if err := g.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.restart(t)
	g.clock.advance(time.Hour)
	for _, path := range []string{"/peer", "/late", "/page", "/unheard", gone, "/held"} {
		g.fake.handle(path, answerWith(503, "", ""))
	}
	away := func(why string, ctx context.Context) {
		t.Helper()
		wantError(t, ask(ctx, "peer"), npm.NotFound, "Not found: peer")
		_, _, err := g.Small(ctx, gone)
		wantError(t, err, npm.NotFound, "not found")
		for _, name := range []string{"unheard", "page"} {
			if err := ask(ctx, name); npm.KindOf(err) != npm.Unavailable {
				t.Errorf("%s: %s: %v", why, name, err)
			}
		}
		if err := ask(ctx, "held"); err != nil {
			t.Errorf("%s: what is held: %v", why, err)
		}
	}
	away("upstream fails", t.Context())
	away("held only", HeldOnly(t.Context()))
	g.SetOffline(true)
	away("offline", t.Context())
	g.SetOffline(false)
	for range 20 { // which opens the breaker
		_ = ask(t.Context(), fmt.Sprint("x", len(g.fake.asked(""))))
	}
	away("the breaker is open", t.Context())

	g.restart(t)
	g.fake.handle("/late", docServer(npm.FullType, always(fullDoc("late", jan, "1.0.0"))))
	if err := ask(t.Context(), "late"); err != nil {
		t.Errorf("what was published since: %v", err)
	}
	g.fake.handle("/peer", answerWith(401, "", ""))
	wantError(t, ask(t.Context(), "peer"), npm.NotFound, "") // our credentials: nobody can be asked
	g.fake.handle("/peer", answerWith(403, "", ""))
	wantError(t, ask(t.Context(), "peer"), npm.Forbidden, "")
	g.fake.handle("/peer", answerWith(503, "", ""))
	g.clock.advance(recalledIn)
	if err := ask(t.Context(), "peer"); npm.KindOf(err) != npm.Unavailable {
		t.Errorf("after a week: %v", err)
	}
}

// TestStrangeAbsences: a note that holds something else costs what would be
// remembered and nothing more.
func TestStrangeAbsences(t *testing.T) {
	g := newRig(t, withNotes)
	if err := g.cfg.Notes.Put(t.Context(), g.keeper.owner(), absentNote, []byte("something else\n1 peer\n")); err != nil {
		t.Fatal(err)
	}
	g.restart(t)
	if n := g.absent.long.Len(); n != 0 {
		t.Errorf("%d absences out of it", n)
	}
}

func withNotes(c *Config) {
	c.Notes = cache.NewNotes(cache.NewMem(), nil, slog.New(slog.DiscardHandler))
}

func TestAbsencesAreBounded(t *testing.T) {
	a, err := newAbsences()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i := range 2 * maxAbsents {
		a.note(fmt.Sprint(i, strings.Repeat("x", maxAbsentKey-10)), &npm.Error{Kind: npm.NotFound, Err: errSaidSo}, now)
	}
	a.note(strings.Repeat("long", maxAbsentKey), &npm.Error{Kind: npm.NotFound, Err: errSaidSo}, now)
	a.note("two\nlines", &npm.Error{Kind: npm.NotFound, Err: errSaidSo}, now)
	a.note("refused", &npm.Error{Kind: npm.Forbidden, Err: errSaidSo}, now)
	if n := a.long.Len(); n > maxAbsents {
		t.Errorf("%d are remembered", n)
	}
	saved := a.format(now)
	if len(saved) > maxAbsentBytes {
		t.Errorf("%d bytes are saved", len(saved))
	}
	for _, line := range parseAbsences(saved) {
		if len(line.key) > maxAbsentKey || line.key == "two" || line.key == "lines" || line.key == "refused" {
			t.Fatalf("saved: %q", line.key)
		}
	}
}

func FuzzParseAbsences(f *testing.F) {
	f.Add([]byte(absentMagic + "\n1700000000 lodash\n1 http://npm.upstream.invalid/a/1.0.0\n"))
	f.Add([]byte(absentMagic + "\n-1 a\nx b\n5\n5 \n99999999999999999999 c\n"))
	f.Add([]byte("other\n1 a\n"))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		all := parseAbsences(data)
		if len(all) > maxAbsents {
			t.Fatalf("%d absences", len(all))
		}
		for _, a := range all {
			if a.at < 0 || a.key == "" || len(a.key) > maxAbsentKey || strings.Contains(a.key, "\n") {
				t.Fatalf("%+v", a)
			}
		}
	})
}
