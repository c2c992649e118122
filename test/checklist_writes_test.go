package test

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"larder/test/registry"
)

// decoded is a document as a client holds it that changes some of it and puts
// it back.
func decoded(t *testing.T, doc gjson.Result) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(doc.Raw), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// versionOf is a version in a decoded document.
func versionOf(doc map[string]any, version string) map[string]any {
	return doc["versions"].(map[string]any)[version].(map[string]any)
}

// wantDeprecated fails the test unless of a package's versions just those are
// deprecated, with those messages, in every document.
func (p *pair) wantDeprecated(t *testing.T, name string, want map[string]string) {
	t.Helper()
	for _, form := range []string{"Accept: */*", corgi} {
		doc := p.ok(t, escaped(name), form)
		got := map[string]string{}
		for version, m := range gjson.GetBytes(doc.body, "versions").Map() {
			if d := m.Get("deprecated"); d.Exists() { // empty counts as deprecated for some clients
				got[version] = d.String()
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: deprecated are %q, want %q", form, got, want)
		}
	}
	for version := range want {
		if got := gjson.GetBytes(p.ok(t, escaped(name)+"/"+version).body, "deprecated").String(); got != want[version] {
			t.Errorf("the document of %s says deprecated: %q", version, got)
		}
	}
}

func TestChecklist61_Deprecate(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	name := "@acme/old"
	tarballs := map[string]archive{}
	for _, version := range []string{"1.0.0", "1.1.0", "2.0.0"} {
		tarballs[version] = p.publish(t, alice, lib(name, version))
	}

	// npm deprecate @acme/old@"<2" puts the whole document back, with the URLs
	// of the address under which it knows the registry.
	before := p.document(t, name, "Host: npm.acme.example")
	doc := decoded(t, before)
	versionOf(doc, "1.0.0")["deprecated"] = "too <old> & gone"
	versionOf(doc, "1.1.0")["deprecated"] = "too <old> & gone"
	p.json(t, http.MethodPut, escaped(name), doc, alice.auth(), "npm-command: deprecate").wantWritten(t)
	p.wantDeprecated(t, name, map[string]string{"1.0.0": "too <old> & gone", "1.1.0": "too <old> & gone"})
	if rev := p.revOf(t, name); rev == before.Get("_rev").String() {
		t.Error("_rev has not moved on")
	}
	for version, tgz := range tarballs {
		p.wantPublished(t, lib(name, version), tgz)
	}
	p.wantTags(t, name, "latest 2.0.0")

	// pnpm 12 puts the versions alone; an empty message takes it back.
	p.json(t, http.MethodPut, escaped(name), `{"versions":{"1.0.0":{"deprecated":"","name":"@acme/old","version":"1.0.0"}}}`, alice.auth()).wantWritten(t)
	p.wantDeprecated(t, name, map[string]string{"1.1.0": "too <old> & gone"})
	doc = decoded(t, p.document(t, name))
	versionOf(doc, "1.1.0")["deprecated"] = ""
	doc["_attachments"] = map[string]any{} // as old documents had it
	p.json(t, http.MethodPut, escaped(name), doc, alice.auth()).wantWritten(t)
	p.wantDeprecated(t, name, map[string]string{})
}

func TestChecklist62_StaleDeprecationHarmsNothing(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	name := "@acme/stale"
	tarballs := map[string]archive{}
	for _, version := range []string{"1.0.0", "1.1.0"} {
		tarballs[version] = p.publish(t, alice, lib(name, version))
	}
	stale := decoded(t, p.document(t, name))

	// Meanwhile others go on.
	tarballs["1.2.0"] = p.publish(t, alice, lib(name, "1.2.0"))
	p.json(t, http.MethodPut, escaped(name), `{"versions":{"1.1.0":{"name":"@acme/stale","version":"1.1.0","deprecated":"by another"}}}`, alice.auth()).wantWritten(t)
	p.json(t, http.MethodPut, "/-/package"+escaped(name)+"/dist-tags/beta", `"1.2.0"`, alice.auth()).wantWritten(t)
	before := p.document(t, name)

	versionOf(stale, "1.0.0")["deprecated"] = "old"
	versionOf(stale, "1.0.0")["description"] = "changed"
	versionOf(stale, "1.0.0")["dist"] = map[string]any{"tarball": "http://evil.example/x.tgz", "integrity": "sha512-AAAA"}
	versionOf(stale, "1.1.0")["dependencies"] = map[string]any{"evil": "*"}
	stale["versions"].(map[string]any)["6.6.6"] = map[string]any{"name": name, "version": "6.6.6", "deprecated": "it is none"}
	stale["dist-tags"] = map[string]any{"latest": "1.0.0", "evil": "1.0.0"}
	stale["maintainers"] = []any{map[string]any{"name": "mallory", "email": "m@evil.example"}}
	stale["readme"], stale["description"], stale["name"] = "changed", "changed", name
	p.json(t, http.MethodPut, escaped(name), stale, alice.auth()).wantWritten(t)

	p.wantDeprecated(t, name, map[string]string{"1.0.0": "old", "1.1.0": "by another"})
	p.wantVersions(t, name, "1.0.0", "1.1.0", "1.2.0")
	p.wantTags(t, name, "latest 1.2.0", "beta 1.2.0")
	for version, tgz := range tarballs {
		p.wantPublished(t, lib(name, version), tgz)
	}
	want, got := decoded(t, before), decoded(t, p.document(t, name))
	versionOf(want, "1.0.0")["deprecated"] = "old"
	for _, doc := range []map[string]any{want, got} {
		delete(doc, "_rev")
		delete(doc["time"].(map[string]any), "modified")
	}
	if mustJSON(t, got) != mustJSON(t, want) {
		t.Errorf("the document became\n%s, want\n%s", mustJSON(t, got), mustJSON(t, want))
	}
	p.json(t, http.MethodPut, escaped("@acme/nowhere"), stale, alice.auth()).wantRefusal(t, http.StatusNotFound, http.StatusForbidden, http.StatusBadRequest)
}

// withoutVersion is the document that npm puts in the third of its five steps
// to unpublish one version (libnpmpublish, lib/unpublish.js).
func withoutVersion(t *testing.T, doc gjson.Result, version, latest string) map[string]any {
	t.Helper()
	m := decoded(t, doc)
	delete(m["versions"].(map[string]any), version)
	tags := m["dist-tags"].(map[string]any)
	maps.DeleteFunc(tags, func(_ string, v any) bool { return v == version })
	tags["latest"] = latest
	delete(m, "_revisions")
	delete(m, "_attachments")
	return m
}

func TestChecklist63_UnpublishOneVersion(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	name := "@acme/shrinks"
	tarballs := map[string]archive{}
	for _, version := range []string{"1.0.0", "1.1.0", "2.0.0"} {
		tarballs[version] = p.publish(t, alice, lib(name, version))
	}
	p.json(t, http.MethodPut, "/-/package"+escaped(name)+"/dist-tags/beta", `"2.0.0"`, alice.auth()).wantWritten(t)

	if full := p.ok(t, escaped(name)+"?write=true", corgi); !gjson.GetBytes(full.body, "_rev").Exists() { // step 1
		t.Error("whoever will write got the abbreviated document")
	}
	doc := p.document(t, name) // 2
	p.json(t, http.MethodPut, escaped(name)+"/-rev/"+doc.Get("_rev").String(), withoutVersion(t, doc, "2.0.0", "1.1.0"),
		alice.auth(), "npm-command: unpublish").wantWritten(t) // 3
	p.wantVersions(t, name, "1.0.0", "1.1.0")
	p.wantTags(t, name, "latest 1.1.0")
	rev := p.revOf(t, name) // 4
	if rev == doc.Get("_rev").String() {
		t.Error("_rev has not moved on")
	}
	tarball, here := strings.CutPrefix(manifestOf(t, []byte(doc.Raw), "2.0.0").Get("dist.tarball").String(), p.url())
	if !here {
		t.Fatal("the tarball is somewhere else")
	}
	p.json(t, http.MethodDelete, tarball+"/-rev/"+rev, "", alice.auth()).wantWritten(t) // 5

	p.get(t, tarball).wantRefusal(t, http.StatusNotFound)
	p.get(t, escaped(name)+"/2.0.0").wantRefusal(t, http.StatusNotFound)
	p.wantVersions(t, name, "1.0.0", "1.1.0")
	delete(tarballs, "2.0.0")
	for version, tgz := range tarballs {
		p.wantPublished(t, lib(name, version), tgz)
	}

	// The number is spent, for other bytes and for the same ones.
	again := lib(name, "2.0.0")
	p.put(t, alice, name, npmBody(p.url(), again, again.pack(t))).wantRefusal(t, http.StatusForbidden)
	p.publish(t, alice, lib(name, "2.0.1"))
	p.wantTags(t, name, "latest 2.0.1")
}

// A client that never saw a _rev sends "undefined", and then nothing can be
// compared.
func TestChecklist63_RevisionUndefined(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	name := "@acme/undefined"
	for _, version := range []string{"1.0.0", "1.1.0"} {
		p.publish(t, alice, lib(name, version))
	}
	p.json(t, http.MethodPut, escaped(name)+"/-rev/undefined", withoutVersion(t, p.document(t, name), "1.1.0", "1.0.0"), alice.auth()).wantWritten(t)
	p.json(t, http.MethodDelete, lib(name, "1.1.0").path()+"/-rev/undefined", "", alice.auth()).wantWritten(t)
	p.wantVersions(t, name, "1.0.0")
	p.json(t, http.MethodDelete, escaped(name)+"/-rev/undefined", "", alice.auth()).wantWritten(t)
	p.get(t, escaped(name)).wantRefusal(t, http.StatusNotFound)
}

func TestChecklist64_StaleRevisionIsAConflict(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	name := "@acme/races"
	p.publish(t, alice, lib(name, "1.0.0"))
	p.publish(t, alice, lib(name, "1.1.0"))
	stale := p.document(t, name)
	tgz := p.publish(t, alice, lib(name, "1.2.0")) // a body of before would delete it
	before := p.document(t, name)

	rev := "/-rev/" + stale.Get("_rev").String()
	for what, answer := range map[string]reply{
		"a version":   p.json(t, http.MethodPut, escaped(name)+rev, withoutVersion(t, stale, "1.1.0", "1.0.0"), alice.auth()),
		"the package": p.json(t, http.MethodDelete, escaped(name)+rev, "", alice.auth()),
		"an owner":    p.json(t, http.MethodPut, escaped(name)+rev, `{"maintainers":[{"name":"bob","email":"b@acme.example"}]}`, alice.auth()),
		"made up":     p.json(t, http.MethodDelete, escaped(name)+"/-rev/999-0123456789abcdef0123456789abcdef", "", alice.auth()),
	} {
		if err := answer.refusal(http.StatusConflict); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if after := p.document(t, name); after.Raw != before.Raw {
		t.Errorf("the document became\n%s\nfrom\n%s", after.Raw, before.Raw)
	}
	p.wantPublished(t, lib(name, "1.2.0"), tgz)
}

func TestChecklist65_UnpublishThePackage(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	for _, name := range []string{"@acme/leaves", "leaves"} {
		p.publish(t, alice, lib(name, "1.0.0"))
		p.publish(t, alice, lib(name, "1.1.0"))
		p.json(t, http.MethodDelete, escaped(name)+"/-rev/"+p.revOf(t, name), "", alice.auth(), "npm-command: unpublish").wantWritten(t)
		p.add(t, registry.Package{Name: name, Version: "6.6.6"}) // somebody takes the name upstream
		p.registry.ResetCounts()

		gone := func() {
			t.Helper()
			for _, path := range []string{
				escaped(name), escaped(name) + "?write=true", escaped(name) + "/1.0.0", escaped(name) + "/latest", lib(name, "1.0.0").path(), lib(name, "1.1.0").path(),
				"/-/package" + escaped(name) + "/dist-tags",
			} {
				if err := p.get(t, path).refusal(http.StatusNotFound); err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
		}
		gone()
		for _, version := range []string{"1.0.0", "1.1.0"} {
			r := lib(name, version)
			p.put(t, alice, name, npmBody(p.url(), r, r.pack(t))).wantRefusal(t, http.StatusForbidden)
		}
		p.stop(t)
		p.start(t)
		gone()

		r := lib(name, "1.2.0")
		tgz := p.publish(t, alice, r)
		p.wantPublished(t, r, tgz)
		p.wantVersions(t, name, "1.2.0")
		p.wantTags(t, name, "latest 1.2.0")
		old := lib(name, "1.0.0")
		p.put(t, alice, name, npmBody(p.url(), old, old.pack(t))).wantRefusal(t, http.StatusForbidden)
		p.wantRequests(t, "*", 0)
	}
}
