package test

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"larder/test/registry"
)

func TestChecklist05_AbbreviatedKeys(t *testing.T) {
	p := newPair(t)
	allowed := []string{"name", "modified", "dist-tags", "versions", "time"}
	for _, held := range []string{"upstream's own form", "derived from the full form"} {
		doc := p.ok(t, "/is-number", corgi)
		if got := doc.header.Get("Content-Type"); got != "application/vnd.npm.install-v1+json" {
			t.Errorf("%s: Content-Type %q", held, got)
		}
		keys := slices.Collect(maps.Keys(gjson.ParseBytes(doc.body).Map()))
		for _, key := range keys {
			if !slices.Contains(allowed, key) {
				t.Errorf("%s: has %q", held, key)
			}
		}
		for _, key := range []string{"name", "modified", "dist-tags", "versions"} {
			if !slices.Contains(keys, key) {
				t.Errorf("%s: lacks %q", held, key)
			}
		}
		p.ok(t, "/is-number") // so that the full form is held the second time
	}
}

func TestChecklist06_FullUnlessAbbreviatedIsPreferred(t *testing.T) {
	p := newPair(t)
	p.ok(t, "/is-number", corgi) // what is held must not matter
	for _, accept := range []string{
		"", "*/*", "application/json", "application/json; q=1.0, */*", "application/json, */*",
		"application/vnd.npm.install-v1+json; q=0.5, application/json", "application/json, application/vnd.npm.install-v1+json", "text/html", "nonsense;;q=x,,",
	} {
		var headers []string
		if accept != "" {
			headers = []string{"Accept: " + accept}
		}
		doc := p.ok(t, "/is-number", headers...)
		if got := doc.header.Get("Content-Type"); got != "application/json" {
			t.Errorf("%q: Content-Type %q", accept, got)
		}
		top := gjson.ParseBytes(doc.body).Map()
		if !top["time"].IsObject() || !top["_id"].Exists() || !top["readme"].Exists() {
			t.Errorf("%q: not the full document: %.200s", accept, doc.body)
		}
	}
}

func TestChecklist07_EveryVersionInstallable(t *testing.T) {
	p := newPair(t)
	for _, name := range []string{"is-number", "jsonstream", "thirty-two", "@acme/kit-win32", "with-build"} {
		doc := p.ok(t, "/"+name, corgi)
		versions := gjson.GetBytes(doc.body, "versions").Map()
		if len(versions) == 0 {
			t.Errorf("%s has no versions", name)
		}
		for version, m := range versions {
			if m.Get("name").String() != name || m.Get("version").String() != version ||
				!strings.HasPrefix(m.Get("dist.tarball").String(), p.url()+"/"+name+"/-/") ||
				m.Get("dist.integrity").String() == "" && m.Get("dist.shasum").String() == "" {
				t.Errorf("%s@%s: %s", name, version, m.Raw)
			}
		}
	}
}

func TestChecklist08_HasInstallScript(t *testing.T) {
	p := newPair(t)
	for _, held := range []string{"upstream's own form", "derived from the full form"} {
		with := manifestOf(t, p.ok(t, "/native-thing", corgi).body, "2.0.0")
		without := manifestOf(t, p.ok(t, "/is-number", corgi).body, "7.0.0")
		if with.Get("hasInstallScript").Raw != "true" || with.Get("scripts").Exists() {
			t.Errorf("%s: with a postinstall: %s", held, with.Raw)
		}
		if without.Get("hasInstallScript").Exists() {
			t.Errorf("%s: without one: %s", held, without.Raw)
		}
		p.ok(t, "/native-thing")
		p.ok(t, "/is-number")
	}
}

