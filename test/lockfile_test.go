package test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// publicHost is the public registry's host, put together so that its URL is
// written nowhere but in the program.
var publicHost = strings.Join([]string{"registry", "npmjs", "org"}, ".")

func publicURLs(lockfile, base string) string {
	return strings.ReplaceAll(lockfile, base, "https://"+publicHost+"/")
}

// emptyURLs is bun's way to say that a URL is the default registry's.
func emptyURLs(lockfile, base string) string {
	return regexp.MustCompile(`"`+regexp.QuoteMeta(base)+`[^"]*"`).ReplaceAllString(lockfile, `""`)
}

// noTarballs is deno's.
func noTarballs(lockfile, base string) string {
	return regexp.MustCompile(`,\s*"tarball": "`+regexp.QuoteMeta(base)+`[^"]*"`).ReplaceAllString(lockfile, "")
}

var lockedURL = regexp.MustCompile(`https?://[^\s"'#]+`)

// foreignURLs returns what a lockfile names outside base.
func foreignURLs(lockfile, base string) []string {
	var foreign []string
	for _, u := range lockedURL.FindAllString(lockfile, -1) {
		if !strings.HasPrefix(u, base) {
			foreign = append(foreign, u)
		}
	}
	for _, line := range strings.Split(lockfile, "\n") {
		if _, archive, ok := strings.Cut(line, "__archiveUrl="); ok {
			if plain, err := url.QueryUnescape(archive); err == nil {
				archive = plain
			}
			foreign = append(foreign, "__archiveUrl="+archive)
		}
	}
	return foreign
}

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
			if diff := cmp.Diff(tt.want, foreignURLs(tt.lockfile, base)); diff != "" {
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
			m, err := managerOf(tt.client)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.public(tt.lockfile, base); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
