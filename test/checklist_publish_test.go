package test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// gadget is a package with all that publishing handles in a special way.
func gadget(name, version string) release {
	return release{name: name, version: version, manifest: object{
		{"description", "a gadget <with> & without"},
		{"keywords", []string{"gadget", "test"}},
		{"homepage", "https://acme.example/gadget"},
		{"license", "Apache-2.0"},
		{"bin", object{{"gadget", "cli.js"}}},
		{"scripts", object{{"postinstall", "node index.js"}}},
		{"dependencies", object{{"is-odd", "^3.0.0"}, {"elsewhere", "workspace:*"}}},
		{"acme:deploy", object{{"z", 1}, {"a", []any{1.50, nil, true}}}},
	}, files: map[string]string{"index.js": "1\n", "cli.js": "#!/usr/bin/env node\n", "README.md": readme}}
}

func TestChecklist47_PublishByEveryClient(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	for _, client := range publishers() {
		for _, scope := range []string{"", "@team/"} {
			name := scope + "by-" + strings.ReplaceAll(client.name, " ", "-")
			t.Run(name, func(t *testing.T) {
				r := gadget(name, "1.0.0")
				tgz := r.pack(t)
				answer := p.json(t, http.MethodPut, escaped(name), client.body(p.url(), r, tgz), append(client.headers, alice.auth())...)
				if answer.wantWritten(t); answer.status != http.StatusCreated {
					t.Errorf("status %d", answer.status)
				}
				p.wantPublished(t, r, tgz)
				p.wantTags(t, name, "latest 1.0.0")
				p.wantNormal(t, r, client.name)
			})
		}
	}
}

// wantNormal fails the test unless a published gadget has everything in the
// one shape that is stored, whichever client has sent it.
func (p *pair) wantNormal(t *testing.T, r release, client string) {
	t.Helper()
	doc := p.document(t, r.name)
	m := manifestOf(t, []byte(doc.Raw), r.version)
	for key, want := range map[string]string{
		"description":        `"a gadget <with> & without"`,
		"bin":                `{"gadget":"cli.js"}`,
		"acme:deploy":        `{"z":1,"a":[1.5,null,true]}`,
		"dependencies":       `{"is-odd":"^3.0.0","elsewhere":"workspace:*"}`,
		"_id":                fmt.Sprintf("%q", r.name+"@"+r.version),
		"hasInstallScript":   "true",
		"_npmUser.name":      `"alice"`,
		"_npmUser.email":     `"alice@acme.example"`,
		"dist.fileCount":     "4",
		"maintainers.0.name": `"alice"`,
	} {
		if got := m.Get(key).Raw; !sameJSON(t, got, want) {
			t.Errorf("%s of the version is %s, want %s", key, got, want)
		}
	}
	for _, key := range []string{"readme", "_resolved", "_from", "_integrity", "integrity", "shasum", "_attachments"} {
		if m.Get(key).Exists() {
			t.Errorf("the version has %s: %.80s", key, m.Get(key).Raw)
		}
	}
	if strings.Contains(doc.Raw, "leak.tgz") {
		t.Error("a path on the publisher's disk is shown")
	}
	want := map[string]string{"description": "a gadget <with> & without", "homepage": "https://acme.example/gadget", "license": "Apache-2.0"}
	if client != "bun" { // which sends none
		want["readme"] = readme
	}
	for key, text := range want {
		if got := doc.Get(key).String(); got != text {
			t.Errorf("%s of the package is %q, want %q", key, got, text)
		}
	}
	if !gjson.ParseBytes(p.ok(t, escaped(r.name), corgi).body).Get("versions." + strings.ReplaceAll(r.version, ".", `\.`) + ".hasInstallScript").Bool() {
		t.Error("installers are not told that there is a script")
	}
}

