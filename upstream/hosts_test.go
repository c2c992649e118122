package upstream

import (
	"net/url"
	"testing"
)

func TestHosts(t *testing.T) {
	g := newRig(t, func(c *Config) {
		c.URLs = []*url.URL{
			parseURL(t, "https://Registry.example/npm/"),
			parseURL(t, "http://plain.example"),
			parseURL(t, "https://odd.example:8443"),
		}
		c.TarballHosts = []string{"cdn.example", "files.example:8080", "[::1]:9000"}
	})
	for _, tt := range []struct {
		url            string
		permitted, own bool
	}{
		{"https://registry.example/x", true, true},
		{"https://REGISTRY.example:443/x", true, true},
		{"https://registry.example:444/x", false, false},
		{"http://registry.example/x", false, false}, // credentials in the clear
		{"https://sub.registry.example/x", false, false},
		{"http://plain.example/x", true, true},
		{"https://plain.example/x", true, true},
		{"https://plain.example:8443/x", false, false},
		{"https://odd.example:8443/x", true, true},
		{"https://odd.example/x", false, false},
		{"http://odd.example:8443/x", false, false},
		{"https://cdn.example/x", true, false},
		{"http://cdn.example/x", true, false},
		{"http://CDN.example:80/x", true, false},
		{"http://cdn.example:8080/x", false, false},
		{"http://files.example:8080/x", true, false},
		{"http://files.example/x", false, false},
		{"http://[::1]:9000/x", true, false},
		{"http://[::1]/x", false, false},
		{"ftp://cdn.example/x", false, false},
		{"file:///etc/passwd", false, false},
	} {
		t.Run(tt.url, func(t *testing.T) {
			u := parseURL(t, tt.url)
			if got := g.remote.permitted(u); got != tt.permitted {
				t.Errorf("permitted: %t", got)
			}
			if got := tt.permitted && g.remote.own(u); got != tt.own {
				t.Errorf("own: %t", got)
			}
		})
	}
}

func TestJoinPath(t *testing.T) {
	for _, tt := range []struct{ base, path, want string }{
		{"https://registry.example", "/a", "https://registry.example/a"},
		{"https://registry.example/", "/@s%2fa", "https://registry.example/@s%2fa"},
		{"https://registry.example/api/npm//", "/a", "https://registry.example/api/npm/a"},
		{"https://registry.example/x%2Fy/?q#f", "/a", "https://registry.example/x%2Fy/a"},
	} {
		base, err := baseURL(parseURL(t, tt.base))
		if err != nil {
			t.Fatal(err)
		}
		u, err := joinPath(base, tt.path, "")
		if err != nil || u.String() != tt.want {
			t.Errorf("%s and %s give %v, %v; want %s", tt.base, tt.path, u, err, tt.want)
		}
	}
}
