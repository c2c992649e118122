package main

import (
	"strings"
	"testing"
)

func TestPrivateNamesThatAreNotReserved(t *testing.T) {
	const (
		private = "access: [{match: ['@acme/*', '@acme-secret/key-*'], read: [authenticated]}, {match: ['**'], read: [anyone]}]\n"
		npm     = "{name: npm, urls: ['https://npm.example/']}"
	)
	tests := []struct {
		name string
		file string
		want []string // the pattern that each warning is about
	}{
		{"neither", private, []string{"@acme/*", "@acme-secret/key-*"}},
		{"one", private + "hosted: {reserved: ['@acme-*/*']}", []string{"@acme/*"}},
		{"both", private + "hosted: {reserved: ['@acme/*', '@acme-secret/key-*']}", nil},
		{"by a pattern of all scopes", private + "hosted: {reserved: ['@*/*']}", nil},
		{"by one that is too narrow", private + "hosted: {reserved: ['@acme/?', '@acme-secret/key-a*', '@acme/x']}", []string{"@acme/*", "@acme-secret/key-*"}},
		{"a scope that an upstream has", private + "upstreams: [{name: acme, match: ['@acme/*', '@acme-secret/*'], urls: ['https://a.example/']}, " + npm + "]", nil},
		{"a part that an upstream has", private + "upstreams: [{name: acme, match: ['@acme/a*', '@acme-secret/key-*'], urls: ['https://a.example/']}, " + npm + "]", []string{"@acme/*"}},
		{"an upstream of more scopes", private + "upstreams: [{name: acme, match: ['@acme*/*'], urls: ['https://a.example/']}, " + npm + "]", []string{"@acme/*", "@acme-secret/key-*"}},
		{"an upstream that is asked first", private + "upstreams: [{name: scoped, match: ['@*/*'], urls: ['https://a.example/']}, {name: acme, match: ['@acme/*'], urls: ['https://b.example/']}]", []string{"@acme/*", "@acme-secret/key-*"}},
		{"no upstream", private + "upstreams: []", nil},
		{"none that would be asked", private + "upstreams: [{name: a, match: [lodash], urls: ['https://a.example/']}]", nil},
		{"read by anyone", "access: [{match: ['@acme/*'], read: [anyone], publish: [admins]}, {match: ['**'], read: [anyone]}]", nil},
		{"read by nobody", "access: [{match: ['@acme/*']}, {match: ['**'], read: [anyone]}]", []string{"@acme/*"}},
		{"no scope", "access: [{match: [acme-cli, '@*/x', '*'], read: [authenticated]}, {match: ['**'], read: [authenticated]}]", nil},
		{"no access rules", "hosted: {max_publish: 1MB}", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := write(t, "larder.yaml", tt.file)
			s, err := load(sources{file: file})
			if err != nil {
				t.Fatal(err)
			}
			got := s.warnings()
			if len(got) != len(tt.want) {
				t.Fatalf("%d warnings, want %d: %v", len(got), len(tt.want), got)
			}
			for i, w := range got {
				if text := w.String(); !strings.HasPrefix(text, file+":1:") || !strings.Contains(text, ": "+tt.want[i]+" is private but not reserved") ||
					!strings.Contains(text, "dependency confusion") {
					t.Errorf("warning %q, want one about %s with its place", text, tt.want[i])
				}
			}
		})
	}
}

func TestCheckWarns(t *testing.T) {
	file := write(t, "larder.yaml", "access:\n  - {match: ['@acme/*'], read: [web-team]}\n")
	status, stdout, stderr := cli(t, "", "config", "check", file)
	if status != exitOK || stdout != "ok\n" {
		t.Errorf("status %d, %q", status, stdout)
	}
	for _, want := range []string{
		"warning: " + file + ":2:14: access[0].match[0]: @acme/* is private but not reserved: ",
		`where anybody could publish it and so get into your installs (dependency confusion); add "@acme/*" to hosted.reserved`,
		"warning: " + file + ":1:1: access: names that no entry matches are for admins alone",
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("no %q in %q", want, stderr)
		}
	}
}

func TestShortCacheAgeIsWarnedAbout(t *testing.T) {
	for age, warned := range map[string]bool{"0s": false, "1h": true, "720h": false} {
		s, err := load(sources{file: write(t, "larder.yaml", "cache: {max_age: "+age+"}\n")})
		if err != nil {
			t.Fatal(err)
		}
		got := s.warnings()
		if (len(got) > 0) != warned || warned && !strings.Contains(got[0].String(), "larder.yaml:1:9: cache.max_age: "+age+" is short") {
			t.Errorf("max_age %s: warnings %v", age, got)
		}
	}
}

func TestRemoteAdminIsWarnedAbout(t *testing.T) {
	for listen, warned := range map[string]bool{"''": false, "127.0.0.1:4874": false, "'[::1]:4874'": false, "localhost:4874": false, "':4874'": true, "10.1.2.3:4874": true} {
		s, err := load(sources{file: write(t, "larder.yaml", "admin: {remote: true, listen: "+listen+"}\n")})
		if err != nil {
			t.Fatal(err)
		}
		got := s.warnings()
		if (len(got) > 0) != warned || warned && !strings.Contains(got[0].String(), "larder.yaml:1:23: admin.listen: ") {
			t.Errorf("listen %s: warnings %v", listen, got)
		}
	}
}
