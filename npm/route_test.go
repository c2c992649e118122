package npm

import (
	"net/url"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// routeRows are the paths that clients send; who sends which stands beside
// those that look odd.
var routeRows = []struct {
	what, path string
	want       Route
}{
	{"root", "/", Route{Kind: RouteRoot}},
	{"no path", "", Route{Kind: RouteRoot}},

	{"packument", "/lodash", Route{Kind: RoutePackument, Name: "lodash"}},
	{"trailing slash", "/lodash/", Route{Kind: RoutePackument, Name: "lodash"}},
	{"upper case", "/JSONStream", Route{Kind: RoutePackument, Name: "JSONStream"}},
	{"a property's name", "/constructor", Route{Kind: RoutePackument, Name: "constructor"}},
	{"legacy characters", "/crazy!~*'()", Route{Kind: RoutePackument, Name: "crazy!~*'()"}},
	{"legacy characters escaped", "/crazy%21%7E%2A%27%28%29", Route{Kind: RoutePackument, Name: "crazy!~*'()"}},
	{"needlessly escaped", "/%6Codash", Route{Kind: RoutePackument, Name: "lodash"}},
	{"a name that is a fixed path elsewhere", "/metrics", Route{Kind: RoutePackument, Name: "metrics"}},

	{"scoped, npm", "/@types%2fnode", Route{Kind: RoutePackument, Name: "@types/node"}},
	{"scoped, pnpm", "/@types%2Fnode", Route{Kind: RoutePackument, Name: "@types/node"}},
	{"scoped, a browser", "/@types/node", Route{Kind: RoutePackument, Name: "@types/node"}},
	{"scoped, encodeURIComponent", "/%40types%2fnode", Route{Kind: RoutePackument, Name: "@types/node"}},
	{"scoped, at sign escaped", "/%40types/node", Route{Kind: RoutePackument, Name: "@types/node"}},
	{"scoped, trailing slash", "/@types/node/", Route{Kind: RoutePackument, Name: "@types/node"}},
	{"scoped, called hyphen", "/@s/-", Route{Kind: RoutePackument, Name: "@s/-"}},

	{"version", "/lodash/4.17.21", Route{Kind: RouteVersion, Name: "lodash", Version: "4.17.21"}},
	{"tag", "/lodash/latest", Route{Kind: RouteVersion, Name: "lodash", Version: "latest"}},
	{"scoped version", "/@types/node/20.1.0", Route{Kind: RouteVersion, Name: "@types/node", Version: "20.1.0"}},
	{"scoped tag", "/@types%2fnode/beta", Route{Kind: RouteVersion, Name: "@types/node", Version: "beta"}},
	{"build", "/a/1.0.0+b.1", Route{Kind: RouteVersion, Name: "a", Version: "1.0.0+b.1"}},
	{"build escaped", "/a/1.0.0%2Bb.1", Route{Kind: RouteVersion, Name: "a", Version: "1.0.0+b.1"}},
	{"range", "/a/%5E1.2%20%7C%7C%20%3E=3", Route{Kind: RouteVersion, Name: "a", Version: "^1.2 || >=3"}},
	{"tag with a slash", "/a/feature%2Fx", Route{Kind: RouteVersion, Name: "a", Version: "feature/x"}},

	{"tarball", "/lodash/-/lodash-4.17.21.tgz", Route{Kind: RouteTarball, Name: "lodash", File: "lodash-4.17.21.tgz"}},
	{"scoped tarball", "/@types/node/-/node-20.1.0.tgz", Route{Kind: RouteTarball, Name: "@types/node", File: "node-20.1.0.tgz"}},
	{"scoped tarball, yarn 4", "/@types%2fnode/-/node-20.1.0.tgz", Route{Kind: RouteTarball, Name: "@types/node", File: "node-20.1.0.tgz"}},
	{"tarball of a build", "/a/-/a-1.0.0+b.1.tgz", Route{Kind: RouteTarball, Name: "a", File: "a-1.0.0+b.1.tgz"}},
	{"tarball of a build, yarn 4", "/a/-/a-1.0.0%2Bb.1.tgz", Route{Kind: RouteTarball, Name: "a", File: "a-1.0.0+b.1.tgz"}},
	{"legacy tarball", "/thirty-two/-/thirty-two@0.0.1.tgz", Route{Kind: RouteTarball, Name: "thirty-two", File: "thirty-two@0.0.1.tgz"}},
	{"escaped once more than needed", "/a/-/a%252e.tgz", Route{Kind: RouteTarball, Name: "a", File: "a%2e.tgz"}},
	{"tarball of a scoped hyphen", "/@s/-/-/--1.0.0.tgz", Route{Kind: RouteTarball, Name: "@s/-", File: "--1.0.0.tgz"}},

	{"revision", "/a/-rev/3-abc", Route{Kind: RouteRevision, Name: "a", Rev: "3-abc"}},
	{"npm without a revision", "/a/-rev/undefined", Route{Kind: RouteRevision, Name: "a", Rev: "undefined"}},
	{"scoped revision", "/@s%2fa/-rev/3-abc", Route{Kind: RouteRevision, Name: "@s/a", Rev: "3-abc"}},
	{"revision of a tarball", "/a/-/a-1.0.0.tgz/-rev/3-abc", Route{Kind: RouteRevision, Name: "a", File: "a-1.0.0.tgz", Rev: "3-abc"}},
	{"scoped revision of a tarball", "/@s/a/-/a-1.0.0.tgz/-rev/3", Route{Kind: RouteRevision, Name: "@s/a", File: "a-1.0.0.tgz", Rev: "3"}},

	{"dist-tags", "/-/package/a/dist-tags", Route{Kind: RouteDistTags, Name: "a"}},
	{"scoped dist-tags", "/-/package/@s%2fa/dist-tags", Route{Kind: RouteDistTags, Name: "@s/a"}},
	{"scoped dist-tags, raw", "/-/package/@s/a/dist-tags/", Route{Kind: RouteDistTags, Name: "@s/a"}},
	{"a dist-tag", "/-/package/@s%2Fa/dist-tags/next", Route{Kind: RouteDistTag, Name: "@s/a", Version: "next"}},
	{"a dist-tag with a slash", "/-/package/a/dist-tags/pr%2f12", Route{Kind: RouteDistTag, Name: "a", Version: "pr/12"}},
	{"a package called dist-tags", "/-/package/dist-tags/dist-tags", Route{Kind: RouteDistTags, Name: "dist-tags"}},

	{"attestations", "/-/npm/v1/attestations/a@1.0.0", Route{Kind: RouteAttestations, Name: "a", Version: "1.0.0"}},
	{"scoped attestations", "/-/npm/v1/attestations/@s%2fa@1.0.0", Route{Kind: RouteAttestations, Name: "@s/a", Version: "1.0.0"}},
	{"scoped attestations, raw", "/-/npm/v1/attestations/@s/a@1.0.0", Route{Kind: RouteAttestations, Name: "@s/a", Version: "1.0.0"}},
	{"scoped attestations, escaped", "/-/npm/v1/attestations/%40s%2Fa%401.0.0%2Bb", Route{Kind: RouteAttestations, Name: "@s/a", Version: "1.0.0+b"}},

	{"visibility", "/-/package/@s%2fa/visibility", Route{Kind: RouteAccess, Name: "@s/a", Rest: "visibility"}},
	{"collaborators", "/-/package/a/collaborators", Route{Kind: RouteAccess, Name: "a", Rest: "collaborators"}},
	{"access", "/-/package/@s/a/access", Route{Kind: RouteAccess, Name: "@s/a", Rest: "access"}},

	{"owners, pnpm 12", "/-/package/@s%2Fa/owners", Route{Kind: RouteOwners, Name: "@s/a"}},
	{"an owner, pnpm 12", "/-/package/a/owners/bob", Route{Kind: RouteOwners, Name: "a", Subject: "bob"}},
	{"stars, pnpm 12", "/-/user/bob/stars", Route{Kind: RouteUserStars, Subject: "bob"}},

	{"a user, npm", "/-/user/org.couchdb.user:al%20ice", Route{Kind: RouteUser, Subject: "al ice"}},
	{"a user, escaped whole", "/-/user/org.couchdb.user%3Aalice", Route{Kind: RouteUser, Subject: "alice"}},
	{"a user's revision", "/-/user/org.couchdb.user:alice/-rev/1-a", Route{Kind: RouteUser, Subject: "alice", Rev: "1-a"}},
	{"logout", "/-/user/token/secret", Route{Kind: RouteUserToken, Subject: "secret"}},
	{"a token", "/-/npm/v1/tokens/token/abc123", Route{Kind: RouteToken, Subject: "abc123"}},
	{"a polled login", "/-/v1/done/secret", Route{Kind: RouteLoginDone, Subject: "secret"}},
	{"a page", "/-/web/login/secret", Route{Kind: RouteWeb, Rest: "/-/web/login/secret"}},
	{"the first page", "/-/web/", Route{Kind: RouteWeb, Rest: "/-/web"}},
	{"login", "/-/v1/login", Route{Kind: RouteFixed, Rest: "/-/v1/login"}},
	{"profile", "/-/npm/v1/user", Route{Kind: RouteFixed, Rest: "/-/npm/v1/user"}},
	{"tokens", "/-/npm/v1/tokens", Route{Kind: RouteFixed, Rest: "/-/npm/v1/tokens"}},
	{"stars", "/-/_view/starredByUser", Route{Kind: RouteFixed, Rest: "/-/_view/starredByUser"}},
	{"star, pnpm 12", "/-/user/v1/star", Route{Kind: RouteFixed, Rest: "/-/user/v1/star"}},

	{"ping", "/-/ping", Route{Kind: RouteFixed, Rest: "/-/ping"}},
	{"ping, trailing slash", "/-/ping/", Route{Kind: RouteFixed, Rest: "/-/ping"}},
	{"ping, escaped", "/%2d/p%69ng", Route{Kind: RouteFixed, Rest: "/-/ping"}},
	{"search", "/-/v1/search", Route{Kind: RouteFixed, Rest: "/-/v1/search"}},
	{"keys", "/-/npm/v1/keys", Route{Kind: RouteFixed, Rest: "/-/npm/v1/keys"}},
	{"bulk audit", "/-/npm/v1/security/advisories/bulk", Route{Kind: RouteFixed, Rest: "/-/npm/v1/security/advisories/bulk"}},
	{"full audit", "/-/npm/v1/security/audits", Route{Kind: RouteFixed, Rest: "/-/npm/v1/security/audits"}},
	{"quick audit", "/-/npm/v1/security/audits/quick", Route{Kind: RouteFixed, Rest: "/-/npm/v1/security/audits/quick"}},
	{"live", "/-/health/live", Route{Kind: RouteFixed, Rest: "/-/health/live"}},
	{"ready", "/-/health/ready", Route{Kind: RouteFixed, Rest: "/-/health/ready"}},
	{"whoami", "/-/whoami", Route{Kind: RouteFixed, Rest: "/-/whoami"}},
	{"metrics", "/-/metrics", Route{Kind: RouteFixed, Rest: "/-/metrics"}},

	{"dash alone", "/-", Route{Kind: RouteUnknown, Rest: "/-"}},
	{"dash and slash", "/-/", Route{Kind: RouteUnknown, Rest: "/-"}},
	{"an endpoint that we lack", "/-/npm/v1/hooks/hook", Route{Kind: RouteUnknown, Rest: "/-/npm/v1/hooks/hook"}},
	{"trusted publishing", "/-/npm/v1/oidc/token/exchange/package/@s%2fa", Route{Kind: RouteUnknown, Rest: "/-/npm/v1/oidc/token/exchange/package/@s/a"}},
	{"a fixed path with a slash escaped", "/-/npm%2fv1/keys", Route{Kind: RouteUnknown, Rest: "/-/npm/v1/keys"}},
	{"below a fixed path", "/-/ping/x", Route{Kind: RouteUnknown, Rest: "/-/ping/x"}},
	{"a user of another kind", "/-/user/alice", Route{Kind: RouteUnknown, Rest: "/-/user/alice"}},
	{"below a user", "/-/user/org.couchdb.user:a/x", Route{Kind: RouteUnknown, Rest: "/-/user/org.couchdb.user:a/x"}},
	{"below an owner", "/-/package/a/owners/bob/x", Route{Kind: RouteUnknown, Rest: "/-/package/a/owners/bob/x"}},
	{"below a user's token", "/-/user/token/a/b", Route{Kind: RouteUnknown, Rest: "/-/user/token/a/b"}},
	{"below a token", "/-/npm/v1/tokens/token/a/b", Route{Kind: RouteUnknown, Rest: "/-/npm/v1/tokens/token/a/b"}},
	{"package alone", "/-/package", Route{Kind: RouteUnknown, Rest: "/-/package"}},
	{"package without more", "/-/package/a", Route{Kind: RouteUnknown, Rest: "/-/package/a"}},
	{"trust, which we lack", "/-/package/@s%2fa/trust", Route{Kind: RouteUnknown, Rest: "/-/package/@s/a/trust"}},
	{"below a dist-tag", "/-/package/a/dist-tags/next/x", Route{Kind: RouteUnknown, Rest: "/-/package/a/dist-tags/next/x"}},
	{"attestations alone", "/-/npm/v1/attestations", Route{Kind: RouteUnknown, Rest: "/-/npm/v1/attestations"}},
	{"below attestations", "/-/npm/v1/attestations/a@1/x", Route{Kind: RouteUnknown, Rest: "/-/npm/v1/attestations/a@1/x"}},
}

func TestParseRoute(t *testing.T) {
	for _, row := range routeRows {
		t.Run(row.what, func(t *testing.T) {
			got, err := ParseRoute(row.path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("ParseRoute(%q):\n%s", row.path, diff)
			}
		})
	}
}

var badRouteRows = []struct {
	what, path string
	kind       Kind
}{
	{"no leading slash", "lodash", Invalid},
	{"OPTIONS's star", "*", Invalid},
	{"two slashes", "//", Invalid},
	{"two slashes before a name", "//lodash", Invalid},
	{"two slashes after a name", "/lodash//", Invalid},
	{"two slashes before a version", "/lodash//1.0.0", Invalid},
	{"two slashes in a scope", "/@types//node", Invalid},
	{"two slashes below the dash", "/-//ping", Invalid},
	{"dot", "/.", Invalid},
	{"dot dot", "/../x", Invalid},
	{"dot dot in the middle", "/a/../b", Invalid},
	{"dot dot escaped", "/%2e%2e/x", Invalid},
	{"dot dot escaped in the middle", "/a/%2e%2E/b", Invalid},
	{"dot dot and a slash, escaped", "/%2e%2e%2f", Invalid},
	{"dot dot in a scoped name", "/@types%2f..", Invalid},
	{"dot dot in a scoped name, raw", "/@types/..", Invalid},
	{"dot dot in a version", "/a/..%2fb", Invalid},
	{"dot dot as a file", "/a/-/..", Invalid},
	{"dot dot escaped as a file", "/a/-/%2e%2e", Invalid},
	{"a walk as a file", "/a/-/..%2f..%2fetc%2fpasswd", Invalid},
	{"a slash in a file", "/a/-/b%2fa-1.0.0.tgz", Invalid},
	{"a slash in a file with a revision", "/a/-/b%2fa.tgz/-rev/1", Invalid},
	{"a backslash in a file", "/a/-/..%5ca.tgz", Invalid},
	{"dot dot below the dash", "/-/web/../metrics", Invalid},
	{"dot dot escaped below the dash", "/-/web/..%2f..%2fx", Invalid},
	{"NUL", "/a%00b", Invalid},
	{"NUL in a file", "/a/-/a.tgz%00", Invalid},
	{"newline", "/a/1.0%0a", Invalid},
	{"not UTF-8", "/a/%ff", Invalid},
	{"half an escape", "/a%2", Invalid},
	{"a bad escape", "/a%zz", Invalid},
	{"escaped twice", "/@types%252fnode", Invalid},
	{"slash escaped, no scope", "/a%2fb", Invalid},
	{"a tarball's path escaped whole", "/a%2f-%2fa-1.0.0.tgz", Invalid},
	{"scope alone", "/@types", Invalid},
	{"scope and slash", "/@types/", Invalid},
	{"scope and escaped slash", "/@types%2f", Invalid},
	{"empty scope", "/@/node", Invalid},
	{"scope with an extra slash", "/@types/a%2fb", Invalid},
	{"CouchDB's changes", "/_changes", Invalid},
	{"a prototype", "/__proto__", Invalid},
	{"node_modules", "/node_modules", Invalid},
	{"favicon.ico", "/favicon.ico", Invalid},
	{"space", "/a%20b", Invalid},
	{"plus in a name", "/a+b", Invalid},
	{"429 characters", "/" + strings.Repeat("a", maxName+1), Invalid},
	{"5 kB", "/" + strings.Repeat("a", 5000), Invalid},
	{"5 kB of escapes", "/" + strings.Repeat("%61", 1700), Invalid},
	{"dist-tags of a bad name", "/-/package/_x/dist-tags", Invalid},
	{"dist-tags of a scope", "/-/package/@s%2f/dist-tags", Invalid},
	{"attestations without a version", "/-/npm/v1/attestations/a", Invalid},
	{"attestations with an empty version", "/-/npm/v1/attestations/a@", Invalid},
	{"attestations with a dot segment as version", "/-/npm/v1/attestations/a@..", Invalid},
	{"attestations with a slash before the version", "/-/npm/v1/attestations/a@%2f1", Invalid},
	{"attestations without a name", "/-/npm/v1/attestations/@1.0.0", Invalid},
	{"scoped attestations without a version", "/-/npm/v1/attestations/@s%2fa", Invalid},
	{"attestations of a bad name", "/-/npm/v1/attestations/_x@1.0.0", Invalid},

	{"too many segments", "/a/b/c", NotFound},
	{"too many segments of a tarball", "/a/-/a.tgz/x", NotFound},
	{"too many slashes", "/a" + strings.Repeat("/b", 1000), NotFound},
	{"a tarball without a file", "/a/-", NotFound},
	{"a tarball without a file, with a slash", "/a/-/", NotFound},
	{"a revision without one", "/a/-rev", NotFound},
	{"a revision of something else", "/a/b/c/-rev/1", NotFound},
}

func TestParseRouteRefuses(t *testing.T) {
	for _, row := range badRouteRows {
		t.Run(row.what, func(t *testing.T) {
			got, err := ParseRoute(row.path)
			if err == nil || KindOf(err) != row.kind {
				t.Fatalf("ParseRoute(%.100q) = %+v, %v, want kind %v", row.path, got, err, row.kind)
			}
			if got != (Route{}) {
				t.Errorf("got %+v beside the error", got)
			}
			if len(Message(err)) > 500 {
				t.Errorf("the message quotes %d bytes of hostile input", len(Message(err)))
			}
		})
	}
}

// What gets past ParseRoute reaches upstream URLs and cache keys: it keeps
// every promise of Route's comment.
func FuzzParseRoute(f *testing.F) {
	for _, row := range routeRows {
		f.Add(row.path)
	}
	for _, row := range badRouteRows {
		f.Add(row.path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r, err := ParseRoute(path)
		if err != nil {
			if k := KindOf(err); k != Invalid && k != NotFound || r != (Route{}) {
				t.Fatalf("ParseRoute(%q) = %+v, %v", path, r, err)
			}
			return
		}
		switch r.Kind {
		case RouteRoot, RouteFixed, RouteUnknown, RouteUser, RouteUserStars, RouteUserToken, RouteToken, RouteLoginDone, RouteWeb:
			if r.Name != "" {
				t.Fatalf("ParseRoute(%q) = %+v: a name", path, r)
			}
		default:
			if err := CheckName(r.Name); err != nil {
				t.Fatalf("ParseRoute(%q) = %+v: %v", path, r, err)
			}
		}
		if strings.Contains(r.File, "/") {
			t.Fatalf("ParseRoute(%q) = %+v: a slash in the file", path, r)
		}
		for _, field := range []string{r.Name, r.Version, r.File, r.Rev, r.Subject, strings.TrimPrefix(r.Rest, "/")} {
			if strings.Contains(field, `\`) || strings.ContainsFunc(field, unicode.IsControl) {
				t.Fatalf("ParseRoute(%q) = %+v: %q is unsafe", path, r, field)
			}
			for part := range strings.SplitSeq(field, "/") {
				if part == "." || part == ".." || part == "" && field != "" {
					t.Fatalf("ParseRoute(%q) = %+v: %q walks", path, r, field)
				}
			}
		}
		if spelled := conventionalPath(r); spelled != "" && len(spelled) <= maxPath {
			if again, err := ParseRoute(spelled); err != nil || again != r {
				t.Fatalf("%q gives %+v, spelled out %q gives %+v, %v", path, r, spelled, again, err)
			}
		}
	})
}

// conventionalPath spells a route with a name as npm would; "" for others.
func conventionalPath(r Route) string {
	name := "/" + EscapeName(r.Name)
	switch r.Kind {
	case RoutePackument:
		return name
	case RouteVersion:
		return name + "/" + url.PathEscape(r.Version)
	case RouteTarball:
		return name + "/-/" + url.PathEscape(r.File)
	case RouteDistTags:
		return "/-/package" + name + "/dist-tags"
	case RouteDistTag:
		return "/-/package" + name + "/dist-tags/" + url.PathEscape(r.Version)
	case RouteAccess:
		return "/-/package" + name + "/" + r.Rest
	case RouteOwners:
		if r.Subject != "" {
			return "/-/package" + name + "/owners/" + url.PathEscape(r.Subject)
		}
		return "/-/package" + name + "/owners"
	case RouteAttestations:
		return "/-/npm/v1/attestations" + name + "@" + url.PathEscape(r.Version)
	case RouteRevision:
		if r.File != "" {
			name += "/-/" + url.PathEscape(r.File)
		}
		return name + "/-rev/" + url.PathEscape(r.Rev)
	}
	return ""
}

func BenchmarkParseRoute(b *testing.B) {
	for _, path := range []string{"/lodash", "/@types%2fnode", "/@types/node/-/node-20.1.0.tgz"} {
		b.Run(path[1:], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseRoute(path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