func TestChecklist09_WhatInstallersReadIsKept(t *testing.T) {
	p := newPair(t)
	fields := map[string]string{
		"os":                   `["linux","!win32"]`,
		"cpu":                  `["x64"]`,
		"libc":                 `["musl"]`,
		"peerDependenciesMeta": `{"b":{"optional":true}}`,
		"bundleDependencies":   `["c"]`,
		"acceptDependencies":   `{"d":"1 || 2"}`,
		"funding":              `{"url":"https://fund.example/"}`,
		"engines":              `{"node":">=18"}`,
		"bin":                  `{"e":"e.js"}`,
		"optionalDependencies": `{"f":"^1.0.0"}`,
		"peerDependencies":     `{"b":"*"}`,
	}
	var manifest []string
	for key, value := range fields {
		manifest = append(manifest, `"`+key+`":`+value)
	}
	p.add(t, registry.Package{Name: "a", Version: "1.0.0", Manifest: "{" + strings.Join(manifest, ",") + "}"})
	for _, held := range []string{"upstream's own form", "derived from the full form"} {
		m := manifestOf(t, p.ok(t, "/a", corgi).body, "1.0.0")
		for key, value := range fields {
			if key == "libc" && held == "upstream's own form" {
				continue // the public registry itself drops it there
			}
			if got := m.Get(key).Raw; got != value {
				t.Errorf("%s: %s is %q, want %s", held, key, got, value)
			}
		}
		p.ok(t, "/a")
	}
}

func TestChecklist39_LegacyManifestsPassByteForByte(t *testing.T) {
	p := newPair(t)
	p.add(t,
		registry.Package{Name: "odd", Version: "0.1.0", OnlySHA1: true, Manifest: `{"engines":["node >= 0.6"],"bin":"./odd.js",` +
			`"deprecated":false,"os":"linux","bundleDependencies":true,"keywords":"a, b","maintainers":["x <x@example.com>"],` +
			`"licenses":[{"type":"MIT"}],"dependencies":["a"],"repository":"x/y","unknown":{"z":1,"a":[1.0,1e3,"\u00e9<>&"]}}`},
		registry.Package{Name: "odd", Version: "0.0.9", OnlySHA1: true, Manifest: `{"deprecated":"","scripts":null}`})
	want := strings.ReplaceAll(string(p.original(t, "/odd").body), p.registry.URL(), p.url()+"/")
	if diff := cmp.Diff(want, string(p.ok(t, "/odd").body)); diff != "" {
		t.Errorf("the full form differs from upstream's in more than the base (-want +got):\n%s", diff)
	}
}

// oddDocument makes the registry answer with a packument that it would not
// write itself.
func (p *pair) oddDocument(name, doc string) {
	p.registry.SetFault("/"+name, registry.Fault{Body: doc, Header: http.Header{"Content-Type": {"application/json"}}})
}

func TestChecklist40_UnpublishedStubIsNotFound(t *testing.T) {
	p := newPair(t)
	p.oddDocument("gone", `{"_id":"gone","name":"gone","time":{"created":"2020-01-01T00:00:00.000Z",`+
		`"modified":"2021-01-01T00:00:00.000Z","1.0.0":"2020-01-01T00:00:00.000Z",`+
		`"unpublished":{"name":"x","time":"2021-01-01T00:00:00.000Z","tags":{"latest":"1.0.0"},"maintainers":[],"versions":["1.0.0"]}}}`)
	for range 2 {
		p.get(t, "/gone", corgi).wantRefusal(t, http.StatusNotFound)
		p.get(t, "/gone").wantRefusal(t, http.StatusNotFound)
	}
	p.get(t, "/gone/latest").wantRefusal(t, http.StatusNotFound)
	p.get(t, "/gone/-/gone-1.0.0.tgz").wantRefusal(t, http.StatusNotFound)
}

// reborn was unpublished once: its "time" has an object, a key that is no
// version, a version that is gone, and lacks one that is there.
const reborn = `{"_id":"reborn","name":"reborn","dist-tags":{"latest":"1.0.1"},` +
	`"versions":{"1.0.1":{"name":"reborn","version":"1.0.1","dist":{"shasum":"0831edf4d43954923d4ea6841f00f9278dc92710",` +
	`"tarball":"http://registry.example/reborn/-/reborn-1.0.1.tgz"}}},` +
	`"time":{"created":"2020-01-01T00:00:00.000Z","modified":"2022-01-01T00:00:00.000Z","1.0.0":"2020-01-01T00:00:00.000Z",` +
	`"unpublished":{"name":"x","time":"2021-01-01T00:00:00.000Z","versions":["1.0.0"]},"extra":null}}`

