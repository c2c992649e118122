package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"larder/npm"
)

func TestAccounts(t *testing.T) {
	ctx := t.Context()
	a := open(t, Config{})
	addUser(t, a, "alice", "first password")
	wantKind(t, "sign in", a.SignIn(ctx, "alice", "first password", here), npm.Internal)
	wantKind(t, "wrong password", a.SignIn(ctx, "alice", "wrong password", here), npm.Unauthorized)
	wantKind(t, "unknown user", a.SignIn(ctx, "bob", "first password", here), npm.Unauthorized)
	wantKind(t, "the case of a name counts", a.SignIn(ctx, "Alice", "first password", here), npm.Unauthorized)
	if got := npm.Message(a.SignIn(ctx, "bob", "x", here)); got != "bad username/password, access denied" {
		t.Errorf("the sentence is %q; tools match Verdaccio's", got)
	}

	wantKind(t, "a new password", a.SetPassword(ctx, "alice", "second password"), npm.Internal)
	wantKind(t, "the old one", a.SignIn(ctx, "alice", "first password", here), npm.Unauthorized)
	wantKind(t, "the new one", a.SignIn(ctx, "alice", "second password", here), npm.Internal)
	wantKind(t, "of nobody", a.SetPassword(ctx, "bob", "second password"), npm.NotFound)
	wantKind(t, "too short", a.SetPassword(ctx, "alice", "short"), npm.Invalid)

	wantKind(t, "change, wrong", a.ChangePassword(ctx, "alice", "guess", "third password", here), npm.Unauthorized)
	wantKind(t, "change, too short", a.ChangePassword(ctx, "alice", "second password", "third", here), npm.Invalid)
	wantKind(t, "change", a.ChangePassword(ctx, "alice", "second password", "third password", here), npm.Internal)
	wantKind(t, "changed", a.SignIn(ctx, "alice", "third password", here), npm.Internal)

	wantKind(t, "remove", a.RemoveUser(ctx, "alice"), npm.Internal)
	wantKind(t, "removed", a.SignIn(ctx, "alice", "third password", here), npm.Unauthorized)
	err := a.RemoveUser(ctx, "alice")
	wantKind(t, "remove again", err, npm.NotFound)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}

func TestAddUserRefuses(t *testing.T) {
	a := open(t, Config{Groups: map[string][]string{"web-team": {"alice"}}})
	addUser(t, a, "alice", "password")
	tests := []struct {
		name, user, password, email string
		kind                        npm.Kind
	}{
		{"taken", "alice", "password", "", npm.Conflict},
		{"taken but for the case", "ALICE", "password", "", npm.Conflict},
		{"a group", "web-team", "password", "", npm.Invalid},
		{"the administrators", "admins", "password", "", npm.Invalid},
		{"a word of the rules", "anyone", "password", "", npm.Invalid},
		{"a path", "../alice", "password", "", npm.Invalid},
		{"a second line", "bob\nmallory:x", "password", "", npm.Invalid},
		{"a short password", "bob", "1234567", "", npm.Invalid},
		{"a long e-mail address", "bob", "password", strings.Repeat("x", 501), npm.Invalid},
		{"two lines of e-mail", "bob", "password", "a\nb", npm.Invalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantKind(t, "AddUser", a.AddUser(t.Context(), tt.user, tt.password, tt.email), tt.kind)
		})
	}
	if users, err := a.Users(t.Context()); err != nil || len(users) != 1 {
		t.Errorf("the users are %v: %v", users, err)
	}
}

// TestNamesWithRightsAreNotForStrangers: whoever came first would else be the
// administrator.
func TestNamesWithRightsAreNotForStrangers(t *testing.T) {
	a := open(t, Config{
		Registration: true,
		Groups:       map[string][]string{Admins: {"alice"}, "web-team": {"bob"}},
		Rules:        []Rule{{Match: "**", Read: []string{"anyone"}, Publish: []string{"web-team", "carol"}}},
	})
	for _, user := range []string{"alice", "Alice", "bob", "carol"} {
		_, err := a.SignInOrRegister(t.Context(), user, "password", "", here)
		wantKind(t, user, err, npm.Forbidden)
		login := begin(t, a)
		wantKind(t, user+" by the page", a.FinishLogin(t.Context(), login.ID, user, "password", "", true, here), npm.Forbidden)
	}
	addUser(t, a, "alice", "password") // an administrator may
	if created, err := a.SignInOrRegister(t.Context(), "alice", "password", "", here); err != nil || created {
		t.Errorf("created %t, %v", created, err)
	}
	if created, err := a.SignInOrRegister(t.Context(), "dave", "password", "", here); err != nil || !created {
		t.Errorf("somebody else: created %t, %v", created, err)
	}
}

