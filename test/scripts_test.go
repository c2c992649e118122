package test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"larder/test/clients"
)

// suites says which clients run the scripts of a directory, and where.
func suites() []suite {
	var all []string
	for _, c := range clients.All() {
		if c.Name != "corepack" { // it installs nothing but package managers
			all = append(all, c.Name)
		}
	}
	family := func(name string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(c string) bool { return !strings.HasPrefix(c, name+"-") })
	}
	return []suite{
		{"every", "/", all},
		{"every", "/npm/", all},
		{"names", "/", all},
		{"npm", "/", family("npm")},
		{"npm", "/npm/", []string{"npm-11"}},
		{"signatures", "/", []string{"npm-8"}},
		{"signatures", "/npm/", []string{"npm-8"}},
		{"yarn", "/", []string{"yarn-1"}},
		{"berry", "/", []string{"yarn-4"}},
		{"pnpm", "/", family("pnpm")},
		{"pnpm", "/npm/", []string{"pnpm-12"}},
		{"bun", "/", family("bun")},
		{"deno", "/", family("deno")},
		{"corepack", "/npm/", []string{"corepack"}},
		{"upstreams", "/", []string{"npm-11", "pnpm-12"}},
	}
}

type suite struct {
	dir     string // below scripts
	prefix  string // of the path of Larder's public URL
	clients []string
}

// TestClients runs the scripts with real package managers.
func TestClients(t *testing.T) {
	if testing.Short() {
		t.Skip("real package managers take minutes")
	}
	for _, s := range suites() {
		at := "root"
		if s.prefix != "/" {
			at = "prefix"
		}
		for _, client := range s.clients {
			t.Run(s.dir+"/"+client+"/"+at, func(t *testing.T) {
				t.Parallel()
				runScripts(t, s.dir, client, s.prefix)
			})
		}
	}
}

func runScripts(t *testing.T, dir, client, prefix string) {
	prepare := setup(client, prefix)
	testscript.Run(t, testscript.Params{
		Dir:  "scripts/" + dir,
		Cmds: commands(),
		Setup: func(env *testscript.Env) error {
			env.Values[contextKey{}] = t.Context()
			return prepare(env)
		},
		Condition: func(cond string) (bool, error) {
			name, ok := strings.CutPrefix(cond, "client:")
			return ok && (client == name || strings.HasPrefix(client, name+"-")), nil
		},
		RequireUniqueNames: true,
	})
}