func TestChecklist41_OddTimes(t *testing.T) {
	p := newPair(t)
	p.oddDocument("reborn", reborn)
	times := gjson.GetBytes(p.ok(t, "/reborn").body, "time").Map()
	if !times["unpublished"].IsObject() || times["extra"].Raw != "null" || times["1.0.0"].String() != "2020-01-01T00:00:00.000Z" {
		t.Errorf("time was changed: %v", times)
	}
	manifestOf(t, p.ok(t, "/reborn", corgi).body, "1.0.1")
}

func TestChecklist43_TimesAreComplete(t *testing.T) {
	p := newPair(t)
	want := gjson.GetBytes(p.original(t, "/is-number").body, "time")
	if got := gjson.GetBytes(p.ok(t, "/is-number").body, "time"); got.Raw != want.Raw {
		t.Errorf("time is %s, want %s", got.Raw, want.Raw)
	}
	// What pnpm looks at before it decides to ask for the full form.
	if got := gjson.GetBytes(p.ok(t, "/is-number", corgi).body, "modified"); got.String() != want.Get("modified").String() {
		t.Errorf("modified is %s in the abbreviated form", got.Raw)
	}
}

func TestChecklist86_MissingTimeIsFilledIn(t *testing.T) {
	p := newPair(t)
	p.oddDocument("reborn", reborn)
	if got := gjson.GetBytes(p.ok(t, "/reborn").body, `time.1\.0\.1`).String(); got != "2022-01-01T00:00:00.000Z" {
		t.Errorf("time of the version that lacks one: %q, want the document's modified", got)
	}
	known := gjson.GetBytes(p.original(t, "/is-odd").body, "time").Raw
	if got := gjson.GetBytes(p.ok(t, "/is-odd").body, "time").Raw; got != known {
		t.Errorf("times that are known changed: %s, want %s", got, known)
	}
}

func TestChecklist42_SingleManifests(t *testing.T) {
	tests := []struct {
		name, path string
		version    string // "": there is none
	}{
		{"tag", "/is-number/latest", "7.0.0"},
		{"another tag", "/is-number/next", "8.0.0-rc.1"},
		{"version", "/is-number/6.0.0", "6.0.0"},
		{"with an Accept for the abbreviated form", "/is-number/7.0.0", "7.0.0"},
		{"scoped, raw slash", "/@types/ms/2.1.0", "2.1.0"},
		{"scoped, escaped slash", "/@types%2fms/latest", "2.1.0"},
		{"scoped, all escaped", "/%40types%2Fms/2.1.0", "2.1.0"},
		{"build metadata", "/with-build/1.0.0%2Bbuild.1", "1.0.0+build.1"},
		{"unknown version", "/is-number/99.0.0", ""},
		{"unknown tag", "/is-number/beta", ""},
		{"unknown package", "/nobody-has-this/latest", ""},
	}
	modes := map[string]registry.Mode{"version documents": {}, "packuments alone": {NoVersionDocuments: true}}
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			p.registry.SetMode(mode)
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					p.wantManifest(t, tt.path, tt.version)
				})
			}
		})
	}
}

// wantManifest fails the test unless there is a manifest at path whose tarball
// is here too; if version is empty there must be none.
func (p *pair) wantManifest(t *testing.T, path, version string) {
	r := p.get(t, path, corgi)
	if version == "" {
		r.wantRefusal(t, http.StatusNotFound)
		return
	}
	m := gjson.ParseBytes(r.body)
	if r.status != http.StatusOK || m.Get("version").String() != version || !m.Get("_id").Exists() {
		t.Fatalf("%d %s", r.status, r.body)
	}
	tarball, here := strings.CutPrefix(m.Get("dist.tarball").String(), p.url())
	if !here {
		t.Fatalf("tarball at %s", tarball)
	}
	if r := p.ok(t, tarball); !bytes.HasPrefix(r.body, []byte("\x1f\x8b")) {
		t.Errorf("no tarball at %s", tarball)
	}
}
