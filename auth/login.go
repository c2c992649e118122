package auth

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"larder/npm"
)

const (
	maxLogins     = 1000 // pending at once
	maxLoginsFrom = 20   // of those from one address
	loginLife     = 10 * time.Minute
	loginsRetry   = time.Minute // when to come back if there are too many
	maxUserAgent  = 200         // bytes that are kept
)

// Login is one of npm's web logins: a client asks for it, a person signs in on
// a page, and the client, which polls, gets a token. The page is told where
// the client asked from, because whoever sends somebody else a link to it gets
// that person's token.
type Login struct {
	ID        string // in the page's URL
	Poll      string // in the URL that the client polls: another secret
	From      netip.Addr
	UserAgent string
	Created   time.Time
}

// logins are the web logins, in memory: a restart ends them, and npm starts anew.
type logins struct {
	now func() time.Time

	mu     sync.Mutex // guards what follows
	byID   map[string]*pendingLogin
	byPoll map[string]*pendingLogin
}

type pendingLogin struct {
	Login
	network netip.Prefix
	claimed bool   // a person has signed in; the page is done
	secret  string // of the token, once it is made
}

func newLogins(now func() time.Time) *logins {
	return &logins{now: now, byID: make(map[string]*pendingLogin), byPoll: make(map[string]*pendingLogin)}
}

// BeginLogin begins a web login. TooMany: there are too many, of this address
// or of all.
func (a *Auth) BeginLogin(from netip.Addr, userAgent string) (Login, error) {
	userAgent = strings.ToValidUTF8(userAgent[:min(len(userAgent), maxUserAgent)], "")
	return a.logins.begin(Login{ID: rand.Text(), Poll: rand.Text(), From: from, UserAgent: userAgent, Created: a.now()})
}

func (ls *logins) begin(login Login) (Login, error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	begun, fromThere := &pendingLogin{Login: login, network: network(login.From)}, 0
	for _, p := range ls.byID {
		if ls.over(p) {
			ls.drop(p)
		} else if p.network == begun.network {
			fromThere++
		}
	}
	if len(ls.byID) >= maxLogins || fromThere >= maxLoginsFrom {
		return Login{}, &npm.Error{
			Kind: npm.TooMany, Op: "auth.BeginLogin", RetryAfter: loginsRetry,
			Msg: "Too many logins have been begun and not finished; try again later",
		}
	}
	ls.byID[login.ID], ls.byPoll[login.Poll] = begun, begun
	return login, nil
}

// over reports whether a login has had its time.
func (ls *logins) over(p *pendingLogin) bool { return ls.now().Sub(p.Created) >= loginLife }

func (ls *logins) drop(p *pendingLogin) {
	delete(ls.byID, p.ID)
	delete(ls.byPoll, p.Poll)
}

// pending returns the login that a person may finish.
func (ls *logins) pending(id string) (*pendingLogin, error) {
	p, ok := ls.byID[id]
	if !ok || p.claimed || ls.over(p) {
		return nil, noLogin()
	}
	return p, nil
}

// claim takes a login, once.
func (ls *logins) claim(id string) (*pendingLogin, error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	p, err := ls.pending(id)
	if err == nil {
		p.claimed = true
	}
	return p, err
}

// finish gives the client its token, or, if there is none, the login back.
func (ls *logins) finish(p *pendingLogin, secret string) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	p.secret, p.claimed = secret, secret != ""
}

func noLogin() *npm.Error {
	return &npm.Error{Kind: npm.NotFound, Op: "auth.Login", Msg: "This login is finished or has expired; begin again"}
}

// PendingLogin returns the login that the page is about. NotFound: expired,
// finished or unknown.
func (a *Auth) PendingLogin(id string) (Login, error) {
	a.logins.mu.Lock()
	defer a.logins.mu.Unlock()
	p, err := a.logins.pending(id)
	if err != nil {
		return Login{}, err
	}
	return p.Login, nil
}

// FinishLogin signs a person in, or makes an account (create), and gives the
// client that waits a token. Kinds: those of SignIn and AddUser, and NotFound.
func (a *Auth) FinishLogin(ctx context.Context, id, user, password, email string, create bool, from netip.Addr) error {
	if _, err := a.PendingLogin(id); err != nil {
		return err // before anybody's password is looked at
	}
	action := "login"
	var err error
	if create {
		action = "user.register"
		err = a.register(ctx, user, password, email, from)
	} else {
		err = a.SignIn(ctx, user, password, from)
	}
	if err == nil {
		err = a.grant(ctx, id, user, password)
	}
	a.recordLogin(Event{Client: from.String(), Action: action, Subject: user}, err)
	return err
}

// grant makes the token of a person who has signed in.
func (a *Auth) grant(ctx context.Context, id, user, password string) error {
	p, err := a.logins.claim(id)
	if err != nil {
		return err
	}
	secret, _, err := a.CreateToken(ctx, TokenRequest{
		Name: fmt.Sprintf("web login from %s", p.From), User: user, Password: password,
	})
	a.logins.finish(p, secret)
	return err
}

// PollLogin returns the token's secret, once, or that a person has yet to sign
// in. NotFound: expired, asked for already, or unknown.
func (a *Auth) PollLogin(_ context.Context, poll string) (secret string, pending bool, err error) {
	ls := a.logins
	ls.mu.Lock()
	defer ls.mu.Unlock()
	p, ok := ls.byPoll[poll]
	switch {
	case !ok || ls.over(p):
		return "", false, noLogin()
	case p.secret == "":
		return "", true, nil
	}
	ls.drop(p)
	return p.secret, false, nil
}

// recordLogin writes what came of a web login to the journal.
func (a *Auth) recordLogin(e Event, err error) {
	if npm.KindOf(err) == npm.TooMany {
		return // or whoever guesses passwords would soon have rotated the journal away
	}
	e.Time = a.now()
	e.Subject = strings.ToValidUTF8(e.Subject[:min(len(e.Subject), maxUserName)], "")
	switch {
	case err == nil:
		e.Result, e.Actor = "ok", e.Subject
	case npm.KindOf(err) == npm.Internal:
		e.Result, e.Reason = "failed", npm.Message(err)
	default:
		e.Result, e.Reason = "refused", npm.Message(err)
	}
	if err := a.journal.Record(e); err != nil {
		a.log.Error("the audit log cannot be written", "error", err)
	}
}
