package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tidwall/gjson"

	"larder/npm"
)

// failure is why one exchange gave nothing usable, and what may be done about
// it. It never leaves the package: callers get err.
type failure struct {
	err     *npm.Error
	outcome string // for metrics.Upstream.Request
	again   bool   // another try may help
	down    bool   // the trouble is upstream's as a whole, as far as one exchange can tell
	odd     bool   // it is no answer to the question: a refusal of the request as such, or no JSON
}

func (f *failure) Error() string { return f.err.Error() }

func timeoutFailure(upstream, what string) *failure {
	return &failure{
		err:     &npm.Error{Kind: npm.Timeout, Op: "upstream " + upstream, Msg: fmt.Sprintf("upstream %s %s in time", upstream, what)},
		outcome: "timeout",
		again:   true,
		down:    true,
	}
}

// badFailure is for bytes that cannot be right. They are asked for again: a
// proxy on the way may have cut them, or answered in upstream's stead.
func (m *remote) badFailure(what string, cause error) *failure {
	return &failure{
		err: &npm.Error{
			Kind: npm.BadUpstream,
			Op:   "upstream " + m.name,
			Msg:  fmt.Sprintf("upstream %s %s", m.name, what),
			Err:  cause,
		},
		outcome: "bad",
		again:   true,
	}
}

// oddFailure is for an answer that is whole but not of the kind asked for.
func (m *remote) oddFailure(what string, cause error) *failure {
	f := m.badFailure(what, cause)
	f.odd = true
	return f
}

// transportFailure is for an exchange that broke before it was whole.
func (m *remote) transportFailure(ctx context.Context, cause error) *failure {
	var typed *npm.Error
	var late *failure
	switch {
	case errors.As(cause, &late), errors.As(context.Cause(ctx), &late):
		return late
	case errors.As(cause, &typed): // a hop that RoundTrip or checkRedirect refused
		return &failure{err: typed, outcome: "bad"}
	case ctx.Err() != nil:
		kind := npm.Unavailable
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			kind = npm.Timeout
		}
		return &failure{
			err:     &npm.Error{Kind: kind, Op: "upstream " + m.name, Msg: fmt.Sprintf("the request to upstream %s was given up", m.name), Err: cause},
			outcome: "canceled",
		}
	}
	return &failure{
		err: &npm.Error{
			Kind: npm.Unavailable,
			Op:   "upstream " + m.name,
			Msg:  fmt.Sprintf("upstream %s cannot be reached: %s", m.name, reason(cause)),
			Err:  cause,
		},
		outcome: "unreachable",
		again:   true,
		down:    true,
	}
}

// brokenOff is the error of a body that ended before it was whole.
func (m *remote) brokenOff(cause error) *npm.Error {
	var late *failure
	if errors.As(cause, &late) {
		return late.err
	}
	return &npm.Error{
		Kind: npm.Unavailable,
		Op:   "upstream " + m.name,
		Msg:  fmt.Sprintf("upstream %s broke off in the middle of an answer: %s", m.name, reason(cause)),
		Err:  cause,
	}
}

// reason says why a connection failed without saying where it went: addresses
// are for the log, which has the cause itself.
func reason(err error) string {
	var (
		dns   *net.DNSError
		cert  *tls.CertificateVerificationError
		errno syscall.Errno
	)
	switch {
	case errors.As(err, &dns):
		return "its name does not resolve"
	case errors.As(err, &cert):
		return "its certificate is not trusted"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it closed the connection early"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "connecting took too long"
	}
	return "the connection failed"
}

// statusFailure is for an answer whose status is neither 200 nor one that the
// caller expects. missing is the sentence for a 404. It drains and closes the
// body.
func (m *remote) statusFailure(resp *http.Response, missing string) *failure {
	text := upstreamText(resp)
	drain(resp.Body)
	answered := fmt.Sprintf("upstream %s answered %d %s", m.name, resp.StatusCode, http.StatusText(resp.StatusCode))
	f := &failure{
		err:     &npm.Error{Kind: npm.BadUpstream, Op: "upstream " + m.name, Msg: answered},
		outcome: "bad",
	}
	switch status := resp.StatusCode; {
	case status == http.StatusNotFound, status == http.StatusGone:
		f.err.Kind, f.err.Msg, f.outcome = npm.NotFound, missing, "not_found"
		if strings.Contains(resp.Header.Get("Content-Type"), "json") {
			f.err.Err = errSaidSo
		}
	case status == http.StatusUnauthorized:
		f.err.Msg, f.outcome = fmt.Sprintf("upstream %s refused Larder's credentials", m.name), "refused"
		f.err.Code = codeCredentials
	case status == http.StatusPaymentRequired, status == http.StatusForbidden, status == http.StatusUnavailableForLegalReasons:
		f.err.Kind, f.outcome = npm.Forbidden, "refused"
		if text != "" {
			f.err.Msg += ": " + text
		}
	case status == http.StatusLoopDetected:
		f.err.Kind, f.outcome = npm.Loop, "refused"
		f.err.Msg = fmt.Sprintf("upstream %s leads back to this server", m.name)
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		f.err.Kind, f.outcome, f.again = npm.Unavailable, "error", true
		f.err.RetryAfter = retryAfter(resp.Header, time.Now())
	case status == http.StatusNotImplemented:
		f.err.Kind, f.outcome, f.odd = npm.Unavailable, "error", true
	case status >= 500:
		f.err.Kind, f.outcome, f.again, f.down = npm.Unavailable, "error", true, true
		f.err.RetryAfter = retryAfter(resp.Header, time.Now())
	default:
		f.odd = true
	}
	return f
}

const (
	maxText       = 4 << 10 // bytes of an error body that are looked at
	maxSentence   = 300     // bytes of it that are passed on
	maxRetryAfter = time.Hour
)

// upstreamText returns upstream's own words of an error body: the "error" or
// "message" of a JSON object, a JSON string, or plain text; never HTML.
func upstreamText(resp *http.Response) string {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxText))
	if err != nil || resp.Header.Get("Content-Encoding") != "" {
		return ""
	}
	text := ""
	if npm.ValidJSON(body) {
		doc := gjson.ParseBytes(body)
		for _, s := range []gjson.Result{doc, doc.Get("message"), doc.Get("error")} {
			if s.Type == gjson.String {
				text = s.String()
			}
		}
	} else if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		text = string(body)
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxSentence {
		text = text[:maxSentence] + "…"
	}
	return strings.ToValidUTF8(text, "")
}

// retryAfter returns what a Retry-After header asks for, in either of its
// forms; 0 where it asks for nothing, at most maxRetryAfter.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	var d time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		d = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}