func TestSignInOrRegister(t *testing.T) {
	ctx := t.Context()
	closed := open(t, Config{})
	created, err := closed.SignInOrRegister(ctx, "alice", "password", "", here)
	wantKind(t, "where registration is closed", err, npm.Unauthorized)
	if created || closed.Exists("alice") {
		t.Error("an account was made")
	}

	a := open(t, Config{Registration: true})
	created, err = a.SignInOrRegister(ctx, "alice", "password", "alice@example.com", here)
	if err != nil || !created {
		t.Fatalf("created %v: %v", created, err)
	}
	if p, err := a.Profile(ctx, "alice"); err != nil || p.Email != "alice@example.com" || p.Created.IsZero() {
		t.Errorf("profile %+v: %v", p, err)
	}
	created, err = a.SignInOrRegister(ctx, "alice", "password", "", here)
	if err != nil || created {
		t.Errorf("the second time created %v: %v", created, err)
	}
	_, err = a.SignInOrRegister(ctx, "alice", "guessing", "", here)
	wantKind(t, "somebody else's account", err, npm.Unauthorized)

	// npm replaces the sentence of a 400, and answers a 409 by another dance.
	for user, password := range map[string]string{"ALICE": "password", "b b": "password", "bob": "short"} {
		_, err := a.SignInOrRegister(ctx, user, password, "", here)
		wantKind(t, user, err, npm.Forbidden)
		if msg := npm.Message(err); msg == "" || msg == "forbidden" {
			t.Errorf("%s: the sentence is %q", user, msg)
		}
	}
}

func TestRegistrationsAreThrottled(t *testing.T) {
	a := open(t, Config{Registration: true})
	for range 100 {
		a.throttle.register(here)
	}
	_, err := a.SignInOrRegister(t.Context(), "alice", "password", "", here)
	wantKind(t, "the 101st account from one address", err, npm.TooMany)
	_, err = a.SignInOrRegister(t.Context(), "alice", "password", "", there)
	wantKind(t, "the first from another", err, npm.Internal)
}

// Two servers, or one and the command line, on one directory.
func TestTwoProcesses(t *testing.T) {
	ctx := t.Context()
	one := open(t, Config{})
	other := open(t, Config{Dir: one.disk.root})
	addUser(t, one, "alice", "password")
	wantKind(t, "an account that the other made", other.SignIn(ctx, "alice", "password", here), npm.Internal)
	for i := range 20 { // faster than the file system's clock ticks
		password := fmt.Sprintf("password %2d", i)
		wantKind(t, "set", one.SetPassword(ctx, "alice", password), npm.Internal)
		wantKind(t, "a password that the other set", other.SignIn(ctx, "alice", password, here), npm.Internal)
	}
	wantKind(t, "remove", one.RemoveUser(ctx, "alice"), npm.Internal)
	if other.Exists("alice") {
		t.Error("a removed account is still there for the other")
	}
}

func TestEditsAtOnceAreNotLost(t *testing.T) {
	one := open(t, Config{})
	other := open(t, Config{Dir: one.disk.root})
	var wg sync.WaitGroup
	for i := range 20 {
		for j, a := range []*Auth{one, other} {
			wg.Go(func() {
				wantKind(t, "add", a.AddUser(t.Context(), fmt.Sprintf("user%d-%d", j, i), "password", ""), npm.Internal)
			})
		}
	}
	taken := make(chan error, 8)
	for range 8 {
		wg.Go(func() { taken <- one.AddUser(t.Context(), "same", "password", "") })
	}
	wg.Wait()
	close(taken)
	made := 0
	for err := range taken {
		if err == nil {
			made++
		} else {
			wantKind(t, "the same name again", err, npm.Conflict)
		}
	}
	users, err := other.Users(t.Context())
	if err != nil || len(users) != 41 || made != 1 {
		t.Errorf("%d users, want 41, and %d made one name: %v", len(users), made, err)
	}
}

