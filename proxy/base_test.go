package proxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"larder/npm"
)

// trustedNet is where the trusted proxies of the tests stand.
func trustedNet() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }

func TestNewBases(t *testing.T) {
	tests := []struct{ name, url, public, prefix string }{
		{"none", "", "", ""},
		{"plain", "https://npm.acme.example", "https://npm.acme.example", ""},
		{"trailing slash", "https://npm.acme.example/", "https://npm.acme.example", ""},
		{"prefix", "http://Acme.Example:8080/npm/", "http://acme.example:8080/npm", "/npm"},
		{"long prefix", "https://acme.example/repository/npm_all/", "https://acme.example/repository/npm_all", "/repository/npm_all"},
		{"default port", "https://acme.example:443/", "https://acme.example", ""},
		{"IPv6", "http://[::1]:4873", "http://[::1]:4873", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := newBases(tt.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			if b.public != tt.public || b.prefix != tt.prefix {
				t.Errorf("public %q, prefix %q, want %q and %q", b.public, b.prefix, tt.public, tt.prefix)
			}
		})
	}
	for _, bad := range []string{
		"acme.example", "ftp://acme.example", "https://", "https://user@acme.example", "https://acme.example/?a=b",
		"https://acme.example/#x", "https://acme.example/a//b", "https://acme.example/a/../b", "https://acme.example/%20",
		"https://acme.example/-/", "https://acme..example/", "https://[::1", `https://acme.example/"`,
	} {
		if b, err := newBases(bad, nil); err == nil {
			t.Errorf("newBases(%q) = %q, want an error", bad, b.public)
		}
	}
}

