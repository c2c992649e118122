package auth

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/npm"
)

func TestProfile(t *testing.T) {
	ctx := t.Context()
	c := newClock()
	a := open(t, Config{Now: c.now})
	addUser(t, a, "alice", "password")
	made := c.now()
	c.advance(time.Hour)
	set := Profile{
		Name: "alice", Email: "a@example.com", FullName: "Alice <A>", Homepage: "https://example.com/?a&b", Twitter: "t",
		GitHub: "g", Freenode: "f", Created: c.now().Add(time.Hour),
	}
	wantKind(t, "set", a.SetProfile(ctx, set), npm.Internal)
	set.Created, set.Updated = made, c.now()
	got, err := a.Profile(ctx, "alice")
	if d := cmp.Diff(set, got); d != "" || err != nil {
		t.Errorf("%v: %s", err, d)
	}

	wantKind(t, "set of nobody", a.SetProfile(ctx, Profile{Name: "bob"}), npm.NotFound)
	wantKind(t, "set two lines", a.SetProfile(ctx, Profile{Name: "alice", FullName: "a\nb"}), npm.Invalid)
	wantKind(t, "set a novel", a.SetProfile(ctx, Profile{Name: "alice", Homepage: strings.Repeat("x", 501)}), npm.Invalid)
	if _, err := a.Profile(ctx, "bob"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the profile of nobody: %v", err)
	}

	wantKind(t, "remove", a.RemoveUser(ctx, "alice"), npm.Internal)
	addUser(t, a, "alice", "password")
	if p, err := a.Profile(ctx, "alice"); err != nil || p.FullName != "" {
		t.Errorf("the next alice inherits %+v: %v", p, err)
	}
}

// Accounts from elsewhere have no profile, and names of any kind.
func TestProfileOfOddNames(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	names := []string{"alice", "Alice", "jörg müller", "..", ".", "a/../../b", "%41lice", "!alice", strings.Repeat("/", maxUserName)}
	if err := os.WriteFile(filepath.Join(dir, "htpasswd"), []byte(strings.Join(names, ":x\n")+":x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := open(t, Config{Dir: dir})
	files := map[string]bool{}
	for _, name := range names {
		if p, err := a.Profile(ctx, name); err != nil || p != (Profile{Name: name}) {
			t.Errorf("before: %+v, %v", p, err)
		}
		wantKind(t, "set "+name, a.SetProfile(ctx, Profile{Name: name, FullName: name}), npm.Internal)
		path := a.profilePath(name)
		if filepath.Dir(path) != filepath.Join(dir, "profiles") || files[strings.ToLower(path)] {
			t.Errorf("%q has the file %s", name, path)
		}
		files[strings.ToLower(path)] = true
	}
	users, err := a.Users(ctx)
	if err != nil || len(users) != len(names) {
		t.Fatalf("%d users: %v", len(users), err)
	}
	for i, p := range users {
		if p.FullName != p.Name || i > 0 && users[i-1].Name >= p.Name {
			t.Errorf("user %d is %+v", i, p)
		}
	}
}
