package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/npm"
)

func prefixes(ss ...string) (ps []netip.Prefix) {
	for _, s := range ss {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

var compareToken = cmp.Options{cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}

func TestTokenOnDisk(t *testing.T) {
	c := newClock()
	a := open(t, Config{Now: c.now})
	other := open(t, Config{Now: c.now, Dir: a.disk.root})
	addUser(t, a, "alice", "password")
	secret, token := createToken(t, a, TokenRequest{
		Name: "ci", User: "alice", ReadOnly: true, CIDR: prefixes("10.1.2.3/8", "::ffff:192.0.2.0/120", "2001:db8::1/32"),
		Packages: []string{"@acme/*"}, Expires: c.now().Add(time.Hour),
	})
	want := Token{
		Key: keyOf(secret), Prefix: secret[:11], Name: "ci", User: "alice", ReadOnly: true,
		CIDR: prefixes("10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32"), Packages: []string{"@acme/*"},
		Created: c.now(), Expires: c.now().Add(time.Hour),
	}
	if d := cmp.Diff(want, token, compareToken); d != "" {
		t.Error(d)
	}
	got, err := other.TokenOf(t.Context(), secret)
	if d := cmp.Diff(want, got, compareToken); d != "" || err != nil {
		t.Errorf("another process reads another token (%v): %s", err, d)
	}

	entries, err := os.ReadDir(a.disk.path("tokens"))
	if err != nil || len(entries) != 1 || entries[0].Name() != keyOf(secret)+".json" {
		t.Fatalf("the files are %v: %v", entries, err)
	}
	if fi, err := entries[0].Info(); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v: %v", fi.Mode(), err)
	}
	err = filepath.WalkDir(a.disk.root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.Contains(read(t, path), secret[shownLen:]) {
			t.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestTokenEnds(t *testing.T) {
	ctx := t.Context()
	tests := []struct {
		name string
		end  func(t *testing.T, a, other *Auth, c *clock, token Token)
	}{
		{"revoked", func(t *testing.T, a, _ *Auth, _ *clock, token Token) {
			wantKind(t, "revoke", a.RevokeToken(ctx, token), npm.Internal)
			wantKind(t, "revoke again", a.RevokeToken(ctx, token), npm.Internal)
		}},
		{"revoked by another process", func(t *testing.T, _, other *Auth, _ *clock, token Token) {
			wantKind(t, "revoke", other.RevokeToken(ctx, token), npm.Internal)
		}},
		{"expired", func(t *testing.T, _, _ *Auth, c *clock, _ Token) { c.advance(time.Hour) }},
		{"password changed", func(t *testing.T, a, _ *Auth, _ *clock, _ Token) {
			wantKind(t, "change", a.ChangePassword(ctx, "alice", "password", "new password", here), npm.Internal)
		}},
		{"password set by another process", func(t *testing.T, _, other *Auth, _ *clock, _ Token) {
			wantKind(t, "set", other.SetPassword(ctx, "alice", "new password"), npm.Internal)
		}},
		{"user removed", func(t *testing.T, _, other *Auth, _ *clock, _ Token) {
			wantKind(t, "remove", other.RemoveUser(ctx, "alice"), npm.Internal)
		}},
		{"user removed by hand", func(t *testing.T, a, _ *Auth, _ *clock, _ Token) {
			if err := os.WriteFile(a.disk.path("htpasswd"), []byte("bob:x\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"another user gets the name", func(t *testing.T, a, _ *Auth, _ *clock, _ Token) {
			if err := os.Remove(a.disk.path("htpasswd")); err != nil {
				t.Fatal(err)
			}
			addUser(t, a, "alice", "another's password")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			a := open(t, Config{Now: c.now})
			other := open(t, Config{Now: c.now, Dir: a.disk.root})
			addUser(t, a, "alice", "password")
			secret, token := createToken(t, a, TokenRequest{User: "alice", Expires: c.now().Add(time.Hour)})
			for _, auth := range []*Auth{a, other} {
				if c := auth.Caller(ctx, "Bearer "+secret, here); c.User != "alice" || c.Fault != nil {
					t.Fatalf("before: %+v", c)
				}
			}
			tt.end(t, a, other, c, token)
			for _, auth := range []*Auth{a, other} {
				c := auth.Caller(ctx, "Bearer "+secret, here)
				wantKind(t, "after", c.Fault, npm.Unauthorized)
				if !c.Anonymous() || c.Token != nil {
					t.Errorf("the caller is %+v", c)
				}
			}
		})
	}
}

func TestTokensOfUser(t *testing.T) {
	ctx := t.Context()
	c := newClock()
	a := open(t, Config{Now: c.now, Groups: map[string][]string{"ci": nil}})
	addUser(t, a, "alice", "password")
	addUser(t, a, "bob", "password")
	var want []string
	for i, r := range []TokenRequest{
		{User: "alice", Name: "first"}, {User: "bob", Name: "bob's"}, {User: "alice", Name: "second"}, {Service: "alice", Groups: []string{"ci"}, Name: "service"},
	} {
		c.advance(time.Duration(i) * time.Second)
		createToken(t, a, r)
		want = append(want, r.Name)
	}
	names := func(user string) (names []string) {
		tokens, err := a.Tokens(ctx, user)
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range tokens {
			names = append(names, token.Name)
		}
		return names
	}
	if got := names(""); !slices.Equal(got, want) {
		t.Errorf("all tokens: %v, want %v", got, want)
	}
	if got := names("alice"); !slices.Equal(got, []string{"first", "second"}) {
		t.Errorf("alice's tokens: %v", got)
	}
	wantKind(t, "a new password", a.SetPassword(ctx, "alice", "new password"), npm.Internal)
	if got := names(""); !slices.Equal(got, []string{"bob's", "service"}) {
		t.Errorf("after alice's were revoked: %v", got)
	}
}

func TestCreateTokenRefuses(t *testing.T) {
	c := newClock()
	a := open(t, Config{Now: c.now, Groups: map[string][]string{"ci": nil}})
	addUser(t, a, "alice", "password")
	tests := []struct {
		name string
		r    TokenRequest
		kind npm.Kind
	}{
		{"of nobody", TokenRequest{}, npm.Invalid},
		{"of two", TokenRequest{User: "alice", Service: "ci"}, npm.Invalid},
		{"of an unknown user", TokenRequest{User: "bob"}, npm.NotFound},
		{"of a service with a bad name", TokenRequest{Service: "a b"}, npm.Invalid},
		{"a user's groups", TokenRequest{User: "alice", Groups: []string{"ci"}}, npm.Invalid},
		{"an unknown group", TokenRequest{Service: "bot", Groups: []string{"cd"}}, npm.Invalid},
		{"a pattern that matches nothing", TokenRequest{User: "alice", Packages: []string{"@acme"}}, npm.Invalid},
		{"no network", TokenRequest{User: "alice", CIDR: []netip.Prefix{{}}}, npm.Invalid},
		{"expired", TokenRequest{User: "alice", Expires: c.now()}, npm.Invalid},
		{"a long name", TokenRequest{User: "alice", Name: strings.Repeat("x", 201)}, npm.Invalid},
		{"a name of two lines", TokenRequest{User: "alice", Name: "a\nb"}, npm.Invalid},
		{"too many patterns", TokenRequest{User: "alice", Packages: slices.Repeat([]string{"a"}, 101)}, npm.Invalid},
		{"a password that is not the user's", TokenRequest{User: "alice", Password: "wrong"}, npm.Unauthorized},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			secret, _, err := a.CreateToken(t.Context(), tt.r)
			wantKind(t, "CreateToken", err, tt.kind)
			if secret != "" {
				t.Error("it returned a secret")
			}
		})
	}
	if tokens, err := a.Tokens(t.Context(), ""); err != nil || len(tokens) != 0 {
		t.Errorf("tokens were made: %v, %v", tokens, err)
	}
}

// A sign-in that was under way while the password was changed leaves no token.
func TestTokenOfAnOldPassword(t *testing.T) {
	ctx := t.Context()
	a := open(t, Config{})
	addUser(t, a, "alice", "stolen password")
	wantKind(t, "sign in", a.SignIn(ctx, "alice", "stolen password", there), npm.Internal)
	wantKind(t, "change", a.ChangePassword(ctx, "alice", "stolen password", "new password", here), npm.Internal)
	_, _, err := a.CreateToken(ctx, TokenRequest{User: "alice", Password: "stolen password"})
	wantKind(t, "the token of the sign-in", err, npm.Unauthorized)
	wantKind(t, "sign in", a.SignIn(ctx, "alice", "new password", here), npm.Internal)
	createToken(t, a, TokenRequest{User: "alice", Password: "new password"})
}

func TestTokensAreBounded(t *testing.T) {
	c := newClock()
	a := open(t, Config{Now: c.now})
	addUser(t, a, "alice", "password")
	addUser(t, a, "bob", "password")
	// Written by hand: a thousand fsyncs tell nothing.
	for i := range maxTokens {
		expires := `"2025-03-01T13:00:00Z"`
		if i >= 10 {
			expires = `"2035-01-01T00:00:00Z"`
		}
		raw := `{"prefix":"larder_0000","user":"alice","created":"2025-01-01T00:00:00Z","expires":` + expires + `}`
		if err := os.WriteFile(a.tokens.path(keyOf(fmt.Sprint(i))), []byte(raw), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := a.CreateToken(t.Context(), TokenRequest{User: "alice"})
	wantKind(t, "one more", err, npm.Forbidden)
	createToken(t, a, TokenRequest{User: "bob"})
	createToken(t, a, TokenRequest{Service: "alice"})

	c.advance(time.Hour) // ten of them expire, and make room
	createToken(t, a, TokenRequest{User: "alice"})
	if tokens, err := a.Tokens(t.Context(), "alice"); err != nil || len(tokens) != maxTokens-9 {
		t.Errorf("alice has %d tokens: %v", len(tokens), err)
	}
}

// A member that this release does not know may be a restriction.
func TestTokenFilesThatMakeNoSense(t *testing.T) {
	a := open(t, Config{})
	addUser(t, a, "alice", "password")
	good, _ := createToken(t, a, TokenRequest{User: "alice"})
	for name, raw := range map[string]string{
		"empty":                "",
		"no JSON":              "{",
		"an unknown member":    `{"user":"alice","created":"2025-01-01T00:00:00Z","hours":"9-17"}`,
		"of nobody":            `{"created":"2025-01-01T00:00:00Z"}`,
		"of two":               `{"user":"alice","service":"x","created":"2025-01-01T00:00:00Z"}`,
		"a network of no form": `{"user":"alice","cidr":["everywhere"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			secret := newSecret()
			if err := os.WriteFile(a.tokens.path(keyOf(secret)), []byte(raw), 0o600); err != nil {
				t.Fatal(err)
			}
			if c := a.Caller(t.Context(), "Bearer "+secret, here); !c.Anonymous() || c.Fault == nil {
				t.Errorf("the caller is %+v", c)
			}
		})
	}
	if err := os.WriteFile(a.disk.path("tokens", "README.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if tokens, err := a.Tokens(t.Context(), ""); err != nil || len(tokens) != 1 || tokens[0].Key != keyOf(good) {
		t.Errorf("the tokens are %v: %v", tokens, err)
	}
}

func TestTokenOf(t *testing.T) {
	a := open(t, Config{})
	for name, secret := range map[string]string{"unknown": newSecret(), "malformed": "../../htpasswd", "empty": ""} {
		if _, err := a.TokenOf(t.Context(), secret); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, key := range []string{"", "../htpasswd", strings.Repeat("/", 64)} {
		if err := a.RevokeToken(t.Context(), Token{Key: key}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("revoke %q: %v", key, err)
		}
	}
}

// What a malformed token costs is not a look at the disk.
func TestMalformedTokenNeverReachesTheDisk(t *testing.T) {
	a := open(t, Config{})
	if err := os.RemoveAll(a.disk.path("tokens")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.disk.path("tokens"), nil, 0o600); err != nil { // any look is ENOTDIR
		t.Fatal(err)
	}
	secret := newSecret()
	wantKind(t, "malformed", a.Caller(t.Context(), "Bearer "+secret[:len(secret)-1]+"!", here).Fault, npm.Unauthorized)
	if err := a.Caller(t.Context(), "Bearer "+secret, here).Fault; npm.KindOf(err) != npm.Unavailable {
		t.Errorf("a well-formed one: %v, want the disk's error", err)
	}
}

func BenchmarkBearer(b *testing.B) {
	a := open(b, Config{})
	addUser(b, a, "alice", "password")
	secret, _ := createToken(b, a, TokenRequest{User: "alice"})
	for b.Loop() {
		if c := a.Caller(b.Context(), "Bearer "+secret, here); c.User != "alice" {
			b.Fatal(c.Fault)
		}
	}
}

// BenchmarkCreateToken makes a token where there are ten thousand.
func BenchmarkCreateToken(b *testing.B) {
	a := open(b, Config{})
	addUser(b, a, "alice", "password")
	for i := range 10_000 {
		raw := fmt.Sprintf(`{"prefix":"larder_0000","user":"user%d","created":"2025-01-01T00:00:00Z"}`, i/100)
		if err := os.WriteFile(a.tokens.path(keyOf(fmt.Sprint(i))), []byte(raw), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		_, token := createToken(b, a, TokenRequest{User: "alice"})
		if err := a.RevokeToken(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}
