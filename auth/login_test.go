package auth

import (
	"bufio"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"larder/npm"
)

func begin(t testing.TB, a *Auth) Login {
	t.Helper()
	login, err := a.BeginLogin(here, "npm/11")
	if err != nil {
		t.Fatal(err)
	}
	return login
}

// wantPending fails unless the poll's answer is pending.
func wantPending(t testing.TB, a *Auth, login Login) {
	t.Helper()
	if secret, pending, err := a.PollLogin(t.Context(), login.Poll); secret != "" || !pending || err != nil {
		t.Errorf("the poll returns %q, pending %v, %v", secret, pending, err)
	}
}

func wantNoLogin(t testing.TB, what string, a *Auth, login Login) {
	t.Helper()
	_, err := a.PendingLogin(login.ID)
	wantKind(t, what+", the page", err, npm.NotFound)
	_, _, err = a.PollLogin(t.Context(), login.Poll)
	wantKind(t, what+", the poll", err, npm.NotFound)
}

func TestWebLogin(t *testing.T) {
	ctx := t.Context()
	a := open(t, Config{})
	addUser(t, a, "alice", "password")
	login := begin(t, a)
	if login.ID == login.Poll || len(login.ID) < 26 || len(login.Poll) < 26 {
		t.Errorf("the secrets are %q and %q", login.ID, login.Poll)
	}
	if got, err := a.PendingLogin(login.ID); err != nil || got != login {
		t.Errorf("the page is about %+v: %v", got, err)
	}
	wantPending(t, a, login)
	// Each secret opens its own door alone.
	wantNoLogin(t, "the secrets swapped", a, Login{ID: login.Poll, Poll: login.ID})

	wantKind(t, "wrong password", a.FinishLogin(ctx, login.ID, "alice", "wrong", "", false, there), npm.Unauthorized)
	wantPending(t, a, login)
	wantKind(t, "right password", a.FinishLogin(ctx, login.ID, "alice", "password", "", false, there), npm.Internal)
	wantKind(t, "again", a.FinishLogin(ctx, login.ID, "alice", "password", "", false, there), npm.NotFound)
	_, err := a.PendingLogin(login.ID)
	wantKind(t, "the page, afterwards", err, npm.NotFound)

	secret, pending, err := a.PollLogin(ctx, login.Poll)
	if err != nil || pending {
		t.Fatalf("the poll: pending %v, %v", pending, err)
	}
	if c := a.Caller(ctx, "Bearer "+secret, here); c.User != "alice" || !strings.Contains(c.TokenName(), here.String()) {
		t.Errorf("the token is %+v: %v", c.Token, c.Fault)
	}
	wantNoLogin(t, "when it is over", a, login)
}

func TestWebLoginCreates(t *testing.T) {
	ctx := t.Context()
	closed := open(t, Config{})
	wantKind(t, "where registration is closed",
		closed.FinishLogin(ctx, begin(t, closed).ID, "alice", "password", "", true, there), npm.Forbidden)
	if closed.Exists("alice") || closed.Registration() {
		t.Error("an account was made")
	}

	a := open(t, Config{Registration: true})
	login := begin(t, a)
	wantKind(t, "a bad password", a.FinishLogin(ctx, login.ID, "alice", "short", "", true, there), npm.Invalid)
	wantKind(t, "create", a.FinishLogin(ctx, login.ID, "alice", "password", "a@example.com", true, there), npm.Internal)
	if secret, _, err := a.PollLogin(ctx, login.Poll); err != nil || secret == "" {
		t.Errorf("no token: %v", err)
	}
	wantKind(t, "a name that is taken", a.FinishLogin(ctx, begin(t, a).ID, "alice", "password", "", true, there), npm.Conflict)
	wantKind(t, "not without a login", a.FinishLogin(ctx, "made up", "bob", "password", "", true, there), npm.NotFound)
	if a.Exists("bob") {
		t.Error("an account was made")
	}
}

func TestWebLoginExpires(t *testing.T) {
	ctx := t.Context()
	c := newClock()
	a := open(t, Config{Now: c.now})
	addUser(t, a, "alice", "password")
	unfinished, finished := begin(t, a), begin(t, a)
	wantKind(t, "finish", a.FinishLogin(ctx, finished.ID, "alice", "password", "", false, there), npm.Internal)
	c.advance(loginLife - 1)
	wantPending(t, a, unfinished)
	c.advance(1)
	wantNoLogin(t, "unfinished", a, unfinished)
	wantNoLogin(t, "finished and not polled", a, finished)
	wantKind(t, "too late", a.FinishLogin(ctx, unfinished.ID, "alice", "password", "", false, there), npm.NotFound)
	begin(t, a)
	if n := len(a.logins.byID) + len(a.logins.byPoll); n != 2 {
		t.Errorf("%d logins are held, want the new one", n)
	}
}

