package proxy

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"larder/auth"
	"larder/npm"
)

// Bounds on tokens.
const (
	tokensPerPage    = 100
	maxTokensPerPage = 1000
	maxTokenDays     = 3650 // ten years; without a bound, adding days would overflow
)

// tokenView is a token as npm token shows it. Its secret is known only while
// it is being made: later there are the first characters, by which npm finds
// the key of a token that somebody pastes.
type tokenView struct {
	Key      string         `json:"key"`
	Token    string         `json:"token"`
	Name     string         `json:"name"`
	Created  string         `json:"created"`
	Updated  string         `json:"updated"`
	Expires  string         `json:"expires,omitempty"`
	ReadOnly bool           `json:"readonly"`
	CIDR     []netip.Prefix `json:"cidr_whitelist"` // null for none: npm prints an empty list
	Packages []string       `json:"packages,omitempty"`
}

func viewToken(t auth.Token, token string) tokenView {
	v := tokenView{
		Key: t.Key, Token: token, Name: t.Name,
		Created: timestamp(t.Created), Updated: timestamp(t.Created),
		ReadOnly: t.ReadOnly, Packages: t.Packages,
	}
	if len(t.CIDR) > 0 {
		v.CIDR = t.CIDR
	}
	if !t.Expires.IsZero() {
		v.Expires = timestamp(t.Expires)
	}
	return v
}

// timestamp formats a time as JavaScript does.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// tokens answers GET /-/npm/v1/tokens with the caller's own.
func (s *Server) tokens(x *exchange, r *http.Request) error {
	x.guarded = true
	if err := s.cfg.Auth.Person(x.caller, true); err != nil {
		return err
	}
	page, perPage, err := pageOf(r.URL.Query())
	if err != nil {
		return err
	}
	all, err := s.cfg.Auth.Tokens(r.Context(), x.caller.User)
	if err != nil {
		return err
	}
	first := min(page*perPage, len(all))
	last := min(first+perPage, len(all))
	list := tokenList{Objects: make([]tokenView, 0, last-first), Total: len(all)}
	for _, t := range all[first:last] {
		list.Objects = append(list.Objects, viewToken(t, t.Prefix))
	}
	if last < len(all) {
		next := fmt.Sprintf("/-/npm/v1/tokens?page=%d&perPage=%d", page+1, perPage)
		list.URLs.Next = &next
	}
	return x.sendAccount(http.StatusOK, list)
}

// tokenList is one page of tokens. npm follows urls.next until it is null, and
// breaks where there is no urls.
type tokenList struct {
	Objects []tokenView `json:"objects"`
	Total   int         `json:"total"`
	URLs    struct {
		Next *string `json:"next"` // from the registry's own address on
	} `json:"urls"`
}

// pageOf reads which page of a list is asked for; the first is 0.
func pageOf(q url.Values) (page, perPage int, err error) {
	perPage = tokensPerPage
	for key, n := range map[string]*int{"page": &page, "perPage": &perPage} {
		text := q.Get(key)
		if text == "" {
			continue
		}
		if *n, err = strconv.Atoi(text); err != nil || *n < 0 {
			return 0, 0, &npm.Error{Kind: npm.Invalid, Op: "proxy.pageOf", Msg: key + " must be a number", Err: err}
		}
	}
	perPage = max(1, min(perPage, maxTokensPerPage))
	return min(page, 1<<20), perPage, nil // such that their product is a number, too
}

// createToken answers POST /-/npm/v1/tokens.
func (s *Server) createToken(x *exchange, r *http.Request) error {
	x.guarded = true
	secret, t, err := s.newToken(x, r)
	s.note(x, "token.create", t.Name, err)
	if err != nil {
		return err
	}
	return x.sendAccount(http.StatusOK, viewToken(t, secret))
}

// newToken makes the token that r's body describes. What came with the request
// does not suffice: npm asks for the password once more, so that whoever finds
// a token cannot make one that outlives it.
func (s *Server) newToken(x *exchange, r *http.Request) (string, auth.Token, error) {
	if err := s.cfg.Auth.Person(x.caller, false); err != nil {
		return "", auth.Token{}, err
	}
	body, err := accountBody(x, r)
	if err != nil {
		return "", auth.Token{}, err
	}
	req, err := parseTokenRequest(body, time.Now())
	if err != nil {
		return "", auth.Token{}, err
	}
	if err := s.cfg.Auth.SignIn(r.Context(), x.caller.User, req.Password, x.client); err != nil {
		return "", auth.Token{Name: req.Name}, passwordFault(x, err)
	}
	req.User = x.caller.User
	if req.Name == "" {
		req.Name = "npm token" + fromClient(x)
	}
	return s.cfg.Auth.CreateToken(r.Context(), req)
}

// tokenBody is what npm token create sends: npm up to 10 the first three,
// later ones the rest (lib/commands/token.js).
type tokenBody struct {
	password   string
	readOnly   bool
	cidr       []string
	name, note string
	packages   []string
	all        bool
	scopes     []string
	permission string   // of packages and scopes: read-only, read-write, no-access
	expires    *int     // days
	orgs       []string // whose members and teams the token may manage
	orgsMay    string   // as permission
	bypass     bool     // of two-factor authentication
}

