package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"larder/auth"
	"larder/npm"
)

// passwordChallenge is for a password that is wrong. With "Bearer" among its
// words npm would complain of a token (lib/utils/error-message.js).
const passwordChallenge = `Basic realm="larder"`

// couchUser begins the name of a user's document, as CouchDB called it.
const couchUser = "org.couchdb.user:"

// whoami answers GET /-/whoami.
func (s *Server) whoami(x *exchange, _ *http.Request) error {
	x.guarded = true
	if err := s.cfg.Auth.SignedIn(x.caller); err != nil {
		return err
	}
	return x.sendAccount(http.StatusOK, struct {
		Username string `json:"username"`
	}{x.caller.Name()})
}

// user answers GET /-/user/org.couchdb.user:NAME. npm owner and yarn owner
// take name and e-mail from it. Strangers do not learn who has an account.
func (s *Server) user(x *exchange, r *http.Request, route npm.Route) error {
	x.guarded = true
	if err := s.cfg.Auth.SignedIn(x.caller); err != nil {
		return err
	}
	p, err := s.cfg.Auth.Profile(r.Context(), route.Subject)
	if errors.Is(err, fs.ErrNotExist) {
		return &npm.Error{Kind: npm.NotFound, Op: "proxy.user", Msg: fmt.Sprintf("there is no user %.80q", route.Subject)}
	}
	if err != nil {
		return err
	}
	return x.sendAccount(http.StatusOK, struct {
		ID    string   `json:"_id"`
		Name  string   `json:"name"`
		Email string   `json:"email"`
		Type  string   `json:"type"`
		Roles []string `json:"roles"`
	}{couchUser + p.Name, p.Name, p.Email, "user", []string{}})
}

// putUser answers PUT /-/user/org.couchdb.user:NAME, with /-rev/REV or
// without: npm's login with a password, and its adduser. yarn 1 does it before
// each publish. The credentials in the body count, whatever came with the
// request: npm 6 sends an old token along.
func (s *Server) putUser(x *exchange, r *http.Request, route npm.Route) error {
	x.guarded = true
	created, secret, err := s.login(x, r, route.Subject)
	if created {
		s.note(x, "user.register", route.Subject, nil)
	}
	s.note(x, "login", route.Subject, err)
	if err != nil {
		return err
	}
	return x.sendAccount(http.StatusCreated, struct {
		OK    bool   `json:"ok"`
		ID    string `json:"id"`
		Rev   string `json:"rev"`
		Token string `json:"token"`
	}{true, couchUser + route.Subject, "1-0", secret})
}

// login signs user in by the password in r's body, or makes the account, and
// returns a new token.
func (s *Server) login(x *exchange, r *http.Request, user string) (created bool, secret string, err error) {
	body, err := accountBody(x, r)
	if err != nil {
		return false, "", err
	}
	if name, sent := body.Get("name"); sent && body.String("name") != user {
		return false, "", &npm.Error{Kind: npm.Invalid, Op: "proxy.login",
			Msg: fmt.Sprintf("the path is about the user %.80q, the body about %.80s", user, name)}
	}
	password := body.String("password")
	created, err = s.cfg.Auth.SignInOrRegister(r.Context(), user, password, body.String("email"), x.client)
	if err != nil {
		return false, "", passwordFault(x, err)
	}
	x.caller = auth.Caller{User: user, From: x.client} // from here on it is known who is asking
	secret, _, err = s.cfg.Auth.CreateToken(r.Context(), auth.TokenRequest{
		Name: "npm login" + fromClient(x), User: user, Password: password,
	})
	return created, secret, err
}

// fromClient says where a token comes from, for its name.
func fromClient(x *exchange) string {
	if !x.client.IsValid() {
		return ""
	}
	return " from " + x.client.String()
}

// logout answers DELETE /-/user/token/TOKEN. A token that is not known is what
// the caller wants it to be; npm would keep it for ever if it heard of an
// error. That goes for one that npm still sends as its credentials, too.
func (s *Server) logout(x *exchange, r *http.Request, route npm.Route) error {
	x.guarded = true
	fault := s.cfg.Auth.SignedIn(x.caller)
	itself := bearer(r) == route.Subject // what came as credentials is the token, be it known or not
	heard := fault == nil || itself && npm.KindOf(fault) == npm.Unauthorized
	t, err := s.cfg.Auth.TokenOf(r.Context(), route.Subject)
	switch unknown := errors.Is(err, fs.ErrNotExist); {
	case unknown && heard:
		return x.sendAccount(http.StatusOK, accepted{true})
	case unknown:
		err = fault
	case err != nil:
	case !heard:
		err = fault
	case !itself && (x.caller.User == "" || x.caller.User != t.User):
		err = &npm.Error{Kind: npm.Forbidden, Op: "proxy.logout", Msg: "this token is not yours"}
	default:
		err = s.cfg.Auth.RevokeToken(r.Context(), t)
	}
	s.note(x, "logout", t.Name, err)
	if err != nil {
		return err
	}
	return x.sendAccount(http.StatusOK, accepted{true})
}

// accepted is the answer where there is nothing to tell.
type accepted struct {
	OK bool `json:"ok"`
}

// bearer returns the token that came with r, "" if none did.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// accountBody reads a body that is a JSON object, or empty.
func accountBody(x *exchange, r *http.Request) (npm.Object, error) {
	raw, err := readSmall(x, r)
	if err != nil || len(raw) == 0 {
		return nil, err
	}
	return npm.ParseObject(raw)
}

// takeMembers decodes each member of body into what fields has for its name.
// A member that fields lacks is an error, never ignored: it may be meant to
// restrict something.
func takeMembers(body npm.Object, fields map[string]any) error {
	for _, m := range body {
		field, known := fields[m.Key]
		if !known {
			return &npm.Error{Kind: npm.Invalid, Op: "proxy.takeMembers",
				Msg: fmt.Sprintf("this server does not know %.80q, so nothing was done", m.Key)}
		}
		if err := json.Unmarshal(m.Value, field); err != nil {
			return &npm.Error{Kind: npm.Invalid, Op: "proxy.takeMembers",
				Msg: fmt.Sprintf("%q is not of the kind that belongs there", m.Key)} // its value may be a password
		}
	}
	return nil
}

// passwordFault makes err, if it is about a password, one that npm explains as
// such.
func passwordFault(x *exchange, err error) error {
	if npm.KindOf(err) == npm.Unauthorized {
		x.Header().Set("WWW-Authenticate", passwordChallenge)
	}
	return err
}

// note tells the journal what became of an account's affair.
func (s *Server) note(x *exchange, action, subject string, err error) {
	if npm.KindOf(err) == npm.TooMany {
		return // or whoever guesses passwords would soon have rotated the journal away
	}
	e := auth.Event{Action: action, Subject: subject}
	e.Result, e.Reason = outcomeOf(err)
	s.record(x, e)
}

// sendAccount ends a response about an account: JSON that nobody keeps, and
// that no web page may read.
func (x *exchange) sendAccount(status int, v any) error {
	body, err := encode(v)
	if err != nil {
		return err
	}
	x.guarded = true
	x.common(noStore)
	x.writeJSON(status, body)
	return nil
}
