package hosted

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/npm"
)

func TestDeprecate(t *testing.T) {
	tests := []struct {
		name, body string
		want       map[string]any // by version
	}{
		{"one version", `{"versions":{"1.0.0":{"deprecated":"<old>"},"2.0.0":{}}}`, map[string]any{"1.0.0": "<old>", "2.0.0": "was"}},
		{"undeprecate", `{"versions":{"2.0.0":{"deprecated":""}}}`, map[string]any{"1.0.0": nil, "2.0.0": nil}},
		{"null", `{"versions":{"2.0.0":{"deprecated":null}}}`, map[string]any{"1.0.0": nil, "2.0.0": nil}},
		{"false", `{"versions":{"2.0.0":{"deprecated":false}}}`, map[string]any{"1.0.0": nil, "2.0.0": nil}},
		{"not a message", `{"versions":{"1.0.0":{"deprecated":{"x":1}},"2.0.0":{"deprecated":true}}}`, map[string]any{"1.0.0": nil, "2.0.0": "was"}},
		{"not a manifest", `{"versions":{"1.0.0":7,"2.0.0":[]}}`, map[string]any{"1.0.0": nil, "2.0.0": "was"}},
		{"unknown version", `{"versions":{"9.0.0":{"deprecated":"x"}}}`, map[string]any{"1.0.0": nil, "2.0.0": "was"}},
		{"stale document that edits all else", `{"name":"evil","dist-tags":{"latest":"1.0.0"},"maintainers":[],"versions":{
			"1.0.0":{"deprecated":"x","name":"evil","dist":{"tarball":"http://evil.example/"}}}}`, map[string]any{"1.0.0": "x", "2.0.0": "was"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPackages(t, Config{})
			publish(t, p, pkg{name: "lib", version: "1.0.0"})
			publish(t, p, pkg{name: "lib", version: "2.0.0", manifest: map[string]any{"deprecated": "was"}})
			before := packument(t, p, "lib")
			if _, err := p.Deprecate(t.Context(), "lib", object(t, tt.body), alice); err != nil {
				t.Fatal(err)
			}
			after := packument(t, p, "lib")
			for version, want := range tt.want {
				manifest := at(after, "versions", version).(map[string]any)
				if got := manifest["deprecated"]; got != want {
					t.Errorf("deprecated of %s is %v, want %v", version, got, want)
				}
			}
			for _, doc := range []map[string]any{before, after} {
				delete(doc, "_rev")
				delete(doc, "time")
				for version := range tt.want {
					delete(at(doc, "versions", version).(map[string]any), "deprecated")
				}
			}
			if d := cmp.Diff(before, after); d != "" {
				t.Errorf("more has changed:\n%s", d)
			}
		})
	}
	p := newPackages(t, Config{})
	publishAll(t, p, "lib", "1.0.0")
	_, err := p.Deprecate(t.Context(), "lib", object(t, `{"versions":[]}`), alice)
	wantError(t, err, npm.Invalid, "versions")
}

