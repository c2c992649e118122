package hosted

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"larder/cache"
	"larder/npm"
)

func found(t testing.TB, p *Packages, q Query) (names []string, total int) {
	t.Helper()
	f, err := p.Search(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range f.Objects {
		names = append(names, at(decoded(t, raw), "package", "name").(string))
	}
	return names, f.Total
}

func wantFound(t testing.TB, p *Packages, text string, want ...string) {
	t.Helper()
	names, total := found(t, p, Query{Text: text, Size: maxSize})
	if d := cmp.Diff(want, names); d != "" || total != len(want) {
		t.Errorf("%q finds %d: %s", text, total, d)
	}
}

// stock publishes what searches look through.
func stock(t testing.TB, p *Packages) {
	for _, k := range []pkg{
		{name: "pad", version: "1.0.0", manifest: map[string]any{"description": "Pads strings"}},
		{name: "left-pad", version: "1.0.0", manifest: map[string]any{"author": "Carol <carol@example.com>", "keywords": []string{"String", "fill"}}},
		{name: "padding", version: "0.1.0", manifest: map[string]any{"keywords": "layout, css"}},
		{name: "@acme/pad", version: "2.0.0-beta", manifest: map[string]any{"author": map[string]any{"name": "Dave", "email": "dave@acme.example"}}},
		{name: "@acme/box", version: "1.0.0", manifest: map[string]any{"description": "A box", "keywords": []string{"pad", "big box"}}},
		{name: "zebra", version: "1.0.0", manifest: map[string]any{"description": "needs no pad"}},
	} {
		publish(t, p, k)
	}
	if _, err := p.SetOwners(t.Context(), "zebra", "", object(t, `{"maintainers":[{"name":"erin","email":"erin@example.com"}]}`), alice); err != nil {
		t.Fatal(err)
	}
}

func TestSearch(t *testing.T) {
	p := newPackages(t, Config{})
	stock(t, p)
	all := []string{"@acme/box", "@acme/pad", "left-pad", "pad", "padding", "zebra"}
	tests := []struct {
		text string
		want []string
	}{
		{"", all},
		{"   ", all},
		{"pad", []string{"pad", "@acme/pad", "padding", "left-pad", "@acme/box", "zebra"}},
		{"PAD", []string{"pad", "@acme/pad", "padding", "left-pad", "@acme/box", "zebra"}},
		{"pad string", []string{"pad", "left-pad"}},
		{"carol", []string{"left-pad"}},
		{"erin@", []string{"zebra"}},
		{"@acme/pad", []string{"@acme/pad"}},
		{"nothing", nil},
		{"author:carol", []string{"left-pad"}},
		{"author:dave@acme.example", []string{"@acme/pad"}},
		{"author:alice", all},
		{"author:carol,dave", []string{"@acme/pad", "left-pad"}},
		{"maintainer:erin", []string{"zebra"}},
		{"maintainer:eri", nil},
		{"scope:acme", []string{"@acme/box", "@acme/pad"}},
		{"scope:@Acme pad", []string{"@acme/pad", "@acme/box"}},
		{"keywords:string", []string{"left-pad"}},
		{"keywords:fill,css", []string{"left-pad", "padding"}},
		{`keywords:"big box"`, []string{"@acme/box"}},
		{`keywords:"big box",css`, []string{"@acme/box", "padding"}},
		{`"pad"`, []string{"pad", "@acme/pad", "padding", "left-pad", "@acme/box", "zebra"}},
		{"is:unstable", []string{"@acme/pad", "padding"}},
		{"not:unstable scope:acme", []string{"@acme/box"}},
		{"not:insecure boost-exact:false carol", []string{"left-pad"}},
		{"author:", all},
		{`"unclosed pad`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) { wantFound(t, p, tt.text, tt.want...) })
	}
	for _, text := range []string{strings.Repeat("x", maxText+1), strings.Repeat("x ", maxTerms+1), "scope:" + strings.Repeat("x,", maxTerms+1)} {
		_, err := p.Search(t.Context(), Query{Text: text})
		wantError(t, err, npm.Invalid, "at most")
	}
}

