package web

import (
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"larder/auth"
	"larder/npm"
)

// Config configures the pages.
type Config struct {
	Auth *auth.Auth
	Log  *slog.Logger     // nil: nothing is logged
	Now  func() time.Time // nil: time.Now
}

// site answers for everything below /-/web/.
type site struct {
	auth      *auth.Auth
	log       *slog.Logger
	now       func() time.Time
	pages     *template.Template
	csp       string // the Content-Security-Policy of every page
	crossSite *http.CrossOriginProtection
}

// loginPath is where the login pages are; each has its login's ID behind it.
const loginPath = "/-/web/login/"

// New returns the handler of everything below /-/web/. Of a public URL's path
// prefix it knows nothing: it wants paths without, and the pages have only
// relative links. A request's RemoteAddr is taken for the person's address,
// and its Host for the name under which browsers know this server.
func New(cfg Config) (http.Handler, error) {
	if cfg.Auth == nil {
		return nil, errors.New("web: Config.Auth is required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	pages, csp, err := parsePages()
	if err != nil {
		return nil, err
	}
	return &site{
		auth:      cfg.Auth,
		log:       cfg.Log,
		now:       cfg.Now,
		pages:     pages,
		csp:       csp,
		crossSite: http.NewCrossOriginProtection(),
	}, nil
}

// ServeHTTP routes by hand: http.ServeMux would redirect, to paths that lack
// the prefix.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.setHeaders(w.Header())
	id, ok := strings.CutPrefix(r.URL.Path, loginPath)
	if !ok || id == "" || strings.Contains(id, "/") {
		s.problem(w, r, &npm.Error{Kind: npm.NotFound, Op: "web", Msg: "There is no such page."})
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		s.showLogin(w, r, id)
	case http.MethodPost:
		s.finishLogin(w, r, id)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		s.problem(w, r, &npm.Error{Kind: npm.MethodNotAllowed, Op: "web", Msg: r.Method + " is not allowed here."})
	}
}

// statuses has the kinds of error that a person can do something about; all
// others are 500.
var statuses = map[npm.Kind]int{
	npm.NotFound:         http.StatusNotFound,
	npm.Invalid:          http.StatusBadRequest,
	npm.TooLarge:         http.StatusRequestEntityTooLarge,
	npm.MethodNotAllowed: http.StatusMethodNotAllowed,
	npm.Unauthorized:     http.StatusUnauthorized,
	npm.Forbidden:        http.StatusForbidden,
	npm.Conflict:         http.StatusConflict,
	npm.TooMany:          http.StatusTooManyRequests,
	npm.Unavailable:      http.StatusServiceUnavailable,
	npm.NoSpace:          http.StatusInsufficientStorage,
}

// refuse returns the status and the sentence for err, sets the headers that
// belong to them, and logs what is not the person's doing. A 401 has no
// challenge, which browsers would answer by a password window of their own.
func (s *site) refuse(w http.ResponseWriter, r *http.Request, err error) (status int, sentence string) {
	status, known := statuses[npm.KindOf(err)]
	if !known {
		status = http.StatusInternalServerError
		if r.Context().Err() == nil {
			s.log.LogAttrs(r.Context(), slog.LevelError, "login page", slog.String("error", err.Error()))
		}
		return status, "Something went wrong here. The server's log says more."
	}
	var e *npm.Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		seconds := int64((e.RetryAfter + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	return status, asSentence(npm.Message(err))
}

// asSentence gives a message, which is made to stand behind a colon on a
// terminal, a capital letter and a full stop.
func asSentence(msg string) string {
	if msg == "" {
		return msg
	}
	if c := msg[0]; 'a' <= c && c <= 'z' {
		msg = string(c-'a'+'A') + msg[1:]
	}
	if !strings.ContainsAny(msg[len(msg)-1:], ".!?") {
		msg += "."
	}
	return msg
}

// client returns the address of the person's browser.
func client(r *http.Request) netip.Addr {
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return ap.Addr().Unmap()
	}
	addr, err := netip.ParseAddr(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap()
}
