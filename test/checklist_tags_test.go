package test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// twoVersions publishes a package with versions 1.0.0 and 2.0.0.
func (p *pair) twoVersions(t *testing.T, a account, name string) {
	t.Helper()
	for _, version := range []string{"1.0.0", "2.0.0"} {
		p.publish(t, a, lib(name, version))
	}
}

func TestChecklist66_DistTags(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	for _, name := range []string{"@acme/tags", "tags-of-acme"} {
		p.twoVersions(t, alice, name)
		tags := "/-/package" + escaped(name) + "/dist-tags"
		put := func(path, body string, headers ...string) {
			t.Helper()
			p.json(t, http.MethodPut, path, body, append(headers, alice.auth())...).wantWritten(t)
		}
		put(tags+"/beta", `"1.0.0"`) // npm
		p.wantTags(t, name, "latest 2.0.0", "beta 1.0.0")
		put(tags+"/beta", `"2.0.0"`, corgi) // yarn 1
		p.wantTags(t, name, "latest 2.0.0", "beta 2.0.0")
		put(tags+"/beta", "1.0.0") // tools that forget the quotes
		p.wantTags(t, name, "latest 2.0.0", "beta 1.0.0")
		put(escaped(name)+"/old", `"1.0.0"`) // npm of old
		p.wantTags(t, name, "latest 2.0.0", "beta 1.0.0", "old 1.0.0")
		p.post(t, tags, `{"beta":"2.0.0","more":"1.0.0"}`, alice.auth()).wantWritten(t)
		p.wantTags(t, name, "latest 2.0.0", "beta 2.0.0", "old 1.0.0", "more 1.0.0")
		put(tags+"/latest", `"1.0.0"`)
		p.wantTags(t, name, "latest 1.0.0", "beta 2.0.0", "old 1.0.0", "more 1.0.0")
		if got := p.document(t, name).Get("description").String(); !strings.HasSuffix(got, "1.0.0") {
			t.Errorf("the package is described as %q, which is not of the latest version", got)
		}
		for _, tag := range []string{"beta", "old", "more"} {
			if r := p.json(t, http.MethodDelete, tags+"/"+tag, "", alice.auth()); r.status/100 != 2 {
				t.Errorf("rm %s: %d %s", tag, r.status, r.body)
			}
		}
		p.wantTags(t, name, "latest 1.0.0")

		etag := p.ok(t, escaped(name)).header.Get("ETag") // npm revalidates its copy, and must get another
		put(tags+"/latest", `"2.0.0"`)
		if r := p.get(t, escaped(name), "If-None-Match: "+etag); r.status != http.StatusOK {
			t.Errorf("the old document is still good: %d", r.status)
		}
	}
}