func TestPagesOfASearch(t *testing.T) {
	p := newPackages(t, Config{})
	for i := range 300 {
		p.index.built = true // without documents: the index is what is looked at
		p.index.put(&document{Name: fmt.Sprintf("lib-%03d", i), Tags: map[string]string{"latest": "1.0.0"},
			Versions: []*version{{Version: "1.0.0", Manifest: json.RawMessage(`{}`)}}})
	}
	tests := []struct {
		name       string
		from, size int
		first      string
		want       int
	}{
		{"default", 0, 0, "lib-000", defaultSize},
		{"size", 0, 7, "lib-000", 7},
		{"too many", 0, 1000, "lib-000", maxSize},
		{"from", 20, 20, "lib-020", 20},
		{"the rest", 290, 20, "lib-290", 10},
		{"beyond", 301, 20, "", 0},
		{"far beyond", int(^uint(0) >> 1), int(^uint(0) >> 1), "", 0},
		{"negative", -5, -5, "lib-000", defaultSize},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			names, total := found(t, p, Query{From: tt.from, Size: tt.size})
			if len(names) != tt.want || total != 300 || tt.want > 0 && names[0] != tt.first {
				t.Errorf("%d of %d: %v", len(names), total, names)
			}
		})
	}
	names, total := found(t, p, Query{Size: 3, From: 1, Visible: func(name string) bool { return strings.HasSuffix(name, "7") }})
	if total != 30 || !slices.Equal(names, []string{"lib-017", "lib-027", "lib-037"}) {
		t.Errorf("visible: %d, %v", total, names)
	}
}

func TestObjectOfASearch(t *testing.T) {
	p := newPackages(t, Config{Now: newClock().Now})
	publish(t, p, pkg{name: "@acme/lib", version: "1.0.0", manifest: map[string]any{
		"description": "<d>", "keywords": []any{"a", 7}, "author": "Carol <c@example.com> (http://c.example)",
		"homepage": "http://h.example", "repository": map[string]any{"type": "git", "url": "git+http://r.example"}, "bugs": map[string]any{"url": "http://b.example"},
	}})
	publishAll(t, p, "plain", "1.0.0")
	f, err := p.Search(t.Context(), Query{})
	if err != nil || len(f.Objects) != 2 {
		t.Fatal(f, err)
	}
	score := map[string]any{"final": 1.0, "detail": map[string]any{"quality": 1.0, "popularity": 1.0, "maintenance": 1.0}}
	people := []any{map[string]any{"username": "alice", "email": "alice@example.com"}}
	want := []map[string]any{
		{"searchScore": 1.0, "score": score, "package": map[string]any{
			"name": "@acme/lib", "scope": "acme", "version": "1.0.0", "description": "<d>", "keywords": []any{"a"},
			"date": "2026-03-01T12:00:00.123Z", "publisher": people[0], "maintainers": people,
			"author": map[string]any{"name": "Carol", "email": "c@example.com"},
			"links":  map[string]any{"homepage": "http://h.example", "repository": "git+http://r.example", "bugs": "http://b.example"},
		}},
		{"searchScore": 1.0, "score": score, "package": map[string]any{
			"name": "plain", "scope": "unscoped", "version": "1.0.0", "description": "", "keywords": []any{},
			"date": "2026-03-01T12:00:00.123Z", "publisher": people[0], "maintainers": people, "links": map[string]any{},
		}},
	}
	for i, raw := range f.Objects {
		if d := cmp.Diff(want[i], decoded(t, raw)); d != "" {
			t.Error(d)
		}
	}
}

// TestIndexFollows: each write is found by the next search, whether the index
// was made before or is made after.
func TestIndexFollows(t *testing.T) {
	s := cache.NewMem()
	p := newPackages(t, Config{Store: s})
	check := func(want ...string) {
		t.Helper()
		wantFound(t, p, "", want...)
		wantFound(t, newPackages(t, Config{Store: s}), "", want...)
	}
	check()
	publishAll(t, p, "b", "1.0.0")
	publishAll(t, p, "a", "1.0.0")
	publishAll(t, p, "c", "1.0.0")
	check("a", "b", "c")
	publish(t, p, pkg{name: "b", version: "2.0.0", manifest: map[string]any{"description": "new words"}})
	wantFound(t, p, "words", "b")
	setTag(t, p, "b", "latest", "1.0.0")
	wantFound(t, p, "words")
	if _, err := p.Unpublish(t.Context(), "b", "", alice); err != nil {
		t.Fatal(err)
	}
	check("a", "c")
	wantNames(t, p, "a", "b", "c")
	if _, err := p.Forget(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	check("a", "c")
	wantNames(t, p, "a", "c")
	wantNames(t, newPackages(t, Config{Store: s}), "a", "c")
}

func wantNames(t testing.TB, p *Packages, want ...string) {
	t.Helper()
	names, err := p.Names(t.Context())
	if d := cmp.Diff(want, names); err != nil || d != "" {
		t.Errorf("names: %v %s", err, d)
	}
}

// TestBuildOfTheIndex: many wait for one build, each as long as it likes, and
// what is written meanwhile is not lost to what the walk has read before.
func TestBuildOfTheIndex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := cache.NewMem()
		seed := newPackages(t, Config{Store: mem})
		publishAll(t, seed, "changed", "1.0.0")
		publishAll(t, seed, "forgotten", "1.0.0")
		publishAll(t, seed, "same", "1.0.0")
		if _, err := seed.Unpublish(t.Context(), "forgotten", "", alice); err != nil {
			t.Fatal(err)
		}
		s := newBrittle(mem)
		p := newPackages(t, Config{Store: s})
		reading, goOn := make(chan struct{}), make(chan struct{})
		s.breaks(func(op, key string) error {
			if op == "walk" {
				close(reading)
				<-goOn
			}
			return nil
		})
		results := make(chan error, publishers)
		for range publishers {
			go func() {
				_, err := p.Search(t.Context(), Query{})
				results <- err
			}()
		}
		<-reading
		impatient, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := p.Search(impatient, Query{}); !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
		publish(t, p, pkg{name: "changed", version: "2.0.0", manifest: map[string]any{"description": "changed"}})
		publishAll(t, p, "added", "1.0.0")
		if _, err := p.Forget(t.Context(), "forgotten"); err != nil {
			t.Fatal(err)
		}
		close(goOn)
		for range publishers {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if n := s.called("walk"); n != 1 {
			t.Errorf("there were %d walks", n)
		}
		wantFound(t, p, "", "added", "changed", "same")
		wantNames(t, p, "added", "changed", "same")
	})
}

