package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"larder/test/registry"
)

func TestChecklist59_NamesOfUpstreamAreRefused(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	for _, name := range []string{"is-odd", "@types/ms"} {
		upstreams := p.original(t, escaped(name))
		for _, state := range []string{"cold", "warm"} {
			r := lib(name, "99.0.0")
			answer := p.put(t, alice, name, npmBody(p.url(), r, r.pack(t)))
			answer.wantRefusal(t, http.StatusForbidden)
			if got := gjson.GetBytes(answer.body, "error").String(); !strings.Contains(got, "allow_shadow") {
				t.Errorf("%s, %s: it says %q, and not what to do", name, state, got)
			}
			doc := p.ok(t, escaped(name))
			if got, want := len(gjson.GetBytes(doc.body, "versions").Map()), len(gjson.GetBytes(upstreams.body, "versions").Map()); got != want {
				t.Errorf("%s: %d versions, upstream has %d", name, got, want)
			}
			p.get(t, r.path()).wantRefusal(t, http.StatusNotFound)
		}
		// Nor can anything else be written to it.
		doc := p.ok(t, escaped(name)+"?write=true")
		p.json(t, http.MethodPut, escaped(name), string(doc.body), alice.auth()).wantRefusal(t, http.StatusForbidden, http.StatusMethodNotAllowed)
		p.json(t, http.MethodDelete, escaped(name)+"/-rev/1-0", "", alice.auth()).wantRefusal(t, http.StatusForbidden, http.StatusMethodNotAllowed)
		p.json(t, http.MethodPut, "/-/package"+escaped(name)+"/dist-tags/mine", `"3.0.1"`, alice.auth()).wantRefusal(t, http.StatusForbidden, http.StatusMethodNotAllowed)
	}
}

func TestChecklist59_AllowedShadowIsNeverMerged(t *testing.T) {
	p := newPair(t, "LARDER_HOSTED_ALLOW_SHADOW=is-odd,@types/*")
	alice := p.adduser(t, "alice")
	p.ok(t, "/is-odd") // upstream's is held
	p.ok(t, "/is-odd/-/is-odd-3.0.1.tgz")
	for _, name := range []string{"is-odd", "@types/ms"} {
		r := lib(name, "0.0.1")
		tgz := p.publish(t, alice, r)
		p.registry.ResetCounts()
		p.wantPublished(t, r, tgz)
		p.wantVersions(t, name, "0.0.1")
		p.wantTags(t, name, "latest 0.0.1")
	}
	for _, path := range []string{"/is-odd/-/is-odd-3.0.1.tgz", "/is-odd/3.0.1", "/@types/ms/-/ms-2.1.0.tgz"} {
		p.get(t, path).wantRefusal(t, http.StatusNotFound)
	}
	p.wantRequests(t, "*is-odd*", 0)
	p.wantRequests(t, "*ms*", 0)
}

func TestChecklist59_UpstreamThatCannotBeAsked(t *testing.T) {
	for name, fail := range away() {
		if name == "breaks off" {
			continue // behind a status of 404, which is an answer
		}
		t.Run(name, func(t *testing.T) {
			p := newPair(t, "LARDER_HOSTED_RESERVED=@acme/*")
			alice := p.adduser(t, "alice")
			owned := lib("owned", "1.0.0")
			p.publish(t, alice, owned)
			fail(p.registry)

			r := lib("who-knows", "1.0.0")
			answer := p.put(t, alice, r.name, npmBody(p.url(), r, r.pack(t)))
			answer.wantRefusal(t, http.StatusServiceUnavailable)
			if got := gjson.GetBytes(answer.body, "error").String(); !strings.Contains(got, "hosted.reserved") {
				t.Errorf("it says %q, and not what to do", got)
			}
			p.publish(t, alice, lib("@acme/reserved", "1.0.0"))
			p.publish(t, alice, lib("owned", "1.0.1"))
		})
	}
}

// spellings are all that a name can be asked for as.
func spellings(name string) []string {
	scope, base, scoped := strings.Cut(name, "/")
	if !scoped {
		return []string{"/" + name, "/" + strings.Replace(name, "-", "%2d", 1)}
	}
	return []string{
		"/" + name, "/" + scope + "%2f" + base, "/" + scope + "%2F" + base, "/%40" + scope[1:] + "%2f" + base, "/%40" + scope[1:] + "/" + base,
	}
}

