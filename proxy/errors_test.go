package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"larder/cache"
	"larder/npm"
)

func TestErrors(t *testing.T) {
	typed := func(k npm.Kind) error {
		return &npm.Error{Kind: k, Msg: "what a client may read", Err: errors.New("/var/lib/secret")}
	}
	tests := []struct {
		name   string
		err    error
		status int
		text   string
		header string // name: value
	}{
		{"not found", typed(npm.NotFound), 404, "what a client may read", ""},
		{"invalid", typed(npm.Invalid), 400, "what a client may read", ""},
		{"too large", typed(npm.TooLarge), 413, "what a client may read", ""},
		{"method", typed(npm.MethodNotAllowed), 405, "what a client may read", ""},
		{"unauthorized", typed(npm.Unauthorized), 401, "what a client may read", `WWW-Authenticate: Bearer, Basic realm="larder"`},
		{"forbidden", typed(npm.Forbidden), 403, "what a client may read", ""},
		{"conflict", typed(npm.Conflict), 409, "what a client may read", ""},
		{"bad upstream", typed(npm.BadUpstream), 502, "what a client may read", ""},
		{"unavailable", typed(npm.Unavailable), 503, "what a client may read", "Retry-After: 5"},
		{"timeout", typed(npm.Timeout), 504, "what a client may read", "Retry-After: 5"},
		{"no space", typed(npm.NoSpace), 507, "what a client may read", ""},
		{"loop", typed(npm.Loop), 508, "what a client may read", ""},
		{"internal", typed(npm.Internal), 500, "internal error (request id-1)", ""},
		{"wrapped", fmt.Errorf("proxy: %w", typed(npm.NotFound)), 404, "what a client may read", ""},
		{"says when", &npm.Error{Kind: npm.Unavailable, RetryAfter: 1500 * time.Millisecond}, 503, "unavailable", "Retry-After: 2"},
		{"unknown kind", &npm.Error{Kind: 200}, 500, "internal error (request id-1)", ""},
		{"unclassified", errors.New("/var/lib/secret"), 500, "internal error (request id-1)", ""},
		{"a file missing on our disk is not a 404", fs.ErrNotExist, 500, "internal error (request id-1)", ""},
		{"deadline", context.DeadlineExceeded, 504, "the answer took too long", "Retry-After: 5"},
		{"wrong bytes", cache.ErrIntegrity, 502, "upstream sent wrong bytes", ""},
		{"wrong bytes, said better", fmt.Errorf("%w: %w", cache.ErrIntegrity, typed(npm.BadUpstream)), 502, "what a client may read", ""},
		{"changed", cache.ErrChanged, 502, "upstream sent wrong bytes", ""},
		{"truncated", cache.ErrTruncated, 502, "the download from upstream broke off", ""},
		{"busy", cache.ErrBusy, 503, "too many downloads at once", "Retry-After: 5"},
		{"closed", cache.ErrClosed, 503, "the server is shutting down", "Retry-After: 5"},
		{"echo's 404", echo.ErrNotFound, 404, "this registry has no such endpoint", ""},
		{"echo's 405", echo.ErrMethodNotAllowed, 405, "this method is not allowed here", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, "/lodash", nil)
			x := &exchange{recorder: recorder{ResponseWriter: w}, id: "id-1"}
			(&Server{}).writeError(x, r, tt.err)
			if want := fmt.Sprintf(`{"error":%q,"message":%q}`, tt.text, tt.text); w.Code != tt.status || w.Body.String() != want {
				t.Errorf("status %d, body %s, want %d and %s", w.Code, w.Body, tt.status, want)
			}
			if name, value, ok := strings.Cut(tt.header, ": "); ok && w.Header().Get(name) != value {
				t.Errorf("%s %q, want %q", name, w.Header().Get(name), value)
			}
		})
	}
}

func TestErrorCode(t *testing.T) {
	w := httptest.NewRecorder()
	x := &exchange{recorder: recorder{ResponseWriter: w}}
	(&Server{}).writeError(x, httptest.NewRequest(http.MethodGet, "/", nil), &npm.Error{Kind: npm.Forbidden, Msg: "no", Code: "E1"})
	if want := `{"error":"no","message":"no","code":"E1"}`; w.Body.String() != want {
		t.Errorf("body %s, want %s", w.Body, want)
	}
}

func TestErrorAfterTheHeaderBreaksTheConnection(t *testing.T) {
	w := httptest.NewRecorder()
	x := &exchange{recorder: recorder{ResponseWriter: w}}
	x.WriteHeader(http.StatusOK)
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("recovered %v, want http.ErrAbortHandler", p)
		}
		if w.Body.Len() != 0 {
			t.Errorf("wrote %q into a response that had begun", w.Body)
		}
	}()
	(&Server{}).writeError(x, httptest.NewRequest(http.MethodGet, "/", nil), errors.New("late"))
}

func TestCanceledClientGetsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	x := &exchange{recorder: recorder{ResponseWriter: w}}
	r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx)
	(&Server{}).writeError(x, r, fmt.Errorf("waiting: %w", context.Canceled))
	if x.status != 0 || w.Body.Len() != 0 {
		t.Errorf("status %d, body %q, want neither", x.status, w.Body)
	}
}
