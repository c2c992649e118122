package proxy

import (
	"net/netip"
	"strings"
	"testing"
)

func TestChecklist02_TarballURLsBeginWithTheBase(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.PublicURL = "https://acme.example/npm/" })
	w.up.publish("@types/node", "20.1.0", []byte("x"))
	v := w.get("/npm/@types%2fnode").want(t, 200).document(t).Versions["20.1.0"]
	if want := "https://acme.example/npm/@types/node/-/node-20.1.0.tgz"; v.Dist.Tarball != want {
		t.Errorf("tarball %q, want %q", v.Dist.Tarball, want)
	}
	if want := "https://acme.example/npm/-/npm/v1/attestations/"; !strings.HasPrefix(v.Dist.Attestations.URL, want) {
		t.Errorf("attestations %q, want %q…", v.Dist.Attestations.URL, want)
	}
	if text := w.get("/@types%2fnode").wantError(t, 404); !strings.Contains(text, "https://acme.example/npm/") {
		t.Errorf("outside the prefix: %q does not say where packages are", text)
	}
}

func TestChecklist45_ForwardedProto(t *testing.T) {
	tests := []struct {
		name    string
		proxies []netip.Prefix
		want    string
	}{
		{"trusted", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "https://npm.acme.example/lodash/-/lodash-1.0.0.tgz"},
		{"untrusted", nil, "http://npm.acme.example/lodash/-/lodash-1.0.0.tgz"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.TrustedProxies = tt.proxies })
			w.up.publish("lodash", "1.0.0", []byte("x"))
			r := w.get("/lodash", "X-Forwarded-Proto", "https", "Host", "npm.acme.example").want(t, 200)
			if got := r.document(t).Versions["1.0.0"].Dist.Tarball; got != tt.want {
				t.Errorf("tarball %q, want %q", got, tt.want)
			}
		})
	}
}

func TestChecklist46_TwoHosts(t *testing.T) {
	w := newWorld(t)
	w.up.publish("lodash", "1.0.0", []byte("x"))
	etags := map[string]string{}
	for range 2 { // cold, then warm
		for _, host := range []string{"a.example", "b.example", "c.example", "d.example", "e.example", "f.example"} {
			r := w.get("/lodash", "Host", host).want(t, 200)
			if got, want := r.document(t).Versions["1.0.0"].Dist.Tarball, "http://"+host+"/lodash/-/lodash-1.0.0.tgz"; got != want {
				t.Errorf("tarball %q, want %q", got, want)
			}
			etags[r.Header.Get("ETag")] = host
		}
	}
	if len(etags) != 6 {
		t.Errorf("ETags %v, want one for each host", etags)
	}
	w.get("/lodash", "Host", "a_b..c").wantError(t, 400)
}

func TestChecklist77_CredentialsStayHere(t *testing.T) {
	w := newWorld(t)
	w.up.publish("lodash", "1.0.0", []byte("x"))
	for _, path := range []string{"/lodash", "/lodash/-/lodash-1.0.0.tgz"} {
		r := w.get(path, "Authorization", "Bearer secret", "Cookie", "session=1", "Npm-Otp", "123456").want(t, 200)
		r.wantHeader(t, "Set-Cookie", "")
	}
	for _, r := range w.up.seen("") {
		for _, h := range []string{"Authorization", "Cookie", "Npm-Otp"} {
			if r.Header.Get(h) != "" {
				t.Errorf("%s went upstream with %s", h, r.URL)
			}
		}
	}
}