func TestChecklist67_TagsThatCannotBe(t *testing.T) {
	p := newPair(t, "LARDER_HOSTED_RESERVED=@mine/*")
	alice := p.adduser(t, "alice")
	name := "@acme/tags"
	p.twoVersions(t, alice, name)
	before := p.document(t, name)
	tags := "/-/package" + escaped(name) + "/dist-tags"
	tests := []struct{ name, method, path, body string }{
		{"unknown version", http.MethodPut, tags + "/beta", `"9.9.9"`},
		{"a tag as version", http.MethodPut, tags + "/beta", `"latest"`},
		{"no version", http.MethodPut, tags + "/beta", ""},
		{"an empty version", http.MethodPut, tags + "/beta", `""`},
		{"no text", http.MethodPut, tags + "/beta", `{"version":"1.0.0"}`},
		{"a range", http.MethodPut, tags + "/" + url.PathEscape("^1.0.0"), `"1.0.0"`},
		{"a version", http.MethodPut, tags + "/1.0.0", `"2.0.0"`},
		{"an x-range", http.MethodPut, tags + "/x", `"2.0.0"`},
		{"a slash", http.MethodPut, tags + "/a%2fb", `"2.0.0"`},
		{"several, one unknown", http.MethodPost, tags, `{"good":"1.0.0","bad":"9.9.9"}`},
		{"rm latest", http.MethodDelete, tags + "/latest", ""},
		{"rm what is not there", http.MethodDelete, tags + "/nope", ""},
		{"of nothing", http.MethodPut, "/-/package/@mine%2fnothing/dist-tags/beta", `"1.0.0"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := p.json(t, tt.method, tt.path, tt.body, alice.auth())
			r.wantRefusal(t, http.StatusBadRequest, http.StatusNotFound)
		})
	}
	if after := p.document(t, name); after.Raw != before.Raw {
		t.Errorf("the document became\n%s\nfrom\n%s", after.Raw, before.Raw)
	}
}

// star puts what npm star puts, or with others' stars what a tool puts that
// has read the document.
func (p *pair) star(t *testing.T, a account, name string, users map[string]bool) {
	t.Helper()
	body := object{{"_id", name}, {"_rev", p.revOf(t, name)}, {"users", users}}
	p.json(t, http.MethodPut, escaped(name), body, a.auth(), "npm-command: star").wantWritten(t)
}

// wantStars fails the test unless a package's stars are those of users, and
// the lists of theirs have it.
func (p *pair) wantStars(t *testing.T, name string, users ...string) {
	t.Helper()
	got := slices.Sorted(maps.Keys(p.document(t, name).Get("users").Map()))
	if !slices.Equal(got, users) {
		t.Errorf("stars of %s are by %q, want %q", name, got, users)
	}
	for _, user := range []string{"alice", "bob"} {
		r := p.ok(t, "/-/_view/starredByUser?key=%22"+user+"%22")
		rows := gjson.GetBytes(r.body, "rows")
		if !rows.IsArray() {
			t.Fatalf("npm crashes on %s", r.body)
		}
		listed := slices.ContainsFunc(rows.Array(), func(row gjson.Result) bool { return row.Get("value").String() == name })
		if listed != slices.Contains(users, user) {
			t.Errorf("the stars of %s are %s", user, rows.Raw)
		}
	}
}

func TestChecklist68_StarsAndOwners(t *testing.T) {
	p := newPair(t)
	alice, bob := p.adduser(t, "alice"), p.adduser(t, "bob")
	name := "@acme/liked"
	p.twoVersions(t, alice, name)

	p.wantStars(t, name)
	p.star(t, bob, name, map[string]bool{"bob": true})
	p.wantStars(t, name, "bob")
	p.json(t, http.MethodPut, "/-/user/v1/star", `{"name":"@acme/liked","package":"@acme/liked"}`, alice.auth()).wantWritten(t) // pnpm 12
	p.wantStars(t, name, "alice", "bob")
	p.star(t, bob, name, map[string]bool{"alice": true})
	p.wantStars(t, name, "alice")
	p.star(t, alice, name, map[string]bool{})
	p.wantStars(t, name)

	// npm owner add: who is it, what is there, and then all owners.
	owners := func() (list []any, names []string) {
		for _, m := range p.document(t, name).Get("maintainers").Array() {
			list = append(list, m.Value())
			names = append(names, m.Get("name").String())
		}
		return list, names
	}
	list, names := owners()
	if !slices.Equal(names, []string{"alice"}) {
		t.Errorf("owners at first: %q", names)
	}
	user := p.ok(t, "/-/user/org.couchdb.user:bob", alice.auth())
	if got := gjson.GetBytes(user.body, "email").String(); got != "bob@acme.example" || gjson.GetBytes(user.body, "name").String() != "bob" {
		t.Errorf("bob is %s", user.body)
	}
	put := func(maintainers []any) reply {
		rev := p.revOf(t, name)
		return p.json(t, http.MethodPut, escaped(name)+"/-rev/"+rev, object{{"_id", name}, {"_rev", rev}, {"maintainers", maintainers}}, alice.auth(), "npm-command: owner")
	}
	put(append(list, map[string]string{"name": "bob", "email": "bob@acme.example"})).wantWritten(t)
	if list, names = owners(); !slices.Equal(names, []string{"alice", "bob"}) {
		t.Errorf("owners are %q", names)
	}
	put(list[1:]).wantWritten(t)
	if _, names = owners(); !slices.Equal(names, []string{"bob"}) {
		t.Errorf("owners are %q", names)
	}
	put([]any{}).wantRefusal(t, http.StatusBadRequest) // npm owner rm refuses to take the last one, too
	p.wantVersions(t, name, "1.0.0", "2.0.0")
	p.publish(t, alice, lib(name, "3.0.0")) // owners are information: rules decide
	p.get(t, "/-/user/org.couchdb.user:nobody", alice.auth()).wantRefusal(t, http.StatusNotFound)
	p.json(t, http.MethodPut, "/@acme%2fnothing", `{"_id":"@acme/nothing","users":{"alice":true}}`, alice.auth()).wantRefusal(t, http.StatusNotFound, http.StatusForbidden)
}

func TestChecklist69_StarsOfOthersStay(t *testing.T) {
	p := newPair(t)
	alice, bob := p.adduser(t, "alice"), p.adduser(t, "bob")
	name := "@acme/liked"
	p.twoVersions(t, alice, name)
	p.star(t, bob, name, map[string]bool{"bob": true})
	for _, users := range []map[string]bool{
		{"alice": true},                               // of a document from before bob's
		{"alice": true, "bob": false},                 // against bob
		{"alice": true, "bob": true, "mallory": true}, // for somebody else
	} {
		p.star(t, alice, name, users)
		p.wantStars(t, name, "alice", "bob")
	}
	p.star(t, alice, name, map[string]bool{"bob": true})
	p.wantStars(t, name, "bob")
	p.json(t, http.MethodPut, escaped(name), `{"_id":"@acme/liked","users":{"mallory":true}}`).wantRefusal(t, http.StatusUnauthorized)
	p.wantStars(t, name, "bob")
}
