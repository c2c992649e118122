package test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"larder/test/registry"
)

const (
	bulkAudit  = "/-/npm/v1/security/advisories/bulk"
	quickAudit = "/-/npm/v1/security/audits/quick"
	fullAudit  = "/-/npm/v1/security/audits"
)

// auditTree is what npm 6 and pnpm 10 send.
const auditTree = `{"name":"app","requires":{},"dependencies":{".":{"version":"0.0.0","dependencies":{"is-odd":{"version":"3.0.1"}}}},` +
	`"dev":{},"install":[],"remove":[],"metadata":{}}`

// vulnerable makes is-odd@3.0.1 so.
func (p *pair) vulnerable(t *testing.T) {
	t.Helper()
	if err := p.registry.AddAdvisory(registry.Advisory{ID: 1, Name: "is-odd", Vulnerable: "<4.0.0", Severity: "high", Title: "odd"}); err != nil {
		t.Fatal(err)
	}
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	if _, err := zw.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestChecklist77_CredentialsStayHere(t *testing.T) {
	p := newPair(t, "LARDER_LOG_LEVEL=debug")
	secrets := []string{
		"Authorization: Bearer npm_SECRET", "Cookie: session=SECRET", "npm-otp: SECRET", "Proxy-Authorization: Basic SECRET",
		"npm-session: SECRET", "X-Forwarded-For: 192.0.2.1", "Referer: https://ci.acme.example/SECRET",
	}
	check := func(path string, r reply) {
		if r.status != http.StatusOK {
			t.Errorf("%s: %d: a bad token must not break what anyone may read", path, r.status)
		}
		for _, name := range []string{"Set-Cookie", "Cf-Cache-Status", "X-From-Cache", "X-Varied-Accept"} {
			if got := r.header.Get(name); got != "" {
				t.Errorf("%s: %s: %s", path, name, got)
			}
		}
	}
	for range 2 { // cold and warm
		for _, path := range []string{
			"/is-odd", "/@types%2fms", "/is-odd/latest", "/is-odd/-/is-odd-3.0.1.tgz", "/-/v1/search?text=number",
			"/-/npm/v1/keys", "/-/npm/v1/attestations/@types%2fms@2.1.0", "/-/package/is-odd/dist-tags", "/-/ping", "/",
		} {
			check(path, p.get(t, path, append(secrets, "Cache-Control: no-cache")...))
		}
		check(bulkAudit, p.post(t, bulkAudit, `{"is-odd":["3.0.1"]}`, secrets...))
		check(quickAudit, p.post(t, quickAudit, auditTree, secrets...))
	}
	if p.registry.Total() < 9 {
		t.Errorf("the registry was asked for no more than %q", p.registry.Paths())
	}
	for _, h := range secrets {
		name, _, _ := strings.Cut(h, ":")
		if n := p.registry.Carried(name); n > 0 {
			t.Errorf("%d requests carried %s to the registry", n, name)
		}
	}
	server := p.larder
	p.stop(t)
	if strings.Contains(server.Log(), "SECRET") {
		t.Error("a secret is in the log")
	}
	if !strings.HasPrefix(p.registry.Count("/is-odd").Header.Get("User-Agent"), "larder/") {
		t.Error("larder does not say who it is")
	}
}

func TestChecklist78_BulkAudit(t *testing.T) {
	p := newPair(t)
	p.vulnerable(t)
	for name, r := range map[string]reply{
		"gzip":  p.post(t, bulkAudit, gzipped(t, `{"is-odd":["3.0.1"],"is-number":["7.0.0"]}`), "Content-Encoding: gzip"),
		"plain": p.post(t, bulkAudit, `{"is-odd":["3.0.1"],"is-number":["7.0.0"]}`),
	} {
		found := gjson.ParseBytes(r.body).Map()
		if r.status != http.StatusOK || len(found) != 1 || found["is-odd"].Get("0.severity").String() != "high" {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	if r := p.post(t, bulkAudit, `{"is-number":["7.0.0"]}`); r.status != http.StatusOK || string(r.body) != "{}" {
		t.Errorf("nothing to find: %d %s", r.status, r.body)
	}
	for name, r := range map[string]reply{
		"not gzip":      p.post(t, bulkAudit, "{}", "Content-Encoding: gzip"),
		"not JSON":      p.post(t, bulkAudit, "{"),
		"an array":      p.post(t, bulkAudit, "[]"),
		"another codec": p.post(t, bulkAudit, "{}", "Content-Encoding: br"),
	} {
		if err := r.refusal(http.StatusBadRequest); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestChecklist78_AuditNeverHangs(t *testing.T) {
	for name, fault := range map[string]registry.Fault{
		"upstream hangs":      {Hang: true},
		"upstream trickles":   {Rate: 1}, // bytes per second
		"upstream has none":   {Status: http.StatusNotFound},
		"upstream is in need": {Status: http.StatusInternalServerError},
		"upstream is a page":  registry.HTML(),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			p.vulnerable(t)
			p.registry.SetFault("/-/*", fault)
			answers := []int{http.StatusNotFound, http.StatusServiceUnavailable}
			p.post(t, bulkAudit, `{"is-odd":["3.0.1"]}`).wantRefusal(t, answers...)
			p.post(t, quickAudit, auditTree).wantRefusal(t, answers...)
			p.ok(t, "/is-odd") // the install is not affected
		})
	}
}

func TestChecklist79_QuickAudit(t *testing.T) {
	p := newPair(t)
	p.vulnerable(t)
	for _, path := range []string{quickAudit, fullAudit} {
		r := p.post(t, path, auditTree)
		doc := gjson.ParseBytes(r.body)
		if r.status != http.StatusOK || doc.Get("metadata.vulnerabilities.high").Int() != 1 || doc.Get("advisories.1.module_name").String() != "is-odd" {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	p.registry.SetFault(quickAudit, registry.Fault{Body: "{}"}) // pnpm 10 crashes on it
	p.post(t, quickAudit, auditTree).wantRefusal(t, http.StatusNotFound)
}

func TestChecklist80_Search(t *testing.T) {
	p := newPair(t)
	count := func(r reply) int {
		if r.status != http.StatusOK || !gjson.GetBytes(r.body, "objects").IsArray() {
			t.Errorf("%d %s", r.status, r.body)
		}
		for _, o := range gjson.GetBytes(r.body, "objects").Array() {
			if !o.Get("package.maintainers").IsArray() {
				t.Errorf("npm crashes on %s", o.Raw)
			}
		}
		return len(gjson.GetBytes(r.body, "objects").Array())
	}
	all := count(p.ok(t, "/-/v1/search?text=number"))
	if all < 2 {
		t.Fatalf("%d results", all)
	}
	if n := count(p.ok(t, "/-/v1/search?text=number&size=1")); n != 1 {
		t.Errorf("size=1: %d results", n)
	}
	if n := count(p.ok(t, "/-/v1/search?text=number&from=1")); n != all-1 {
		t.Errorf("from=1: %d results of %d", n, all)
	}

	var objects []string
	for i := range 300 {
		maintainers := []string{"", `,"maintainers":null`, `,"maintainers":["x",{"username":"y"}]`}[i%3]
		objects = append(objects, fmt.Sprintf(`{"package":{"name":"a%d","version":"1.0.0"%s}}`, i, maintainers))
	}
	p.registry.SetFault("/-/v1/search", registry.Fault{Body: `{"objects":[` + strings.Join(objects, ",") + `],"total":300}`})
	if n := count(p.ok(t, "/-/v1/search?text=odd&size=1000")); n != 250 {
		t.Errorf("size=1000: %d results", n)
	}
}

func TestChecklist81_Ping(t *testing.T) {
	p := newPair(t)
	p.registry.Stop()
	for _, path := range []string{"/-/ping", "/-/ping?write=true", "/-/ping/"} {
		r := p.ok(t, path)
		if string(r.body) != "{}" || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %s %s", path, r.header.Get("Content-Type"), r.body)
		}
	}
}

func TestChecklist82_SigningKeys(t *testing.T) {
	p := newPair(t)
	keys := p.ok(t, "/-/npm/v1/keys")
	if got, want := gjson.GetBytes(keys.body, "keys.0").String(), gjson.Get(p.registry.Keys(), "keys.0").String(); got != want || got == "" {
		t.Errorf("keys are %s, want %s", keys.body, p.registry.Keys())
	}
	want := manifestOf(t, p.original(t, "/is-odd").body, "3.0.1").Get("dist.signatures").Raw
	if got := manifestOf(t, p.ok(t, "/is-odd").body, "3.0.1").Get("dist.signatures").Raw; got != want {
		t.Errorf("signatures are %s, want %s", got, want)
	}
	p.registry.Stop()
	if r := p.ok(t, "/-/npm/v1/keys"); !bytes.Equal(r.body, keys.body) {
		t.Error("other keys without upstream")
	}
}

func TestChecklist82_UpstreamWithoutKeys(t *testing.T) {
	p := newPair(t)
	p.registry.SetMode(registry.Mode{Thin: true})
	p.get(t, "/-/npm/v1/keys").wantRefusal(t, http.StatusNotFound)
}

func TestChecklist83_Attestations(t *testing.T) {
	p := newPair(t, "LARDER_PUBLIC_URL=http://npm.acme.example/npm/")
	want := p.original(t, "/-/npm/v1/attestations/@types%2fms@2.1.0").body
	for _, path := range []string{"/npm/@types%2fms", "/npm/@types%2fms/2.1.0"} {
		doc := p.ok(t, path).body
		manifest := gjson.ParseBytes(doc)
		if manifest.Get("versions").Exists() {
			manifest = manifestOf(t, doc, "2.1.0")
		}
		attestations, here := strings.CutPrefix(manifest.Get("dist.attestations.url").String(), "http://npm.acme.example/npm/")
		if !here {
			t.Fatalf("%s: attestations at %s", path, attestations)
		}
		if r := p.ok(t, "/npm/"+attestations); !bytes.Equal(r.body, want) {
			t.Errorf("other attestations: %.200s", r.body)
		}
	}
	p.get(t, "/npm/-/npm/v1/attestations/is-odd@3.0.1").wantRefusal(t, http.StatusNotFound) // it has none

	for _, path := range []string{"/-/npm/v1/oidc/token/exchange/package/@types%2fms", "/npm/-/npm/v1/oidc/token/exchange/package/is-odd"} {
		p.post(t, path, "", "Authorization: Bearer SECRET").wantRefusal(t, http.StatusNotFound)
	}
	p.wantRequests(t, "*oidc*", 0)
}
