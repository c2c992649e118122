package test

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// wrongBody is a publish of @acme/lib@1.0.0 that breaks one rule.
type wrongBody struct {
	name   string
	change func(r release, tgz archive, body object) object
}

// wrongBodies are bodies that claim what is not so, or are none.
func wrongBodies() []wrongBody {
	const version = "1.0.0"
	tarball := func(change func(object) object) func(release, archive, object) object {
		return func(r release, _ archive, body object) object { return body.at(change, "_attachments", r.key()) }
	}
	set := func(value any, keys ...string) func(release, archive, object) object {
		return func(_ release, _ archive, body object) object { return body.set(value, keys...) }
	}
	renamed := func(to string) func(release, archive, object) object { // the one version
		return func(_ release, _ archive, body object) object {
			body = body.set(to, "versions", version, "version").with("dist-tags", object{{"latest", to}})
			return body.at(func(v object) object { return object{{to, v[0].value}} }, "versions")
		}
	}
	shifted := archiveOf([]byte("another")) // valid hashes of something else
	return []wrongBody{
		{"another sha512", set(shifted.integrity, "versions", version, "dist", "integrity")},
		{"another sha1", set(shifted.shasum, "versions", version, "dist", "shasum")},
		{"an integrity that is none", set("sha512-!!!", "versions", version, "dist", "integrity")},
		{"bad base64", tarball(func(a object) object { return a.with("data", a[1].value.(string)[:40]+"!"+a[1].value.(string)[41:]) })},
		{"base64 that breaks off", tarball(func(a object) object { return a.with("data", a[1].value.(string)[:41]) })},
		{"no data", tarball(func(a object) object { return a.with("data", "") })},
		{"data that is no text", tarball(func(a object) object { return a.with("data", 7) })},
		{"a length too large", tarball(func(a object) object { return a.with("length", a[2].value.(int)+1) })},
		{"a length too small", tarball(func(a object) object { return a.with("length", a[2].value.(int)-1) })},
		{"the name of another package", set("@acme/other", "name")},
		{"another name in the version", set("@acme/other", "versions", version, "name")},
		{"another version in the version", set("1.0.1", "versions", version, "version")},
		{"no name", func(_ release, _ archive, body object) object { return body.without("name") }},
		{"a version that is none", renamed("latest-and-greatest")},
		{"a version with v", renamed("v1.0.0")},
		{"a version of two numbers", renamed("1.0")},
		{"a version with zeros", renamed("1.00.0")},
		{"two versions", func(_ release, _ archive, body object) object {
			return body.at(func(v object) object { return v.with("1.0.1", v[0].value) }, "versions")
		}},
		{"no version", set(object{}, "versions")},
		{"a tag that is a range", set(object{{"^1.0.0", version}}, "dist-tags")},
		{"a tag that is a version", set(object{{"1.0.0", version}}, "dist-tags")},
		{"a tag that is x", set(object{{"x", version}}, "dist-tags")},
		{"a tag without a name", set(object{{"", version}}, "dist-tags")},
		{"no tag", set(object{}, "dist-tags")},
		{"a tag of another version", set(object{{"latest", "2.0.0"}}, "dist-tags")},
		{"a private package", set(true, "versions", version, "private")},
		{"two tarballs", func(_ release, tgz archive, body object) object {
			return body.at(func(a object) object { return a.with("second.tgz", tgz.attachment()) }, "_attachments")
		}},
	}
}

func TestChecklist52_WrongPublishesStoreNothing(t *testing.T) {
	p := newPair(t, "LARDER_HOSTED_RESERVED=@acme/*")
	alice := p.adduser(t, "alice")
	before := p.published(t)
	r := lib("@acme/lib", "1.0.0")
	tgz := r.pack(t)
	for _, tt := range wrongBodies() {
		t.Run(tt.name, func(t *testing.T) {
			answer := p.put(t, alice, r.name, tt.change(r, tgz, npmBody(p.url(), r, tgz)))
			answer.wantRefusal(t, http.StatusBadRequest, http.StatusUnprocessableEntity)
		})
	}
	for name, body := range map[string]string{
		"nothing": "", "no JSON": "{", "an array": "[]", "null": "null", "an empty object": "{}",
		"JSON that breaks off": mustJSON(t, npmBody(p.url(), r, tgz))[:700],
		"something behind":     mustJSON(t, npmBody(p.url(), r, tgz)) + "{}",
		"deep nesting":         strings.Repeat(`{"a":`, 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			p.put(t, alice, r.name, body).wantRefusal(t, http.StatusBadRequest, http.StatusUnprocessableEntity)
		})
	}
	p.get(t, escaped(r.name)).wantRefusal(t, http.StatusNotFound)
	p.get(t, r.path()).wantRefusal(t, http.StatusNotFound)
	if after := p.published(t); !slices.Equal(after, before) {
		t.Errorf("stored: %q, at first it was %q", after, before)
	}
	p.publish(t, alice, r)
	p.wantPublished(t, r, tgz)
}

