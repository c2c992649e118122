package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// write writes a file below a directory of the test's own and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreAWorkingServer(t *testing.T) {
	s, err := load(sources{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaults(), s.Config); diff != "" {
		t.Error(diff)
	}
}

func TestPrecedence(t *testing.T) {
	tests := []struct {
		name   string
		file   string
		env    []string
		flags  []flagValue
		got    func(*settings) any
		want   any
		path   string
		origin string // "FILE" stands for the file's path
	}{
		{
			name: "default", got: func(s *settings) any { return s.Cache.FreshFor }, want: Duration(5 * time.Minute),
			path: "cache.fresh_for", origin: "default",
		},
		{
			name: "file over default", file: "cache:\n  fresh_for: 1m\n",
			got: func(s *settings) any { return s.Cache.FreshFor }, want: Duration(time.Minute),
			path: "cache.fresh_for", origin: "FILE:2:3",
		},
		{
			name: "variable over file", file: "cache: {fresh_for: 1m}", env: []string{"LARDER_CACHE_FRESH_FOR=2m"},
			got: func(s *settings) any { return s.Cache.FreshFor }, want: Duration(2 * time.Minute),
			path: "cache.fresh_for", origin: "LARDER_CACHE_FRESH_FOR",
		},
		{
			name: "flag over variable", file: "log: {level: warn}", env: []string{"LARDER_LOG_LEVEL=error"},
			flags: []flagValue{{"--log-level", "log.level", []string{"debug"}}},
			got:   func(s *settings) any { return s.Log.Level }, want: "debug",
			path: "log.level", origin: "--log-level",
		},
		{
			name: "an empty variable is none", file: "offline: true", env: []string{"LARDER_OFFLINE="},
			got: func(s *settings) any { return s.Offline }, want: true,
			path: "offline", origin: "FILE:1:1",
		},
		{
			name: "a list in a variable", file: "listen: [127.0.0.1:1, 127.0.0.1:2, 127.0.0.1:3]",
			env: []string{"LARDER_LISTEN=127.0.0.1:4, [::1]:4,"},
			got: func(s *settings) any { return s.Listen }, want: []string{"127.0.0.1:4", "[::1]:4"},
			path: "listen[1]", origin: "LARDER_LISTEN",
		},
		{
			name: "a repeated flag", env: []string{"LARDER_LISTEN=127.0.0.1:4"},
			flags: []flagValue{{"--listen", "listen", []string{"127.0.0.1:5", ":6"}}},
			got:   func(s *settings) any { return s.Listen }, want: []string{"127.0.0.1:5", ":6"},
			path: "listen[0]", origin: "--listen",
		},
		{
			name: "one upstream by flag", file: "upstreams: [{name: a, urls: [https://a.example/]}, {name: b, urls: [https://b.example/], match: [b]}]\n",
			env: []string{"LARDER_OFFLINE=1"}, flags: []flagValue{{"--upstream", "upstreams", []string{"http://c.example/"}}},
			got: func(s *settings) any { return s.Upstreams }, want: []UpstreamConfig{{
				Name: "npm", Match: []string{"**"}, URLs: []string{"http://c.example/"}, Concurrency: 64,
			}},
			path: "upstreams[0].urls[0]", origin: "--upstream",
		},
		{
			name: "no upstream", file: "upstreams: []",
			got: func(s *settings) any { return len(s.Upstreams) }, want: 0,
			path: "upstreams", origin: "FILE:1:1",
		},
		{
			name: "an entry's own defaults", file: "upstreams:\n- name: a\n  urls: [https://a.example/npm/]\n",
			got: func(s *settings) any { return s.Upstreams[0] }, want: UpstreamConfig{
				Name: "a", Match: []string{"**"}, URLs: []string{"https://a.example/npm/"}, Concurrency: 64,
			},
			path: "upstreams[0].urls", origin: "FILE:3:3",
		},
		{
			name: "scalars keep their spelling", file: "upstreams: [{name: 007, urls: [https://a.example/], headers: {X-N: 1e3, X-B: true}}]",
			got: func(s *settings) any {
				return []string{s.Upstreams[0].Name, s.Upstreams[0].Headers["X-N"], s.Upstreams[0].Headers["X-B"]}
			},
			want: []string{"007", "1e3", "true"},
			path: "upstreams[0].headers.X-N", origin: "FILE:1:63",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := sources{environ: tt.env, flags: tt.flags}
			if tt.file != "" {
				src.file = write(t, "larder.yaml", tt.file)
			}
			s, err := load(src)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, tt.got(s)); diff != "" {
				t.Error(diff)
			}
			if got, want := s.origins.of(tt.path).String(), strings.Replace(tt.origin, "FILE", src.file, 1); got != want {
				t.Errorf("%s comes from %s, want %s", tt.path, got, want)
			}
		})
	}
}

