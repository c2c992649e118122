package web

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode"

	"larder/auth"
	"larder/npm"
)

// Bounds on what a browser sends.
const (
	maxForm  = 16 << 10 // bytes
	formTime = 30 * time.Second
)

// loginView is what the login page shows: who asks, and the form with what was
// filled in before, the password excepted.
type loginView struct {
	From      string // the address that the login was begun from
	Elsewhere string // the browser's own address where it is another
	UserAgent string
	Age       string
	CanCreate bool // accounts may be made here
	Create    bool // the form is the one that makes an account
	User      string
	Email     string
	Problem   string // why the last attempt failed
}

// showLogin answers GET. With "?create" in the URL the form makes an account.
func (s *site) showLogin(w http.ResponseWriter, r *http.Request, id string) {
	login, err := s.auth.PendingLogin(id)
	if err != nil {
		s.problem(w, r, gone(err))
		return
	}
	view := s.describe(r, login)
	view.Create = view.CanCreate && r.URL.Query().Has("create")
	s.render(w, r, http.StatusOK, "login.html", view)
}

// describe returns the view of a login before anybody has filled in the form.
func (s *site) describe(r *http.Request, login auth.Login) loginView {
	view := loginView{
		From:      "an unknown address",
		UserAgent: printable(login.UserAgent),
		Age:       age(s.now().Sub(login.Created)),
		CanCreate: s.auth.Registration(),
	}
	if login.From.IsValid() {
		view.From = login.From.String()
	}
	if own := client(r); own.IsValid() && own != login.From.Unmap() {
		view.Elsewhere = own.String()
	}
	return view
}

// finishLogin answers POST. Where the form is not good it is shown again, with
// the reason; the login goes on waiting.
func (s *site) finishLogin(w http.ResponseWriter, r *http.Request, id string) {
	login, err := s.auth.PendingLogin(id)
	if err != nil {
		s.problem(w, r, gone(err))
		return
	}
	if err := s.readForm(w, r); err != nil {
		s.problem(w, r, err)
		return
	}
	user, email, create := r.PostForm.Get("user"), r.PostForm.Get("email"), r.PostForm.Has("create")
	err = s.auth.FinishLogin(r.Context(), id, user, r.PostForm.Get("password"), email, create, client(r))
	if npm.KindOf(err) == npm.NotFound {
		s.problem(w, r, gone(err)) // it ran out, or another window was faster
		return
	}
	if err != nil {
		view := s.describe(r, login)
		view.Create, view.User, view.Email = create && view.CanCreate, user, email
		var status int
		status, view.Problem = s.refuse(w, r, err)
		s.render(w, r, status, "login.html", view)
		return
	}
	s.render(w, r, http.StatusOK, "done.html", struct {
		User    string
		Created bool
	}{user, create})
}

// readForm reads the body into r.PostForm. Whoever knows the ID could send
// the form from a page of their own; browsers say where a form comes from, and
// only our own page will do.
func (s *site) readForm(w http.ResponseWriter, r *http.Request) error {
	if err := s.crossSite.Check(r); err != nil {
		return &npm.Error{Kind: npm.Forbidden, Op: "web.readForm", Msg: "This form was sent from another site.", Err: err}
	}
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "application/x-www-form-urlencoded" {
		return &npm.Error{Kind: npm.Invalid, Op: "web.readForm", Msg: "This is not a form as browsers send it."}
	}
	c := http.NewResponseController(w)
	timed := c.SetReadDeadline(time.Now().Add(formTime)) == nil
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	err := r.ParseForm()
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return &npm.Error{Kind: npm.TooLarge, Op: "web.readForm", Msg: "The form is over 16 KB.", Err: err}
	case err != nil:
		return &npm.Error{Kind: npm.Invalid, Op: "web.readForm", Msg: "The form cannot be read.", Err: err}
	case timed:
		_ = c.SetReadDeadline(time.Time{}) // the connection is good for more
	}
	return nil
}

// gone says of a login that is not pending what the person can do.
func gone(err error) error {
	if npm.KindOf(err) != npm.NotFound {
		return err
	}
	return &npm.Error{Kind: npm.NotFound, Op: "web.login", Err: err,
		Msg: "This login is finished, or has run out. Go back to the terminal and run npm login again."}
}

// age says how long ago a login was begun; they live for minutes.
func age(d time.Duration) string {
	count := func(n int, unit string) string {
		if n == 1 {
			return "1 " + unit + " ago"
		}
		return fmt.Sprintf("%d %ss ago", n, unit)
	}
	switch {
	case d < 2*time.Second:
		return "just now"
	case d < time.Minute:
		return count(int(d/time.Second), "second")
	}
	return count(int(d/time.Minute), "minute")
}

// printable returns what a client calls itself, without characters that would
// make it look like something else, such as marks that turn the direction of
// writing.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) || c == unicode.ReplacementChar {
			return '?'
		}
		return c
	}, s)
}
