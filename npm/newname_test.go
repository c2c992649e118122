package npm

import (
	"strings"
	"testing"
)

// Rows are what validate-npm-package-name 8.0.0 answers as validForNewPackages,
// but for the scopes with a dot in front, which CheckName refuses.
var newNameRows = []struct {
	what, name string
	ok         bool
}{
	{"plain", "lodash", true},
	{"every kind of character", "7z_ip-bin.js", true},
	{"scoped", "@acme/lib", true},
	{"scoped, a core module's name", "@acme/http", true},
	{"scoped, underscore first", "@acme/_lib", true},
	{"scoped, hyphen first", "@acme/-lib", true},
	{"scoped, reserved alone", "@acme/node_modules", true},
	{"a scope with special characters", "@a~b!/lib", true},
	{"214 characters", strings.Repeat("a", 214), true},
	{"214 characters with the scope", "@acme/" + strings.Repeat("a", 208), true},
	{"a core module's name with more", "http-server", true},
	{"an object's property", "constructor", true},

	{"215 characters", strings.Repeat("a", 215), false},
	{"215 characters with the scope", "@acme/" + strings.Repeat("a", 209), false},
	{"capital letters", "JSONStream", false},
	{"capital letters in a scope", "@Acme/lib", false},
	{"capital letters in a scope's package", "@acme/Lib", false},
	{"tilde", "a~b", false},
	{"apostrophe", "a'b", false},
	{"exclamation mark", "crazy!", false},
	{"parentheses", "a(b)", false},
	{"star", "a*", false},
	{"scoped, special characters", "@acme/a~b", false},
	{"core module", "http", false},
	{"core module, capital letters", "HTTP", false},
	{"core module of old", "sys", false},
	{"core module with an underscore inside", "worker_threads", false},
	{"private core module", "_http_agent", false},
	{"core module with a slash", "fs/promises", false},
	{"core module with a scheme", "node:test", false},
	{"empty", "", false},
	{"period first", ".a", false},
	{"underscore first", "_a", false},
	{"hyphen first", "-a", false},
	{"reserved", "node_modules", false},
	{"reserved, capital letters", "Favicon.ICO", false},
	{"white space", "a b", false},
	{"white space around", " a ", false},
	{"not ASCII", "schön", false},
	{"a character that is escaped", "a:b", false},
	{"a scope alone", "@acme", false},
	{"no scope", "@/lib", false},
	{"scoped period first", "@acme/.lib", false},
	{"two slashes", "@acme/lib/x", false},
	{"scope of dots", "@../lib", false},
}

func TestCheckNewName(t *testing.T) {
	for _, row := range newNameRows {
		t.Run(row.what, func(t *testing.T) {
			err := CheckNewName(row.name)
			if (err == nil) != row.ok {
				t.Fatalf("CheckNewName(%.100q) = %v, want ok = %v", row.name, err, row.ok)
			}
			if err != nil && KindOf(err) != Invalid {
				t.Errorf("kind = %v, want %v", KindOf(err), Invalid)
			}
			if err != nil && len(Message(err)) > 500 {
				t.Errorf("the message quotes %d bytes of hostile input", len(Message(err)))
			}
		})
	}
}

// Nothing is a name for a new package that is none for an old one.
func TestNewNamesAreNames(t *testing.T) {
	for _, row := range nameRows {
		if err := CheckNewName(row.name); err == nil && !row.ok {
			t.Errorf("%s: %.100q is a new name, but no name", row.what, row.name)
		}
	}
}

func TestCheckTag(t *testing.T) {
	tests := []struct {
		tag string
		ok  bool
	}{
		{"latest", true}, {"next", true}, {"beta-1", true}, {"v2-lts", true}, {"Latest", true}, {"2025-01-01", true},
		{"canary.3", true}, {"x-ray", true}, {"a*", true}, {"__proto__", true}, {strings.Repeat("a", maxTag), true},

		{"", false}, {" ", false}, {"1", false}, {"v1", false}, {"v1.4", false}, {"1.2.3", false}, {"=1.2.3", false}, {"1.x", false},
		{"x", false}, {"X", false}, {"*", false}, {"^1", false}, {"~1.2", false}, {">=1", false}, {"1 || 2", false}, {"||", false},
		{"1.2.3-beta", false}, {"1.2.3+build", false}, {" latest", false}, {"latest ", false},
		{".", false}, {"..", false}, {"a/b", false}, {"a b", false}, {"a%2fb", false}, {"a\x00", false}, {"a\n", false}, {"ä", false},
		{"a:b", false}, {"a@b", false}, {strings.Repeat("a", maxTag+1), false}, {strings.Repeat("a", 1<<20), false},
	}
	for _, tt := range tests {
		err := CheckTag(tt.tag)
		if (err == nil) != tt.ok || err != nil && (KindOf(err) != Invalid || len(Message(err)) > 500) {
			t.Errorf("CheckTag(%.100q) = %v, want ok = %v", tt.tag, err, tt.ok)
		}
	}
}
