package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"larder/cache"
	"larder/npm"
)

// statuses is the one table from kinds of error to HTTP statuses. Refusals are
// 403 or 404 and never 410 or 451, which send pnpm into 70 s of back-off.
var statuses = [...]int{
	npm.Internal:         http.StatusInternalServerError,
	npm.NotFound:         http.StatusNotFound,
	npm.Invalid:          http.StatusBadRequest,
	npm.TooLarge:         http.StatusRequestEntityTooLarge,
	npm.MethodNotAllowed: http.StatusMethodNotAllowed,
	npm.Unauthorized:     http.StatusUnauthorized,
	npm.Forbidden:        http.StatusForbidden,
	npm.Conflict:         http.StatusConflict,
	npm.BadUpstream:      http.StatusBadGateway,
	npm.Unavailable:      http.StatusServiceUnavailable,
	npm.Timeout:          http.StatusGatewayTimeout,
	npm.NoSpace:          http.StatusInsufficientStorage,
	npm.Loop:             http.StatusLoopDetected,
	npm.TooMany:          http.StatusTooManyRequests,
}

// retryAfter is said with a 503 or 504 whose error does not say itself when to
// come back.
const retryAfter = 5 * time.Second

// challenge names Bearer first: npm takes the first word for what it should
// complain about.
const challenge = `Bearer, Basic realm="larder"`

// errorBody is what clients print of: npm and yarn 1 "error", others
// "message"; both have the same text.
type errorBody struct {
	Error   string `json:"error"`
	Message string `json:"message"`
	Code    string `json:"code,omitempty"`
}

// writeError is the only writer of errors. A response that has begun is broken
// instead, and a client that has gone away gets nothing.
func (s *Server) writeError(x *exchange, r *http.Request, err error) {
	x.err = err
	if x.status != 0 {
		panic(http.ErrAbortHandler)
	}
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return
	}
	e := classify(err)
	status := statuses[e.Kind]
	h := x.Header()
	switch e.Kind {
	case npm.Internal:
		e.Msg = "internal error (request " + x.id + ")"
	case npm.Unauthorized:
		if h.Get("WWW-Authenticate") == "" { // a login has one of its own
			h.Set("WWW-Authenticate", challenge)
		}
	case npm.Unavailable, npm.Timeout:
		if e.RetryAfter <= 0 {
			e.RetryAfter = retryAfter
		}
	}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((e.RetryAfter+time.Second-1)/time.Second), 10))
	}
	drain(x, r)
	x.writeErrorBody(status, e)
}

// writeErrorBody writes what every refusal looks like.
func (x *exchange) writeErrorBody(status int, e npm.Error) {
	body, err := json.Marshal(errorBody{e.Msg, e.Msg, e.Code})
	if err != nil {
		x.abort(err) // three strings: cannot happen
	}
	x.unlabel()
	x.common(noStore)
	x.writeJSON(status, body)
}

// classify returns what a client may know of err: its kind, a sentence, a
// code, and when to come back.
func classify(err error) npm.Error {
	var own *npm.Error
	if errors.As(err, &own) && int(own.Kind) < len(statuses) {
		return npm.Error{Kind: own.Kind, Msg: npm.Message(err), Code: own.Code, RetryAfter: own.RetryAfter}
	}
	var he *echo.HTTPError
	switch {
	case errors.As(err, &he) && he.Code == http.StatusMethodNotAllowed:
		return npm.Error{Kind: npm.MethodNotAllowed, Msg: "this method is not allowed here"}
	case errors.As(err, &he) && he.Code == http.StatusNotFound:
		return npm.Error{Kind: npm.NotFound, Msg: "this registry has no such endpoint"}
	case errors.Is(err, cache.ErrIntegrity), errors.Is(err, cache.ErrChanged):
		return npm.Error{Kind: npm.BadUpstream, Msg: "upstream sent wrong bytes"}
	case errors.Is(err, cache.ErrTruncated):
		return npm.Error{Kind: npm.BadUpstream, Msg: "the download from upstream broke off"}
	case errors.Is(err, cache.ErrBusy):
		return npm.Error{Kind: npm.Unavailable, Msg: "too many downloads at once"}
	case errors.Is(err, cache.ErrClosed):
		return npm.Error{Kind: npm.Unavailable, Msg: "the server is shutting down"}
	case errors.Is(err, context.DeadlineExceeded):
		return npm.Error{Kind: npm.Timeout, Msg: "the answer took too long"}
	}
	// fs.ErrNotExist too: a file missing on our disk says nothing about a
	// package, and clients take a 404 for the truth.
	return npm.Error{Kind: npm.Internal}
}

// panicError is what a handler panicked with.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// Bounds on reading the rest of a body that nobody wants.
const (
	drainBytes = 64 << 20
	drainTime  = 10 * time.Second
)

// drain reads what the client still sends. Without it net/http would reset the
// connection under a large body, and npm would see that instead of the answer,
// and try again.
func drain(x *exchange, r *http.Request) {
	if r.ContentLength == 0 || r.Body == nil {
		return
	}
	c := http.NewResponseController(x)
	if c.SetReadDeadline(time.Now().Add(drainTime)) != nil {
		return // not a connection that could be held open
	}
	_, err := io.CopyN(io.Discard, r.Body, drainBytes)
	if errors.Is(err, io.EOF) {
		_ = c.SetReadDeadline(time.Time{}) // the connection is good for more
	}
}
