package npm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// Kind says what went wrong in terms that decide an HTTP status. The one table
// from Kind to status is in package proxy.
type Kind uint8

// The kinds of error. Internal is the zero value: an error that nobody
// classified is a defect of ours, and its text never reaches a client.
const (
	Internal Kind = iota
	// NotFound is definitive: upstream itself said so, or the name is ours
	// alone. An outage is never NotFound, because clients do not retry a 404.
	NotFound
	Invalid          // the request breaks a rule; Msg says which
	TooLarge         // the request body is over its bound
	MethodNotAllowed // the path exists, but not for this method
	Unauthorized     // who is asking is not known, and that matters here
	Forbidden        // refused by access, policy or upstream; Msg says by which
	Conflict         // the document changed since the caller read it
	BadUpstream      // upstream sent bytes that cannot be right
	Unavailable      // upstream cannot be reached, or answers with errors
	Timeout          // upstream did not answer in time
	NoSpace          // the disk is full, and the write cannot be absorbed
	Loop             // the request has already passed through this server
	TooMany          // this client asks or tries too often; RetryAfter says when to come back
)

var kindNames = [...]string{
	"internal", "not found", "invalid", "too large", "method not allowed", "unauthorized", "forbidden",
	"conflict", "bad upstream", "unavailable", "timeout", "no space", "loop",
	"too many",
}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Error is the error that crosses package borders. Msg is for clients, Err is
// for the log: the two are kept apart so that no path, address or credential
// reaches a client by being wrapped.
type Error struct {
	Kind       Kind
	Op         string        // the operation that failed, as package.Function
	Name       string        // the package asked for, if any
	Msg        string        // one sentence for the client; may be empty
	Code       string        // a word to look up in the documentation, if any
	RetryAfter time.Duration // when trying again may help; 0: not said
	Err        error         // the cause, for the log only; may be nil
}

// Error joins what the log needs; clients get Message.
func (e *Error) Error() string {
	var b strings.Builder
	for _, s := range []string{e.Op, e.Name} {
		if s != "" {
			b.WriteString(s)
			b.WriteString(": ")
		}
	}
	if e.Msg != "" {
		b.WriteString(e.Msg)
	} else {
		b.WriteString(e.Kind.String())
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// invalidf returns an Error of kind Invalid whose message, for the client,
// says which rule was broken. Callers bound what they quote of the input.
func invalidf(op, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Op: op, Msg: fmt.Sprintf(format, args...)}
}

// KindOf returns the kind of the first Error in err's chain. Of what is not an
// Error, fs.ErrNotExist is NotFound and an expired deadline is Timeout;
// everything else is Internal.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, fs.ErrNotExist):
		return NotFound
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	}
	return Internal
}

// Message returns the sentence that a client may see: the Msg of the first
// Error in err's chain that has one, else the name of err's kind. Of an
// Internal error it tells nothing, whatever the chain holds.
func Message(err error) string {
	kind := KindOf(err)
	if kind == Internal {
		return "internal error"
	}
	var e *Error
	for chain := err; errors.As(chain, &e); chain = e.Err {
		if e.Msg != "" {
			return e.Msg
		}
	}
	return kind.String()
}
