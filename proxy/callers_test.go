package proxy

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"larder/auth"
)

// callers are the kinds of people and programs that ask, in the order of the
// columns of callerRows.
var callers = []string{"nobody", "bad", "expired", "elsewhere", "read-only", "stranger", "dev", "narrow", "service", "admin"}

// callerRows say for each route, with what is asked of it, the exact status
// that each caller gets. @acme is for the group devs to read and to publish,
// and for admins to unpublish; @open is for everybody to read and for whoever
// has an account to write. A write that is allowed is one that then fails
// harmlessly, or can be repeated.
//
//	nobody     no credentials
//	bad        a token that never was
//	expired    a token of dev's that has expired
//	elsewhere  a token of dev's that counts at another address alone
//	read-only  a token of dev's that may not write
//	stranger   a user with no right in @acme
//	dev        a user of the group devs
//	narrow     a token of dev's for @open/* alone
//	service    a service token of the group devs
//	admin      a user of the group admins
var callerRows = []struct{ what, method, path, body, want string }{
	//                                                                                 nob bad exp els r-o str dev nar ser adm
	{"packument", "GET", "/@acme%2flib", "", "                                         401 401 401 403 200 403 200 403 200 200"},
	{"packument, raw slash", "GET", "/@acme/lib", "", "                                401 401 401 403 200 403 200 403 200 200"},
	{"packument, upper-case escape", "GET", "/@acme%2Flib", "", "                      401 401 401 403 200 403 200 403 200 200"},
	{"packument, at sign escaped", "GET", "/%40acme%2flib", "", "                      401 401 401 403 200 403 200 403 200 200"},
	{"packument, letters escaped", "GET", "/%40%61%63%6d%65/%6c%69%62", "", "          401 401 401 403 200 403 200 403 200 200"},
	{"packument, trailing slash", "GET", "/@acme/lib/", "", "                          401 401 401 403 200 403 200 403 200 200"},
	{"packument, double encoding", "GET", "/@acme%252flib", "", "                      400 400 400 400 400 400 400 400 400 400"},
	{"packument, dot segments", "GET", "/@open/../@acme/lib", "", "                    400 400 400 400 400 400 400 400 400 400"},
	{"packument, dot segments escaped", "GET", "/@open/%2e%2e/@acme/lib", "", "        400 400 400 400 400 400 400 400 400 400"},
	{"packument, HEAD", "HEAD", "/@acme%2flib", "", "                                  401 401 401 403 200 403 200 403 200 200"},
	{"packument, for writing", "GET", "/@acme%2flib?write=true", "", "                 401 401 401 403 200 403 200 403 200 200"},
	{"packument that does not exist", "GET", "/@acme%2fnone", "", "                    401 401 401 403 404 403 404 403 404 404"},
	{"version", "GET", "/@acme/lib/1.0.0", "", "                                       401 401 401 403 200 403 200 403 200 200"},
	{"tag", "GET", "/@acme%2flib/latest", "", "                                        401 401 401 403 200 403 200 403 200 200"},
	{"tarball", "GET", "/@acme/lib/-/lib-1.0.0.tgz", "", "                             401 401 401 403 200 403 200 403 200 200"},
	{"tarball, yarn 4", "GET", "/@acme%2flib/-/lib-1.0.0.tgz", "", "                   401 401 401 403 200 403 200 403 200 200"},
	{"dist-tags", "GET", "/-/package/@acme%2flib/dist-tags", "", "                     401 401 401 403 200 403 200 403 200 200"},
	{"visibility", "GET", "/-/package/@acme%2flib/visibility", "", "                   401 401 401 403 200 403 200 403 200 200"},
	{"collaborators", "GET", "/-/package/@acme%2flib/collaborators", "", "             401 401 401 403 200 403 200 403 200 200"},
	{"owners, pnpm 12", "GET", "/-/package/@acme%2flib/owners", "", "                  401 401 401 403 200 403 200 403 200 200"},
	{"access, pnpm 12", "GET", "/-/package/@acme%2flib/access", "", "                  401 401 401 403 200 403 200 403 200 200"},
	{"attestations", "GET", "/-/npm/v1/attestations/@acme%2flib@1.0.0", "", "          401 401 401 403 404 403 404 403 404 404"},

	{"publish", "PUT", "/@acme%2flib", "PUBLISH @acme/lib", "                          401 401 401 403 403 403 201 403 201 201"},
	{"publish, raw slash", "PUT", "/@acme/lib", "PUBLISH @acme/lib", "                 401 401 401 403 403 403 201 403 201 201"},
	{"publish, escaped whole", "PUT", "/%40acme%2Flib", "PUBLISH @acme/lib", "         401 401 401 403 403 403 201 403 201 201"},
	{"publish under another's path", "PUT", "/@open%2flib", "PUBLISH @acme/lib", "     401 401 401 403 403 400 400 400 400 400"},
	{"deprecate", "PUT", "/@acme%2flib", `{"name":"@acme/lib","versions":{"1.0.0":{"deprecated":""}}}`, " 401 401 401 403 403 403 201 403 201 201"},
	{"star", "PUT", "/@acme%2flib", `{"_id":"@acme/lib","users":{"x":true}}`, "        401 401 401 403 403 403 201 403 403 201"},
	{"star, pnpm 12", "PUT", "/-/user/v1/star", `{"package":"@acme/lib"}`, "           401 401 401 403 403 403 200 403 403 200"},
	{"owners", "PUT", "/@acme%2flib/-rev/1-stale", `{"maintainers":[{"name":"x"}]}`, " 401 401 401 403 403 403 409 403 409 409"},
	{"owner added, pnpm 12", "PUT", "/-/package/@acme%2flib/owners", `{"user":"stranger"}`, " 401 401 401 403 403 403 200 403 200 200"},
	{"owner removed, pnpm 12", "DELETE", "/-/package/@acme%2flib/owners/nobody", "", " 401 401 401 403 403 403 404 403 404 404"},
	{"dist-tag", "PUT", "/-/package/@acme%2flib/dist-tags/next", `"1.0.0"`, "          401 401 401 403 403 403 201 403 201 201"},
	{"dist-tag, legacy", "PUT", "/@acme%2flib/next", `"1.0.0"`, "                      401 401 401 403 403 403 201 403 201 201"},
	{"dist-tags at once", "POST", "/-/package/@acme%2flib/dist-tags", `{"next":"1.0.0"}`, " 401 401 401 403 403 403 201 403 201 201"},
	{"dist-tag removed", "DELETE", "/-/package/@acme%2flib/dist-tags/gone", "", "      401 401 401 403 403 403 404 403 404 404"},
	{"access", "POST", "/-/package/@acme%2flib/access", `{"access":"restricted"}`, "   401 401 401 403 403 403 200 403 200 200"},
	{"versions taken away", "PUT", "/@acme%2flib/-rev/1-stale", `{"versions":{}}`, "   401 401 401 403 403 403 403 403 403 409"},
	{"tarball taken away", "DELETE", "/@acme/lib/-/lib-1.0.0.tgz/-rev/1-stale", "", "  401 401 401 403 403 403 403 403 403 409"},
	{"package taken away", "DELETE", "/@acme%2flib/-rev/1-stale", "", "                401 401 401 403 403 403 403 403 403 409"},

	{"open packument", "GET", "/@open%2flib", "", "                                    200 200 200 200 200 200 200 200 200 200"},
	{"open tarball", "GET", "/@open/lib/-/lib-1.0.0.tgz", "", "                        200 200 200 200 200 200 200 200 200 200"},
	{"open dist-tags", "GET", "/-/package/@open%2flib/dist-tags", "", "                200 200 200 200 200 200 200 200 200 200"},
	{"open publish", "PUT", "/@open%2flib", "PUBLISH @open/lib", "                     401 401 401 403 403 201 201 201 201 201"},
	{"open star", "PUT", "/@open%2flib", `{"_id":"@open/lib","users":{"x":true}}`, "   401 401 401 403 403 201 201 403 403 201"},
	{"a name without a rule", "GET", "/lodash", "", "                                  401 401 401 403 403 403 403 403 403 200"},
	{"a name without a rule, publish", "PUT", "/other", "PUBLISH other", "             401 401 401 403 403 403 403 403 403 201"},

	{"whoami", "GET", "/-/whoami", "", "                                               401 401 401 403 200 200 200 200 200 200"},
	{"profile", "GET", "/-/npm/v1/user", "", "                                         401 401 401 403 200 200 200 200 403 200"},
	{"profile changed", "POST", "/-/npm/v1/user", `{"fullname":"X"}`, "                401 401 401 403 403 200 200 403 403 200"},
	{"tokens", "GET", "/-/npm/v1/tokens", "", "                                        401 401 401 403 200 200 200 200 403 200"},
	{"token made", "POST", "/-/npm/v1/tokens", `{"password":"wrong wrong"}`, "         401 401 401 403 403 401 401 403 403 401"},
	{"token revoked", "DELETE", "/-/npm/v1/tokens/token/" + strings.Repeat("0", 64), "", " 401 401 401 403 403 404 404 403 403 404"},

	{"search", "GET", "/-/v1/search?text=lib", "", "                                   200 200 200 200 200 200 200 200 200 200"},
	{"stars", "GET", "/-/_view/starredByUser?key=%22dev%22", "", "                     200 200 200 200 200 200 200 200 200 200"},
	{"stars, pnpm 12", "GET", "/-/user/dev/stars", "", "                                200 200 200 200 200 200 200 200 200 200"},
	{"keys", "GET", "/-/npm/v1/keys", "", "                                            200 200 200 200 200 200 200 200 200 200"},
	{"ping", "GET", "/-/ping", "", "                                                   200 200 200 200 200 200 200 200 200 200"},
	{"root", "GET", "/", "", "                                                         200 200 200 200 200 200 200 200 200 200"},
	{"health", "GET", "/-/health/ready", "", "                                         200 200 200 200 200 200 200 200 200 200"},
	{"metrics", "GET", "/-/metrics", "", "                                             200 200 200 200 200 200 200 200 200 200"},
	{"an endpoint that we lack", "GET", "/-/npm/v1/hooks", "", "                       404 404 404 404 404 404 404 404 404 404"},
	{"a login that is not waited for", "GET", "/-/v1/done/unknown", "", "              404 404 404 404 404 404 404 404 404 404"},
}