// TestAllProblemsAtOnce holds the whole text that a person sees, in its order.
func TestAllProblemsAtOnce(t *testing.T) {
	file := write(t, "larder.yaml", `listen: 127.0.0.1:4873
public-url: https://npm.example.com/
cache:
  memory: lots
  fresh_for: 1m
  fresh_for: 2m
upstreams:
  - name: Main
    urls: ["https://robot:s3cret@registry.example/"]
  - name: second
    match: ["@x/*"]
    auth: {type: bearer, token: s3cret}
    ca: missing.pem
admin: {port: 4874}
access:
  - match: ["@acme/*", "a b"]
    read: [authenticated, $all]
    write: [alice]
  - {match: ["**"], read: anyone}
  - {match: ["@late/*"]}
auth:
  groups:
    web-team: [bob, "b:b"]
    anyone: [bob]
    none:
`)
	_, err := load(sources{
		file:    file,
		environ: []string{"LARDER_CACHE_STALE_WHILE_REVALIDATE=soon", "LARDER_NONE=of our business"},
		flags:   []flagValue{{"--log-format", "log.format", []string{"xml"}}},
	})
	want := strings.ReplaceAll(`FILE:1:9: listen: must be a list ([a, b])
FILE:2:1: public-url: unknown key (did you mean "public_url"?)
FILE:4:11: cache.memory: must be a size, like 64MB or 1GiB
FILE:6:3: cache.fresh_for: given twice, first in line 5
FILE:8:5: upstreams[0].name: must be of lower-case letters, digits and dashes
FILE:9:12: upstreams[0].urls[0]: must not hold credentials; use auth: {type: basic, user: …, password_env: …}
FILE:10:5: upstreams[1].urls: must hold at least one URL
FILE:11:5: upstreams[1].match: is never reached: Main, above, matches every name
FILE:12:5: upstreams[1].auth: type bearer takes either token_env or token_file
FILE:12:26: upstreams[1].auth.token: unknown key; secrets are not written into this file: name a variable (token_env, password_env) or a file (token_file, password_file)
FILE:13:5: upstreams[1].ca: open missing.pem: no such file or directory
FILE:14:9: admin.port: unknown key
FILE:16:24: access[0].match[1]: pattern "a b" matches no package name: it has a character that a URL would escape
FILE:17:27: access[0].read[1]: "$all" is Verdaccio's word: say anyone or authenticated
FILE:18:5: access[0].write: unknown key
FILE:19:27: access[1].read: must be a list ([a, b])
FILE:20:14: access[2].match[0]: is never reached: access[1].match[0], above, matches "**"
FILE:23:21: auth.groups.web-team[1]: "b:b" is no user's name
FILE:24:5: auth.groups.anyone: access rules use the word "anyone" for something else
FILE:25:5: auth.groups.none: has no value; leave the key out to get its default
LARDER_CACHE_STALE_WHILE_REVALIDATE: must be a duration, like 30s, 5m or 1h30m
--log-format: must be text or json, not "xml"`, "FILE", file)
	var wrong problems
	if !errors.As(err, &wrong) {
		t.Fatalf("err = %v, want problems", err)
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(wrong.Error(), "\n")); diff != "" {
		t.Error(diff)
	}
}

