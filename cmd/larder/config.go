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
	TLS            TLSConfig        `key:"tls" doc:"Speak TLS, and with it HTTP/2. Without it nothing but plain HTTP is spoken."`
	TrustedProxies []string         `key:"trusted_proxies" doc:"Addresses or networks of reverse proxies whose X-Forwarded-* headers are believed." example:"[10.0.0.0/8]"`
	Offline        bool             `key:"offline" doc:"Never ask an upstream: serve what is cached, whatever its age, and list only versions whose tarball is. larder offline switches a running server."`
	Upstreams      []UpstreamConfig `key:"upstreams" doc:"The registries that packages come from. The first one that matches a name is asked, and no other. [] means none."`
	Hosted         HostedConfig     `key:"hosted" doc:"Packages that are published here."`
	Cache          CacheConfig      `key:"cache" doc:"How upstream's answers are kept."`
	Access         []AccessConfig   `key:"access" doc:"Who may do what to which packages. The first entry that matches a name decides; a name that none matches is for admins alone. Empty: all may read, who has an account may publish."`
	Auth           AccountsConfig   `key:"auth" doc:"Accounts. Passwords and tokens are not here but in the data directory: larder user, larder token."`
	Bootstrap      BootstrapConfig  `key:"bootstrap" doc:"The first administrator of a server without accounts, made at its start, once."`
	Audit          AuditConfig      `key:"audit" doc:"The audit log: every change and every refused one, in audit/audit.jsonl of the data directory."`
	Limits         LimitsConfig     `key:"limits" doc:"Bounds on clients and on stopping."`
	Admin          AdminConfig      `key:"admin" doc:"A listener of its own for profiles (pprof) and for all metrics."`
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

// HostedConfig is about the packages that are published here.
type HostedConfig struct {
	Reserved    []string `key:"reserved" doc:"Names that are yours, published or not: no upstream is ever asked for them." example:"[\"@acme/*\"]"`
	AllowShadow []string `key:"allow_shadow" doc:"Names that may be published here although an upstream has them." example:"[left-pad]"`
	MaxPublish  Size     `key:"max_publish" doc:"The largest tarball that is taken."`
}

// AccessConfig is one access rule. What a list leaves out is for admins alone.
type AccessConfig struct {
	Match     []string `key:"match" doc:"Package names: * stops at a slash, ** does not." example:"[\"**\"]"`
	Read      []string `key:"read" doc:"Who may install: anyone, authenticated, users, groups. Empty: admins alone." example:"[anyone]"`
	Publish   []string `key:"publish" doc:"Who may publish, deprecate and set tags." example:"[authenticated]"`
	Unpublish []string `key:"unpublish" doc:"Who may unpublish." example:"[admins]"`
}

// AccountsConfig is about accounts and the groups that they are in.
type AccountsConfig struct {
	Registration string              `key:"registration" doc:"Who may make accounts: open (whoever reaches the server) or closed (larder user add). Empty: open while only this machine can reach it." example:"closed"`
	WebLogin     bool                `key:"web_login" doc:"Whether npm login opens a page. Where it is off clients ask for the password in the terminal."`
	Groups       map[string][]string `key:"groups" doc:"Users by group, for access. The group admins may do everything." example:"{admins: [alice], web-team: [bob, carol]}"`
}

// BootstrapConfig is the first administrator.
type BootstrapConfig struct {
	User         string `key:"user" doc:"Their name. While it stands here, they are one of admins." example:"alice"`
	PasswordFile string `key:"password_file" doc:"The file that holds the first password. It is read only while there is no account." example:"/run/secrets/larder-password"`
}

// AuditConfig bounds the audit log.
type AuditConfig struct {
	MaxSize Size `key:"max_size" doc:"The file is put aside, and a new one begun, when it would grow past this."`
	Keep    int  `key:"keep" doc:"How many files that were put aside are kept."`
}

// CacheConfig says how upstream's answers are kept.
type CacheConfig struct {
	MaxSize              Size     `key:"max_size" doc:"What the cache takes on disk, at most: what was not used for longest goes. 0: no bound."`
	MaxAge               Duration `key:"max_age" doc:"What was not used for so long is removed. 0s: never."`
	MinFree              Size     `key:"min_free" doc:"What the cache leaves free on its volume, but never more than a tenth of that. 0: nothing."`
	Memory               Size     `key:"memory" doc:"Finished documents held in memory, at most."`
	FreshFor             Duration `key:"fresh_for" doc:"How long a package's document is served without asking upstream again."`
	StaleWhileRevalidate Duration `key:"stale_while_revalidate" doc:"For how long after that it is still served at once, while upstream is asked in the background."`
	Pins                 []string `key:"pins" doc:"Versions that stay installable when their upstream removes them." example:"[left-pad@1.3.0, \"@scope/x@1.0.0\"]"`
	ScrubRate            Size     `key:"scrub_rate" doc:"How much of what lies on disk is read per second, in the background, to find what has rotted. 0: nothing."`
}

// LimitsConfig bounds what clients may hold, and says how the server stops.
type LimitsConfig struct {
	Connections          int      `key:"connections" doc:"Connections at once. Those that are idle make room, then new ones wait. 0: as many as the descriptors allow, 10,000 at most."`
	ConnectionsPerClient int      `key:"connections_per_client" doc:"Connections at once of one address that is none of trusted_proxies; as many again wait. 0: no bound."`
	ShutdownDelay        Duration `key:"shutdown_delay" doc:"How long a server that was told to stop says so at /-/health/ready, and serves on, until it stops accepting: as long as a load balancer takes to notice."`
	LockWait             Duration `key:"lock_wait" doc:"How long a start waits for another server to give the data directory back. 0: it fails at once."`
}

// TLSConfig names the files of a certificate.
type TLSConfig struct {
	Cert string `key:"cert" doc:"A PEM file with the server's certificate and those between it and its authority." example:"/etc/larder/tls.crt"`
	Key  string `key:"key" doc:"The PEM file with its key. Both are read again when they change." example:"/etc/larder/tls.key"`
}

// AdminConfig is about the admin listener.
type AdminConfig struct {
	Listen string `key:"listen" doc:"Its address, host:port. Empty: there is none." example:"127.0.0.1:4874"`
	Remote bool   `key:"remote" doc:"Whether it may be another address than a loopback one. It asks nobody for a password."`
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
			MinFree:              1000 * megabyte,
			Memory:               64 * megabyte,
			FreshFor:             Duration(5 * time.Minute),
			StaleWhileRevalidate: Duration(5 * time.Minute),
			ScrubRate:            5 * megabyte,
		},
		Hosted: HostedConfig{MaxPublish: 200 * megabyte},
		Auth:   AccountsConfig{WebLogin: true},
		Audit:  AuditConfig{MaxSize: 100 * megabyte, Keep: 10},
		Log:    LogConfig{Format: "text", Level: "info"},
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
