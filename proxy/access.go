package proxy

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"larder/auth"
)

// exchange is one request and what becomes of it: the response's writer, and
// what the access log and the metrics say at the end. Handlers fill in what
// only they know.
type exchange struct {
	recorder
	conn    *clientConn // nil where others write to it, too, as TLS and HTTP/2 do
	id      string
	client  netip.Addr  // where the request comes from, behind trusted proxies; invalid where it has no address
	caller  auth.Caller // who is asking
	guarded bool        // what is asked for is not for everybody
	event   auth.Event  // of a write: what becomes of it, for the journal
	trusted bool        // the peer is a trusted proxy
	cached  bool        // what is asked for is below cachedPath
	route   string      // one of metrics.Routes
	name    string      // package asked for
	result  string      // as in X-Larder-Cache; "" where there is no cache
	checked time.Time   // when upstream last confirmed the document; zero where that is nobody's business
	stale   bool        // the document is older than it should be
	notice  string      // for whoever sits in front of npm
	notices *buckets[netip.Prefix]
	waited  time.Duration // for upstream
	started time.Time
	err     error
	stack   []byte // of a panic
}

const (
	maxRequestID = 64   // bytes of a request id that a trusted proxy gives
	maxLogged    = 1024 // bytes of a path or a User-Agent in the log
)

// statusCanceled stands in the log, and nowhere else, where the client went
// away before there was a status. nginx uses the same.
const statusCanceled = 499

func (s *Server) begin(w http.ResponseWriter, r *http.Request) *exchange {
	client, trusted := s.bases.client(r)
	conn := connOf(r.Context())
	x := &exchange{
		recorder: recorder{ResponseWriter: w, silence: s.cfg.SendSilence},
		client:   client,
		trusted:  trusted,
		route:    "other",
		started:  time.Now(),
	}
	if r.TLS == nil {
		x.conn = conn
	}
	x.id = r.Header.Get("X-Request-Id")
	if !trusted || !validRequestID(x.id) {
		x.id = newRequestID()
	}
	set(w.Header(), "X-Request-Id", x.id)
	if s.draining.Load() || conn.crowded() {
		w.Header().Set("Connection", "close") // whoever has more to ask goes elsewhere with it
	}
	if r.ProtoMajor == 1 { // with HTTP/2 each response has a time of its own, which would run during an upload
		x.renew() // the last answer's time must not run out on net/http's own "100 Continue"
	}
	s.cfg.Metrics.RequestStarted()
	return x
}

// errStalled is why a response was broken off.
var errStalled = errors.New("the client stopped taking the response")

// end counts the request and writes its line into the access log.
func (s *Server) end(x *exchange, r *http.Request) {
	d := time.Since(x.started)
	status := x.status
	switch {
	case status != 0:
	case r.Context().Err() != nil:
		status = statusCanceled
	default:
		status = http.StatusOK // net/http sends it for a handler that wrote nothing
	}
	x.renew() // for what net/http has still to send
	s.cfg.Metrics.RequestEnded()
	if x.stalled {
		s.cfg.Metrics.ClientStalled()
		x.err = errStalled
	}
	s.cfg.Metrics.Request(x.route, x.result, status, x.bytes, d)
	log, level := s.cfg.Access, slog.LevelInfo
	if status == http.StatusInternalServerError || x.stack != nil {
		log, level = s.cfg.Log, slog.LevelError
	}
	if !log.Enabled(r.Context(), level) {
		return
	}
	// Not by LogAttrs, which looks for the line of code that calls it.
	line := slog.NewRecord(time.Now(), level, "request", 0)
	var room [16]slog.Attr
	line.AddAttrs(x.attrs(room[:0], r, status, d)...)
	_ = log.Handler().Handle(r.Context(), line) // there is no log to say it in
}

// attrs appends what the access log says about a request: always the same at
// the front, then what there is.
func (x *exchange) attrs(attrs []slog.Attr, r *http.Request, status int, d time.Duration) []slog.Attr {
	client := "unknown"
	if x.client.IsValid() {
		client = x.client.String()
	}
	attrs = append(attrs,
		slog.String("id", x.id),
		slog.String("client", client),
		slog.String("method", r.Method),
		slog.String("path", scrub(r.URL.EscapedPath())),
		slog.String("route", x.route),
		slog.Int("status", status),
		slog.Int64("bytes", x.bytes),
		milliseconds("duration_ms", d),
	)
	optional := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	optional("user", x.caller.Name())
	optional("package", x.name)
	optional("cache", x.result)
	if x.waited > 0 {
		attrs = append(attrs, milliseconds("upstream_ms", x.waited))
	}
	optional("user_agent", shorten(r.UserAgent()))
	if x.err != nil {
		optional("error", x.err.Error())
	}
	optional("stack", string(x.stack))
	return attrs
}

// milliseconds has its unit in its key: slog writes durations for people in
// text and as bare nanoseconds in JSON.
func milliseconds(key string, d time.Duration) slog.Attr {
	return slog.Float64(key, float64(d.Microseconds())/1000)
}

// waitedSince notes how long the cache, and with it upstream, took to answer
// or to fail.
func (x *exchange) waitedSince(started time.Time) { x.waited = time.Since(started) }

// answeredBy notes how the cache came by an answer. A hit waits for nobody.
func (x *exchange) answeredBy(result string) {
	x.result = result
	if result == "hit" {
		x.waited = 0
	}
}

// recover turns a panic of a handler into a 500, or into a broken connection
// where the response has begun. http.ErrAbortHandler passes: it is how
// handlers break a connection on purpose.
func (s *Server) recover(x *exchange, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	x.stack = debug.Stack()
	s.writeError(x, r, &panicError{p})
}

// abort breaks the connection, so that the client sees a failed download and
// never a short one that looks whole. err goes to the log.
func (x *exchange) abort(err error) {
	x.err = err
	panic(http.ErrAbortHandler)
}

func validRequestID(id string) bool {
	return id != "" && len(id) <= maxRequestID && consistsOf(id, idChars)
}

// newRequestID returns 16 hexadecimal digits. They are for finding a line in a
// log and need not be secret.
func newRequestID() string {
	var random [8]byte
	var digits [2 * len(random)]byte
	binary.BigEndian.PutUint64(random[:], rand.Uint64())
	hex.Encode(digits[:], random[:])
	return string(digits[:])
}

// scrub removes the secrets that stand in paths: tokens (npm logout, npm token
// revoke) and those of a web login, whatever of the path is escaped.
func scrub(path string) string {
	plain, err := url.PathUnescape(path)
	if err != nil {
		plain = path
	}
	for _, secret := range []string{"/-/user/token/", "/-/npm/v1/tokens/token/", "/-/v1/done/", "/-/web/login/"} {
		if i := strings.Index(plain, secret); i >= 0 {
			return shorten(plain[:i]) + secret + "***"
		}
	}
	return shorten(path)
}

func shorten(s string) string {
	if len(s) > maxLogged {
		return s[:maxLogged] + "…"
	}
	return s
}