// The registry has an @acme/kit of its own, and later more: whatever somebody
// publishes there under a name that is private here must never be seen, and
// nobody there may learn that the name exists.
func TestChecklist60_PrivateNamesNeverLeave(t *testing.T) {
	p := newPair(t, "LARDER_HOSTED_RESERVED=@acme/*")
	alice := p.adduser(t, "alice")
	published, gone, unscoped := lib("@acme/published", "1.0.0"), lib("@acme/gone", "1.0.0"), lib("owned-here", "1.0.0")
	tgz := p.publish(t, alice, published)
	p.publish(t, alice, gone)
	p.publish(t, alice, unscoped)
	p.json(t, http.MethodDelete, escaped(gone.name)+"/-rev/"+p.revOf(t, gone.name), "", alice.auth()).wantWritten(t)
	for i, name := range []string{"@acme/published", "@acme/gone", "owned-here", "@acme/missing"} {
		p.add(t, registry.Package{Name: name, Version: "6.6.6"})
		if err := p.registry.AddAdvisory(registry.Advisory{ID: 100 + i, Name: name, Vulnerable: "*", Severity: "critical", Title: "leaked"}); err != nil {
			t.Fatal(err)
		}
	}
	p.ok(t, "/-/npm/v1/keys") // upstream's, of which one must ask; it names nobody
	p.registry.ResetCounts()

	for _, name := range []string{"@acme/missing", "@acme/kit", "@acme/gone", "@acme/published", "owned-here"} {
		there := name == published.name || name == unscoped.name
		base := name[strings.LastIndexByte(name, '/')+1:]
		for _, spelt := range spellings(name) {
			for path, exists := range map[string]bool{
				spelt:                                     there,
				spelt + "?write=true":                     there,
				spelt + "/1.0.0":                          there,
				spelt + "/latest":                         there,
				spelt + "/6.6.6":                          false,
				spelt + "/-/" + base + "-1.0.0.tgz":       there,
				spelt + "/-/" + base + "-6.6.6.tgz":       false,
				"/-/package" + spelt + "/dist-tags":       there,
				"/-/package" + spelt + "/collaborators":   there,
				"/-/npm/v1/attestations" + spelt + "@1.0": false,
			} {
				for _, headers := range [][]string{{corgi}, {"Cache-Control: no-cache", alice.auth()}} {
					r := p.get(t, path, headers...)
					if exists && r.status != http.StatusOK {
						t.Errorf("%s: %d", path, r.status)
					} else if !exists {
						if err := r.refusal(http.StatusNotFound); err != nil {
							t.Errorf("%s: %v", path, err)
						}
					}
				}
				p.do(t, http.MethodHead, path)
			}
		}
		for _, text := range []string{name, "@acme", "scope:acme", base + " " + name, "author:alice " + name} {
			if name[0] == '@' {
				p.ok(t, "/-/v1/search?text="+strings.NewReplacer("@", "%40", "/", "%2f", " ", "+").Replace(text))
			}
		}
		bulk := p.post(t, bulkAudit, fmt.Sprintf(`{%q:["1.0.0","6.6.6"]}`, name))
		if bulk.status != http.StatusOK || string(bulk.body) != "{}" {
			t.Errorf("audit of %s: %d %s", name, bulk.status, bulk.body)
		}
		for _, path := range []string{quickAudit, fullAudit} {
			tree := p.post(t, path, strings.ReplaceAll(auditTree, "is-odd", name))
			if tree.status != http.StatusOK || gjson.GetBytes(tree.body, "metadata.vulnerabilities.critical").Int() != 0 {
				t.Errorf("%s of %s: %d %s", path, name, tree.status, tree.body)
			}
		}
	}
	p.ok(t, "/-/npm/v1/keys")
	p.wantRequests(t, "*", 0)

	// Beside a public package they are left out of what is asked.
	p.vulnerable(t)
	mixed := p.post(t, bulkAudit, `{"is-odd":["3.0.1"],"@acme/published":["6.6.6"],"@acme/missing":["6.6.6"],"owned-here":["6.6.6"]}`)
	if found := gjson.ParseBytes(mixed.body).Map(); len(found) != 1 || !found["is-odd"].Exists() {
		t.Errorf("audit: %d %s", mixed.status, mixed.body)
	}
	found := p.ok(t, "/-/v1/search?text=e&size=250")
	for _, o := range gjson.GetBytes(found.body, "objects").Array() {
		if version := o.Get("package.version").String(); version == "6.6.6" || o.Get("package.name").String() == "@acme/kit" {
			t.Errorf("the search finds upstream's %s", o.Get("package.name"))
		}
	}
	p.wantPublished(t, published, tgz)
}

func TestChecklist60_ReservedWithoutUpstream(t *testing.T) {
	p := newPair(t, "LARDER_HOSTED_RESERVED=@acme/*")
	alice := p.adduser(t, "alice")
	p.registry.Stop()
	p.get(t, "/@acme%2fmissing").wantRefusal(t, http.StatusNotFound) // which is definitive
	r := lib("@acme/lib", "1.0.0")
	p.wantPublished(t, r, p.publish(t, alice, r))
}
