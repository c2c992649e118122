package auth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"

	"larder/npm"
)

// maxAuthorization bounds the header that is looked at, in bytes.
const maxAuthorization = 4096

// Caller is who is asking. The zero value is nobody, without credentials.
type Caller struct {
	User  string // "" for nobody and for a service token
	Token *Token // nil where there was none, or a password
	From  netip.Addr
	// Fault is why the credentials that were sent do not count: they are bad,
	// expired or revoked (Unauthorized), from a wrong address (Forbidden), or
	// after too many failures (TooMany). The caller counts as anonymous then.
	Fault error
}

// Anonymous reports whether it is not known who is asking.
func (c Caller) Anonymous() bool { return c.User == "" && !c.service() }

func (c Caller) service() bool { return c.Token != nil && c.Token.Service != "" }

// Name returns the user, or "service:NAME", which no user can be called, or "".
func (c Caller) Name() string {
	if c.service() {
		return "service:" + c.Token.Service
	}
	return c.User
}

// TokenName returns what the owner called the token, for the journal; "" where
// there is none.
func (c Caller) TokenName() string {
	if c.Token == nil {
		return ""
	}
	return c.Token.Name
}

// Caller reads an Authorization header, "" if there was none. It never fails:
// see Caller.Fault.
func (a *Auth) Caller(ctx context.Context, authorization string, from netip.Addr) Caller {
	c, err := a.caller(ctx, authorization, from)
	switch {
	case err != nil:
		c = Caller{Fault: err}
		a.metrics.Credentials("fault")
	case c.Anonymous():
		a.metrics.Credentials("anonymous")
	default:
		a.metrics.Credentials("ok")
	}
	c.From = from
	return c
}

func (a *Auth) caller(ctx context.Context, authorization string, from netip.Addr) (Caller, error) {
	if authorization == "" {
		return Caller{}, nil
	}
	scheme, credentials, _ := strings.Cut(authorization, " ")
	credentials = strings.Trim(credentials, " ")
	switch {
	case len(authorization) > maxAuthorization:
		return Caller{}, noCredentials("The Authorization header is too long.")
	case strings.EqualFold(scheme, "Bearer"):
		return a.bearer(credentials, from)
	case strings.EqualFold(scheme, "Basic"):
		return a.basic(ctx, credentials, from)
	}
	return Caller{}, noCredentials("The Authorization header is neither Bearer nor Basic.")
}

func (a *Auth) bearer(secret string, from netip.Addr) (Caller, error) {
	if !checkSecret(secret) {
		return Caller{}, noCredentials("The token that was sent is not one of this registry's.")
	}
	t, err := a.tokens.get(keyOf(secret))
	if errors.Is(err, fs.ErrNotExist) {
		return Caller{}, noCredentials("The token that was sent is not known here, or was revoked.")
	}
	if err != nil {
		return Caller{}, wrap("Caller", err)
	}
	known, err := a.accounts.known()
	if err != nil {
		return Caller{}, wrap("Caller", err)
	}
	if _, exists := known.hash(t.User); t.User != "" && !exists {
		return Caller{}, noCredentials("The token that was sent is not known here, or was revoked.")
	}
	if t.expired(a.now()) {
		return Caller{}, noCredentials("The token that was sent has expired.")
	}
	if !t.allows(from) {
		return Caller{}, &npm.Error{
			Kind: npm.Forbidden, Op: "auth.Caller",
			Msg: fmt.Sprintf("The token that was sent may not be used from %s.", from),
		}
	}
	return Caller{User: t.User, Token: t}, nil
}

func (a *Auth) basic(ctx context.Context, credentials string, from netip.Addr) (Caller, error) {
	raw, err := base64.StdEncoding.DecodeString(credentials)
	if err != nil {
		raw, err = base64.RawStdEncoding.DecodeString(credentials) // some encoders leave the padding out
	}
	user, password, ok := strings.Cut(string(raw), ":")
	if err != nil || !ok {
		return Caller{}, noCredentials("The Authorization header is malformed.")
	}
	if err := a.SignIn(ctx, user, password, from); err != nil {
		return Caller{}, err
	}
	return Caller{User: user}, nil
}

func noCredentials(sentence string) *npm.Error {
	return &npm.Error{Kind: npm.Unauthorized, Op: "auth.Caller", Msg: sentence}
}

// SignedIn returns nil for a user or a service, else Unauthorized or why the
// caller's credentials do not count.
func (a *Auth) SignedIn(c Caller) error {
	if !c.Anonymous() {
		return nil
	}
	return loginNeeded(c, "", "You must be logged in.")
}

// Person is SignedIn for a user's own affairs: not for a service, and, unless
// readOnlyOK, not for a token that may do less than its user.
func (a *Auth) Person(c Caller, readOnlyOK bool) error {
	if err := a.SignedIn(c); err != nil {
		return err
	}
	var why string
	switch {
	case c.service():
		why = "This token belongs to a service, not to a person."
	case readOnlyOK || c.Token == nil:
	case c.Token.ReadOnly:
		why = "This token may only read."
	case len(c.Token.Packages) > 0:
		why = "This token is for certain packages, not for its user's account."
	}
	if why == "" {
		return nil
	}
	return &npm.Error{Kind: npm.Forbidden, Op: "auth.Person", Msg: why}
}
