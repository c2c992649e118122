package test

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestChecklist03_SpellingsOfScopedNames(t *testing.T) {
	p := newPair(t)
	var first reply
	for _, path := range []string{"/@types%2fms", "/@types%2Fms", "/@types/ms", "/%40types%2fms", "/%40types/ms", "/@types%2fms/"} {
		r := p.ok(t, path) // a redirect would be no 200
		if first.body == nil {
			first = r
		}
		if !bytes.Equal(r.body, first.body) || r.header.Get("ETag") != first.header.Get("ETag") {
			t.Errorf("%s: another body, or ETag", path)
		}
	}
	p.wantRequests(t, "*", 1)
}

func TestChecklist04_SpellingsOfScopedTarballs(t *testing.T) {
	p := newPair(t)
	want := p.original(t, "/@types/ms/-/ms-2.1.0.tgz").body
	for _, path := range []string{
		"/@types%2fms/-/ms-2.1.0.tgz", "/@types/ms/-/ms-2.1.0.tgz", "/@types%2Fms/-/ms-2.1.0.tgz", "/%40types%2fms/-/ms-2.1.0.tgz",
	} {
		if r := p.ok(t, path); !bytes.Equal(r.body, want) {
			t.Errorf("%s: other bytes", path)
		}
	}
	p.wantRequests(t, "*/-/*", 1)
}

func TestChecklist34_CaseTellsNamesApart(t *testing.T) {
	p := newPair(t)
	for _, name := range []string{"JSONStream", "jsonstream", "JSONStream", "jsonstream"} {
		for _, headers := range [][]string{nil, {corgi}} {
			doc := p.ok(t, "/"+name, headers...)
			if got := gjson.GetBytes(doc.body, "name").String(); got != name {
				t.Errorf("/%s is the packument of %s", name, got)
			}
		}
	}
	upper, lower := "/JSONStream/-/JSONStream-1.3.5.tgz", "/jsonstream/-/jsonstream-1.0.3.tgz"
	for path, want := range map[string][]byte{upper: p.original(t, upper).body, lower: p.original(t, lower).body} {
		if r := p.ok(t, path); !bytes.Equal(r.body, want) {
			t.Errorf("%s: other bytes", path)
		}
	}
}

func TestChecklist35_NamesToTripOver(t *testing.T) {
	p := newPair(t)
	doc := p.ok(t, "/constructor", corgi)
	tarball := strings.TrimPrefix(manifestOf(t, doc.body, "0.0.6").Get("dist.tarball").String(), p.url())
	if got, want := p.ok(t, tarball).body, p.original(t, "/constructor/-/constructor-0.0.6.tgz").body; !bytes.Equal(got, want) {
		t.Error("constructor: other bytes")
	}
}

func TestChecklist35_HostilePaths(t *testing.T) {
	long := strings.Repeat("a", 5_000)
	targets := []string{
		// not names
		"/__proto__", "/.git", "/-", "/_all_docs", "/node_modules", "/favicon.ico", "/a%20b", "/a%00", "/%00", "/a%0d%0aX:%20y",
		"/@scope", "/@/a", "/@scope/", "/@scope%2f", "/@scope/.a", "/@../a", "/@scope%2f..%2fa", "/@a%2fb%2fc", "/%c3%28", "/ünicode",
		// steps up
		"/../x", "/..", "/a/../b", "/a/..", "/%2e%2e%2fx", "/%2e%2e/x", "/a/%2e%2e/b", "/..%2f..%2fetc%2fpasswd", "/..%5c..%5cx",
		"/a/-/..%2f..%2fx.tgz", "/a/-/../x.tgz", "/a/-/%2e%2e/x.tgz", "/a/./b", "/a/-/b%5cc.tgz", "/a/%00", "/a/..%00",
		"/-/../a", "/-/%2e%2e/a", "/-/package/../dist-tags", "/-/npm/v1/attestations/..%2fa@1.0.0",
		// empty segments
		"//", "//a", "/a//b", "/a//-/a-1.0.0.tgz", "/a/-//a-1.0.0.tgz", "///", "/a//",
		// bad escapes
		"/%", "/%zz", "/a%2", "/a/-/%gg.tgz", "/%u0041",
		// too long, too many
		"/" + long, "/@" + long + "/a", "/@a/" + long, "/a/" + long, "/a/-/" + long + ".tgz", "/-/" + long,
		"/" + strings.Repeat("a/", 400), "/" + strings.Repeat("%2e%2e%2f", 200) + "x",
		// nothing of ours
		"/a/b/c/d", "/a/-", "/a/-/", "/a/-/b", "/a/-/b.zip", "/a/-/b/c.tgz", "/-%2fping", "*", "a",
	}
	p := newPair(t)
	for _, target := range targets {
		r := p.raw(t, http.MethodGet, target, "127.0.0.1")
		if r.status != http.StatusBadRequest && r.status != http.StatusNotFound {
			t.Errorf("%.60q: %d %.200s", target, r.status, r.body)
		}
		if len(r.body) > 2_000 {
			t.Errorf("%.60q: %d bytes of body", target, len(r.body))
		}
		// What net/http itself refuses as no HTTP is plain text.
		if _, err := url.ParseRequestURI(target); err == nil {
			if err := r.refusal(http.StatusBadRequest, http.StatusNotFound); err != nil {
				t.Errorf("%.60q: %v", target, err)
			}
		}
	}
	p.wantRequests(t, "*", 0)
}

func TestChecklist36_BuildMetadata(t *testing.T) {
	p := newPair(t)
	const path = "/with-build/-/with-build-1.0.0+build.1.tgz"
	want := p.original(t, path).body
	for _, spelling := range []string{path, strings.Replace(path, "+", "%2B", 1), strings.Replace(path, "+", "%2b", 1)} {
		if r := p.ok(t, spelling); !bytes.Equal(r.body, want) {
			t.Errorf("%s: other bytes", spelling)
		}
	}
	p.wantRequests(t, "/with-build/-/*", 1)
	p.raw(t, http.MethodGet, strings.Replace(path, "+", "%20", 1), "127.0.0.1").wantRefusal(t, http.StatusNotFound, http.StatusBadRequest)

	m := manifestOf(t, p.ok(t, "/with-build").body, "1.0.0+build.1")
	if got, want := m.Get("dist.tarball").String(), p.url()+strings.Replace(path, "+", "%2B", 1); got != want {
		t.Errorf("dist.tarball is %s, and yarn 4 makes %s", got, want)
	}
}
