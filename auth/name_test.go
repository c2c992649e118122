package auth

import (
	"strings"
	"testing"

	"larder/npm"
)

func TestCheckUserName(t *testing.T) {
	for _, name := range []string{"alice", "Alice", "a", "a.b-c_d@x", "_", "~x+1", "7", strings.Repeat("a", 64), "@acme", "anyone1"} {
		wantKind(t, name, CheckUserName(name), npm.Internal)
	}
	for _, name := range []string{
		"", "-rf", ".hidden", "..", "a:b", "a/b", `a\b`, "a b", "a\nb", "a\x00b", "jörg", "a%2fb", "#a", "$all", "a*",
		strings.Repeat("a", 65), "anyone", "authenticated", "admins", "service:ci",
	} {
		wantKind(t, name, CheckUserName(name), npm.Invalid)
	}
}

func TestCheckPassword(t *testing.T) {
	for _, password := range []string{"12345678", strings.Repeat("x", 72), "pass:word with ü"} {
		wantKind(t, password, CheckPassword(password), npm.Internal)
	}
	for _, password := range []string{"", "1234567", strings.Repeat("x", 73), strings.Repeat("ü", 37)} {
		wantKind(t, password, CheckPassword(password), npm.Invalid)
	}
}
