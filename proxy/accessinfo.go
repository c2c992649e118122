package proxy

import (
	"net/http"

	"larder/npm"
)

// access answers GET /-/package/NAME/visibility and …/collaborators, which npm
// asks before it publishes with provenance, and people ask with npm access,
// and …/access, which is pnpm 12's word for the first.
func (s *Server) access(x *exchange, r *http.Request, route npm.Route) error {
	src, err := s.source(r.Context(), route.Name)
	if err != nil {
		return err
	}
	var answer any
	public := s.cfg.Auth.Public(route.Name)
	switch {
	case route.Rest == "visibility":
		answer = map[string]bool{"public": public}
	case route.Rest == "access":
		answer = map[string]string{"access": map[bool]string{true: "public", false: "restricted"}[public]}
	case route.Rest == "collaborators" && src.hosted != nil:
		people := map[string]string{}
		for _, m := range src.hosted.Maintainers() {
			people[m.Name] = "write"
		}
		answer = people
	default:
		return &npm.Error{Kind: npm.NotFound, Op: "proxy.access", Name: route.Name, Msg: "this registry has no such endpoint"}
	}
	body, err := encode(answer)
	if err != nil {
		return err
	}
	return x.sendJSON(r, noStore, body)
}

// setAccess answers POST /-/package/NAME/access. The access rules alone decide
// who may read, so the answer is yes where they say already what is asked for,
// and otherwise a refusal that names them: it must not look as if it had
// worked.
func (s *Server) setAccess(x *exchange, r *http.Request, route npm.Route) error {
	if err := s.checkHosted(r.Context(), route.Name); err != nil {
		return err
	}
	var body struct {
		Access string `json:"access"`
	}
	if err := readJSON(x, r, &body); err != nil {
		return err
	}
	x.event.Subject = body.Access
	asked, known := map[string]bool{"public": true, "restricted": false, "private": false}[body.Access]
	if !known || asked != s.cfg.Auth.Public(route.Name) {
		return &npm.Error{Kind: npm.Forbidden, Op: "proxy.setAccess", Name: route.Name, Code: "access_rules",
			Msg: "who may read " + route.Name + " is for this server's access rules to say: nothing can be set per package"}
	}
	x.common(noStore)
	x.writeJSON(http.StatusOK, []byte(`{"ok":true}`))
	return nil
}
