package test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/tidwall/gjson"
)

// search returns the names that a search finds. What npm and pnpm crash on
// fails the test.
func (p *pair) search(t *testing.T, query string, headers ...string) []string {
	t.Helper()
	r := p.ok(t, "/-/v1/search?"+query, headers...)
	var names []string
	for _, o := range gjson.GetBytes(r.body, "objects").Array() {
		pkg := o.Get("package")
		names = append(names, pkg.Get("name").String())
		for _, m := range pkg.Get("maintainers").Array() {
			if m.Get("username").Type != gjson.String {
				t.Errorf("a maintainer without a username: %s", o.Raw)
			}
		}
		if !pkg.Get("maintainers").IsArray() || !exactTime.MatchString(pkg.Get("date").String()) || !pkg.Get("version").Exists() {
			t.Errorf("npm crashes on %s", o.Raw)
		}
	}
	doc := gjson.ParseBytes(r.body)
	if !doc.Get("objects").IsArray() || doc.Get("total").Type != gjson.Number || !doc.Get("time").Exists() {
		t.Errorf("%.300s", r.body)
	}
	slices.Sort(names)
	return names
}

func TestChecklist80_SearchOfWhatIsPublished(t *testing.T) {
	p := newPair(t)
	alice, bob := p.adduser(t, "alice"), p.adduser(t, "bob")
	find := func(text string, want ...string) {
		t.Helper()
		if got := p.search(t, "text="+url.QueryEscape(text)); !slices.Equal(got, want) {
			t.Errorf("%q finds %q, want %q", text, got, want)
		}
	}
	find("xylophone")
	one := release{name: "@acme/mallet", version: "1.0.0", manifest: object{
		{"description", "strikes a Xylophone"}, {"keywords", []string{"percussion", "mallets"}}, {"author", "Alice <alice@acme.example>"},
	}}
	p.publish(t, alice, one)
	find("xylophone", "@acme/mallet") // at once
	p.publish(t, bob, release{name: "@band/xylophone", version: "2.1.0", manifest: object{{"keywords", []string{"percussion"}}}})
	find("xylophone", "@acme/mallet", "@band/xylophone")
	find("xylophone strikes", "@acme/mallet")
	find("keywords:percussion", "@acme/mallet", "@band/xylophone")
	find("keywords:mallets", "@acme/mallet")
	find("xylophone scope:band", "@band/xylophone")
	find("scope:acme", "@acme/mallet")
	find("xylophone author:alice", "@acme/mallet")
	find("xylophone maintainer:bob", "@band/xylophone")

	// Beside what upstream has.
	if got := p.search(t, "text=odd"); !slices.Contains(got, "is-odd") {
		t.Errorf("upstream's are not found: %q", got)
	}
	p.publish(t, alice, release{name: "@acme/odd-job", version: "1.0.0"})
	if got := p.search(t, "text=odd"); !slices.Contains(got, "is-odd") || !slices.Contains(got, "@acme/odd-job") {
		t.Errorf("not merged: %q", got)
	}

	// A newer version and an unpublish are followed, too.
	p.publish(t, alice, release{name: "@acme/mallet", version: "1.1.0", manifest: object{{"description", "strikes a glockenspiel"}}})
	find("xylophone", "@band/xylophone")
	find("glockenspiel", "@acme/mallet")
	p.json(t, http.MethodDelete, "/@acme%2fmallet/-rev/"+p.revOf(t, "@acme/mallet"), "", alice.auth()).wantWritten(t)
	find("glockenspiel")
	p.stop(t)
	p.start(t)
	find("xylophone", "@band/xylophone")
	p.registry.Stop()
	find("xylophone percussion", "@band/xylophone")
}

func TestChecklist80_SearchInPages(t *testing.T) {
	p := newPair(t, "LARDER_OFFLINE=true", "LARDER_HOSTED_RESERVED=@acme/*")
	alice := p.adduser(t, "alice")
	const n = 260
	puts := make([]put, n)
	for i := range puts {
		puts[i] = p.putOf(t, fmt.Sprintf("@acme/many-%03d", i), "1.0.0", i)
	}
	for i, r := range p.race(t, []account{alice}, puts) {
		if r.status/100 != 2 {
			t.Fatalf("publisher %d: %d %s", i, r.status, r.body)
		}
	}
	seen := map[string]bool{}
	for from := 0; from < n; from += 100 {
		page := p.search(t, fmt.Sprintf("text=many&size=100&from=%d", from))
		if want := min(100, n-from); len(page) != want {
			t.Errorf("from %d: %d results, want %d", from, len(page), want)
		}
		for _, name := range page {
			seen[name] = true
		}
	}
	if len(seen) != n {
		t.Errorf("%d packages on all pages, want %d", len(seen), n)
	}
	for query, want := range map[string]int{"text=many": 20, "text=many&size=1000": 250, "text=many&from=259&size=5": 1, "text=many&from=9999": 0} {
		if got := len(p.search(t, query)); got != want {
			t.Errorf("%s: %d results, want %d", query, got, want)
		}
	}
	if total := gjson.GetBytes(p.ok(t, "/-/v1/search?text=many&size=1").body, "total").Int(); total != n {
		t.Errorf("total %d", total)
	}
}

func TestChecklist80_SearchShowsWhatOneMayRead(t *testing.T) {
	p := newIdlePair(t)
	p.configure(t, rules)
	p.start(t)
	alice, bob := p.appoint(t, "alice"), p.adduser(t, "bob")
	p.publish(t, alice, release{name: "@acme/secretive", version: "1.0.0", manifest: object{{"description", "a plan"}}})
	p.publish(t, alice, release{name: "secretive-not", version: "1.0.0", manifest: object{{"description", "a plan"}}})
	for _, text := range []string{"plan", "secretive", "scope:acme plan"} {
		public := p.search(t, "text="+url.QueryEscape(text))
		if slices.Contains(public, "@acme/secretive") {
			t.Errorf("%q: everybody finds what only some may read", text)
		}
		for _, a := range []account{alice, bob} {
			if got := p.search(t, "text="+url.QueryEscape(text), a.auth()); !slices.Contains(got, "@acme/secretive") {
				t.Errorf("%q: %s finds %q", text, a.name, got)
			}
		}
	}
	r := p.ok(t, "/-/v1/search?text=plan", alice.auth())
	if total, public := gjson.GetBytes(r.body, "total").Int(), gjson.GetBytes(p.ok(t, "/-/v1/search?text=plan").body, "total").Int(); total != public+1 {
		t.Errorf("total is %d for everybody and %d for alice", public, total)
	}
}
