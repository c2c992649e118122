package proxy

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"larder/npm"
	"larder/upstream"
)

// distTags answers GET /-/package/NAME/dist-tags.
func (s *Server) distTags(x *exchange, r *http.Request, route npm.Route) error {
	src, err := s.source(r.Context(), route.Name)
	if err != nil {
		return err
	}
	if src.hosted != nil {
		tags, err := npm.RenderDistTags(src.hosted.Packument(), npm.Target{})
		if err != nil {
			return err
		}
		x.answeredBy(resultHosted)
		return x.sendJSON(r, revalidate, tags)
	}
	started := time.Now()
	pk, err := src.upstream.Packument(r.Context(), route.Name, npm.Abbreviated, false)
	x.waitedSince(started)
	if err != nil {
		return err
	}
	v, err := s.view(r.Context(), src.upstream, route.Name)
	if err != nil {
		return err
	}
	tags, err := tagsOf(r.Context(), pk, v)
	if err != nil {
		return err
	}
	s.from(x, src.upstream, pk.Provenance)
	return x.sendJSON(r, revalidate, tags)
}

// tagsOf returns the dist-tags of what v shows of pk.
func tagsOf(ctx context.Context, pk *upstream.Packument, v view) ([]byte, error) {
	doc, release, err := pk.Body(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	target, err := v.target(doc, npm.Target{Name: pk.Name})
	if err != nil {
		return nil, err
	}
	return npm.RenderDistTags(doc, target)
}

// putTag answers PUT /-/package/NAME/dist-tags/TAG, and PUT /NAME/TAG of old
// clients. The body is a JSON string; some tools forget its quotes.
func (s *Server) putTag(x *exchange, r *http.Request, route npm.Route) error {
	x.event.Subject = route.Version
	if err := s.checkHosted(r.Context(), route.Name); err != nil {
		return err
	}
	raw, err := readSmall(x, r)
	if err != nil {
		return err
	}
	var version string
	if json.Unmarshal(raw, &version) != nil {
		version = strings.TrimSpace(string(raw))
	}
	change, err := s.cfg.Hosted.SetTag(r.Context(), route.Name, route.Version, version, s.actor(r, x))
	return x.sendChange(change, err, http.StatusCreated)
}

// deleteTag answers DELETE /-/package/NAME/dist-tags/TAG.
func (s *Server) deleteTag(x *exchange, r *http.Request, route npm.Route) error {
	x.event.Subject = route.Version
	if err := s.checkHosted(r.Context(), route.Name); err != nil {
		return err
	}
	change, err := s.cfg.Hosted.DeleteTag(r.Context(), route.Name, route.Version, s.actor(r, x))
	return x.sendChange(change, err, http.StatusOK)
}

// mergeTags answers POST /-/package/NAME/dist-tags: the tags of the body join
// those that are there.
func (s *Server) mergeTags(x *exchange, r *http.Request, route npm.Route) error {
	if err := s.checkHosted(r.Context(), route.Name); err != nil {
		return err
	}
	var tags map[string]string
	if err := readJSON(x, r, &tags); err != nil {
		return err
	}
	x.event.Subject = strings.Join(slices.Sorted(maps.Keys(tags)), " ")
	change, err := s.cfg.Hosted.SetTags(r.Context(), route.Name, tags, s.actor(r, x))
	return x.sendChange(change, err, http.StatusCreated)
}
