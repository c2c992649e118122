package proxy

import (
	"net/http"
	"time"

	"larder/npm"
)

// distTags answers GET /-/package/NAME/dist-tags.
func (s *Server) distTags(x *exchange, r *http.Request, route npm.Route) error {
	reg, err := s.source(route.Name)
	if err != nil {
		return err
	}
	started := time.Now()
	pk, err := reg.Packument(r.Context(), route.Name, npm.Abbreviated, false)
	x.waitedSince(started)
	if err != nil {
		return err
	}
	doc, release, err := pk.Body(r.Context())
	if err != nil {
		return err
	}
	tags, err := npm.RenderDistTags(doc)
	release()
	if err != nil {
		return err
	}
	x.answeredBy(pk.Outcome.String())
	return x.sendJSON(r, revalidate, tags)
}
