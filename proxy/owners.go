package proxy

import (
	"errors"
	"io/fs"
	"net/http"
	"slices"

	"larder/hosted"
	"larder/npm"
)

// The owners of a package by the paths that pnpm 12 has for them; npm and yarn
// send the package's document (see putRevision). Owners are information: the
// access rules alone decide who may publish.

// owners answers GET /-/package/NAME/owners.
func (s *Server) owners(x *exchange, r *http.Request, route npm.Route) error {
	src, err := s.source(r.Context(), route.Name)
	if err != nil {
		return err
	}
	if src.hosted == nil || route.Subject != "" {
		return &npm.Error{Kind: npm.NotFound, Op: "proxy.owners", Name: route.Name, Msg: "this registry has no such endpoint"}
	}
	type person struct {
		Username string `json:"username"`
		Email    string `json:"email"`
	}
	people := []person{}
	for _, m := range src.hosted.Maintainers() {
		people = append(people, person{m.Name, m.Email})
	}
	body, err := encode(people)
	if err != nil {
		return err
	}
	return x.sendJSON(r, noStore, body)
}

// addOwner answers PUT /-/package/NAME/owners with {"user": USER}.
func (s *Server) addOwner(x *exchange, r *http.Request, route npm.Route) error {
	var body struct{ User string }
	if err := readJSON(x, r, &body); err != nil {
		return err
	}
	x.event.Subject = body.User
	return s.changeOwners(x, r, route.Name, func(owners []hosted.Actor) ([]hosted.Actor, error) {
		p, err := s.cfg.Auth.Profile(r.Context(), body.User)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &npm.Error{Kind: npm.NotFound, Op: "proxy.addOwner", Name: route.Name, Msg: "there is no such user"}
		}
		if err != nil {
			return nil, err
		}
		return append(slices.DeleteFunc(owners, called(p.Name)), hosted.Actor{Name: p.Name, Email: p.Email}), nil
	})
}

// removeOwner answers DELETE /-/package/NAME/owners/USER.
func (s *Server) removeOwner(x *exchange, r *http.Request, route npm.Route) error {
	x.event.Subject = route.Subject
	return s.changeOwners(x, r, route.Name, func(owners []hosted.Actor) ([]hosted.Actor, error) {
		if !slices.ContainsFunc(owners, called(route.Subject)) {
			return nil, &npm.Error{Kind: npm.NotFound, Op: "proxy.removeOwner", Name: route.Name, Msg: "there is no such owner"}
		}
		return slices.DeleteFunc(owners, called(route.Subject)), nil
	})
}

func called(name string) func(hosted.Actor) bool {
	return func(a hosted.Actor) bool { return a.Name == name }
}

// changeOwners sets the owners to what change makes of them.
func (s *Server) changeOwners(x *exchange, r *http.Request, name string, change func([]hosted.Actor) ([]hosted.Actor, error)) error {
	if err := s.checkHosted(r.Context(), name); err != nil {
		return err
	}
	pkg, err := s.cfg.Hosted.Get(r.Context(), name)
	if err != nil {
		return err
	}
	owners, err := change(slices.Clone(pkg.Maintainers()))
	if err != nil {
		return err
	}
	raw, err := encode(owners)
	if err != nil {
		return err
	}
	done, err := s.cfg.Hosted.SetOwners(r.Context(), name, pkg.Rev(), npm.Object{{Key: "maintainers", Value: raw}}, s.actor(r, x))
	return x.sendChange(done, err, http.StatusOK)
}