// What the walk read before a write must not replace what the write put in.
func TestWalkIsOlderThanAWrite(t *testing.T) {
	mem := cache.NewMem()
	publishAll(t, newPackages(t, Config{Store: mem}), "lib", "1.0.0")
	s := newBrittle(mem)
	p := newPackages(t, Config{Store: s})
	s.breaks(func(op, key string) error {
		if op == "read" && key == documentKey("lib") {
			// The old document is open, and is read now.
			s.breaks(nil)
			publish(t, p, pkg{name: "lib", version: "2.0.0", manifest: map[string]any{"description": "new"}})
		}
		return nil
	})
	wantFound(t, p, "new", "lib")
}

// A document that the walk could not read is among the others once a write has
// put it there.
func TestWriteReplacesWhatTheWalkCouldNotRead(t *testing.T) {
	mem := cache.NewMem()
	publishAll(t, newPackages(t, Config{Store: mem}), "lib", "1.0.0")
	s := newBrittle(mem)
	p := newPackages(t, Config{Store: s})
	s.breaks(func(op, key string) error {
		if op == "read" && key == documentKey("lib") {
			s.breaks(nil)
			publishAll(t, p, "lib", "2.0.0")
			return syscall.EIO
		}
		return nil
	})
	wantFound(t, p, "", "lib")
	wantNames(t, p, "lib")
}

func TestBuildThatFails(t *testing.T) {
	s := newBrittle(cache.NewMem())
	p := newPackages(t, Config{Store: s})
	publishAll(t, p, "lib", "1.0.0")
	s.breaks(func(op, _ string) error {
		if op == "walk" {
			return syscall.EIO
		}
		return nil
	})
	_, err := p.Search(t.Context(), Query{})
	wantError(t, err, npm.Unavailable, "disk")
	_, err = p.StarredBy(t.Context(), "alice")
	wantError(t, err, npm.Unavailable, "disk")
	s.breaks(nil)
	wantFound(t, p, "", "lib")
}

func TestSearchAfterClose(t *testing.T) {
	p := newPackages(t, Config{})
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := p.Search(t.Context(), Query{})
	wantError(t, err, npm.Unavailable, "shutting down")
}

func FuzzParseText(f *testing.F) {
	for _, text := range []string{"", `left pad author:a,b keywords:"x, y" scope:@acme not:unstable`, `"`, `:`, `a:"`, "\xff:,"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		terms, err := parseText(text)
		if err != nil {
			return
		}
		all := slices.Concat(terms.words, terms.authors, terms.maintainers, terms.scopes, terms.keywords)
		if len(all) > maxTerms || slices.Contains(terms.words, "") {
			t.Errorf("%q has %d terms: %q", text, len(all), all)
		}
		e := newEntry(&document{Name: "lib", Tags: map[string]string{"latest": "1.0.0"},
			Versions: []*version{{Version: "1.0.0", Manifest: json.RawMessage(`{}`)}}})
		if score, _ := terms.score(e); score < 0 || score > wholeName {
			t.Errorf("%q scores %v", text, score)
		}
	})
}