// parseTokenRequest reads a tokenBody. A restriction that we cannot hold is
// refused, so that no token can do more than whoever asked for it believes.
// Rights that we do not know, those over organisations and the bypass of a
// second factor, give nothing.
func parseTokenRequest(body npm.Object, now time.Time) (auth.TokenRequest, error) {
	var b tokenBody
	if err := takeMembers(body, map[string]any{
		"password": &b.password, "readonly": &b.readOnly, "cidr_whitelist": &b.cidr,
		"name": &b.name, "description": &b.note,
		"packages": &b.packages, "packages_all": &b.all, "scopes": &b.scopes,
		"packages_and_scopes_permission": &b.permission, "expires": &b.expires,
		"orgs": &b.orgs, "orgs_permission": &b.orgsMay, "bypass_2fa": &b.bypass,
	}); err != nil {
		return auth.TokenRequest{}, err
	}
	req := auth.TokenRequest{Name: b.name, Password: b.password}
	if req.Name == "" {
		req.Name = b.note
	}
	var err error
	if req.ReadOnly, err = b.onlyReads(); err != nil {
		return auth.TokenRequest{}, err
	}
	if req.Packages, err = b.patterns(); err != nil {
		return auth.TokenRequest{}, err
	}
	if req.CIDR, err = b.prefixes(); err != nil {
		return auth.TokenRequest{}, err
	}
	if b.expires != nil {
		if *b.expires < 1 || *b.expires > maxTokenDays {
			return auth.TokenRequest{}, badToken("expires must be a number of days, %d at most", maxTokenDays)
		}
		req.Expires = now.AddDate(0, 0, *b.expires)
	}
	return req, nil
}

func badToken(format string, args ...any) error {
	return &npm.Error{Kind: npm.Invalid, Op: "proxy.parseTokenRequest", Msg: fmt.Sprintf(format, args...)}
}

// onlyReads reports whether the token may do no more than read.
func (b tokenBody) onlyReads() (bool, error) {
	switch b.permission {
	case "", "read-write":
		return b.readOnly, nil
	case "read-only":
		return true, nil
	case "no-access":
		return false, badToken("a token without access to packages is of no use here")
	}
	return false, badToken("packages_and_scopes_permission must be read-only or read-write")
}

// patterns returns what the token's packages match, none for all.
func (b tokenBody) patterns() ([]string, error) {
	patterns := b.packages
	for _, scope := range b.scopes {
		patterns = append(patterns, "@"+strings.TrimPrefix(scope, "@")+"/*")
	}
	switch {
	case len(b.orgs) > 0 && len(patterns) == 0 && !b.all:
		return nil, badToken("there are no organisations here: say which packages or scopes the token is for")
	case b.all && len(patterns) > 0:
		return nil, badToken("a token is either for all packages or for some")
	}
	for _, p := range patterns {
		if err := npm.CheckPattern(p); err != nil {
			return nil, err
		}
	}
	return patterns, nil
}

// prefixes returns the addresses from which the token may be used, none for
// any.
func (b tokenBody) prefixes() ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, text := range b.cidr {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, badToken("%.80q is not a range of addresses such as 10.0.0.0/8", text)
		}
		prefixes = append(prefixes, p.Masked())
	}
	return prefixes, nil
}

// revokeToken answers DELETE /-/npm/v1/tokens/token/KEY, where KEY is a key
// out of the list, or the token itself if that is what was given to npm.
func (s *Server) revokeToken(x *exchange, r *http.Request, route npm.Route) error {
	x.guarded = true
	t, err := s.ownToken(x, r, route.Subject)
	if err == nil {
		err = s.cfg.Auth.RevokeToken(r.Context(), t)
	}
	s.note(x, "token.revoke", t.Name, err)
	if err != nil {
		return err
	}
	x.common(noStore)
	x.WriteHeader(http.StatusNoContent)
	return nil
}

// ownToken returns the caller's token of a key or of a secret. That somebody
// else has it is not told.
func (s *Server) ownToken(x *exchange, r *http.Request, keyOrSecret string) (auth.Token, error) {
	if err := s.cfg.Auth.Person(x.caller, false); err != nil {
		return auth.Token{}, err
	}
	own, err := s.cfg.Auth.Tokens(r.Context(), x.caller.User)
	if err != nil {
		return auth.Token{}, err
	}
	key := keyOrSecret
	switch t, err := s.cfg.Auth.TokenOf(r.Context(), keyOrSecret); {
	case err == nil:
		key = t.Key
	case !errors.Is(err, fs.ErrNotExist):
		return auth.Token{}, err
	}
	for _, t := range own {
		if t.Key == key {
			return t, nil
		}
	}
	return auth.Token{}, &npm.Error{Kind: npm.NotFound, Op: "proxy.ownToken", Msg: "you have no such token"}
}
