package proxy

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"larder/npm"
)

// pollInterval is how long a client waits between two looks at its login. npm
// asks without a pause if it is not told (npm-profile, lib/index.js).
const pollInterval = time.Second

// beginLogin answers POST /-/v1/login: it says where a person can sign in, and
// where the client hears of it. npm falls back to asking for the password on
// the terminal where the answer is 4xx.
func (s *Server) beginLogin(x *exchange, r *http.Request) error {
	x.guarded = true
	if s.cfg.Web == nil || asksOnTerminal(r) {
		return &npm.Error{Kind: npm.NotFound, Op: "proxy.beginLogin", Msg: "no login page, for this client at least"}
	}
	body, err := accountBody(x, r)
	if err != nil {
		return err
	}
	base, err := s.bases.of(r, x.trusted)
	if err != nil {
		return err
	}
	login, err := s.cfg.Auth.BeginLogin(x.client, r.UserAgent())
	if err != nil {
		return err
	}
	page := base.url + "/-/web/login/" + login.ID
	if create, _ := body.Get("create"); string(create) == "true" { // npm adduser
		page += "?create"
	}
	return x.sendAccount(http.StatusOK, struct {
		LoginURL string `json:"loginUrl"`
		DoneURL  string `json:"doneUrl"`
	}{page, base.url + "/-/v1/done/" + login.Poll})
}

// asksOnTerminal reports whether a client tries the page only because it always
// does, and means to ask for the password itself: npm 8 says so, and npm up to
// 7, which says nothing, gives up where it cannot start a browser. Those that
// mean the page, npm since 9, pnpm and yarn 4, say "web".
func asksOnTerminal(r *http.Request) bool {
	kind := r.Header.Get("npm-auth-type")
	return kind == "legacy" || kind == "" && strings.HasPrefix(r.UserAgent(), "npm/")
}

// pollLogin answers GET /-/v1/done/POLL: 202 while nobody has signed in, then
// the token, once, then 404.
func (s *Server) pollLogin(x *exchange, r *http.Request, route npm.Route) error {
	x.guarded = true
	secret, pending, err := s.cfg.Auth.PollLogin(r.Context(), route.Subject)
	switch {
	case err != nil:
		return err
	case pending:
		x.Header().Set("Retry-After", strconv.Itoa(int(pollInterval/time.Second)))
		return x.sendAccount(http.StatusAccepted, struct{}{})
	}
	return x.sendAccount(http.StatusOK, struct {
		Token string `json:"token"`
	}{secret})
}
