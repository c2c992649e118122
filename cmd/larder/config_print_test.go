package main

import (
	"bytes"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// mustRoundTrip prints s and reads it back. Only the values of headers, which
// are hidden, may change on the way.
func mustRoundTrip(t *testing.T, s *settings) {
	t.Helper()
	var out bytes.Buffer
	if err := printConfig(&out, s); err != nil {
		t.Fatal(err)
	}
	l := newLoader(nil)
	l.parseFile("printed", out.Bytes())
	if len(l.problems) > 0 {
		t.Fatalf("%v\n%s", l.problems, out.Bytes())
	}
	want := s.Config
	want.Upstreams = slices.Clone(want.Upstreams)
	for i, u := range want.Upstreams {
		want.Upstreams[i].Headers = make(map[string]string)
		for name := range u.Headers {
			want.Upstreams[i].Headers[name] = hidden
		}
	}
	if diff := cmp.Diff(want, l.Config, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s\n%s", diff, out.Bytes())
	}
}

func TestPrintTellsWhereValuesComeFrom(t *testing.T) {
	file := write(t, "larder.yaml", `public_url: https://npm.example.com/
upstreams:
  - name: main
    urls: [https://registry.example/]
    auth: {type: bearer, token_env: TOKEN}
    headers: {X-Key: s3cret}
access:
  - match: ["**"]
    read: [web-team]
auth:
  groups: {web-team: [bob, carol], admins: []}
`)
	s, err := load(sources{
		file:    file,
		environ: []string{"TOKEN=s3cret", "LARDER_TRUSTED_PROXIES=10.0.0.0/8,::1"},
		flags:   []flagValue{{"--listen", "listen", []string{"[::1]:0"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := printConfig(&out, s); err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(`listen: ["[::1]:0"] # --listen
public_url: https://npm.example.com/ # FILE:1:1
data: ./data # default
tls:
  cert: "" # default
  key: "" # default
trusted_proxies: [10.0.0.0/8, ::1] # LARDER_TRUSTED_PROXIES
offline: false # default
upstreams:
  - name: main # FILE:3:5
    match: ["**"] # default
    urls: [https://registry.example/] # FILE:4:5
    auth:
      type: bearer # FILE:5:12
      token_env: TOKEN # FILE:5:26
      token_file: "" # default
      user: "" # default
      password_env: "" # default
      password_file: "" # default
    headers: {X-Key: hidden} # FILE:6:5
    ca: "" # default
    tarball_hosts: [] # default
    concurrency: 64 # default
hosted:
  reserved: [] # default
  allow_shadow: [] # default
  max_publish: 200MB # default
cache:
  max_size: 0 # default
  max_age: 0s # default
  min_free: 1GB # default
  memory: 64MB # default
  fresh_for: 5m # default
  stale_while_revalidate: 5m # default
  pins: [] # default
  scrub_rate: 5MB # default
access:
  - match: ["**"] # FILE:8:5
    read: [web-team] # FILE:9:5
    publish: [] # default
    unpublish: [] # default
auth:
  registration: "" # default
  web_login: true # default
  groups: {admins: [], web-team: [bob, carol]} # FILE:11:3
bootstrap:
  user: "" # default
  password_file: "" # default
audit:
  max_size: 100MB # default
  keep: 10 # default
limits:
  connections: 0 # default
  connections_per_client: 0 # default
  shutdown_delay: 0s # default
  lock_wait: 0s # default
admin:
  listen: "" # default
  remote: false # default
log:
  format: text # default
  level: info # default
`, "FILE", file)
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	mustRoundTrip(t, s)
}

// switchedOff finds the keys that the example shows without setting them.
var switchedOff = regexp.MustCompile(`(?m)^( *)#((?:- )?[a-z_]+:)`)

func TestExampleIsTheDefaults(t *testing.T) {
	s, err := load(sources{file: write(t, "larder.yaml", string(exampleConfig()))})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaults(), s.Config); diff != "" {
		t.Error(diff)
	}
}

func TestExampleHoldsWithEverythingSwitchedOn(t *testing.T) {
	text := switchedOff.ReplaceAllString(string(exampleConfig()), "$1$2")
	cert := issueNow(t, t.TempDir())
	text = strings.NewReplacer("/etc/larder/tls.crt", cert.Cert, "/etc/larder/tls.key", cert.Key).Replace(text)
	s, err := load(sources{file: write(t, "larder.yaml", text), environ: []string{"NPM_TOKEN=t"}})
	if err != nil {
		t.Fatal(err)
	}
	if s.PublicURL == "" || len(s.TrustedProxies) == 0 || s.auths[0].Token != "t" || len(s.Upstreams[0].Headers) == 0 ||
		len(s.Access) == 0 || len(s.Auth.Groups) == 0 || s.Bootstrap.User == "" || s.TLS != cert {
		t.Errorf("an example is missing: %+v", s.Config)
	}
}

// allPaths returns every key, those in a list as upstreams[].KEY.
func allPaths(v reflect.Value, path string) []field {
	var all []field
	for _, f := range fieldsOf(v, path) {
		all = append(all, f)
		switch shapeOf(f.value.Type()) {
		case section:
			all = append(all, allPaths(f.value, f.path)...)
		case objects:
			all = append(all, allPaths(reflect.New(f.value.Type().Elem()).Elem(), f.path+"[]")...)
		}
	}
	return all
}

func TestEveryKeyIsInTheExample(t *testing.T) {
	for _, f := range allPaths(reflect.ValueOf(new(Config)).Elem(), "") {
		if f.key == "" || f.doc == "" {
			t.Errorf("%q has no name or no doc", f.path)
		}
		if !regexp.MustCompile(`(?m)^ *#?` + f.key + `:`).Match(exampleConfig()) {
			t.Errorf("%s is missing", f.path)
		}
	}
}

func TestEveryKeyIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/CONFIGURATION.md")
	if err != nil {
		t.Fatal(err)
	}
	cfg := defaults()
	var variables []string
	settable(reflect.ValueOf(&cfg).Elem(), "", func(f field) {
		variables = append(variables, variable(f.path))
		row := "| `" + f.path + "` | `" + variable(f.path) + "` | `" + yamlValue(f.value) + "` |"
		if !strings.Contains(string(doc), row) {
			t.Errorf("no row begins with %s", row)
		}
	})
	for _, f := range allPaths(reflect.ValueOf(&cfg).Elem(), "") {
		if shapeOf(f.value.Type()) != section && !strings.Contains(string(doc), "`"+f.path+"`") {
			t.Errorf("%s is missing", f.path)
		}
	}
	for _, name := range regexp.MustCompile(`LARDER_[A-Z_]+`).FindAllString(string(doc), -1) {
		if !slices.Contains(variables, name) {
			t.Errorf("%s is documented and sets nothing", name)
		}
	}
}