func TestSetOwners(t *testing.T) {
	many := `{"name":"a"}` + strings.Repeat(`,{"name":"b"}`, 5000)
	tests := []struct {
		name, body string
		want       []Actor // nil: refused
	}{
		{"two", `{"maintainers":[{"name":"bob","email":"b@example.com"},{"name":"alice","email":"a@example.com","x":1}]}`,
			[]Actor{{"bob", "b@example.com"}, {"alice", "a@example.com"}}},
		{"one twice", `{"maintainers":[{"name":"bob"},{"name":"bob","email":"x"}]}`, []Actor{{"bob", ""}}},
		{"one many times", `{"maintainers":[` + many + `]}`, []Actor{{"a", ""}, {"b", ""}}},
		{"none", `{"maintainers":[]}`, nil},
		{"lacking", `{}`, nil},
		{"null", `{"maintainers":null}`, nil},
		{"no list", `{"maintainers":{"name":"bob"}}`, nil},
		{"no name", `{"maintainers":[{"email":"b@example.com"}]}`, nil},
		{"strings", `{"maintainers":["bob"]}`, nil},
		{"long name", `{"maintainers":[{"name":"` + strings.Repeat("x", maxPerson+1) + `"}]}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPackages(t, Config{})
			publishAll(t, p, "lib", "1.0.0")
			want := tt.want
			_, err := p.SetOwners(t.Context(), "lib", get(t, p, "lib").Rev(), object(t, tt.body), alice)
			if tt.want == nil {
				wantError(t, err, npm.Invalid, "maintainer")
				want = []Actor{alice}
			} else if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, get(t, p, "lib").Maintainers()); d != "" {
				t.Error(d)
			}
		})
	}
	p := newPackages(t, Config{})
	publishAll(t, p, "lib", "1.0.0")
	_, err := p.SetOwners(t.Context(), "lib", "1-0", object(t, `{"maintainers":[{"name":"bob"}]}`), alice)
	wantError(t, err, npm.Conflict, "Document update conflict.")

	// yarn 1 knows neither the revision nor the owners.
	for range 2 {
		if _, err := p.SetOwners(t.Context(), "lib", "undefined", object(t, `{"maintainers":[{"name":"bob","email":"b@example.com"}]}`), alice); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff([]Actor{alice, {"bob", "b@example.com"}}, get(t, p, "lib").Maintainers()); d != "" {
		t.Error(d)
	}
}

func TestStars(t *testing.T) {
	p := newPackages(t, Config{})
	publishAll(t, p, "b", "1.0.0")
	publishAll(t, p, "a", "1.0.0")
	star := func(name, user string, starred bool) {
		t.Helper()
		if _, err := p.SetStar(t.Context(), name, user, starred); err != nil {
			t.Fatal(err)
		}
	}
	star("a", "bob", true)
	star("a", "alice", true)
	star("b", "alice", true)
	if d := cmp.Diff(map[string]any{"alice": true, "bob": true}, packument(t, p, "a")["users"]); d != "" {
		t.Error(d)
	}
	wantStarred(t, p, "alice", "a", "b")
	star("a", "alice", false)
	if d := cmp.Diff([]string{"bob"}, get(t, p, "a").Stars()); d != "" {
		t.Error(d)
	}
	wantStarred(t, p, "alice", "b")
	wantStarred(t, p, "nobody")
	star("a", "bob", false)
	if users, ok := packument(t, p, "a")["users"]; ok {
		t.Errorf("users are %v, want none", users)
	}
	_, err := p.SetStar(t.Context(), "a", "", true)
	wantError(t, err, npm.Invalid, "user")
}

func wantStarred(t *testing.T, p *Packages, user string, want ...string) {
	t.Helper()
	got, err := p.StarredBy(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("starred by %s: %s", user, d)
	}
}

func TestAccess(t *testing.T) {
	p := newPackages(t, Config{})
	publish(t, p, pkg{name: "lib", version: "1.0.0", doc: map[string]any{"access": "restricted"}})
	publish(t, p, pkg{name: "lib", version: "1.0.1"})
	if got := get(t, p, "lib").Access(); got != "restricted" {
		t.Errorf("access is %q", got)
	}
	if _, err := p.SetAccess(t.Context(), "lib", "public", alice); err != nil {
		t.Fatal(err)
	}
	if got := packument(t, p, "lib")["access"]; got != "public" {
		t.Errorf("access is %v", got)
	}
	for _, access := range []string{"", "private", "Public"} {
		_, err := p.SetAccess(t.Context(), "lib", access, alice)
		wantError(t, err, npm.Invalid, "access must be")
	}
}

func TestTags(t *testing.T) {
	p := newPackages(t, Config{})
	publishAll(t, p, "lib", "1.0.0", "2.0.0")
	ctx := t.Context()
	if change, err := p.SetTag(ctx, "lib", "stable", "1.0.0", alice); err != nil || change.Version != "1.0.0" {
		t.Errorf("%+v, %v", change, err)
	}
	if _, err := p.SetTags(ctx, "lib", map[string]string{"latest": "1.0.0", "next": "2.0.0"}, alice); err != nil {
		t.Error(err)
	}
	want := map[string]string{"latest": "1.0.0", "next": "2.0.0", "stable": "1.0.0"}
	if d := cmp.Diff(want, get(t, p, "lib").DistTags()); d != "" {
		t.Error(d)
	}
	refused := []struct {
		name     string
		write    func() (Change, error)
		kind     npm.Kind
		sentence string
	}{
		{"unknown version", func() (Change, error) { return p.SetTag(ctx, "lib", "next", "9.0.0", alice) }, npm.NotFound, "version not found: 9.0.0"},
		{"version by a tag", func() (Change, error) { return p.SetTag(ctx, "lib", "next", "stable", alice) }, npm.NotFound, "version not found"},
		{"tag that is a range", func() (Change, error) { return p.SetTag(ctx, "lib", "1.x", "1.0.0", alice) }, npm.Invalid, "1.x"},
		{"one of several", func() (Change, error) {
			return p.SetTags(ctx, "lib", map[string]string{"a": "2.0.0", "b": "9.0.0"}, alice)
		}, npm.NotFound, "9.0.0"},
		{"delete latest", func() (Change, error) { return p.DeleteTag(ctx, "lib", "latest", alice) }, npm.Invalid, "cannot delete the latest tag"},
		{"delete an unknown tag", func() (Change, error) { return p.DeleteTag(ctx, "lib", "beta", alice) }, npm.NotFound, "beta"},
	}
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.write()
			wantError(t, err, tt.kind, tt.sentence)
			if d := cmp.Diff(want, get(t, p, "lib").DistTags()); d != "" {
				t.Error(d)
			}
		})
	}
	if change, err := p.DeleteTag(ctx, "lib", "next", alice); err != nil || change.Version != "2.0.0" {
		t.Errorf("%+v, %v", change, err)
	}
	if _, ok := get(t, p, "lib").DistTags()["next"]; ok {
		t.Error("the tag is still there")
	}
}

// TestEveryChangeMovesOn: clients compare _rev and modified for equality, and
// two changes within a millisecond are two.
func TestEveryChangeMovesOn(t *testing.T) {
	c := newClock()
	p := newPackages(t, Config{Now: c.Now})
	publishAll(t, p, "lib", "1.0.0", "2.0.0")
	ctx := t.Context()
	c.move(-time.Hour) // and the clock was set back
	last := get(t, p, "lib")
	for op, write := range map[string]func() (Change, error){
		"publish": func() (Change, error) { return send(ctx, t, p, pkg{name: "lib", version: "3.0.0"}, alice) },
		"deprecate": func() (Change, error) {
			return p.Deprecate(ctx, "lib", object(t, `{"versions":{"1.0.0":{"deprecated":"x"}}}`), alice)
		},
		"tag": func() (Change, error) { return p.SetTag(ctx, "lib", "t", "1.0.0", alice) },
		"owners": func() (Change, error) {
			return p.SetOwners(ctx, "lib", "", object(t, `{"maintainers":[{"name":"x"}]}`), alice)
		},
		"star":      func() (Change, error) { return p.SetStar(ctx, "lib", "bob", true) },
		"access":    func() (Change, error) { return p.SetAccess(ctx, "lib", "restricted", alice) },
		"unpublish": func() (Change, error) { return p.DeleteTarball(ctx, "lib", "lib-2.0.0.tgz", "", alice) },
	} {
		change, err := write()
		if err != nil {
			t.Fatal(op, err)
		}
		now := get(t, p, "lib")
		if change.Old != last.Rev() || change.New != now.Rev() || change.New == change.Old {
			t.Errorf("%s: %+v, between %s and %s", op, change, last.Rev(), now.Rev())
		}
		if step := now.Modified().Sub(last.Modified()); step != time.Millisecond {
			t.Errorf("%s: modified moved by %v", op, step)
		}
		last = now
	}
	if !strings.HasPrefix(last.Rev(), "9-") {
		t.Errorf("_rev is %s after 9 changes", last.Rev())
	}
}

// What changes nothing writes nothing.
func TestNothingToChange(t *testing.T) {
	p := newPackages(t, Config{})
	publishAll(t, p, "lib", "1.0.0")
	ctx := t.Context()
	rev := get(t, p, "lib").Rev()
	for op, write := range map[string]func() (Change, error){
		"deprecate": func() (Change, error) {
			return p.Deprecate(ctx, "lib", object(t, `{"versions":{"1.0.0":{"deprecated":""}}}`), alice)
		},
		"tag": func() (Change, error) { return p.SetTag(ctx, "lib", "latest", "1.0.0", alice) },
		"owners": func() (Change, error) {
			return p.SetOwners(ctx, "lib", "", object(t, `{"maintainers":[{"name":"alice","email":"alice@example.com"}]}`), alice)
		},
		"star": func() (Change, error) { return p.SetStar(ctx, "lib", "bob", false) },
	} {
		change, err := write()
		if err != nil || change.Old != rev || change.New != rev || get(t, p, "lib").Rev() != rev {
			t.Errorf("%s: %+v, %v", op, change, err)
		}
	}
}
