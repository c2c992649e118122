package auth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"larder/npm"
)

// Token is what is known of a token. Its secret is known to its owner alone. It
// is shared: nobody changes one.
type Token struct {
	Key      string         `json:"-"`      // lower-case hex SHA-256 of the secret: its name everywhere
	Prefix   string         `json:"prefix"` // first characters of the secret, enough for npm to match by
	Name     string         `json:"name,omitempty"`
	User     string         `json:"user,omitempty"`    // owner; "" for a service token
	Service  string         `json:"service,omitempty"` // "" for a user's
	Groups   []string       `json:"groups,omitempty"`  // of a service token
	ReadOnly bool           `json:"readonly,omitempty"`
	CIDR     []netip.Prefix `json:"cidr,omitempty"`     // where it may be used; none: anywhere
	Packages []string       `json:"packages,omitempty"` // patterns of what it is good for; none: all
	Created  time.Time      `json:"created"`
	Expires  time.Time      `json:"expires,omitzero"` // zero: never
}

// Bounds of tokens.
const (
	maxTokens      = 1000 // of one user or service: npm login makes one each time
	maxTokenName   = 200  // bytes
	maxTokenScopes = 100  // networks, patterns, groups: each
)

// TokenRequest is what a new token is to be: a user's or a service's.
type TokenRequest struct {
	Name, User, Service string
	Groups              []string
	ReadOnly            bool
	CIDR                []netip.Prefix
	Packages            []string
	Expires             time.Time

	// Password is User's, where SignIn has just found it right: it is looked
	// at once more, so that a sign-in with a password that is being changed
	// does not leave a token behind. "": not looked at.
	Password string
}

// expired reports whether the token has had its time.
func (t *Token) expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// allows reports whether the token may be used from an address.
func (t *Token) allows(from netip.Addr) bool {
	from = from.Unmap().WithZone("")
	return len(t.CIDR) == 0 || slices.ContainsFunc(t.CIDR, func(p netip.Prefix) bool { return p.Contains(from) })
}

// covers reports whether the token is good for a package.
func (t *Token) covers(name string) bool {
	return len(t.Packages) == 0 || slices.ContainsFunc(t.Packages, func(p string) bool { return npm.MatchName(p, name) })
}

// CreateToken makes a token and returns its secret, which nobody can return
// again. Kinds: Invalid, NotFound (there is no such user), Forbidden (there are
// too many), Unauthorized (Password).
func (a *Auth) CreateToken(ctx context.Context, r TokenRequest) (secret string, t Token, err error) {
	now := a.now().UTC().Round(0) // as it is written down, and exact: lists are in this order
	if err := a.checkTokenRequest(r, now); err != nil {
		return "", Token{}, err
	}
	secret = newSecret()
	t = Token{
		Key: keyOf(secret), Prefix: secret[:shownLen], Name: r.Name, User: r.User, Service: r.Service, Groups: r.Groups,
		ReadOnly: r.ReadOnly, CIDR: networks(r.CIDR), Packages: r.Packages, Created: now, Expires: r.Expires,
	}
	// Beside an edit of the accounts the user could go, or change the
	// password and revoke all tokens, while this one is made.
	err = a.accounts.edit(ctx, func(h *htpasswd) (*htpasswd, error) {
		if err := a.mayHaveToken(h, r); err != nil {
			return nil, err
		}
		if err := a.roomForToken(ctx, &t, now); err != nil {
			return nil, err
		}
		return h, a.tokens.put(&t)
	})
	if err != nil {
		return "", Token{}, wrap("CreateToken", err)
	}
	return secret, t, nil
}

func (a *Auth) mayHaveToken(h *htpasswd, r TokenRequest) error {
	if r.User == "" {
		return nil
	}
	hash, ok := h.hash(r.User)
	if !ok {
		return noUser(r.User)
	}
	// It was right a moment ago, and where nothing has changed since that is
	// remembered: no hashing while others wait.
	if r.Password != "" && !a.passwords.remembered(a.passwords.digest(account{r.User, hash}, r.Password)) {
		return badLogin()
	}
	return nil
}

