package main

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBanner(t *testing.T) {
	s := &settings{Config: defaults()}
	s.Offline = true
	s.Upstreams = []UpstreamConfig{{Name: "a", URLs: []string{"https://a.example/"}}, {Name: "b", URLs: []string{"https://b.example/"}}}
	var out bytes.Buffer
	if err := banner(&out, build{version: "1.2.3"}, s, "/srv/larder", "http://127.0.0.1:4873/"); err != nil {
		t.Fatal(err)
	}
	want := `larder 1.2.3 is listening on http://127.0.0.1:4873/
  data      /srv/larder
  upstream  a https://a.example/, b https://b.example/ (offline: not asked)
  accounts  npm adduser --registry http://127.0.0.1:4873/
  npm       npm config set registry http://127.0.0.1:4873/
  pnpm      pnpm config set registry http://127.0.0.1:4873/
  yarn 1    yarn config set registry http://127.0.0.1:4873/
  yarn 4    yarn config set npmRegistryServer http://127.0.0.1:4873 && yarn config set unsafeHttpWhitelist --json '["127.0.0.1"]'
  bun       echo 'registry=http://127.0.0.1:4873/' >> .npmrc
  deno      export NPM_CONFIG_REGISTRY=http://127.0.0.1:4873/
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	out.Reset()
	s.Upstreams = nil
	s.PublicURL = "https://npm.example.com/"
	if err := banner(&out, build{}, s, "/srv/larder", "https://npm.example.com/"); err != nil {
		t.Fatal(err)
	}
	if want := "accounts  larder user add NAME --data /srv/larder\n"; !strings.Contains(out.String(), want) {
		t.Errorf("no %q in\n%s", want, &out)
	}
	if strings.Contains(out.String(), "unsafeHttpWhitelist") {
		t.Error("yarn needs no exception for https")
	}
}

func TestBaseURL(t *testing.T) {
	tests := []struct{ scheme, public, addr, want string }{
		{"http", "", "127.0.0.1:4873", "http://127.0.0.1:4873/"},
		{"http", "", "[::1]:80", "http://[::1]:80/"},
		{"http", "", "[::]:4873", "http://localhost:4873/"},
		{"http", "", "0.0.0.0:4873", "http://localhost:4873/"},
		{"http", "https://npm.example.com", "127.0.0.1:4873", "https://npm.example.com/"},
		{"http", "https://example.com/npm/", "127.0.0.1:4873", "https://example.com/npm/"},
		{"https", "", "127.0.0.1:4873", "https://127.0.0.1:4873/"},
		{"https", "", "[::]:4873", "https://localhost:4873/"},
		{"https", "https://npm.example.com", "127.0.0.1:4873", "https://npm.example.com/"},
	}
	for _, tt := range tests {
		addr, err := net.ResolveTCPAddr("tcp", tt.addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := baseURL(tt.scheme, tt.public, addr); got != tt.want {
			t.Errorf("baseURL(%s, %q, %s) = %q, want %q", tt.scheme, tt.public, tt.addr, got, tt.want)
		}
	}
}
