package proxy

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"larder/auth"
	"larder/hosted"
	"larder/npm"
)

// putStar answers PUT /NAME of somebody who may not publish: a star, or else
// the refusal.
func (s *Server) putStar(x *exchange, r *http.Request, name string, refusal error) error {
	if r.ContentLength < 0 || r.ContentLength > maxStarBody || s.cfg.Auth.Person(x.caller, false) != nil {
		return refusal
	}
	defer hurry(x)()
	noTarball := func() (io.Writer, error) { return nil, refusal }
	body, err := npm.ReadPut(r.Body, npm.PutLimits{Document: maxStarBody}, noTarball)
	if err != nil || body.Kind(false) != npm.PutStar {
		return refusal
	}
	x.event.Action = "star"
	if err := s.checkHosted(r.Context(), name); err != nil {
		return err
	}
	change, err := s.starAs(r.Context(), x, name, body.Doc)
	return x.sendChange(change, err, http.StatusCreated)
}

// starAs sets the caller's own star as the map "users" says, and nobody
// else's, whoever stands there.
func (s *Server) starAs(ctx context.Context, x *exchange, name string, doc npm.Object) (hosted.Change, error) {
	if err := s.cfg.Auth.Person(x.caller, false); err != nil {
		return hosted.Change{}, err
	}
	raw, _ := doc.Get("users")
	users, err := npm.ParseObject(raw)
	if err != nil {
		return hosted.Change{}, err
	}
	star, _ := users.Get(x.caller.User)
	return s.cfg.Hosted.SetStar(ctx, name, x.caller.User, string(star) == "true")
}

// star answers PUT and DELETE /-/user/v1/star, which is how pnpm 12 stars.
func (s *Server) star(x *exchange, r *http.Request) error {
	x.event.Action = "star"
	err := s.starNamed(x, r)
	s.recordWrite(x, err)
	return err
}

func (s *Server) starNamed(x *exchange, r *http.Request) error {
	var body struct{ Name, Package string }
	if err := readJSON(x, r, &body); err != nil {
		return err
	}
	name := body.Package
	if name == "" {
		name = body.Name
	}
	if err := npm.CheckName(name); err != nil {
		return err
	}
	x.name, x.event.Package = name, name
	if err := s.cfg.Auth.Check(x.caller, auth.Read, name); err != nil {
		return err
	}
	if err := s.cfg.Auth.Person(x.caller, false); err != nil {
		return err
	}
	if err := s.checkHosted(r.Context(), name); err != nil {
		return err
	}
	change, err := s.cfg.Hosted.SetStar(r.Context(), name, x.caller.User, r.Method == http.MethodPut)
	return x.sendChange(change, err, http.StatusOK)
}

// starredBy answers GET /-/_view/starredByUser?key="alice" with what the caller
// may read. npm crashes where "rows" is missing.
func (s *Server) starredBy(x *exchange, r *http.Request) error {
	key := r.URL.Query().Get("key")
	var user string
	if json.Unmarshal([]byte(key), &user) != nil {
		user = strings.Trim(key, `"`)
	}
	names, err := s.stars(x, r, user)
	if err != nil {
		return err
	}
	type row struct {
		Value string `json:"value"`
	}
	rows := make([]row, len(names))
	for i, name := range names {
		rows[i] = row{name}
	}
	body, err := encode(map[string]any{"rows": rows})
	if err != nil {
		return err
	}
	return x.sendJSON(r, noStore, body)
}

// starsOf answers GET /-/user/USER/stars, which pnpm 12 asks, with the names alone.
func (s *Server) starsOf(x *exchange, r *http.Request, route npm.Route) error {
	names, err := s.stars(x, r, route.Subject)
	if err != nil {
		return err
	}
	body, err := encode(names)
	if err != nil {
		return err
	}
	return x.sendJSON(r, noStore, body)
}

// stars returns the packages that a user has starred and x's caller may read.
func (s *Server) stars(x *exchange, r *http.Request, user string) ([]string, error) {
	names, err := s.cfg.Hosted.StarredBy(r.Context(), user)
	if err != nil {
		return nil, err
	}
	visible := []string{}
	for _, name := range names {
		if s.cfg.Auth.May(x.caller, auth.Read, name) {
			visible = append(visible, name)
		}
	}
	return visible, nil
}