func TestProblems(t *testing.T) {
	const entry = "upstreams: [{name: a, urls: [https://a.example/], "
	tests := []struct {
		name string
		file string
		want string // the problem, with neither file nor line
	}{
		{"syntax", "listen: [", "sequence end token ']' not found"},
		{"not a mapping", "- a", "must be a mapping (key: value)"},
		{"two documents", "data: a\n---\ndata: b", "a second document; one file holds one configuration"},
		{"alias", "data: &a x\n", "data: must be a single value; anchors, aliases and tags are not read"},
		{"tag", "listen: !!seq [a]\n", "listen: must be a list ([a, b]); anchors, aliases and tags are not read"},
		{"no value", "data:\n", "data: has no value; leave the key out to get its default"},
		{"list for scalar", "data: [a]", "data: must be a single value"},
		{"mapping for list", "listen: {a: b}", "listen: must be a list ([a, b])"},
		{"scalar for section", "cache: 5m", "cache: must be a mapping (key: value)"},
		{"bool", "offline: yes please", "offline: must be true or false"},
		{"number", entry + "concurrency: many}]", "upstreams[0].concurrency: must be a whole number"},
		{"no concurrency", entry + "concurrency: 0}]", "upstreams[0].concurrency: must be from 1 to 10000"},
		{"no address", "listen: []", "listen: must name at least one address"},
		{"no port", "listen: [localhost]", `listen[0]: must be host:port, like 127.0.0.1:4873 or [::1]:4873, not "localhost"`},
		{"port too high", "listen: [':65536']", `listen[0]: must be host:port, like 127.0.0.1:4873 or [::1]:4873, not ":65536"`},
		{"address twice", "listen: [':1', ':1']", "listen[1]: lists :1 twice"},
		{"public URL with query", "public_url: https://a.example/?x", "public_url: must have neither a query nor a fragment"},
		{"public URL with fragment", "public_url: 'https://a.example/#'", "public_url: must have neither a query nor a fragment"},
		{"public URL of another scheme", "public_url: ftp://a.example/", "public_url: must be a URL like https://npm.example.com/"},
		{"public URL without host", "public_url: 'https://:80/'", "public_url: must be a URL like https://npm.example.com/"},
		{"public URL with user", "public_url: 'https://u@a.example/'", "public_url: must not hold credentials"},
		{"public URL of a path that clients escape", "public_url: https://a.example/a%20b/", "public_url: must have a path of letters, digits, '-', '_', '.' and '~', in which no part is empty, a dot, two dots or a dash"},
		{"public URL below the dash", "public_url: https://a.example/-/npm/", "public_url: must have a path of letters, digits, '-', '_', '.' and '~', in which no part is empty, a dot, two dots or a dash"},
		{"public URL of an international name", "public_url: https://bücher.example/", "public_url: must have a host of letters, digits, '-', '_' and '.' (an international name as xn--…), and a port up to 65535 if any"},
		{"public URL with port too high", "public_url: https://a.example:99999/", "public_url: must have a host of letters, digits, '-', '_' and '.' (an international name as xn--…), and a port up to 65535 if any"},
		{"trusted proxy", "trusted_proxies: [10.0.0.0/8, ::1, 10.0.0.0/33]", "trusted_proxies[2]: must be an address or a network, like 10.1.2.3 or 10.0.0.0/8"},
		{"zero freshness", "cache: {fresh_for: 0s}", "cache.fresh_for: must be more than 0"},
		{"pin without a version", "cache: {pins: [left-pad@1.3.0, left-pad]}", `cache.pins[1]: "left-pad" names no version: write name@version, like left-pad@1.3.0`},
		{"pin of a range", "cache: {pins: [left-pad@^1.0.0]}", `cache.pins[0]: "left-pad@^1.0.0": "^1.0.0" is no version: a pin names one, not a range or a tag`},
		{"negative staleness", "cache: {stale_while_revalidate: -1s}", "cache.stale_while_revalidate: must be more than 0"},
		{"no memory", "cache: {memory: 0}", "cache.memory: must be more than 0"},
		{"no scrub to speak of", "cache: {scrub_rate: 1B}", "cache.scrub_rate: must be at least 1KB per second, or 0 for no scrub"},
		{"tiny cache", "cache: {max_size: 9MB}", "cache.max_size: must be at least 10MB, or 0 for no bound"},
		{"negative age", "cache: {max_age: -1h}", "cache.max_age: must not be less than 0"},
		{"age in days", "cache: {max_age: 30d}", "cache.max_age: must be a duration, like 30s, 5m or 1h30m"},
		{"level", "log: {level: loud}", `log.level: must be debug, info, warn or error, not "loud"`},
		{"reserved is no pattern", "hosted: {reserved: ['@acme/*', '@acme']}", `hosted.reserved[1]: pattern "@acme" matches no package name: it is not of the form @scope/name`},
		{"shadow is no pattern", "hosted: {allow_shadow: ['a b']}", `hosted.allow_shadow[0]: pattern "a b" matches no package name: it has a character that a URL would escape`},
		{"nothing may be published", "hosted: {max_publish: 0}", "hosted.max_publish: must be more than 0"},
		{"registration", "auth: {registration: yes}", `auth.registration: must be open, closed or "", not "yes"`},
		{"group of a lone user", "auth: {groups: {admins: alice}}", "auth.groups.admins: must be a list ([a, b])"},
		{"groups are a list", "auth: {groups: [admins]}", "auth.groups: must be a mapping (key: value)"},
		{"group twice", "auth: {groups: {a: [x], a: [y]}}", "auth.groups.a: given twice, first in line 1"},
		{"group of groups", "auth: {groups: {a: [[x]]}}", "auth.groups.a[0]: must be a single value"},
		{"group is anyone", "auth: {groups: {a: [anyone]}}", `auth.groups.a[0]: "anyone" is no user`},
		{"rule without pattern", "access: [{read: [anyone]}]", `access[0].match: must hold at least one pattern; "**" is every name`},
		{"rule twice", "access: [{match: [a, b]}, {match: [b]}]", `access[1].match[0]: is never reached: access[0].match[1], above, matches "b"`},
		{"nobody can be called so", "access: [{match: [a], publish: ['b:c']}]", `access[0].publish[0]: "b:c" is no user's name`},
		{"bootstrap without password", "bootstrap: {user: alice}", "bootstrap.user: needs bootstrap.password_file beside it"},
		{"bootstrap without user", "bootstrap: {password_file: f}", "bootstrap.password_file: needs bootstrap.user beside it"},
		{"bootstrap of a word", "bootstrap: {user: anyone, password_file: f}", `bootstrap.user: "anyone" cannot be a user's name: access rules use that word for something else`},
		{"tiny audit log", "audit: {max_size: 10KB}", "audit.max_size: must be at least 1MB"},
		{"no audit log kept", "audit: {keep: 0}", "audit.keep: must be from 1 to 1000"},
		{"few connections", "limits: {connections: 3}", "limits.connections: must be from 4 to 1000000, or 0"},
		{"negative connections", "limits: {connections_per_client: -1}", "limits.connections_per_client: must be from 0 to 1000000"},
		{"negative delay", "limits: {shutdown_delay: -1s}", "limits.shutdown_delay: must not be negative"},
		{"negative patience", "limits: {lock_wait: -1s}", "limits.lock_wait: must not be negative"},
		{"admin port alone", "admin: {listen: '4874'}", `admin.listen: must be host:port, like 127.0.0.1:4873 or [::1]:4873, not "4874"`},
		{"admin for everybody", "admin: {listen: ':4874'}", "admin.listen: must be a loopback address, like 127.0.0.1:4874, unless admin.remote is true: whoever reaches it can look into the server"},
		{"admin for a network", "admin: {listen: '10.1.2.3:4874', remote: false}", "admin.listen: must be a loopback address, like 127.0.0.1:4874, unless admin.remote is true: whoever reaches it can look into the server"},
		{"certificate without key", "tls: {cert: a.pem}", "tls.cert: needs tls.key beside it"},
		{"key without certificate", "tls: {key: a.pem}", "tls.key: needs tls.cert beside it"},
		{"certificate that is not there", "tls: {cert: absent.pem, key: absent.key}", "tls.cert: open absent.pem: no such file or directory"},
		{"nameless upstream", "upstreams: [{urls: [https://a.example/]}]", "upstreams[0].name: is missing"},
		{"two of one name", entry + "match: [a]}, {name: a, urls: [https://b.example/]}]", "upstreams[1].name: is taken: a is the name of two upstreams"},
		{"no pattern", entry + "match: []}]", `upstreams[0].match: must hold at least one pattern; "**" is every name`},
		{"tarball host is a URL", entry + "tarball_hosts: ['https://b.example']}]", "upstreams[0].tarball_hosts[0]: must be a host or host:port, like files.example.com"},
		{"header is ours", entry + "headers: {accept: text/html}}]", "upstreams[0].headers.accept: is set by larder itself"},
		{"header is a secret", entry + "headers: {authorization: x}}]", "upstreams[0].headers.authorization: is set by larder itself; use auth"},
		{"header of two lines", entry + `headers: {X-A: "a\r\nX-B: b"}}]`, "upstreams[0].headers.X-A: is no header: a name is one word, a value one line"},
		{"auth type missing", entry + "auth: {token_env: T}}]", "upstreams[0].auth.type: is missing: bearer or basic"},
		{"auth type unknown", entry + "auth: {type: digest}}]", `upstreams[0].auth.type: must be bearer or basic, not "digest"`},
		{"two tokens", entry + "auth: {type: bearer, token_env: T, token_file: f}}]", "upstreams[0].auth: type bearer takes either token_env or token_file"},
		{"user with bearer", entry + "auth: {type: bearer, token_env: T, user: u}}]", `upstreams[0].auth.user: does not go with type "bearer"`},
		{"no user", entry + "auth: {type: basic, password_env: T}}]", "upstreams[0].auth.user: must be a user's name, without a colon"},
		{"variable not set", entry + "auth: {type: bearer, token_env: NOT_SET}}]", "upstreams[0].auth.token_env: the environment variable NOT_SET is not set"},
		{"secret of two lines", entry + "auth: {type: bearer, token_env: LINES}}]", "upstreams[0].auth.token_env: the secret holds a control character or more than one line"},
		{"no secret file", entry + "auth: {type: basic, user: u, password_file: absent}}]", "upstreams[0].auth.password_file: open absent: no such file or directory"},
		{"too long", "data: " + strings.Repeat("x", maxFileBytes), "--config: FILE is longer than 64KiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := write(t, "larder.yaml", tt.file)
			_, err := load(sources{file: file, environ: []string{"T=token", "LINES=a\nb"}})
			var wrong problems
			if !errors.As(err, &wrong) {
				t.Fatalf("err = %v, want problems", err)
			}
			if len(wrong) != 1 {
				t.Errorf("there are %d problems, want one", len(wrong))
			}
			got := wrong[0].String()
			if place := wrong[0].origin.String() + ": "; wrong[0].by == byFile {
				got = strings.TrimPrefix(got, place)
			}
			if want := strings.Replace(tt.want, "FILE", file, 1); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestProblemsNeverShowSecrets(t *testing.T) {
	for _, text := range []string{
		"upstreams: [{name: a, urls: ['https://u:s3cret@a.example:port/']}]",
		"upstreams: [{name: a, urls: ['https://u:s3c/ret@a.example/']}]",
		"upstreams: [{name: a, urls: ['ftp://u:s3cret@a.example/']}]",
		"upstreams: [{name: a, urls: [https://a.example/], auth: {type: bearer, token: s3cret}}]",
		"upstreams: [{name: a, urls: [https://a.example/], headers: {Authorization: s3cret}}]",
		"upstreams: [{name: a, urls: [https://a.example/], headers: {X-Key: [s3cret]}}]",
		"public_url: 'https://u:s3cret@a.example/'",
	} {
		_, err := load(sources{file: write(t, "larder.yaml", text)})
		if err == nil || strings.Contains(err.Error(), "s3c") {
			t.Errorf("%s\ngives %v", text, err)
		}
	}
}

func TestSecretsAreRead(t *testing.T) {
	token := write(t, "token", "from-a-file\n")
	file := write(t, "larder.yaml", `upstreams:
  - {name: a, match: [a], urls: [https://a.example/], auth: {type: bearer, token_env: LARDER_A_TOKEN}}
  - {name: b, match: [b], urls: [https://b.example/], auth: {type: bearer, token_file: '`+token+`'}}
  - {name: c, match: [c], urls: [https://c.example/], auth: {type: basic, user: robot, password_env: C}}
  - {name: d, match: [d], urls: [https://d.example/]}
`)
	s, err := load(sources{file: file, environ: []string{"LARDER_A_TOKEN=from-a-variable", "C=pass:word"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range s.auths {
		got = append(got, a.Token+"|"+a.User+"|"+a.Password)
	}
	want := []string{"from-a-variable||", "from-a-file||", "|robot|pass:word", "||"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(s.strays) != 0 {
		t.Errorf("a variable that holds a token is called no setting: %v", s.strays)
	}
}

func TestStrayVariablesAreNamed(t *testing.T) {
	s, err := load(sources{environ: []string{"LARDER_PUBLICURL=x", "LARDER_PORT_4873_TCP=x", "LARDER_UPSTREAM=x", "LARDER_DATA=d", "HOME=/"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"LARDER_PORT_4873_TCP", `LARDER_PUBLICURL (did you mean "LARDER_PUBLIC_URL"?)`, "LARDER_UPSTREAM"}
	if diff := cmp.Diff(want, s.strays); diff != "" {
		t.Error(diff)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte("listen: [':1', a:2]\ncache:\n  memory: 1GiB # much\n  fresh_for: 0x10\n"))
	f.Add([]byte("upstreams: [{name: a, urls: [http://a], headers: {A: \"\\x00\\u1234\"}}]\nlisten: ['[::1]:0']"))
	f.Add([]byte("access: [{match: ['@a/*'], read: [b, anyone]}]\nauth:\n  groups:\n    b: [c, \"d e\"]\n    ? f\n    : []\n"))
	f.Add([]byte("a: &a [*a]\n<<: *a\n? [b]\n: |\n  c\n--- !!str\n..."))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > maxFileBytes {
			t.Skip("readFile refuses it")
		}
		l := newLoader(nil)
		l.parseFile("fuzz.yaml", data)
		l.check()
		for _, p := range l.problems {
			if strings.Contains(p.String(), "\n") {
				t.Errorf("a problem of two lines: %q", p)
			}
		}
		if len(l.problems) == 0 {
			mustRoundTrip(t, &l.settings)
		}
	})
}