// roomForToken returns an error if t's owner has as many tokens as one may
// have, after those that have expired are gone.
func (a *Auth) roomForToken(ctx context.Context, t *Token, now time.Time) error {
	count := 0
	err := a.tokens.each(ctx, func(other *Token) error {
		switch {
		case other.User != t.User || other.Service != t.Service:
		case other.expired(now):
			return a.tokens.remove(other.Key)
		default:
			count++
		}
		return nil
	})
	if err != nil || count < maxTokens {
		return err
	}
	return &npm.Error{
		Kind: npm.Forbidden, Op: "auth.CreateToken",
		Msg: fmt.Sprintf("%s has %d tokens, and nobody may have more: revoke some first (npm token list, npm token revoke)",
			t.User+t.Service, count),
	}
}

func (a *Auth) checkTokenRequest(r TokenRequest, now time.Time) error {
	fail := func(format string, args ...any) error {
		return &npm.Error{Kind: npm.Invalid, Op: "auth.CreateToken", Msg: fmt.Sprintf(format, args...)}
	}
	switch {
	case (r.User == "") == (r.Service == ""):
		return fail("A token belongs to a user or to a service")
	case r.Service != "" && nameFault(r.Service) != "":
		return fail("%.80q cannot be a service's name: %s", r.Service, nameFault(r.Service))
	case r.User != "" && len(r.Groups) > 0:
		return fail("A user's token has the user's groups and none of its own")
	case len(r.Name) > maxTokenName || !plain(r.Name):
		return fail("A token's name is at most %d bytes of text", maxTokenName)
	case len(r.CIDR) > maxTokenScopes || len(r.Packages) > maxTokenScopes || len(r.Groups) > maxTokenScopes:
		return fail("A token has at most %d networks, patterns and groups", maxTokenScopes)
	case !r.Expires.IsZero() && !r.Expires.After(now):
		return fail("The token would have expired already")
	}
	for _, group := range r.Groups {
		if !a.access.isGroup(group) {
			return fail("There is no group %.80q in the configuration (auth.groups)", group)
		}
	}
	for _, p := range r.CIDR {
		if !p.IsValid() {
			return fail("A token's network must be like 10.0.0.0/8")
		}
	}
	for _, pattern := range r.Packages {
		if err := npm.CheckPattern(pattern); err != nil {
			return err
		}
	}
	return nil
}

// plain reports whether s is text of one line.
func plain(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) }

// networks returns prefixes in the one form that an unmapped address is in.
func networks(prefixes []netip.Prefix) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(prefixes))
	for _, p := range prefixes {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		out = append(out, p.Masked())
	}
	return out
}

// Tokens returns a user's tokens, the oldest first; of the user "" it is all
// tokens, also those of services.
func (a *Auth) Tokens(ctx context.Context, user string) ([]Token, error) {
	var found []Token
	err := a.tokens.each(ctx, func(t *Token) error {
		if user == "" || t.User == user {
			found = append(found, *t)
		}
		return nil
	})
	if err != nil {
		return nil, wrap("Tokens", err)
	}
	slices.SortFunc(found, func(x, y Token) int {
		if c := x.Created.Compare(y.Created); c != 0 {
			return c
		}
		return strings.Compare(x.Key, y.Key)
	})
	return found, nil
}

// RevokeToken ends a token at once, for every process. One that is gone
// already is no error.
func (a *Auth) RevokeToken(_ context.Context, t Token) error {
	if !isKey(t.Key) {
		return wrap("RevokeToken", fs.ErrNotExist)
	}
	return wrap("RevokeToken", a.tokens.remove(t.Key))
}

// TokenOf returns the token of a secret, also one that has expired.
// fs.ErrNotExist: there is none.
func (a *Auth) TokenOf(_ context.Context, secret string) (Token, error) {
	if !checkSecret(secret) {
		return Token{}, wrap("TokenOf", fs.ErrNotExist)
	}
	t, err := a.tokens.get(keyOf(secret))
	if err != nil {
		return Token{}, wrap("TokenOf", err)
	}
	return *t, nil
}

// revokeAll ends every token of a user. The caller holds the lock on edits, so
// that none is made meanwhile.
func (a *Auth) revokeAll(ctx context.Context, user string) error {
	var errs []error
	err := a.tokens.each(ctx, func(t *Token) error {
		if t.User == user {
			errs = append(errs, a.tokens.remove(t.Key))
		}
		return nil
	})
	return errors.Join(append(errs, err)...)
}