// What Verdaccio or Apache left is verified once and rewritten.
func TestOldHashesAreReplaced(t *testing.T) {
	const file = "# Verdaccio's\n" +
		"sha:{SHA}qvTGHdzF6KLavt4PO0gs2a6pQ00=:autocreated 2020-01-01T00:00:00.000Z\n" +
		"des:abl0JrMf6tlhw:autocreated 2020-01-01T00:00:00.000Z\n" +
		"apr:$apr1$r31.....$Prb4tYwE.sLGuMXoppxOX0\n" +
		"md5:$1$saltsalt$fFhQNRZ9A4AYLdo7vOe8a0\n" +
		"six:$6$saltstring$FAGYDyoYriJZZozrqxKlj3e8sB/i7oiBKr0IsSILeeFjOstTzTN7VBrJXtFNTHuRzUnhy.z43X6Jd3KbHZ.me/\n" +
		"new:$2y$04$abcdefghijklmnopqrstuuwHJMEGjfAzmL1lWmUmlphguIbWfjYey\n" +
		"odd:$argon2id$whatever\n"
	ctx := t.Context()
	dir := t.TempDir()
	path := filepath.Join(dir, "htpasswd")
	if err := os.WriteFile(path, []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	a := open(t, Config{Dir: dir, Registration: true})
	wantKind(t, "wrong", a.SignIn(ctx, "des", "wrong", here), npm.Unauthorized)
	if got := read(t, path); got != file {
		t.Errorf("a wrong password changed the file to %q", got)
	}
	for _, user := range []string{"sha", "des", "apr", "md5", "six", "new"} {
		wantKind(t, user, a.SignIn(ctx, user, "hello", here), npm.Internal)
		wantKind(t, user+" again", a.SignIn(ctx, user, "hello", here), npm.Internal)
		wantKind(t, user+", wrong", a.SignIn(ctx, user, "hellp", there), npm.Unauthorized)
	}
	lines := strings.Split(read(t, path), "\n")
	before := strings.Split(file, "\n")
	for i, line := range lines {
		name, hash, rest, ok := splitLine(line)
		_, _, oldRest, _ := splitLine(before[i])
		switch {
		case !ok || name == "new" || name == "odd":
			if line != before[i] {
				t.Errorf("line %q became %q", before[i], line)
			}
		case !strings.HasPrefix(hash, "$2a$04$") || rest != oldRest:
			t.Errorf("line %q became %q", before[i], line)
		}
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v: %v", fi.Mode(), err)
	}
	// Nobody else gets the name of an account that cannot be verified.
	_, err := a.SignInOrRegister(ctx, "odd", "password", "", here)
	wantKind(t, "an account with a hash of another kind", err, npm.Unauthorized)
}

// A password over 72 bytes stays what it is: as bcrypt it would become shorter.
func TestLongOldPasswordStays(t *testing.T) {
	dir := t.TempDir()
	const line = "long:{SHA}mhYxdXId8MC8tCysqx+LZq6VXc8=\n" // of 80 times x
	if err := os.WriteFile(filepath.Join(dir, "htpasswd"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	a := open(t, Config{Dir: dir})
	for range 2 {
		wantKind(t, "sign in", a.SignIn(t.Context(), "long", strings.Repeat("x", 80), here), npm.Internal)
	}
	wantKind(t, "72 bytes of it", a.SignIn(t.Context(), "long", strings.Repeat("x", 72), here), npm.Unauthorized)
	if got := read(t, filepath.Join(dir, "htpasswd")); got != line {
		t.Errorf("the line became %q", got)
	}
}

// An administrator may edit the file by hand or with Apache's tool, in place.
func TestFileEditedInPlace(t *testing.T) {
	a := open(t, Config{})
	addUser(t, a, "alice", "password")
	path := a.disk.path("htpasswd")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("hand:{SHA}qvTGHdzF6KLavt4PO0gs2a6pQ00=\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "an account made by hand", a.SignIn(t.Context(), "hand", "hello", here), npm.Internal)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if a.Exists("alice") {
		t.Error("accounts outlive their file")
	}
}

func TestAccountsThatCannotBeRead(t *testing.T) {
	a := open(t, Config{Registration: true})
	if err := os.Mkdir(a.disk.path("htpasswd"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := a.SignIn(t.Context(), "alice", "password", here)
	if npm.KindOf(err) != npm.Unavailable {
		t.Errorf("signing in: %v, want that the accounts cannot be read", err)
	}
	if created, err := a.SignInOrRegister(t.Context(), "alice", "password", "", here); err == nil || created {
		t.Errorf("an account was made without knowing who is there: %v", err)
	}
	c := a.Caller(t.Context(), basic("alice", "password"), here)
	if !c.Anonymous() || c.Fault == nil {
		t.Errorf("the caller is %+v", c)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
