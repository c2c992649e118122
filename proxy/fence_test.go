package proxy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"larder/auth"
	"larder/npm"
)

// spellings returns the ways in which clients spell a name in a path, and some
// in which only somebody who wants to get round a rule does.
func spellings(name string) []string {
	scope, base, scoped := strings.Cut(name, "/")
	if !scoped {
		return []string{name, "%" + fmt.Sprintf("%02x", name[0]) + name[1:], url.PathEscape(name) + "/"}
	}
	return []string{
		name,
		scope + "%2f" + base,
		scope + "%2F" + base,
		"%40" + scope[1:] + "%2f" + base,
		"%40" + scope[1:] + "/" + base,
		scope + "%252f" + base, // escaped twice: no name
		"./" + name,            // a dot segment
		"x/../" + name,         // a step up
		"x/%2e%2e/" + name,     // the same, escaped
		scope + "//" + base,    // an empty segment
	}
}

// requestsFor returns every endpoint for a name, with bodies that would make
// each of them work.
func requestsFor(t *testing.T, name, spelled string) []*http.Request {
	file := npm.Basename(name) + "-1.0.0.tgz"
	escaped := url.QueryEscape(name)
	rows := []struct{ method, path, body string }{
		{"GET", "/" + spelled, ""},
		{"HEAD", "/" + spelled, ""},
		{"GET", "/" + spelled + "?write=true", ""},
		{"GET", "/" + spelled + "/1.0.0", ""},
		{"GET", "/" + spelled + "/latest", ""},
		{"GET", "/" + spelled + "/%5E1.0.0", ""},
		{"GET", "/" + spelled + "/-/" + file, ""},
		{"HEAD", "/" + spelled + "/-/" + file, ""},
		{"GET", "/-/package/" + spelled + "/dist-tags", ""},
		{"GET", "/-/package/" + spelled + "/visibility", ""},
		{"GET", "/-/package/" + spelled + "/collaborators", ""},
		{"GET", "/-/npm/v1/attestations/" + spelled + "@1.0.0", ""},
		{"GET", "/-/v1/search?text=" + escaped, ""},
		{"GET", "/-/v1/search?text=find+" + escaped + "&size=250", ""},
		{"GET", "/-/v1/search?text=" + url.QueryEscape(strings.TrimPrefix(name, "@")), ""},
		{"GET", "/-/v1/search?text=" + escaped + "%401.0.0", ""},
		{"POST", bulkAuditPath, fmt.Sprintf(`{%q:["1.0.0"]}`, name)},
		{"POST", quickAuditPath, fmt.Sprintf(`{"name":%q,"requires":{%q:"1"},"dependencies":{%q:{"version":"1.0.0"}},"install":[%q]}`, name, name, name, name+"@1.0.0")},
		{"POST", fullAuditPath, fmt.Sprintf(`{"name":%q,"requires":{%q:"1"},"dependencies":{"alias":{"version":%q}}}`, name, name, "npm:"+name+"@1.0.0")},
		{"PUT", "/" + spelled, publishBody(t, name, "1.0.1")},
		{"PUT", "/" + spelled, fmt.Sprintf(`{"_id":%q,"users":{"alice":true}}`, name)},
		{"PUT", "/" + spelled + "/next", `"1.0.0"`},
		{"PUT", "/-/package/" + spelled + "/dist-tags/next", `"1.0.0"`},
		{"DELETE", "/-/package/" + spelled + "/dist-tags/next", ""},
		{"POST", "/-/package/" + spelled + "/dist-tags", `{"next":"1.0.0"}`},
		{"POST", "/-/package/" + spelled + "/access", `{"access":"public"}`},
		{"PUT", "/-/user/v1/star", fmt.Sprintf(`{"name":%q,"package":%q}`, name, name)},
		{"PUT", "/" + spelled + "/-rev/1-a", `{"versions":{}}`},
		{"DELETE", "/" + spelled + "/-/" + file + "/-rev/1-a", ""},
		{"DELETE", "/" + spelled + "/-rev/undefined", ""},
	}
	requests := make([]*http.Request, len(rows))
	for i, row := range rows {
		r, err := http.NewRequest(row.method, row.path, strings.NewReader(row.body))
		if err != nil {
			t.Fatalf("%s %s: %v", row.method, row.path, err)
		}
		requests[i] = r
	}
	return requests
}