func TestBaseOfRequest(t *testing.T) {
	tests := []struct {
		name    string
		host    string
		tls     bool
		header  http.Header
		trusted bool
		want    string // "": an error
	}{
		{name: "Host", host: "larder.lan:4873", want: "http://larder.lan:4873"},
		{name: "upper case", host: "Larder.LAN", want: "http://larder.lan"},
		{name: "TLS", host: "larder.lan", tls: true, want: "https://larder.lan"},
		{name: "default port of http", host: "larder.lan:80", want: "http://larder.lan"},
		{name: "default port of https", host: "larder.lan:443", tls: true, want: "https://larder.lan"},
		{name: "the other's default port", host: "larder.lan:443", want: "http://larder.lan:443"},
		{name: "underscore", host: "my_host:4873", want: "http://my_host:4873"},
		{name: "IPv6", host: "[::1]:4873", want: "http://[::1]:4873"},
		{name: "IPv6 long form", host: "[0:0:0:0:0:0:0:1]", want: "http://[::1]"},
		{name: "trailing dot", host: "larder.lan.:4873", want: "http://larder.lan:4873"},
		{name: "empty", host: ""},
		{name: "quote", host: `a"b`},
		{name: "path", host: "a/b"},
		{name: "user", host: "a@b"},
		{name: "space", host: "a b"},
		{name: "escape", host: "a%41"},
		{name: "empty label", host: "a..b"},
		{name: "two trailing dots", host: "a..:80"},
		{name: "a dot alone", host: "."},
		{name: "empty port", host: "a:"},
		{name: "port not a number", host: "a:http"},
		{name: "port too large", host: "a:65536"},
		{name: "port zero", host: "a:0"},
		{name: "port with a sign", host: "a:+80"},
		{name: "bare IPv6", host: "::1"},
		{name: "IPv6 with a zone", host: "[fe80::1%25eth0]"},
		{name: "IPv6 not closed", host: "[::1"},
		{name: "rest after IPv6", host: "[::1]x"},
		{name: "over 253 bytes", host: strings.Repeat("a", 254)},
		{
			name: "untrusted forwarding is ignored", host: "larder.lan", want: "http://larder.lan",
			header: http.Header{"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Prefix": {"/x"}},
		},
		{
			name: "trusted forwarding", host: "10.1.1.1:4873", trusted: true, want: "https://npm.acme.example/npm",
			header: http.Header{"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"npm.acme.example"}, "X-Forwarded-Prefix": {"/npm/"}},
		},
		{
			name: "first elements", host: "10.1.1.1", trusted: true, want: "https://npm.acme.example",
			header: http.Header{"X-Forwarded-Proto": {"https, http"}, "X-Forwarded-Host": {"npm.acme.example:443, inner.example"}},
		},
		{
			name: "malformed forwarded values but the host", host: "larder.lan", trusted: true, want: "http://larder.lan",
			header: http.Header{"X-Forwarded-Proto": {"gopher"}, "X-Forwarded-Prefix": {`/"`}},
		},
		{
			name: "malformed forwarded host", host: "larder.lan", trusted: true,
			header: http.Header{"X-Forwarded-Host": {`"`}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := newBases("", nil)
			if err != nil {
				t.Fatal(err)
			}
			r := &http.Request{Host: tt.host, Header: tt.header}
			if tt.tls {
				r.TLS = &tls.ConnectionState{}
			}
			got, err := b.of(r, tt.trusted)
			if tt.want == "" {
				if npm.KindOf(err) != npm.Invalid || err == nil {
					t.Fatalf("base %q, error %v, want kind Invalid", got.url, err)
				}
				return
			}
			if err != nil || got.url != tt.want {
				t.Errorf("base %q, error %v, want %q", got.url, err, tt.want)
			}
		})
	}
}

func TestPublicURLWins(t *testing.T) {
	b, err := newBases("https://npm.acme.example/npm/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &http.Request{Host: `"broken"`, Header: http.Header{"X-Forwarded-Host": {"evil.example"}}}
	got, err := b.of(r, true)
	if want := "https://npm.acme.example/npm"; err != nil || got.url != want || b.volatile(got) {
		t.Errorf("base %q, error %v, want %q", got.url, err, want)
	}
}

func TestVolatile(t *testing.T) {
	b, err := newBases("", nil)
	if err != nil {
		t.Fatal(err)
	}
	request := func(host, local string) base {
		t.Helper()
		addr, err := net.ResolveTCPAddr("tcp", local)
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.WithValue(context.Background(), http.LocalAddrContextKey, net.Addr(addr))
		got, err := b.of((&http.Request{Host: host}).WithContext(ctx), false)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	// Made-up names take the few places there are.
	for i := range maxNamedBases {
		if b.volatile(request(fmt.Sprintf("name%d.example", i), "10.0.0.5:4873")) {
			t.Errorf("name %d of %d is volatile", i, maxNamedBases)
		}
	}
	tests := []struct {
		name        string
		host, local string
		want        bool
	}{
		{"one name too many", "late.example", "10.0.0.5:4873", true},
		{"a name that has a place", "name0.example", "10.0.0.5:4873", false},
		{"the connection's own address", "10.0.0.5:4873", "10.0.0.5:4873", false},
		{"its default port", "10.0.0.5", "10.0.0.5:80", false},
		{"IPv4 on a dual-stack listener", "10.0.0.5:4873", "[::ffff:10.0.0.5]:4873", false},
		{"IPv6", "[::1]:4873", "[::1]:4873", false},
		{"localhost on loopback", "localhost:4873", "127.0.0.1:4873", false},
		{"localhost from afar", "localhost:4873", "10.0.0.5:4873", true},
		{"localhost with a made-up port", "localhost:1234", "127.0.0.1:4873", true},
		{"another address", "10.0.0.6:4873", "10.0.0.5:4873", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := b.volatile(request(tt.host, tt.local)); got != tt.want {
				t.Errorf("volatile = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestStrip(t *testing.T) {
	forwarded := http.Header{"X-Forwarded-Prefix": {"/npm"}}
	tests := []struct {
		name    string
		public  string
		target  string
		header  http.Header
		trusted bool
		want    string // escaped path; "": outside
	}{
		{"no prefix", "", "/@types%2fnode", nil, false, "/@types%2fnode"},
		{"inside", "/npm/", "/npm/lodash", nil, false, "/lodash"},
		{"inside, escaped", "/npm/", "/npm/@types%2Fnode", nil, false, "/@types%2Fnode"},
		{"the prefix itself", "/npm/", "/npm", nil, false, "/"},
		{"with a slash", "/npm/", "/npm/", nil, false, "/"},
		{"a package called as the prefix", "/npm/", "/npm/npm", nil, false, "/npm"},
		{"two segments", "/a/b", "/a/b/lodash/-/lodash-1.0.0.tgz", nil, false, "/lodash/-/lodash-1.0.0.tgz"},
		{"root outside", "/npm/", "/", nil, false, "/"},
		{"endpoint outside", "/npm/", "/-/npm/v1/keys", nil, false, "/-/npm/v1/keys"},
		{"package outside", "/npm/", "/lodash", nil, false, ""},
		{"longer first segment", "/npm/", "/npmx/lodash", nil, false, ""},
		{"prefix spelled otherwise", "/npm/", "/%6epm/lodash", nil, false, ""},
		{"stripped by a trusted proxy", "/npm/", "/npm", forwarded, true, "/npm"},
		{"anybody may claim that", "/npm/", "/lodash", forwarded, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			public := ""
			if tt.public != "" {
				public = "https://acme.example" + tt.public
			}
			b, err := newBases(public, nil)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, tt.target, nil)
			for k, v := range tt.header {
				r.Header[k] = v
			}
			before := r.URL.EscapedPath()
			got, ok := b.strip(r, tt.trusted)
			if ok != (tt.want != "") || ok && got.URL.EscapedPath() != tt.want {
				t.Errorf("path %q, inside %v, want %q", got.URL.EscapedPath(), ok, tt.want)
			}
			if r.URL.EscapedPath() != before {
				t.Errorf("the request itself was changed to %q", r.URL.EscapedPath())
			}
		})
	}
}

// FuzzHost checks that whatever passes can stand in a URL inside a JSON string
// as it is, and is its own canonical form.
func FuzzHost(f *testing.F) {
	for _, seed := range []string{"larder.lan:4873", "[::1]:80", "a..b", "[::ffff:1.2.3.4]", "A_b.:443", "localhost"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, ok := canonicalHost(s, "https")
		if !ok {
			return
		}
		if strings.Trim(host, hostChars+":[]") != "" {
			t.Fatalf("%q became %q", s, host)
		}
		if again, ok := canonicalHost(host, "https"); !ok || again != host {
			t.Fatalf("%q became %q, and that %q", s, host, again)
		}
	})
}
