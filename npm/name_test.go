package npm

import (
	"strings"
	"testing"
)

// Rows follow validate-npm-package-name: ok is its validForOldPackages.
var nameRows = []struct {
	what, name string
	ok         bool
}{
	{"plain", "lodash", true},
	{"hyphens inside", "some-package", true},
	{"a dot inside", "example.com", true},
	{"an underscore inside", "under_score", true},
	{"a digit first", "7zip-bin", true},
	{"one letter", "q", true},
	{"scoped", "@types/node", true},
	{"legacy upper case", "JSONStream", true},
	{"legacy characters", "a~b'c!d(e)f*g", true},
	{"a star first", "*x", true},
	{"core module", "http", true},
	{"an object's method", "hasOwnProperty", true},
	{"an object's property", "constructor", true},
	{"214 characters", strings.Repeat("a", 214), true},
	{"428 characters", strings.Repeat("a", maxName), true},
	{"scoped, reserved inside a scope", "@user/node_modules", true},
	{"scoped, underscore first", "@user/_package", true},
	{"scoped, hyphen first", "@user/-package", true},
	{"scoped, upper case", "@User/Package", true},

	{"empty", "", false},
	{"429 characters", strings.Repeat("a", maxName+1), false},
	{"5 kB", strings.Repeat("a", 5000), false},
	{"period first", ".bin", false},
	{"underscore first", "_changes", false},
	{"hyphen first", "-x", false},
	{"hyphen alone", "-", false},
	{"dot", ".", false},
	{"dot dot", "..", false},
	{"prototype", "__proto__", false},
	{"node_modules", "node_modules", false},
	{"node_modules, other case", "Node_Modules", false},
	{"favicon.ico", "favicon.ico", false},
	{"space inside", "a b", false},
	{"space first", " a", false},
	{"space last", "a ", false},
	{"colon", "a:b", false},
	{"percent", "a%2fb", false},
	{"plus", "a+b", false},
	{"query", "a?b", false},
	{"backslash", `a\b`, false},
	{"NUL", "a\x00b", false},
	{"newline", "a\n", false},
	{"delete", "a\x7f", false},
	{"not ASCII", "schön", false},
	{"not UTF-8", "a\xff", false},
	{"slash without a scope", "a/b", false},
	{"slashes", "s/l/a/s/h", false},
	{"slash first", "/a", false},
	{"slash last", "a/", false},
	{"an at sign inside", "a@1.0.0", false},
	{"scope alone", "@types", false},
	{"scope and slash", "@types/", false},
	{"at sign alone", "@", false},
	{"no scope", "@/node", false},
	{"extra slash", "@types/node/x", false},
	{"empty part", "@types//node", false},
	{"scoped period first", "@types/.node", false},
	{"scoped dot dot", "@types/..", false},
	{"scope of dots", "@../x", false},
	{"scope with a space", "@a b/x", false},
	{"two at signs", "@@a/x", false},
	{"scoped NUL", "@a/x\x00", false},
}

func TestCheckName(t *testing.T) {
	for _, row := range nameRows {
		t.Run(row.what, func(t *testing.T) {
			err := CheckName(row.name)
			if (err == nil) != row.ok {
				t.Fatalf("CheckName(%.100q) = %v, want ok = %v", row.name, err, row.ok)
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

func TestNameParts(t *testing.T) {
	tests := []struct {
		name, scope, base, escaped string
	}{
		{"lodash", "", "lodash", "lodash"},
		{"@types/node", "@types", "node", "@types%2fnode"},
		{"@user/_x", "@user", "_x", "@user%2f_x"},
		{"crazy!", "", "crazy!", "crazy!"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Scope(tt.name); got != tt.scope {
				t.Errorf("Scope = %q, want %q", got, tt.scope)
			}
			if got := Basename(tt.name); got != tt.base {
				t.Errorf("Basename = %q, want %q", got, tt.base)
			}
			if got := EscapeName(tt.name); got != tt.escaped {
				t.Errorf("EscapeName = %q, want %q", got, tt.escaped)
			}
		})
	}
}

func TestTarballNames(t *testing.T) {
	tests := []struct {
		name, version, file, path string
	}{
		{"lodash", "4.17.21", "lodash-4.17.21.tgz", "lodash/-/lodash-4.17.21.tgz"},
		{"@types/node", "20.1.0", "node-20.1.0.tgz", "@types/node/-/node-20.1.0.tgz"},
		{"a", "1.0.0+build.1", "a-1.0.0+build.1.tgz", "a/-/a-1.0.0+build.1.tgz"},
		{"a", "1.0.0-rc.1", "a-1.0.0-rc.1.tgz", "a/-/a-1.0.0-rc.1.tgz"},
		{"a-1.0.0", "2.0.0", "a-1.0.0-2.0.0.tgz", "a-1.0.0/-/a-1.0.0-2.0.0.tgz"},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			if got := TarballFile(tt.name, tt.version); got != tt.file {
				t.Errorf("TarballFile = %q, want %q", got, tt.file)
			}
			if got := TarballPath(tt.name, tt.version); got != tt.path {
				t.Errorf("TarballPath = %q, want %q", got, tt.path)
			}
			if got, ok := VersionOfFile(tt.name, tt.file); got != tt.version || !ok {
				t.Errorf("VersionOfFile = %q, %v, want %q, true", got, ok, tt.version)
			}
		})
	}
}

func TestVersionOfFileRefuses(t *testing.T) {
	tests := []struct{ what, name, file string }{
		{"another package", "a", "b-1.0.0.tgz"},
		{"a longer name's file", "a", "a-b-1.0.0.tgz"},
		{"the scope in the file", "@s/a", "@s/a-1.0.0.tgz"},
		{"a legacy at sign", "thirty-two", "thirty-two@0.0.1.tgz"},
		{"another ending", "a", "a-1.0.0.tar.gz"},
		{"no ending", "a", "a-1.0.0"},
		{"no version", "a", "a-.tgz"},
		{"the name alone", "a", "a"},
		{"a loose version", "a", "a-1.0.0beta.tgz"},
		{"a leading v", "a", "a-v1.0.0.tgz"},
		{"a leading space", "a", "a- 1.0.0.tgz"},
		{"a trailing space", "a", "a-1.0.0 .tgz"},
		{"a version of 257 bytes", "a", "a-1.0.0-" + strings.Repeat("b", maxVersion-5) + ".tgz"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			if got, ok := VersionOfFile(tt.name, tt.file); ok || got != "" {
				t.Errorf("VersionOfFile(%q, %q) = %q, %v, want none", tt.name, tt.file, got, ok)
			}
		})
	}
}
