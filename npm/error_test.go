package npm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestKindAndMessage(t *testing.T) {
	notFound := &Error{Kind: NotFound, Op: "upstream.Packument", Name: "lodash", Msg: "Not found"}
	tests := []struct {
		what string
		err  error
		kind Kind
		msg  string
	}{
		{"an Error", notFound, NotFound, "Not found"},
		{"a wrapped Error", fmt.Errorf("proxy: %w", notFound), NotFound, "Not found"},
		{"an Error among others", errors.Join(errors.New("x"), notFound), NotFound, "Not found"},
		{"the outer kind wins, the inner sentence is kept",
			&Error{Kind: Unavailable, Err: notFound}, Unavailable, "Not found"},
		{"the outer sentence wins",
			&Error{Kind: Unavailable, Msg: "upstream is down", Err: notFound}, Unavailable, "upstream is down"},
		{"no sentence anywhere", &Error{Kind: Timeout, Err: errors.New("dial 10.0.0.1")}, Timeout, "timeout"},
		{"a missing file", fmt.Errorf("open: %w", fs.ErrNotExist), NotFound, "not found"},
		{"a missing file below a kind", &Error{Kind: BadUpstream, Err: fs.ErrNotExist}, BadUpstream, "bad upstream"},
		{"an expired deadline", fmt.Errorf("get: %w", context.DeadlineExceeded), Timeout, "timeout"},
		{"a cancelled request", context.Canceled, Internal, "internal error"},
		{"a stranger", errors.New("/var/lib/secret: permission denied"), Internal, "internal error"},
		{"an unclassified Error tells nothing", &Error{Msg: "secret"}, Internal, "internal error"},
		{"nor what it wraps", &Error{Err: notFound}, Internal, "internal error"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			if got := KindOf(tt.err); got != tt.kind {
				t.Errorf("KindOf = %v, want %v", got, tt.kind)
			}
			if got := Message(tt.err); got != tt.msg {
				t.Errorf("Message = %q, want %q", got, tt.msg)
			}
		})
	}
}

func TestErrorText(t *testing.T) {
	cause := errors.New("connection refused")
	tests := []struct {
		what string
		err  *Error
		want string
	}{
		{"everything", &Error{Kind: Unavailable, Op: "upstream.Get", Name: "lodash", Msg: "npm is away", Err: cause},
			"upstream.Get: lodash: npm is away: connection refused"},
		{"no sentence", &Error{Kind: Unavailable, Op: "upstream.Get", Err: cause}, "upstream.Get: unavailable: connection refused"},
		{"a kind alone", &Error{Kind: Conflict}, "conflict"},
		{"a kind that is none", &Error{Kind: 200}, "unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			if got := tt.err.Error(); got != tt.want {
				t.Errorf("Error() = %q, want %q", got, tt.want)
			}
			if got := errors.Unwrap(tt.err); got != tt.err.Err {
				t.Errorf("Unwrap = %v, want %v", got, tt.err.Err)
			}
		})
	}
}

// A new kind without a name would be "" in logs and to clients.
func TestEveryKindHasAName(t *testing.T) {
	seen := map[string]Kind{}
	for k := Internal; k <= TooMany; k++ {
		name := k.String()
		if other, dup := seen[name]; dup || name == "" || name == "unknown" {
			t.Errorf("kind %d is called %q, as is kind %d", k, name, other)
		}
		seen[name] = k
	}
}
