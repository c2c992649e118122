package test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestChecklist02_PrefixInTarballURLs(t *testing.T) {
	tests := []struct {
		name, publicURL, want string
	}{
		{"none: what the client has configured", "", "%HOST%/"},
		{"configured", "https://npm.acme.example/npm/", "https://npm.acme.example/npm/"},
		{"no slash at the end", "http://npm.acme.example:8080/a/b", "http://npm.acme.example:8080/a/b/"},
		{"default port", "https://npm.acme.example:443/", "https://npm.acme.example/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t, "LARDER_PUBLIC_URL="+tt.publicURL)
			want := strings.Replace(tt.want, "%HOST%", p.url(), 1)
			_, prefix, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(want, "http://"), "https://"), "/")
			for _, form := range []string{"Accept: */*", corgi} {
				doc := p.ok(t, "/"+prefix+"is-number", form)
				for version, manifest := range gjson.GetBytes(doc.body, "versions").Map() {
					conventional := want + "is-number/-/is-number-" + version + ".tgz"
					if got := manifest.Get("dist.tarball").String(); got != conventional {
						t.Errorf("%s: %s, want %s", form, got, conventional)
					}
				}
			}
			p.ok(t, "/"+prefix+"is-number/-/is-number-7.0.0.tgz")
			if prefix != "" {
				p.get(t, "/is-number").wantRefusal(t, http.StatusNotFound)
				p.get(t, "/is-number/-/is-number-7.0.0.tgz").wantRefusal(t, http.StatusNotFound)
				p.ok(t, "/-/ping") // npm loses the prefix of some calls
			}
		})
	}
}

func TestChecklist45_ForwardedProtoOfTrustedProxiesOnly(t *testing.T) {
	forwarded := []string{
		"X-Forwarded-Proto: https", "X-Forwarded-Host: npm.acme.example", "X-Forwarded-Prefix: /npm", "X-Forwarded-For: 10.1.2.3",
	}
	tests := []struct {
		name, trusted string
		headers       []string
		want          string
	}{
		{"trusted", "127.0.0.0/8", forwarded, "https://npm.acme.example/npm/is-odd/"},
		{"trusted, the scheme alone", "127.0.0.1", []string{"Host: npm.acme.example", forwarded[0]}, "https://npm.acme.example/is-odd/"},
		{"trusted, a list", "127.0.0.1", []string{"Host: npm.acme.example", "X-Forwarded-Proto: https, http"}, "https://npm.acme.example/is-odd/"},
		{"trusted, no scheme", "127.0.0.1", []string{"Host: npm.acme.example", "X-Forwarded-Proto: gopher"}, "http://npm.acme.example/is-odd/"},
		{"nobody is trusted", "", append([]string{"Host: h.example"}, forwarded...), "http://h.example/is-odd/"},
		{"others are trusted", "10.0.0.0/8", append([]string{"Host: h.example"}, forwarded...), "http://h.example/is-odd/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t, "LARDER_TRUSTED_PROXIES="+tt.trusted)
			doc := p.ok(t, "/is-odd", tt.headers...)
			if got := manifestOf(t, doc.body, "3.0.1").Get("dist.tarball").String(); !strings.HasPrefix(got, tt.want) {
				t.Errorf("tarball at %s, want it below %s", got, tt.want)
			}
		})
	}
}

func TestChecklist46_EachHostSeesItself(t *testing.T) {
	p := newPair(t)
	hosts := []string{"npm.acme.example", "npm.acme.example:8443", "[::1]:4873", "localhost", "registry_internal"}
	etags := map[string]string{}
	first := map[string][]byte{}
	for _, round := range []string{"cold", "warm"} {
		for _, host := range hosts {
			doc := p.ok(t, "/@types%2fms", "Host: "+host)
			if got, want := manifestOf(t, doc.body, "2.1.0").Get("dist.tarball").String(), "http://"+host+"/@types/ms/-/ms-2.1.0.tgz"; got != want {
				t.Errorf("%s, %s: tarball at %s, want %s", host, round, got, want)
			}
			etag := doc.header.Get("ETag")
			if other, taken := etags[etag]; taken && other != host {
				t.Errorf("%s and %s share the ETag %s", host, other, etag)
			}
			etags[etag] = host
			if round == "warm" && !bytes.Equal(doc.body, first[host]) {
				t.Errorf("%s got another document the second time", host)
			}
			first[host] = doc.body
			if r := p.get(t, "/@types%2fms", "Host: "+host, "If-None-Match: "+etag); r.status != http.StatusNotModified {
				t.Errorf("%s: %d for its own ETag", host, r.status)
			}
		}
	}
	p.wantRequests(t, "/@types/ms", 1)
}

func TestHostThatIsNoneIsRefused(t *testing.T) {
	p := newPair(t)
	for _, host := range []string{`a.example"`, "a.example/evil", "user@a.example", "a.example:99999", "a b", ""} {
		r := p.raw(t, http.MethodGet, "/is-odd", host)
		if r.status != http.StatusBadRequest || bytes.Contains(r.body, []byte("is-odd-3.0.1.tgz")) {
			t.Errorf("Host %q: %d %.100s", host, r.status, r.body)
		}
	}
	p.wantRequests(t, "*", 0)
}