func TestChecklist52_NamesOfNewPackages(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	for _, name := range []string{
		"Upper", "@acme/Upper", "fs", "http", "a~b", "a!b", "wow(1)", "node_modules", "favicon.ico", ".hidden", "_private",
		"@acme/.hidden", strings.Repeat("a", 215), "a b", "__proto__",
	} {
		r := lib(name, "1.0.0")
		answer := p.json(t, http.MethodPut, "/"+strings.NewReplacer("/", "%2f", " ", "%20").Replace(name), npmBody(p.url(), r, r.pack(t)), alice.auth())
		if err := answer.refusal(http.StatusBadRequest, http.StatusUnprocessableEntity); err != nil {
			t.Errorf("%.40s: %v", name, err)
		}
	}
	p.publish(t, alice, lib(strings.Repeat("a", 214), "1.0.0"))
}

// published are the files of all that is published here, whatever their
// directories are called.
func (p *pair) published(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(filepath.Join(p.data, "hosted"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestChecklist53_ManifestOfTheTarballDecides(t *testing.T) {
	p := newPair(t, "LARDER_HOSTED_RESERVED=@acme/*")
	alice := p.adduser(t, "alice")
	before := p.published(t)
	r := lib("@acme/lib", "1.0.0")
	other := func(manifest string) archive {
		return pack(t, map[string]string{"package.json": manifest, "index.js": "1"})
	}
	whole := r.pack(t).bytes
	var notTar bytes.Buffer
	zw := gzip.NewWriter(&notTar)
	if _, err := zw.Write(bytes.Repeat([]byte("not a tar"), 1000)); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	for name, tgz := range map[string]archive{
		"another name":            other(`{"name":"@acme/evil","version":"1.0.0"}`),
		"another version":         other(`{"name":"@acme/lib","version":"6.6.6"}`),
		"no name":                 other(`{"version":"1.0.0"}`),
		"a manifest that is none": other(`{`),
		"no manifest":             pack(t, map[string]string{"index.js": "1"}),
		"a manifest further down": pack(t, map[string]string{"dist/package.json": `{"name":"@acme/lib","version":"1.0.0"}`}),
		"no gzip":                 archiveOf([]byte("these are not the bytes of a package")),
		"gzip of no tar":          archiveOf(notTar.Bytes()),
		"gzip that breaks off":    archiveOf(whole[:len(whole)-12]),
	} {
		t.Run(name, func(t *testing.T) {
			p.put(t, alice, r.name, npmBody(p.url(), r, tgz)).wantRefusal(t, http.StatusBadRequest, http.StatusUnprocessableEntity)
		})
	}
	p.get(t, escaped(r.name)).wantRefusal(t, http.StatusNotFound)
	if after := p.published(t); !slices.Equal(after, before) {
		t.Errorf("stored: %q, at first it was %q", after, before)
	}
}

// rules is a configuration of access: alice publishes in @acme, which bob may
// only install from, and carol is an administrator.
const rules = `
access:
  - {match: ["@acme/*"], read: [authenticated], publish: [alice], unpublish: [admins]}
  - {match: ["**"], read: [anyone], publish: [authenticated], unpublish: [authenticated]}
auth: {registration: open, groups: {admins: [carol]}}
hosted: {reserved: ["@acme/*"]}
`

// configure gives p a configuration file. It must not be started yet.
func (p *pair) configure(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "larder.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p.args = append(p.args, "--config", file)
}

func TestChecklist55_WhoMayPublish(t *testing.T) {
	p := newIdlePair(t)
	p.configure(t, rules)
	p.start(t)
	alice, bob, carol := p.appoint(t, "alice"), p.adduser(t, "bob"), p.appoint(t, "carol")
	r := lib("@acme/lib", "1.0.0")
	tgz := r.pack(t)
	body := npmBody(p.url(), r, tgz)

	for name, header := range map[string]string{
		"none":              "X-Nothing: at all",
		"made up":           "Authorization: Bearer npm_0123456789abcdefghijklmnopqrstuvwxyz",
		"one letter off":    alice.auth()[:len(alice.auth())-1] + "!",
		"no scheme":         "Authorization: " + alice.token,
		"a wrong password":  basicAuth("alice", "wrong password"),
		"somebody unknown":  basicAuth("mallory", passphrase),
		"the name of a key": "Authorization: Bearer " + strings.Repeat("0", 64),
	} {
		answer := p.json(t, http.MethodPut, escaped(r.name), body, header)
		if err := answer.refusal(http.StatusUnauthorized); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := answer.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
			t.Errorf("%s: WWW-Authenticate %q makes npm complain of something else", name, got)
		}
		if strings.Contains(string(answer.body), "one-time pass") {
			t.Errorf("%s: npm would ask for a one-time password", name)
		}
	}
	p.put(t, bob, r.name, body).wantRefusal(t, http.StatusForbidden)
	p.get(t, escaped(r.name), alice.auth()).wantRefusal(t, http.StatusNotFound)

	p.put(t, alice, r.name, body).wantWritten(t)
	second := lib("@acme/lib", "1.0.1")
	p.publish(t, carol, second)
	unscoped := lib("bobs", "1.0.0")
	p.publish(t, bob, unscoped)
	basic := lib("@acme/lib", "1.0.2") // with a password, as old configurations of CI have it
	p.json(t, http.MethodPut, escaped(basic.name), npmBody(p.url(), basic, basic.pack(t)), basicAuth("alice", passphrase)).wantWritten(t)

	// bob may read and nothing else, and nobody else may even read.
	rev := p.revOf(t, r.name, bob.auth())
	for _, write := range []struct{ method, path, body string }{
		{http.MethodPut, escaped(r.name), `{"versions":{"1.0.0":{"name":"@acme/lib","version":"1.0.0","deprecated":"bob says so"}}}`},
		{http.MethodPut, escaped(r.name) + "/-rev/" + rev, `{"name":"@acme/lib","versions":{}}`},
		{http.MethodPut, escaped(r.name) + "/-rev/" + rev, `{"maintainers":[{"name":"bob","email":"b@acme.example"}]}`},
		{http.MethodDelete, escaped(r.name) + "/-rev/" + rev, ""},
		{http.MethodDelete, r.path() + "/-rev/" + rev, ""},
		{http.MethodPut, "/-/package" + escaped(r.name) + "/dist-tags/bob", `"1.0.0"`},
		{http.MethodPost, "/-/package" + escaped(r.name) + "/dist-tags", `{"bob":"1.0.0"}`},
		{http.MethodDelete, "/-/package" + escaped(r.name) + "/dist-tags/latest", ""},
	} {
		if err := p.json(t, write.method, write.path, write.body, bob.auth()).refusal(http.StatusForbidden); err != nil {
			t.Errorf("bob's %s %s: %v", write.method, write.path, err)
		}
		if err := p.json(t, write.method, write.path, write.body).refusal(http.StatusUnauthorized); err != nil {
			t.Errorf("nobody's %s %s: %v", write.method, write.path, err)
		}
	}
	if got := p.revOf(t, r.name, bob.auth()); got != rev {
		t.Errorf("revision %s became %s", rev, got)
	}
	p.wantUnreadable(t, r.name, bob)
}

// wantUnreadable fails the test unless strangers get no document of a package
// and no tarball in any spelling of its name, and reader does.
func (p *pair) wantUnreadable(t *testing.T, name string, reader account) {
	t.Helper()
	scope, base, _ := strings.Cut(name, "/")
	for _, spelt := range []string{
		"/" + name, "/" + scope + "%2f" + base, "/" + scope + "%2F" + base, "/%40" + scope[1:] + "%2f" + base, "/%40" + scope[1:] + "/" + base,
	} {
		for _, path := range []string{spelt, spelt + "/1.0.0", spelt + "/latest", spelt + "/-/" + base + "-1.0.0.tgz", "/-/package" + spelt + "/dist-tags"} {
			r := p.get(t, path)
			if err := r.refusal(http.StatusUnauthorized); err != nil {
				t.Errorf("nobody's %s: %v", path, err)
			}
			r = p.ok(t, path, reader.auth())
			if cc := r.header.Get("Cache-Control"); !strings.Contains(cc, "private") && cc != "no-store" {
				t.Errorf("%s: a proxy between may keep it: %q", path, cc)
			}
		}
	}
	for _, path := range []string{"/%2540acme%252flib", "/@acme%252flib", "/@acme%2f..%2f@acme%2flib", "/x/../@acme/lib", "/@acme//lib", "/@acme/./lib", "/@ACME/lib"} {
		r := p.raw(t, http.MethodGet, path, "127.0.0.1")
		if r.status == http.StatusOK || gjson.GetBytes(r.body, "versions").Exists() {
			t.Errorf("nobody's %s: %d", path, r.status)
		}
	}
	p.wantRequests(t, "*acme*", 0)
}
