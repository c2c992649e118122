package auth

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"testing"

	"larder/npm"
)

// TestAccountsOutliveTheirDisk: while the directory is gone, whoever was known
// is known, nobody new is, and nobody is told that a token was revoked.
func TestAccountsOutliveTheirDisk(t *testing.T) {
	a := open(t, Config{Registration: true})
	addUser(t, a, "alice", "correct horse")
	token := func() string {
		t.Helper()
		secret, _, err := a.CreateToken(t.Context(), TokenRequest{User: "alice"})
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	known, unused := token(), token()
	whois := func(secret string) Caller { return a.Caller(context.Background(), "Bearer "+secret, here) }
	if c := whois(known); c.Name() != "alice" {
		t.Fatalf("the caller is %+v", c)
	}
	away := a.disk.root + ".away"
	if err := os.Rename(a.disk.root, away); err != nil {
		t.Fatal(err)
	}
	if c := whois(known); c.Name() != "alice" {
		t.Errorf("a token that was in use makes its caller %q: %v", c.Name(), c.Fault)
	}
	if c := whois(unused); c.Name() != "" || npm.KindOf(c.Fault) != npm.Unavailable || errors.Is(c.Fault, fs.ErrNotExist) {
		t.Errorf("a token that nobody has used makes its caller %q: %v", c.Name(), c.Fault)
	}
	if err := a.SignIn(t.Context(), "alice", "correct horse", here); err != nil {
		t.Errorf("the password does not do any more: %v", err)
	}
	if _, _, err := a.CreateToken(t.Context(), TokenRequest{User: "alice"}); npm.KindOf(err) != npm.NoSpace && npm.KindOf(err) != npm.Unavailable {
		t.Errorf("a new token: %v", err)
	}
	if _, err := a.SignInOrRegister(t.Context(), "bob", "battery staple", "", here); npm.KindOf(err) != npm.Unavailable {
		t.Errorf("a new account: %v", err)
	}
	if _, err := os.Stat(a.disk.root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory was made anew: %v", err)
	}
	if err := os.Rename(away, a.disk.root); err != nil {
		t.Fatal(err)
	}
	if c := whois(unused); c.Name() != "alice" {
		t.Errorf("when the directory is back the caller is %q: %v", c.Name(), c.Fault)
	}
	if err := os.Remove(a.tokens.path(keyOf(known))); err != nil {
		t.Fatal(err)
	}
	if c := whois(known); npm.KindOf(c.Fault) != npm.Unauthorized {
		t.Errorf("a revoked token makes its caller %q: %v", c.Name(), c.Fault)
	}
}
