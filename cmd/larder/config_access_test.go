package main

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/auth"
)

func TestRegistrationIsOpenOnlyWhereNobodyElseReaches(t *testing.T) {
	tests := []struct {
		name string
		file string
		env  []string
		open bool
	}{
		{name: "defaults", open: true},
		{name: "all loopback", file: "{listen: ['127.3.2.1:1', '[::1]:1', 'localhost:1', '[::ffff:127.0.0.1]:1'], public_url: 'http://LocalHost:1/npm/'}", open: true},
		{name: "every interface", file: "listen: [':4873']"},
		{name: "another address", file: "listen: ['127.0.0.1:1', '192.0.2.1:1']"},
		{name: "unspecified", file: "listen: ['0.0.0.0:4873']"},
		{name: "a name", file: "listen: ['npm.acme.example:4873']"},
		{name: "a name that only looks local", file: "listen: ['localhost.acme.example:4873']"},
		{name: "public", file: "public_url: https://npm.acme.example/"},
		{name: "behind a proxy", file: "trusted_proxies: [127.0.0.1]"},
		{name: "said to be closed", file: "auth: {registration: closed}"},
		{name: "said to be open", file: "{auth: {registration: open}, listen: [':4873'], public_url: 'https://npm.acme.example/'}", open: true},
		{name: "by variable", env: []string{"LARDER_AUTH_REGISTRATION=closed"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := sources{environ: tt.env}
			if tt.file != "" {
				src.file = write(t, "larder.yaml", tt.file)
			}
			s, err := load(src)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.registrationOpen(); got != tt.open {
				t.Errorf("open: %v, want %v", got, tt.open)
			}
		})
	}
}

func TestAccessBecomesRules(t *testing.T) {
	s, err := load(sources{
		file: write(t, "larder.yaml", `access:
  - {match: ["@acme/*", acme-cli], read: [authenticated], publish: [web-team], unpublish: [admins]}
  - match: ["**"]
    read: [anyone]
auth: {groups: {web-team: [bob], admins: [alice]}}
bootstrap: {user: root, password_file: absent}
`),
		environ: []string{"LARDER_BOOTSTRAP_USER=carol", "LARDER_BOOTSTRAP_PASSWORD_FILE=absent"},
	})
	if err != nil {
		t.Fatal(err) // the password file is looked at only when it is needed
	}
	want := []auth.Rule{
		{Match: "@acme/*", Read: []string{"authenticated"}, Publish: []string{"web-team"}, Unpublish: []string{"admins"}},
		{Match: "acme-cli", Read: []string{"authenticated"}, Publish: []string{"web-team"}, Unpublish: []string{"admins"}},
		{Match: "**", Read: []string{"anyone"}},
	}
	if diff := cmp.Diff(want, s.rules()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string][]string{"web-team": {"bob"}, "admins": {"alice", "carol"}}, s.groups()); diff != "" {
		t.Error(diff)
	}
	if got := fmt.Sprint(s.Auth.Groups["admins"]); got != "[alice]" {
		t.Errorf("the configuration itself was changed: %s", got)
	}
	if rules := (&Config{}).rules(); rules != nil {
		t.Errorf("without access the rules are %v, want nil, the default", rules)
	}
}

func TestOneGroupListedTwiceIsOne(t *testing.T) {
	c := Config{Bootstrap: BootstrapConfig{User: "alice"}, Auth: AccountsConfig{Groups: map[string][]string{"admins": {"alice"}}}}
	if got := fmt.Sprint(c.groups()); got != "map[admins:[alice]]" {
		t.Error(got)
	}
	c.Auth.Groups = nil
	if got := fmt.Sprint(c.groups()); got != "map[admins:[alice]]" {
		t.Error(got)
	}
}