func TestWebLoginsAreBounded(t *testing.T) {
	c := newClock()
	a := open(t, Config{Now: c.now})
	from := func(i int) netip.Addr { // twenty each from one /64
		return netip.AddrFrom16([16]byte{0x20, 0x01, 6: byte(i >> 8), 7: byte(i), 15: byte(i)})
	}
	for i := range maxLogins {
		if _, err := a.BeginLogin(from(i/20), strings.Repeat("x", 1000)); err != nil {
			t.Fatalf("login %d: %v", i, err)
		}
		if i == 19 {
			_, err := a.BeginLogin(from(0).Next(), "")
			wantKind(t, "the 21st of one network", err, npm.TooMany)
			if retryAfter(err) <= 0 {
				t.Error("it does not say when to try again")
			}
		}
	}
	for _, p := range a.logins.byID {
		if len(p.UserAgent) > maxUserAgent {
			t.Fatalf("%d bytes of user agent are kept", len(p.UserAgent))
		}
	}
	_, err := a.BeginLogin(here, "")
	wantKind(t, "when all are taken", err, npm.TooMany)
	c.advance(loginLife)
	begin(t, a)
}

// Two people, or one who clicks twice, finish one login: one token.
func TestWebLoginIsFinishedOnce(t *testing.T) {
	a := open(t, Config{})
	addUser(t, a, "alice", "password")
	login := begin(t, a)
	errs := make([]error, 10)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = a.FinishLogin(t.Context(), login.ID, "alice", "password", "", false, there) })
	}
	wg.Wait()
	done := 0
	for _, err := range errs {
		if err == nil {
			done++
		} else {
			wantKind(t, "the others", err, npm.NotFound)
		}
	}
	if tokens, err := a.Tokens(t.Context(), "alice"); err != nil || len(tokens) != 1 || done != 1 {
		t.Errorf("%d finished it and there are %d tokens: %v", done, len(tokens), err)
	}
}

// A login whose token cannot be made may be tried again.
func TestWebLoginIsGivenBack(t *testing.T) {
	a := open(t, Config{})
	addUser(t, a, "alice", "password")
	login := begin(t, a)
	tokens, away := a.disk.path("tokens"), a.disk.path("away")
	if err := os.Rename(tokens, away); err != nil {
		t.Fatal(err)
	}
	if err := a.FinishLogin(t.Context(), login.ID, "alice", "password", "", false, there); err == nil {
		t.Fatal("a token was made in a directory that is not there")
	}
	wantPending(t, a, login)
	if err := os.Rename(away, tokens); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "again", a.FinishLogin(t.Context(), login.ID, "alice", "password", "", false, there), npm.Internal)
}

// Attempts that have to wait are not recorded, as they are nowhere else: they
// cost nothing, so that there could be millions of lines.
func TestWebLoginsThatWaitAreNotRecorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	a := open(t, Config{Journal: openJournal(t, JournalConfig{Path: path})})
	login := begin(t, a)
	var err error
	for range 3 * int(userLimit.burst) {
		err = a.FinishLogin(t.Context(), login.ID, "alice", "wrong", "", false, there)
	}
	wantKind(t, "after so many", err, npm.TooMany)
	if got, want := len(events(t, path)), int(userLimit.burst); got != want {
		t.Errorf("%d events, want %d", got, want)
	}
}

func TestWebLoginIsRecorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	j, err := OpenJournal(JournalConfig{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	c := newClock()
	a := open(t, Config{Journal: j, Now: c.now, Registration: true})
	login := begin(t, a)
	for _, password := range []string{"short", "password"} {
		a.FinishLogin(t.Context(), login.ID, "alice", password, "", true, there)
	}
	a.FinishLogin(t.Context(), begin(t, a).ID, "alice", "wrong", "", false, there)
	want := []Event{
		{Action: "user.register", Result: "refused", Reason: "A password has at least 8 characters"},
		{Action: "user.register", Result: "ok", Actor: "alice"},
		{Action: "login", Result: "refused", Reason: "bad username/password, access denied"},
	}
	for i, got := range events(t, path) {
		want[i].Time, want[i].Client, want[i].Subject = c.now(), there.String(), "alice"
		if got != want[i] {
			t.Errorf("event %d is %+v, want %+v", i, got, want[i])
		}
	}
	if n := len(events(t, path)); n != len(want) {
		t.Errorf("%d events, want %d", n, len(want))
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if strings.Contains(read(t, path), "wrong") {
		t.Error("the journal holds a password")
	}
}

// events reads a journal's file.
func events(t testing.TB, path string) (events []Event) {
	t.Helper()
	scanner := bufio.NewScanner(strings.NewReader(read(t, path)))
	for scanner.Scan() {
		var e Event
		if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
			t.Fatalf("line %q: %v", scanner.Text(), err)
		}
		events = append(events, e)
	}
	return events
}

func TestWebLoginTokenOfAChangedPassword(t *testing.T) {
	ctx := t.Context()
	a := open(t, Config{})
	addUser(t, a, "alice", "password")
	login := begin(t, a)
	wantKind(t, "finish", a.FinishLogin(ctx, login.ID, "alice", "password", "", false, there), npm.Internal)
	wantKind(t, "change", a.ChangePassword(ctx, "alice", "password", "new password", here), npm.Internal)
	secret, _, err := a.PollLogin(ctx, login.Poll)
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, "its token", a.Caller(ctx, "Bearer "+secret, here).Fault, npm.Unauthorized)
}
