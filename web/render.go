package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
)

//go:embed pages
var files embed.FS

// parsePages returns the templates and the policy that lets browsers use the
// style in them, known by its hash, and nothing else: no script, no picture,
// no frame, and no form that leads to another site.
func parsePages() (*template.Template, string, error) {
	style, err := files.ReadFile("pages/style.css")
	if err != nil {
		return nil, "", fmt.Errorf("web: %w", err)
	}
	pages, err := template.New("").Funcs(template.FuncMap{
		"style": func() template.CSS { return template.CSS(style) },
	}).ParseFS(files, "pages/*.html")
	if err != nil {
		return nil, "", fmt.Errorf("web: %w", err)
	}
	sum := sha256.Sum256(style)
	csp := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	return pages, csp, nil
}

// setHeaders sets what every answer has. The referrer policy is not
// "no-referrer", because browsers would then say "Origin: null" even to us
// (Fetch standard, "append a request Origin header"), and the check for forms
// of other sites would refuse our own.
func (s *site) setHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", s.csp)
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY") // for browsers without frame-ancestors
}

// render sends a page. It is made in full first, so that none is sent by half.
func (s *site) render(w http.ResponseWriter, r *http.Request, status int, page string, data any) {
	var body bytes.Buffer
	if err := s.pages.ExecuteTemplate(&body, page, data); err != nil {
		s.log.LogAttrs(r.Context(), slog.LevelError, "page", slog.String("page", page), slog.String("error", err.Error()))
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body.Bytes()) // a browser that has gone away is not told
	}
}

// problem sends a page that has nothing but err's sentence.
func (s *site) problem(w http.ResponseWriter, r *http.Request, err error) {
	status, sentence := s.refuse(w, r, err)
	s.render(w, r, status, "problem.html", struct{ Title, Sentence string }{http.StatusText(status), sentence})
}
