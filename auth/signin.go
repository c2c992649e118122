package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"larder/npm"
)

// SignIn returns nil if password is the user's. Kinds: Unauthorized, which does
// not tell whether there is such a user, and TooMany.
func (a *Auth) SignIn(ctx context.Context, user, password string, from netip.Addr) error {
	_, err := a.signIn(ctx, user, password, from)
	return err
}

// signIn is SignIn; it returns the hash that the password was right for.
func (a *Auth) signIn(ctx context.Context, user, password string, from netip.Addr) (hash string, err error) {
	known, err := a.accounts.known()
	if err != nil {
		return "", wrap("SignIn", err)
	}
	hash, _ = known.hash(user)
	acc := account{user, hash}
	err = a.passwords.check(acc, password, a.throttle.attempt(user, from))
	switch npm.KindOf(err) {
	case npm.Unauthorized:
		a.metrics.Login("failed")
	case npm.TooMany:
		a.metrics.Login("throttled")
	}
	if err != nil {
		return "", err
	}
	a.metrics.Login("ok")
	if isBcrypt(hash) {
		return hash, nil
	}
	return a.upgrade(ctx, acc, password), nil
}

// upgrade replaces an old hash of the right password by one of bcrypt, and
// returns the hash that is there now. That it cannot is no reason to refuse the
// user.
func (a *Auth) upgrade(ctx context.Context, acc account, password string) string {
	if len(password) > maxPassword {
		return acc.hash // bcrypt would make it a shorter one
	}
	hash, err := a.passwords.hash(password)
	if err == nil {
		// What has cost a hash is not given up because the client went away.
		err = a.accounts.edit(context.WithoutCancel(ctx), func(h *htpasswd) (*htpasswd, error) {
			if now, _ := h.hash(acc.user); now != acc.hash {
				hash = now // somebody was faster
				return h, nil
			}
			return h.with(acc.user, hash), nil
		})
	}
	if err != nil {
		a.log.Error("an old password hash cannot be replaced", "user", acc.user, "error", err)
		return acc.hash
	}
	a.passwords.remember(a.passwords.digest(account{acc.user, hash}, password))
	return hash
}

// SignInOrRegister is npm's legacy login: an account that exists needs its
// password, one that does not is made where registration is open. What keeps
// it from being made is Forbidden or TooMany: of an Invalid (400) npm says
// that there is no such user, and at a Conflict (409) it tries something else.
func (a *Auth) SignInOrRegister(ctx context.Context, user, password, email string, from netip.Addr) (created bool, err error) {
	if !a.registration || a.Exists(user) {
		return false, a.SignIn(ctx, user, password, from)
	}
	err = a.register(ctx, user, password, email, from)
	switch kind := npm.KindOf(err); {
	case err == nil:
		return true, nil
	case kind == npm.Conflict && a.Exists(user): // made meanwhile, perhaps by the same client
		return false, a.SignIn(ctx, user, password, from)
	case kind == npm.Invalid || kind == npm.Conflict:
		return false, &npm.Error{Kind: npm.Forbidden, Op: "auth.SignInOrRegister", Err: err}
	}
	return false, err
}

// register makes an account for somebody whom nobody knows. Names that groups
// or rules mention have rights before there is an account, so they are not for
// whoever comes first.
func (a *Auth) register(ctx context.Context, user, password, email string, from netip.Addr) error {
	if !a.registration {
		return &npm.Error{
			Kind: npm.Forbidden, Op: "auth.Register",
			Msg: "Nobody can make an account here by themselves: ask the administrator for one",
		}
	}
	if a.access.mentions(user) {
		return &npm.Error{
			Kind: npm.Forbidden, Op: "auth.Register",
			Msg: fmt.Sprintf("The account %q has rights here already, so only the administrator can make it", user),
		}
	}
	if wait := a.throttle.register(from); wait > 0 {
		return &npm.Error{
			Kind: npm.TooMany, Op: "auth.Register", RetryAfter: wait,
			Msg: fmt.Sprintf("Too many accounts were made from %s; try again later", from),
		}
	}
	return a.AddUser(ctx, user, password, email)
}