// TestEveryRouteForEveryCaller walks the table.
func TestEveryRouteForEveryCaller(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	devs := []string{"devs"}
	w := newWorld(t, func(c *Config) {
		c.AllowShadow = []string{"**"}
		c.Auth = newAuth(t, auth.Config{
			Now:    clock,
			Groups: map[string][]string{"devs": {"dev"}, "admins": {"admin"}},
			Rules: []auth.Rule{
				{Match: "@acme/*", Read: devs, Publish: devs},
				{Match: "@open/*", Read: []string{"anyone"}, Publish: []string{"authenticated"}, Unpublish: []string{"authenticated"}},
			},
		})
	})
	w.up.publish("lodash", "4.17.21", []byte("theirs"))
	who := map[string]string{
		"nobody":   "",
		"bad":      "Bearer npm_thisTokenNeverWas",
		"stranger": w.user("stranger"),
		"dev":      w.user("dev"),
		"admin":    w.user("admin"),
	}
	who["expired"] = w.token(auth.TokenRequest{User: "dev", Expires: now.Add(time.Hour)})
	who["elsewhere"] = w.token(auth.TokenRequest{User: "dev", CIDR: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}})
	who["read-only"] = w.token(auth.TokenRequest{User: "dev", ReadOnly: true})
	who["narrow"] = w.token(auth.TokenRequest{User: "dev", Packages: []string{"@open/*"}})
	who["service"] = w.token(auth.TokenRequest{Service: "ci", Groups: devs})
	now = now.Add(2 * time.Hour)

	w.publish(who["admin"], "@acme/lib", "1.0.0").want(t, 201)
	w.publish(who["dev"], "@open/lib", "1.0.0").want(t, 201)
	patch := 0
	for _, row := range callerRows {
		t.Run(row.what, func(t *testing.T) {
			want := strings.Fields(row.want)
			if len(want) != len(callers) {
				t.Fatalf("%d statuses for %d callers", len(want), len(callers))
			}
			for i, caller := range callers {
				body := row.body
				if name, ok := strings.CutPrefix(body, "PUBLISH "); ok {
					patch++ // each publish is of a version of its own
					body = publishBody(t, name, fmt.Sprintf("1.1.%d", patch))
				}
				r, err := http.NewRequestWithContext(t.Context(), row.method, row.path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				if who[caller] != "" {
					r.Header.Set("Authorization", who[caller])
				}
				if got := w.serve(r); strconv.Itoa(got) != want[i] {
					t.Errorf("%s: status %d, want %s", caller, got, want[i])
				}
			}
		})
	}
}
