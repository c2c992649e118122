package npm

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

func TestMatchName(t *testing.T) {
	tests := []struct {
		pattern string
		match   []string
		miss    []string
	}{
		{"**", []string{"lodash", "@types/node", "q"}, nil},
		{"*", []string{"lodash", "q"}, []string{"@types/node"}},
		{"lodash", []string{"lodash"}, []string{"lodash.get", "Lodash", "xlodash", "@a/lodash"}},
		{"lodash*", []string{"lodash", "lodash.get"}, []string{"lodas", "@a/lodash"}},
		{"*-loader", []string{"ts-loader", "a-loader-loader", "-loader"}, []string{"loader", "ts-loader-x", "@a/ts-loader"}},
		{"@acme/*", []string{"@acme/ui", "@acme/_x"}, []string{"@acme-labs/ui", "@other/ui", "acme", "@Acme/ui"}},
		{"@acme/**", []string{"@acme/ui"}, []string{"@acmes/ui"}},
		{"@acme*/*", []string{"@acme/ui", "@acme-labs/ui"}, []string{"@other/ui"}},
		{"@*/*", []string{"@acme/ui"}, []string{"lodash"}},
		{"*/*", []string{"@acme/ui"}, []string{"lodash"}},
		{"@acme/ui-*", []string{"@acme/ui-kit"}, []string{"@acme/ui", "@acme/gui-kit"}},
		{"**-internal", []string{"x-internal", "@acme/x-internal"}, []string{"x-internal-y"}},
		{"**a*b", []string{"ab", "@a/b-a-b", "@a/ab"}, []string{"@a/b", "@ab/c"}},
		{"***", []string{"lodash", "@types/node"}, nil},
		{"re?ct", []string{"react", "re-ct"}, []string{"rect", "reacct"}},
		{"?acme?ui", []string{"@acme-ui"}, []string{"@acme/ui"}},
		{"*a*a*a*b", []string{"aaab", "xaxaxaxb"}, []string{"aaaa", "aab"}},
		{"", nil, []string{"a"}},
	}
	for _, tt := range tests {
		t.Run(tt.pattern, func(t *testing.T) {
			for _, name := range tt.match {
				if !MatchName(tt.pattern, name) {
					t.Errorf("does not match %q", name)
				}
			}
			for _, name := range tt.miss {
				if MatchName(tt.pattern, name) {
					t.Errorf("matches %q", name)
				}
			}
		})
	}
}

// MatchName backtracks by hand; a regular expression says the same slowly.
func TestMatchNameAgreesWithRegexp(t *testing.T) {
	toRegexp := strings.NewReplacer("***", ".*", "**", ".*", "*", "[^/]*", "?", "[^/]")
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(alphabet []string, most int) string {
		var b strings.Builder
		for range rng.IntN(most + 1) {
			b.WriteString(alphabet[rng.IntN(len(alphabet))])
		}
		return b.String()
	}
	for range 20_000 {
		pattern := random([]string{"a", "b", "/", "*", "**", "?"}, 8)
		if strings.Contains(pattern, "****") {
			continue
		}
		re := regexp.MustCompile("^(?:" + toRegexp.Replace(pattern) + ")$")
		for range 5 {
			name := random([]string{"a", "b", "/"}, 10)
			if got, want := MatchName(pattern, name), re.MatchString(name); got != want {
				t.Fatalf("MatchName(%q, %q) = %v, want %v", pattern, name, got, want)
			}
		}
	}
}

func TestCheckPattern(t *testing.T) {
	tests := []struct {
		what, pattern string
		ok            bool
	}{
		{"everything", "**", true},
		{"unscoped", "*", true},
		{"a scope", "@acme/*", true},
		{"scopes by prefix", "@acme*/*", true},
		{"any scope", "*/*", true},
		{"deep suffix", "**-internal", true},
		{"deep scope", "@acme**", true},
		{"deep before a scope", "**@acme/x", true},
		{"a name", "lodash", true},
		{"a scoped name", "@acme/ui", true},
		{"a question mark for the at sign", "?acme/ui", true},

		{"empty", "", false},
		{"too long", strings.Repeat("a", maxName) + "*", false},
		{"a scope without names", "@acme", false},
		{"a star that stops at the slash", "@acme*", false},
		{"a star alone after the at sign", "@*", false},
		{"nothing after the slash", "@acme*/", false},
		{"nothing before the slash", "/*", false},
		{"an empty scope", "@/*", false},
		{"two slashes", "@acme/*/*", false},
		{"a scope without its at sign", "acme/*", false},
		{"a regular expression", "^@acme/.*$", false},
		{"a character class", "[ab]*", false},
		{"braces", "{a,b}*", false},
		{"a negation", "!@acme/*", false},
		{"a space", "@acme/* ", false},
		{"not ASCII", "schön*", false},
		{"a name that cannot be", "node_modules", false},
		{"a period first", ".*", false},
		{"a period first in a scope", "@acme/.*", false},
		{"a scope of periods", "@.*/x", false},
		{"a version", "lodash@*", false},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			err := CheckPattern(tt.pattern)
			if (err == nil) != tt.ok {
				t.Fatalf("CheckPattern(%.100q) = %v, want ok = %v", tt.pattern, err, tt.ok)
			}
			if err != nil && KindOf(err) != Invalid {
				t.Errorf("kind = %v, want %v", KindOf(err), Invalid)
			}
		})
	}
}
