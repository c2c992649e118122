package test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"larder/test/clients"
	"larder/test/rig"
)

// suites says which clients run the scripts of a directory, and where. The short
// form has each client and each script at least once, every script with the
// oldest and the newest clients that it is for, and who runs one below a prefix
// does not run it at the root as well: that, and the versions in between, are
// the long form's.
func suites() []suite {
	all := installers()
	publishers := slices.DeleteFunc(slices.Clone(all), func(c string) bool { return strings.HasPrefix(c, "deno-") })
	suites := []suite{
		{"every", "/", all, nil},
		{"every", "/npm/", []string{"npm-11", "yarn-1", "pnpm-12", "bun-1"}, all},
		{"names", "/", []string{"npm-6", "npm-11", "yarn-1", "yarn-4", "pnpm-12", "bun-1", "deno-2"}, all},
		{"npm", "/", []string{"npm-6"}, family("npm")},
		{"npm", "/npm/", []string{"npm-11"}, nil},
		{"signatures", "/", nil, []string{"npm-8"}},
		{"signatures", "/npm/", []string{"npm-8"}, nil},
		{"yarn", "/", []string{"yarn-1"}, nil},
		{"berry", "/", []string{"yarn-4"}, nil},
		{"pnpm", "/", []string{"pnpm-9"}, family("pnpm")},
		{"pnpm", "/npm/", []string{"pnpm-12"}, nil},
		{"bun", "/", family("bun"), nil},
		{"deno", "/", family("deno"), nil},
		{"corepack", "/npm/", []string{"corepack"}, nil},
		{"upstreams", "/", []string{"npm-11", "pnpm-12"}, nil},
		{"publish", "/", []string{"npm-6", "npm-12", "yarn-1", "pnpm-9", "bun-1"}, publishers},
		{"publish", "/npm/", []string{"npm-11", "pnpm-12", "yarn-4"}, nil},
		{"manage", "/", []string{"npm-6", "pnpm-12"}, []string{"npm-11"}},
		{"manage", "/npm/", []string{"npm-11"}, nil},
		{"login", "/", []string{"npm-6", "npm-8", "npm-10"}, []string{"npm-11", "yarn-4", "pnpm-12"}},
		{"login", "/npm/", []string{"npm-11", "yarn-4", "pnpm-12"}, nil},
		{"accounts", "/", []string{"npm-6", "npm-11", "pnpm-12"}, []string{"npm-10"}},
		{"company", "/", []string{"npm-11"}, nil},
		{"locked", "/", []string{"npm-6", "npm-11", "yarn-1", "yarn-4", "pnpm-9", "pnpm-12", "bun-1", "deno-2"}, nil},
		{"offline", "/", []string{"yarn-1", "yarn-4", "bun-1"}, []string{"npm-11", "pnpm-12"}},
		{"offline", "/npm/", []string{"npm-11", "pnpm-12"}, nil},
		{"monorepo", "/", []string{"lerna-9"}, nil},
	}
	if rig.Long {
		for i, s := range suites {
			more := slices.DeleteFunc(slices.Clone(s.more), func(c string) bool { return slices.Contains(s.clients, c) })
			suites[i].clients = slices.Concat(s.clients, more)
		}
	}
	return suites
}

// installers are the clients that install packages: corepack installs nothing
// but package managers, and lerna leaves it to npm.
func installers() []string {
	var names []string
	for _, c := range clients.All() {
		if c.Name != "corepack" && c.Name != "lerna-9" {
			names = append(names, c.Name)
		}
	}
	return names
}

// family returns the clients of one name, in all their versions.
func family(name string) []string {
	return slices.DeleteFunc(installers(), func(c string) bool { return !strings.HasPrefix(c, name+"-") })
}

type suite struct {
	dir     string   // below scripts
	prefix  string   // of the path of Larder's public URL
	clients []string // that always run it
	more    []string // that do in the long form
}

// TestClients runs the scripts with real package managers.
func TestClients(t *testing.T) {
	skipIfShort(t)
	for _, s := range suites() {
		for _, client := range s.clients {
			t.Run(s.dir+"/"+client+"/"+place(s.prefix), func(t *testing.T) {
				t.Parallel()
				runScripts(t, client, s.prefix, testscript.Params{Dir: "scripts/" + s.dir})
			})
		}
	}
}

func skipIfShort(t *testing.T) {
	if testing.Short() {
		t.Skip("real package managers take minutes")
	}
}

// place is what tests are called after where Larder's public URL ends.
func place(prefix string) string {
	if prefix == "/" {
		return "root"
	}
	return "prefix"
}

// runScripts runs the scripts of p, which names them by Dir or by Files.
func runScripts(t *testing.T, client, prefix string, p testscript.Params) {
	prepare := setup(rig.Tested(t), client, prefix)
	p.Cmds = commands()
	maps.Copy(p.Cmds, publishCommands())
	p.Setup = func(env *testscript.Env) error {
		env.Values[contextKey{}] = t.Context()
		return prepare(env)
	}
	p.Condition = func(cond string) (bool, error) {
		name, ok := strings.CutPrefix(cond, "client:")
		return ok && (client == name || strings.HasPrefix(client, name+"-")), nil
	}
	p.RequireUniqueNames = true
	testscript.Run(t, p)
}
