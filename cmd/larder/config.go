package main

import "time"

// defaultUpstream is the public npm registry. Its address stands here and
// nowhere else.
const defaultUpstream = "https://registry.npmjs.org/"

// Config is the whole configuration. Its field tags are its documentation and
// its schema: key is the name in the file, doc is what `larder config init`
// says about it, example is what stands there where the default is empty.
// Files, environment variables, `config print` and `config init` are all
// driven by this struct, so that none of them can miss a key.
type Config struct {
	Listen         []string         `key:"listen" doc:"Addresses to listen on, host:port. Port 0 takes a free port, an empty host every interface."`
	PublicURL      string           `key:"public_url" doc:"The URL that clients use, with its path prefix if there is one. Empty: taken from each request." example:"https://npm.example.com/"`
	Data           string           `key:"data" doc:"The directory for everything that is stored. One server at a time uses it."`
	TrustedProxies []string         `key:"trusted_proxies" doc:"Addresses or networks of reverse proxies whose X-Forwarded-* headers are believed." example:"[10.0.0.0/8]"`
	Offline        bool             `key:"offline" doc:"Never ask an upstream: serve what is cached, whatever its age."`
	Upstreams      []UpstreamConfig `key:"upstreams" doc:"The registries that packages come from. The first one that matches a name is asked, and no other. [] means none."`
	Cache          CacheConfig      `key:"cache" doc:"How upstream's answers are kept."`
	Log            LogConfig        `key:"log" doc:"The log goes to standard error."`
}

// UpstreamConfig is one registry that packages come from.
type UpstreamConfig struct {
	Name         string            `key:"name" doc:"Keys the cache (the URL does not): lower-case letters, digits and dashes."`
	Match        []string          `key:"match" doc:"Package names that are this registry's: * stops at a slash, ** does not."`
	URLs         []string          `key:"urls" doc:"The registry's URL. Further ones are tried when the first is down."`
	Auth         AuthConfig        `key:"auth" doc:"How Larder presents itself. Secrets are named here, never written here; they are read at start."`
	Headers      map[string]string `key:"headers" doc:"Headers added to each request to this registry." example:"{X-Mirror: larder}"`
	CA           string            `key:"ca" doc:"A PEM file of certificate authorities, trusted beside the system's."`
	TarballHosts []string          `key:"tarball_hosts" doc:"Other hosts (host or host:port) that its tarballs may come from. One that is listed may be private." example:"[files.example.com]"`
	Concurrency  int               `key:"concurrency" doc:"Requests at once, counted apart for documents and for tarballs."`
}

// AuthConfig is how Larder presents itself to an upstream. It holds names of
// secrets and no secret, so that it can be printed.
type AuthConfig struct {
	Type         string `key:"type" doc:"bearer (a token) or basic (user and password). Empty: none." example:"bearer"`
	TokenEnv     string `key:"token_env" doc:"The environment variable that holds the token." example:"NPM_TOKEN"`
	TokenFile    string `key:"token_file" doc:"Or the file that holds it."`
	User         string `key:"user" doc:"The user, for basic."`
	PasswordEnv  string `key:"password_env" doc:"The environment variable that holds the password."`
	PasswordFile string `key:"password_file" doc:"Or the file that holds it."`
}

// CacheConfig says how upstream's answers are kept.
type CacheConfig struct {
	Memory               Size     `key:"memory" doc:"Finished documents held in memory, at most."`
	FreshFor             Duration `key:"fresh_for" doc:"How long a package's document is served without asking upstream again."`
	StaleWhileRevalidate Duration `key:"stale_while_revalidate" doc:"For how long after that it is still served at once, while upstream is asked in the background."`
}

// LogConfig says what is logged and how.
type LogConfig struct {
	Format string `key:"format" doc:"text or json."`
	Level  string `key:"level" doc:"debug, info, warn or error."`
}

// defaults returns the configuration of a server that nobody configured.
func defaults() Config {
	return Config{
		Listen:    []string{"127.0.0.1:4873"},
		Data:      "./data",
		Upstreams: []UpstreamConfig{onlyUpstream(defaultUpstream)},
		Cache: CacheConfig{
			Memory:               64 * megabyte,
			FreshFor:             Duration(5 * time.Minute),
			StaleWhileRevalidate: Duration(5 * time.Minute),
		},
		Log: LogConfig{Format: "text", Level: "info"},
	}
}

// onlyUpstream returns the upstream that answers for every name.
func onlyUpstream(url string) UpstreamConfig {
	u := UpstreamConfig{Name: "npm", URLs: []string{url}}
	u.setDefaults()
	return u
}

// setDefaults gives an entry of upstreams its defaults before its keys are read.
func (u *UpstreamConfig) setDefaults() {
	u.Match = []string{"**"}
	u.Concurrency = 64
}