func TestChecklist48_KeysOfAttachmentsMeanNothing(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	for i, key := range []string{
		"@acme/lib-1.0.0.tgz", "lib-1.0.0.tgz", "x.tgz", "@acme/other-9.9.9.tgz", "../../../../etc/larder.tgz", `..\..\evil.tgz`, "/abs.tgz", ".tgz", "__proto__.tgz", "%2e%2e%2fx.tgz",
	} {
		r := lib("@acme/lib", fmt.Sprintf("1.0.%d", i))
		tgz := r.pack(t)
		body := npmBody(p.url(), r, tgz).with("_attachments", object{{key, tgz.attachment()}})
		p.put(t, alice, r.name, body).wantWritten(t)
		p.wantPublished(t, r, tgz)
	}
	for _, path := range []string{"/@acme/lib/-/x.tgz", "/@acme/lib/-/other-9.9.9.tgz", "/@acme/other", "/@acme/lib/-/@acme/lib-1.0.0.tgz"} {
		if r := p.get(t, path); r.status/100 != 4 {
			t.Errorf("%s: %d", path, r.status)
		}
	}
}

// bundle is the attachment that npm publish --provenance adds: JSON and not
// base64, and its length counts UTF-16 code units. The attestation endpoint is
// to show the same bundle.
func bundle(r release, tgz archive) (text string, attachment object) {
	sha512, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(tgz.integrity, "sha512-"))
	statement := fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"pkg:npm/%s@%s","digest":{"sha512":"%s"}}],`+
		`"predicateType":"https://slsa.dev/provenance/v1","predicate":{}}`, strings.Replace(r.name, "@", "%40", 1), r.version, hex.EncodeToString(sha512))
	text = `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"certificate":{"rawBytes":"TUlJ"},"tlogEntries":[]},` +
		`"dsseEnvelope":{"payload":"` + base64.StdEncoding.EncodeToString([]byte(statement)) + `","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"TUVVQ=","keyid":""}]},` +
		`"note":"čeština 🙂"}`
	return text, object{
		{"content_type", "application/vnd.dev.sigstore.bundle.v0.3+json;version=0.3"},
		{"data", text},
		{"length", len([]rune(text)) + 1}, // of which one lies outside of the basic plane
	}
}

func TestChecklist49_ProvenanceInAnyOrder(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	for i, order := range []struct {
		name            string
		first, attached bool // the bundle is first; the attachments come before everything
	}{{"as npm sends it", false, false}, {"bundle first", true, false}, {"attachments first", false, true}, {"bundle before all", true, true}} {
		t.Run(order.name, func(t *testing.T) {
			r := lib("@acme/proven", fmt.Sprintf("1.0.%d", i))
			tgz := r.pack(t)
			text, sigstore := bundle(r, tgz)
			attachments := object{{r.key(), tgz.attachment()}, {r.name + "-" + r.version + ".sigstore", sigstore}}
			if order.first {
				attachments[0], attachments[1] = attachments[1], attachments[0]
			}
			body := npmBody(p.url(), r, tgz).without("_attachments")
			if order.attached {
				body = append(object{{"_attachments", attachments}}, body...)
			} else {
				body = body.with("_attachments", attachments)
			}
			p.put(t, alice, r.name, body).wantWritten(t)
			p.wantPublished(t, r, tgz)

			url := manifestOf(t, p.ok(t, escaped(r.name)).body, r.version).Get("dist.attestations.url").String()
			path, here := strings.CutPrefix(url, p.url())
			if !here {
				t.Fatalf("attestations at %q", url)
			}
			found := gjson.ParseBytes(p.ok(t, path).body).Get("attestations").Array()
			if len(found) == 0 {
				t.Fatal("there are no attestations")
			}
			for _, a := range found {
				if a.Get("predicateType").String() != "https://slsa.dev/provenance/v1" || !sameJSON(t, a.Get("bundle").Raw, text) {
					t.Errorf("another attestation: %s", a.Raw)
				}
			}
		})
	}
	p.wantRequests(t, "*attestations*", 0)
}

