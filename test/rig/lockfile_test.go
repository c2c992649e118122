package rig

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestForeignURLs(t *testing.T) {
	const base = "http://127.0.0.1:4873/npm/"
	tests := []struct {
		name, lockfile string
		want           []string
	}{
		{"npm, ours", `"resolved": "http://127.0.0.1:4873/npm/a/-/a-1.0.0.tgz",`, nil},
		{"npm, another host", `"resolved": "https://registry.example/a/-/a-1.0.0.tgz",`, []string{"https://registry.example/a/-/a-1.0.0.tgz"}},
		{"npm, prefix lost", `"resolved": "http://127.0.0.1:4873/a/-/a-1.0.0.tgz",`, []string{"http://127.0.0.1:4873/a/-/a-1.0.0.tgz"}},
		{"npm, another scheme", `"resolved": "https://127.0.0.1:4873/npm/a.tgz",`, []string{"https://127.0.0.1:4873/npm/a.tgz"}},
		{"yarn 1, hash aside", `resolved "https://registry.example/a.tgz#da39a3ee"`, []string{"https://registry.example/a.tgz"}},
		{"yarn 4, archive", `resolution: "a@npm:1.0.0::__archiveUrl=http%3A%2F%2F127.0.0.1%3A4873%2Fx.tgz"`, []string{`__archiveUrl=http://127.0.0.1:4873/x.tgz"`}},
		{"pnpm", "resolution: {integrity: sha512-AAAA==}", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, ForeignURLs(tt.lockfile, base)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestPublicLockfile(t *testing.T) {
	const base = "http://127.0.0.1:4873/npm/"
	tests := []struct{ name, client, lockfile, want string }{
		{"npm", "npm-11", `"resolved": "` + base + `a/-/a-1.0.0.tgz"`, `"resolved": "https://` + publicHost + `/a/-/a-1.0.0.tgz"`},
		{"bun", "bun-1", `"a": ["a@1.0.0", "` + base + `a/-/a-1.0.0.tgz", {}, "sha512-AA=="]`, `"a": ["a@1.0.0", "", {}, "sha512-AA=="]`},
		{"deno", "deno-2", `{"integrity": "sha512-AA==",` + "\n" + `"tarball": "` + base + `a/-/a-1.0.0.tgz"}`, `{"integrity": "sha512-AA=="}`},
		{"pnpm writes no host", "pnpm-10", "integrity: sha512-AA==", "integrity: sha512-AA=="},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := ManagerOf(tt.client)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Public(tt.lockfile, base); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