// TestPrivateNamesNeverGoUpstream asks every endpoint for private names in
// every spelling, as nobody and as somebody who may do everything, and counts
// what upstream hears: nothing. Upstream has a package of each name, so that
// whatever slips through would be answered.
func TestPrivateNamesNeverGoUpstream(t *testing.T) {
	names := []struct {
		what, name string
		published  bool
	}{
		{"reserved", "@corp/billing", false},
		{"reserved, without a scope", "corp-tool", false},
		{"published", "@acme/lib", true},
		{"published, without a scope", "acme-tool", true},
	}
	for _, n := range names {
		t.Run(n.what, func(t *testing.T) {
			w := newWorld(t, func(c *Config) {
				c.Reserved = []string{"@corp/*", "corp-*"}
				c.AllowShadow = []string{"@acme/*", "acme-*"} // so that publishing them asks nothing
			})
			w.up.publish(n.name, "1.0.0", []byte("theirs"))
			for _, path := range []string{bulkAuditPath, quickAuditPath, fullAuditPath} {
				w.up.serve(path, `{"advisories":{},"metadata":{"vulnerabilities":{}}}`)
			}
			w.up.serve("/-/v1/search", `{"objects":[{"package":{"name":"`+n.name+`","version":"1.0.0","maintainers":[]}}],"total":1}`)
			alice := w.user("alice")
			for _, who := range []string{"", alice} {
				for _, spelled := range spellings(n.name) {
					for _, r := range requestsFor(t, n.name, spelled) {
						if n.published { // again each time: the request before may have changed it
							w.publish(alice, n.name, "1.0.0")
						}
						if who != "" {
							r.Header.Set("Authorization", who)
						}
						before := len(w.up.seen(""))
						w.serve(r)
						for _, asked := range w.up.seen("")[before:] {
							t.Errorf("%s %s as %q: upstream heard %s %s %s", r.Method, r.URL, who, asked.Method, asked.URL, w.up.posted(asked.URL.Path))
						}
					}
				}
			}
		})
	}
}

// TestReservedScopesHaveNoCase: a slip of the shift key must not tell an
// upstream what we keep for ourselves, while names without a scope may differ
// by case alone.
func TestReservedScopesHaveNoCase(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Reserved = []string{"@corp/*", "@Mixed/x", "jsonstream"} })
	alice := w.user("alice")
	for _, name := range []string{"@CORP/billing", "@Corp/Billing", "@mixed/x", "@MIXED/X"} {
		for _, r := range requestsFor(t, name, url.PathEscape(name)) {
			r.Header.Set("Authorization", alice)
			w.serve(r)
			for _, asked := range w.up.seen("") {
				t.Fatalf("%s %s: upstream heard %s %s %s", r.Method, r.URL, asked.Method, asked.URL, w.up.posted(asked.URL.Path))
			}
		}
	}
	w.up.publish("JSONStream", "1.0.0", []byte("x"))
	w.get("/JSONStream").want(t, 200)
	w.get("/jsonstream").want(t, 404)
}

// TestSearchesThatNamePrivateOnesStayHere: people paste names out of error
// messages, manifests and addresses.
func TestSearchesThatNamePrivateOnesStayHere(t *testing.T) {
	partner, twoOf := twoUpstreams(t)
	w, _ := published(t, twoOf, func(c *Config) {
		c.Reserved = []string{"@corp/*", "corp-*"}
		c.AllowShadow = []string{"@acme/*"}
		c.Auth = newAuth(t, auth.Config{Rules: []auth.Rule{
			{Match: "@guarded/*", Read: []string{"authenticated"}},
			{Match: "**", Read: []string{"anyone"}, Publish: []string{"authenticated"}},
		}})
	})
	w.up.serve("/-/v1/search", `{"objects":[{"package":{"name":"lodash"}},{"package":{"name":"@guarded/x"}},{"package":{"name":"@partner/x"}}],"total":3}`)
	search := func(text string) []byte {
		return w.get("/-/v1/search?text="+url.QueryEscape(text)).want(t, 200).body
	}
	for _, text := range []string{
		"@acme/lib", "@ACME/Lib", "(@acme/lib)", "@acme/lib;", "[@acme/lib]", "x@acme/lib", "npm:@acme/lib@^1.0.0", "acme/lib",
		"https://npm.acme.example/@acme/lib", "https://npm.acme.example/@acme%2flib", "scope:acme", "scope:@acme", "SCOPE:Acme", "<acme>",
		"@corp/billing", "Corp-Tool", "(corp-tool)", "corp-tool@npm:lodash@4", "name=corp-tool", "keywords:corp-tool", "a:b:corp-tool",
		"@partner/x", "scope:partner", "@guarded/none", "scope:guarded", "(guarded)",
		strings.Repeat("a ", maxPieces/2) + strings.Repeat("b:c ", maxPieces),
	} {
		search(text)
		for _, asked := range append(w.up.seen("/-/v1/search"), partner.seen("")...) {
			t.Fatalf("%q: an upstream heard %s", text, asked.URL)
		}
	}
	for i, text := range []string{"left pad", "@babel/core@7", "lib", "react.js not:unstable", "author:alice", `keywords:"string pad"`} {
		body := search(text)
		if n := len(w.up.seen("/-/v1/search")); n != i+1 {
			t.Errorf("%q: upstream was asked %d times, want %d", text, n, i+1)
		}
		if got := gjson.GetBytes(body, "objects.#.package.name").Raw; !strings.Contains(got, "lodash") || strings.Contains(got, "guarded") || strings.Contains(got, "partner") {
			t.Errorf("%q finds %s", text, got)
		}
	}
}

// serve answers a request as it is, without a client that would tidy up its
// path, and returns the status.
func (w *world) serve(r *http.Request) int {
	w.t.Helper()
	rec := httptest.NewRecorder()
	inner := httptest.NewRequestWithContext(w.t.Context(), r.Method, "http://larder.test"+r.URL.EscapedPath(), r.Body)
	inner.URL.RawQuery, inner.ContentLength = r.URL.RawQuery, r.ContentLength
	inner.Header = r.Header
	func() {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				panic(p)
			}
		}()
		w.proxy.Handler().ServeHTTP(rec, inner)
	}()
	return rec.Code
}