func TestChecklist50_AVersionIsPublishedOnce(t *testing.T) {
	p := newPair(t)
	alice, bob := p.adduser(t, "alice"), p.adduser(t, "bob")
	r := lib("@acme/once", "1.2.3")
	tgz := p.publish(t, alice, r)
	before := p.ok(t, escaped(r.name))

	other := r
	other.files = map[string]string{"index.js": "module.exports = 2\n"}
	tagged := r
	tagged.tag = "next"
	built := lib(r.name, "1.2.3+build.2") // for npm the same version
	for name, answer := range map[string]reply{
		"other bytes":       p.put(t, alice, r.name, npmBody(p.url(), other, other.pack(t))),
		"somebody else":     p.put(t, bob, r.name, npmBody(p.url(), r, tgz)),
		"under another tag": p.put(t, alice, r.name, npmBody(p.url(), tagged, tgz)),
	} {
		answer.wantRefusal(t, http.StatusForbidden)
		if got := gjson.GetBytes(answer.body, "error").String(); got != "You cannot publish over the previously published versions: 1.2.3." {
			t.Errorf("%s: %q", name, got) // release tools match this text
		}
	}
	p.put(t, alice, r.name, npmBody(p.url(), built, built.pack(t))).wantRefusal(t, http.StatusForbidden)
	p.wantPublished(t, r, tgz)
	if after := p.ok(t, escaped(r.name)); string(after.body) != string(before.body) {
		t.Errorf("the document became\n%s\nfrom\n%s", after.body, before.body)
	}
}

func TestChecklist51_ARepeatedPublishSucceeds(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	r := lib("@acme/again", "1.2.3")
	tgz := p.publish(t, alice, r)
	before := p.ok(t, escaped(r.name))
	p.put(t, alice, r.name, npmBody(p.url(), r, tgz)).wantWritten(t)

	p.larder.Kill() // whose answer may be what was lost
	p.start(t)
	p.put(t, alice, r.name, npmBody(p.url(), r, tgz)).wantWritten(t)
	if after := p.ok(t, escaped(r.name)); string(after.body) != string(before.body) {
		t.Errorf("the document became\n%s\nfrom\n%s", after.body, before.body)
	}
	p.wantPublished(t, r, tgz)
}

func TestChecklist54_FirstPublishIsLatest(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	publish := func(version, tag string) {
		t.Helper()
		r := lib("@acme/tagged", version)
		r.tag = tag
		p.publish(t, alice, r)
	}
	publish("1.0.0-rc.1", "next")
	p.wantTags(t, "@acme/tagged", "latest 1.0.0-rc.1", "next 1.0.0-rc.1")
	publish("1.0.0-rc.2", "next")
	p.wantTags(t, "@acme/tagged", "latest 1.0.0-rc.1", "next 1.0.0-rc.2")
	publish("1.0.0", "")
	p.wantTags(t, "@acme/tagged", "latest 1.0.0", "next 1.0.0-rc.2")
	publish("0.9.1", "old")
	p.wantTags(t, "@acme/tagged", "latest 1.0.0", "next 1.0.0-rc.2", "old 0.9.1")
	if got := p.document(t, "@acme/tagged").Get("description").String(); got != "@acme/tagged in its version 1.0.0" {
		t.Errorf("the package is described as %q, which is not of the latest version", got)
	}
}

// yarn 4 installs a version that is younger than its gate only if it is named
// in npmPreapprovedPackages, and one without a time not even then.
func TestChecklist87_FreshlyPublishedHasItsTime(t *testing.T) {
	p := newPair(t)
	alice := p.adduser(t, "alice")
	before := time.Now().Truncate(time.Millisecond)
	r := lib("@acme/fresh", "1.0.0")
	tgz := p.publish(t, alice, r)
	after := time.Now()
	doc := p.ok(t, escaped(r.name)) // without Accept, as yarn 4
	for _, key := range []string{"1.0.0", "created", "modified"} {
		at, err := time.Parse(time.RFC3339, gjson.GetBytes(doc.body, "time").Map()[key].String())
		if err != nil || at.Before(before) || at.After(after) {
			t.Errorf("time[%s] is %v, %v; it was published from %v to %v", key, at, err, before, after)
		}
	}
	p.wantPublished(t, r, tgz)
	if got, want := gjson.GetBytes(p.ok(t, escaped(r.name), corgi).body, "modified").String(), gjson.GetBytes(doc.body, "time.modified").String(); got != want {
		t.Errorf("modified is %q abbreviated and %q in full", got, want)
	}
}
