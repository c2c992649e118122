package test

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// exactTime is how npm's registry writes times.
var exactTime = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$`)

// wantPublished fails the test unless r is there, in all documents that
// clients look at, and the tarball is tgz.
func (p *pair) wantPublished(t *testing.T, r release, tgz archive) {
	t.Helper()
	full := p.ok(t, escaped(r.name))
	full.wantCache(t, "hosted")
	for key, want := range map[string]string{"_id": r.name, "name": r.name} {
		if got := gjson.GetBytes(full.body, key).String(); got != want {
			t.Errorf("%s of %s is %s", key, r.name, got)
		}
	}
	times := gjson.GetBytes(full.body, "time").Map()
	for _, key := range []string{r.version, "created", "modified"} {
		if at := times[key].String(); !exactTime.MatchString(at) {
			t.Errorf("time[%s] of %s is %q", key, r.name, at)
		}
	}
	for _, key := range []string{"_attachments", "error"} { // yarn 1 takes any document with "error" for one
		if gjson.GetBytes(full.body, key).Exists() {
			t.Errorf("%s has a member %s", r.name, key)
		}
	}
	short := p.ok(t, escaped(r.name), corgi)
	short.wantCache(t, "hosted")
	manifests := map[string]gjson.Result{
		"full":        manifestOf(t, full.body, r.version),
		"abbreviated": manifestOf(t, short.body, r.version),
		"version":     gjson.ParseBytes(p.ok(t, escaped(r.name)+"/"+r.version).body),
	}
	for form, m := range manifests {
		for key, want := range map[string]string{
			"name": r.name, "version": r.version,
			"dist.integrity": tgz.integrity, "dist.shasum": tgz.shasum, "dist.tarball": p.url() + r.path(),
		} {
			if got := m.Get(key).String(); got != want {
				t.Errorf("%s of %s in the %s document is %q, want %q", key, r.key(), form, got, want)
			}
		}
		if m.Get("dist.fileCount").Int() == 0 || m.Get("dist.unpackedSize").Int() == 0 {
			t.Errorf("dist of %s in the %s document is %s", r.key(), form, m.Get("dist"))
		}
	}
	p.wantTarball(t, r, tgz)
}

// wantTarball fails the test unless r's tarball is tgz.
func (p *pair) wantTarball(t *testing.T, r release, tgz archive) {
	t.Helper()
	_, file, _ := strings.Cut(r.path(), "/-/")
	for _, path := range []string{r.path(), escaped(r.name) + "/-/" + file} { // the latter is yarn 4's
		got := p.ok(t, path)
		got.wantCache(t, "hosted")
		if !bytes.Equal(got.body, tgz.bytes) {
			t.Errorf("%s: other bytes than were published", path)
		}
	}
}

// wantTags fails the test unless a package has these dist-tags, "name version"
// each, and no others.
func (p *pair) wantTags(t *testing.T, name string, want ...string) {
	t.Helper()
	list := p.ok(t, "/-/package"+escaped(name)+"/dist-tags")
	if !strings.Contains(list.header.Get("Cache-Control"), "no-cache") && list.header.Get("Cache-Control") != "no-store" {
		t.Errorf("npm reads tags through its cache, and they say %q", list.header.Get("Cache-Control"))
	}
	for what, tags := range map[string]gjson.Result{
		"list": gjson.ParseBytes(list.body),
		"full": gjson.GetBytes(p.ok(t, escaped(name)).body, "dist-tags"),
		"abbr": gjson.GetBytes(p.ok(t, escaped(name), corgi).body, "dist-tags"),
	} {
		var got []string
		for tag, version := range tags.Map() {
			got = append(got, tag+" "+version.String())
		}
		slices.Sort(got)
		if !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("%s: tags of %s are %q, want %q", what, name, got, want)
		}
	}
}

// wantVersions fails the test unless a package has these versions.
func (p *pair) wantVersions(t *testing.T, name string, want ...string) {
	t.Helper()
	doc := p.document(t, name)
	var got []string
	for version := range doc.Get("versions").Map() {
		got = append(got, version)
		if !exactTime.MatchString(doc.Get("time").Map()[version].String()) {
			t.Errorf("%s@%s has no time", name, version)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("versions of %s are %q, want %q", name, got, want)
	}
}