// ChangePassword changes a password for its user, and revokes all the user's
// tokens. Kinds: Invalid, and those of SignIn.
func (a *Auth) ChangePassword(ctx context.Context, user, old, password string, from netip.Addr) error {
	if err := CheckPassword(password); err != nil {
		return err
	}
	hash, err := a.signIn(ctx, user, old, from)
	if err != nil {
		return err
	}
	return a.setPassword(ctx, user, password, func(now string) error {
		if now != hash {
			return badLogin() // changed meanwhile: old is not the password any more
		}
		return nil
	})
}

// SetPassword changes a password for the administrator, and revokes all the
// user's tokens. Kinds: Invalid, NotFound.
func (a *Auth) SetPassword(ctx context.Context, user, password string) error {
	if err := CheckPassword(password); err != nil {
		return err
	}
	return a.setPassword(ctx, user, password, func(string) error { return nil })
}

// setPassword changes a password if check, which is shown the old hash, has no
// objection.
func (a *Auth) setPassword(ctx context.Context, user, password string, check func(hash string) error) error {
	hash, err := a.passwords.hash(password)
	if err != nil {
		return wrap("SetPassword", err)
	}
	err = a.accounts.edit(ctx, func(h *htpasswd) (*htpasswd, error) {
		old, ok := h.hash(user)
		if !ok {
			return nil, noUser(user)
		}
		if err := check(old); err != nil {
			return nil, err
		}
		// The tokens first: a crash in between leaves an old password, not a
		// token that outlives it.
		return h.with(user, hash), a.revokeAll(ctx, user)
	})
	return wrap("SetPassword", err)
}

// maxAccounts bounds the file that is read anew at each change.
const maxAccounts = 100_000

// AddUser makes an account. Kinds: Invalid; Conflict where there is one of that
// name, or of one that looks the same; Forbidden.
func (a *Auth) AddUser(ctx context.Context, user, password, email string) error {
	known, err := a.accounts.current()
	if err == nil {
		err = errors.Join(a.mayAdd(known, user, email), CheckPassword(password))
	}
	if err != nil {
		return wrap("AddUser", err)
	}
	hash, err := a.passwords.hash(password)
	if err != nil {
		return wrap("AddUser", err)
	}
	err = a.accounts.edit(ctx, func(h *htpasswd) (*htpasswd, error) {
		if err := a.mayAdd(h, user, email); err != nil {
			return nil, err
		}
		// Tokens may have been left by a crash, or by whoever removed an
		// earlier account of that name by hand. They are not the newcomer's.
		if err := a.revokeAll(ctx, user); err != nil {
			return nil, err
		}
		now := a.now()
		return h.with(user, hash), a.writeProfile(Profile{Name: user, Email: email, Created: now, Updated: now})
	})
	if err != nil {
		return wrap("AddUser", err)
	}
	a.passwords.remember(a.passwords.digest(account{user, hash}, password))
	return nil
}

// mayAdd returns why there cannot be an account called user.
func (a *Auth) mayAdd(h *htpasswd, user, email string) error {
	fail := func(kind npm.Kind, format string, args ...any) error {
		return &npm.Error{Kind: kind, Op: "auth.AddUser", Msg: fmt.Sprintf(format, args...)}
	}
	if err := CheckUserName(user); err != nil {
		return err
	}
	other := h.similar(user)
	switch {
	case a.access.isGroup(user):
		return fail(npm.Invalid, "%q cannot be a user's name: there is a group of that name", user)
	case len(email) > maxProfileField || !plain(email):
		return fail(npm.Invalid, "An e-mail address is one line of at most %d bytes", maxProfileField)
	case other == user:
		return fail(npm.Conflict, "There is a user %q already", user)
	case other != "":
		return fail(npm.Conflict, "There is a user %q already, and %q differs from it only by case", other, user)
	case len(h.accounts) >= maxAccounts:
		return fail(npm.Forbidden, "There are %d accounts, and there cannot be more", len(h.accounts))
	}
	return nil
}

// RemoveUser removes an account with its tokens and its profile. Kind NotFound.
func (a *Auth) RemoveUser(ctx context.Context, user string) error {
	err := a.accounts.edit(ctx, func(h *htpasswd) (*htpasswd, error) {
		if _, ok := h.hash(user); !ok {
			return nil, noUser(user)
		}
		err := errors.Join(a.revokeAll(ctx, user), a.disk.remove(a.profilePath(user)))
		return h.without(user), err
	})
	return wrap("RemoveUser", err)
}
