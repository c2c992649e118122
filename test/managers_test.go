package test

import (
	"fmt"
	"path/filepath"
	"strings"
)

// deadProxy is where no proxy listens. Clients are told to use it for all that
// is not on this machine: what would bypass Larder fails.
const deadProxy = "http://127.0.0.1:9"

// manager is how one family of package managers is set up and called. All of
// them keep what they cache below HOME.
type manager struct {
	lockfile string
	// config is the file in HOME that points it at a registry.
	config func(base string) (name, content string)
	env    func(s *session) []string
	// install resolves and installs, frozen installs what the lockfile says and
	// nothing else.
	install, frozen []string
	// publish publishes the package in the current directory; nil for one that
	// cannot.
	publish []string
	// credentials is what a token adds to the file of config.
	credentials func(base, token string) string
	// public turns a lockfile written through base into the one that the same
	// versions get from the public registry.
	public func(lockfile, base string) string
}

// managerOf returns the family of a client, whose name begins with it.
func managerOf(client string) (manager, error) {
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
	return manager{}, fmt.Errorf("no such family: %s", client)
}

func npm() manager {
	return manager{
		lockfile:    "package-lock.json",
		config:      npmrc,
		env:         fixed("npm_config_update_notifier=false"),
		install:     []string{"npm", "install"},
		frozen:      []string{"npm", "ci"},
		public:      publicURLs,
		publish:     []string{"npm", "publish"},
		credentials: npmrcToken,
	}
}

func yarn1() manager {
	return manager{
		lockfile: "yarn.lock",
		config:   npmrc,
		// Run by root, it would keep its cache and its logins below /usr/local,
		// but not under fakeroot.
		env: func(s *session) []string {
			return []string{"YARN_DISABLE_SELF_UPDATE_CHECK=true", "YARN_CACHE_FOLDER=" + filepath.Join(s.home, "yarn"), "FAKEROOTKEY=1"}
		},
		install:     []string{"yarn", "install", "--non-interactive"},
		frozen:      []string{"yarn", "install", "--non-interactive", "--frozen-lockfile"},
		publish:     []string{"yarn", "publish", "--non-interactive"},
		credentials: npmrcToken,
	}
}

func berry() manager {
	return manager{
		lockfile: "yarn.lock",
		config: func(base string) (name, content string) {
			return ".yarnrc.yml", "npmRegistryServer: " + base + "\nunsafeHttpWhitelist: [127.0.0.1]\n"
		},
		env: fixed("YARN_ENABLE_TELEMETRY=false", "YARN_NODE_LINKER=node-modules",
			"YARN_HTTPS_PROXY="+deadProxy), // it does not read HTTPS_PROXY
		install:     []string{"yarn", "install"},
		frozen:      []string{"yarn", "install", "--immutable"},
		public:      publicURLs,
		publish:     []string{"yarn", "npm", "publish"},
		credentials: func(_, token string) string { return "npmAuthToken: " + token + "\n" },
	}
}

func pnpm() manager {
	return manager{
		lockfile:    "pnpm-lock.yaml",
		config:      npmrc,
		env:         fixed("npm_config_update_notifier=false"),
		install:     []string{"pnpm", "install", "--no-frozen-lockfile"},
		frozen:      []string{"pnpm", "install", "--frozen-lockfile"},
		public:      publicURLs,
		publish:     []string{"pnpm", "publish", "--no-git-checks"},
		credentials: npmrcToken,
	}
}

func bun() manager {
	return manager{
		lockfile:    "bun.lock",
		config:      npmrc,
		env:         fixed(),
		install:     []string{"bun", "install"},
		frozen:      []string{"bun", "install", "--frozen-lockfile"},
		public:      emptyURLs,
		publish:     []string{"bun", "publish"},
		credentials: npmrcToken,
	}
}

func deno() manager {
	return manager{
		lockfile:    "deno.lock",
		config:      npmrc,
		env:         fixed("DENO_NO_UPDATE_CHECK=1"),
		install:     []string{"deno", "install"},
		frozen:      []string{"deno", "install", "--frozen"},
		public:      noTarballs,
		credentials: npmrcToken,
	}
}

func corepack() manager {
	return manager{
		config: npmrc,
		// It checks signatures, with the public registry's keys if it is given none.
		env: func(s *session) []string {
			keys := strings.Replace(s.upstream.Keys(), `"keys"`, `"npm"`, 1)
			return []string{"COREPACK_NPM_REGISTRY=" + s.base(), "COREPACK_INTEGRITY_KEYS=" + keys, "COREPACK_ENABLE_DOWNLOAD_PROMPT=0"}
		},
	}
}

func fixed(env ...string) func(*session) []string { return func(*session) []string { return env } }

func npmrc(base string) (name, content string) { return ".npmrc", "registry=" + base + "\n" }

// npmrcToken is the line that gives a token to a registry, and to no other.
func npmrcToken(base, token string) string {
	return strings.TrimPrefix(base, "http:") + ":_authToken=" + token + "\n"
}

// commonEnv is what every client gets: no way out of this machine, no
// configuration of this machine, nothing but its work done.
func commonEnv(work string) []string {
	env := []string{
		"npm_config_globalconfig=" + work + "/no-global-npmrc",
		"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1",
		"DO_NOT_TRACK=1",
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		env = append(env, name+"="+deadProxy)
	}
	return env
}
