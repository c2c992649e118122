package rig

import (
	"fmt"
	"path/filepath"
	"strings"
)

// DeadProxy is where no proxy listens. Clients are told to use it for all that
// is not on this machine: what would bypass Larder fails.
const DeadProxy = "http://127.0.0.1:9"

// Manager is how one family of package managers is set up and called. All of
// them keep what they cache below HOME.
type Manager struct {
	Lockfile string
	// Config is the file in HOME that points it at a registry.
	Config func(base string) (name, content string)
	Env    func(Place) []string
	// Install resolves and installs, Frozen installs what the lockfile says and
	// nothing else.
	Install, Frozen []string
	// Publish publishes the package in the current directory; nil for one that
	// cannot.
	Publish []string
	// Credentials is what a token adds to the file of Config.
	Credentials func(base, token string) string
	// Public turns a lockfile written through base into the one that the same
	// versions get from the public registry.
	Public func(lockfile, base string) string
}

// Place is where a client runs, and against what.
type Place struct {
	Home string
	Base string // of Larder, with a slash at its end
	Keys string // what upstream answers at /-/npm/v1/keys
}

// ManagerOf returns the family of a client, whose name begins with it.
func ManagerOf(client string) (Manager, error) {
	name, version, _ := strings.Cut(client, "-")
	switch name {
	case "npm", "lerna": // which is configured like npm
		return npm(), nil
	case "yarn":
		if version == "1" {
			return yarn1(), nil
		}
		return berry(), nil
	case "pnpm":
		return pnpm(), nil
	case "bun":
		return bun(), nil
	case "deno":
		return deno(), nil
	case "corepack":
		return corepack(), nil
	}
	return Manager{}, fmt.Errorf("no such family: %s", client)
}

func npm() Manager {
	return Manager{
		Lockfile:    "package-lock.json",
		Config:      npmrc,
		Env:         fixed("npm_config_update_notifier=false"),
		Install:     []string{"npm", "install"},
		Frozen:      []string{"npm", "ci"},
		Public:      publicURLs,
		Publish:     []string{"npm", "publish"},
		Credentials: npmrcToken,
	}
}

func yarn1() Manager {
	return Manager{
		Lockfile: "yarn.lock",
		Config:   npmrc,
		// Run by root, it would keep its cache and its logins below /usr/local,
		// but not under fakeroot.
		Env: func(p Place) []string {
			return []string{"YARN_DISABLE_SELF_UPDATE_CHECK=true", "YARN_CACHE_FOLDER=" + filepath.Join(p.Home, "yarn"), "FAKEROOTKEY=1"}
		},
		Install:     []string{"yarn", "install", "--non-interactive"},
		Frozen:      []string{"yarn", "install", "--non-interactive", "--frozen-lockfile"},
		Publish:     []string{"yarn", "publish", "--non-interactive"},
		Credentials: npmrcToken,
	}
}

func berry() Manager {
	return Manager{
		Lockfile: "yarn.lock",
		Config: func(base string) (name, content string) {
			return ".yarnrc.yml", "npmRegistryServer: " + base + "\nunsafeHttpWhitelist: [127.0.0.1]\n"
		},
		Env: fixed("YARN_ENABLE_TELEMETRY=false", "YARN_NODE_LINKER=node-modules",
			"YARN_HTTPS_PROXY="+DeadProxy), // it does not read HTTPS_PROXY
		Install:     []string{"yarn", "install"},
		Frozen:      []string{"yarn", "install", "--immutable"},
		Public:      publicURLs,
		Publish:     []string{"yarn", "npm", "publish"},
		Credentials: func(_, token string) string { return "npmAuthToken: " + token + "\n" },
	}
}

func pnpm() Manager {
	return Manager{
		Lockfile:    "pnpm-lock.yaml",
		Config:      npmrc,
		Env:         fixed("npm_config_update_notifier=false"),
		Install:     []string{"pnpm", "install", "--no-frozen-lockfile"},
		Frozen:      []string{"pnpm", "install", "--frozen-lockfile"},
		Public:      publicURLs,
		Publish:     []string{"pnpm", "publish", "--no-git-checks"},
		Credentials: npmrcToken,
	}
}

func bun() Manager {
	return Manager{
		Lockfile:    "bun.lock",
		Config:      npmrc,
		Env:         fixed(),
		Install:     []string{"bun", "install"},
		Frozen:      []string{"bun", "install", "--frozen-lockfile"},
		Public:      emptyURLs,
		Publish:     []string{"bun", "publish"},
		Credentials: npmrcToken,
	}
}

func deno() Manager {
	return Manager{
		Lockfile:    "deno.lock",
		Config:      npmrc,
		Env:         fixed("DENO_NO_UPDATE_CHECK=1"),
		Install:     []string{"deno", "install"},
		Frozen:      []string{"deno", "install", "--frozen"},
		Public:      noTarballs,
		Credentials: npmrcToken,
	}
}

func corepack() Manager {
	return Manager{
		Config: npmrc,
		// It checks signatures, with the public registry's keys if it is given none.
		Env: func(p Place) []string {
			keys := strings.Replace(p.Keys, `"keys"`, `"npm"`, 1)
			return []string{"COREPACK_NPM_REGISTRY=" + p.Base, "COREPACK_INTEGRITY_KEYS=" + keys, "COREPACK_ENABLE_DOWNLOAD_PROMPT=0"}
		},
	}
}

func fixed(env ...string) func(Place) []string { return func(Place) []string { return env } }

func npmrc(base string) (name, content string) { return ".npmrc", "registry=" + base + "\n" }

// npmrcToken is the line that gives a token to a registry, and to no other.
func npmrcToken(base, token string) string {
	return strings.TrimPrefix(base, "http:") + ":_authToken=" + token + "\n"
}

// CommonEnv is what every client gets: no way out of this machine, no
// configuration of this machine, nothing but its work done. work is a directory
// of the test.
func CommonEnv(work string) []string {
	env := []string{
		"npm_config_globalconfig=" + work + "/no-global-npmrc",
		"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1",
		"DO_NOT_TRACK=1",
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		env = append(env, name+"="+DeadProxy)
	}
	return env
}
