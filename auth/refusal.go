package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"larder/npm"
)

// badLogin is the one answer to every sign-in that is not right, whatever was
// wrong about it. The sentence is Verdaccio's; tools match it.
func badLogin() *npm.Error {
	return &npm.Error{Kind: npm.Unauthorized, Op: "auth.SignIn", Msg: "bad username/password, access denied"}
}

func tooManyFailures(wait time.Duration) *npm.Error {
	wait = max(wait.Round(time.Second), time.Second)
	return &npm.Error{
		Kind: npm.TooMany, Op: "auth.SignIn", RetryAfter: wait,
		Msg: fmt.Sprintf("Too many failed logins; try again in %v", wait),
	}
}

// wrap says where an error crossed this room's border.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("auth.%s: %w", op, err)
}

// noUser is the error for an account that does not exist. It is
// fs.ErrNotExist, too.
func noUser(user string) *npm.Error {
	return &npm.Error{Kind: npm.NotFound, Op: "auth", Msg: fmt.Sprintf("There is no user %.80q", user), Err: fs.ErrNotExist}
}

// retryAfter returns what an error says about trying again.
func retryAfter(err error) time.Duration {
	var e *npm.Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}
