package proxy

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"larder/hosted"
	"larder/npm"
	"larder/upstream"
)

// source is where a package comes from: one of the two is not nil.
type source struct {
	hosted   *hosted.Package
	upstream *upstream.Registry
}

// source is the one place where it is decided whether a name is private. What
// is published here is ours, and what was, and all that a reserved pattern
// covers: none of it is ever asked of an upstream. For the rest the first
// upstream whose pattern matches answers, and no other.
//
// The error is NotFound for a name of ours that has no package, and for one
// that no upstream answers for. That the store cannot be read is an error of
// its own: a name must not fall through to upstream because a disk is broken.
func (s *Server) source(ctx context.Context, name string) (source, error) {
	pkg, err := s.cfg.Hosted.Get(ctx, name)
	switch {
	case err == nil && pkg.Unpublished():
		return source{}, notHere(name, name+" was unpublished")
	case err == nil:
		return source{hosted: pkg}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return source{}, err
	case s.reserved(name):
		return source{}, notHere(name, name+" is reserved for packages that are published here, and it was not")
	}
	reg := s.upstreamOf(name)
	if reg == nil {
		return source{}, notHere(name, "no upstream is configured for "+name)
	}
	return source{upstream: reg}, nil
}

func notHere(name, msg string) error {
	return &npm.Error{Kind: npm.NotFound, Op: "proxy.source", Name: name, Msg: msg}
}

// upstreamOf returns the first upstream whose pattern matches, nil if none
// does. Only source may call it for a name that can be private.
func (s *Server) upstreamOf(name string) *upstream.Registry {
	for _, reg := range s.cfg.Upstreams {
		if reg.Matches(name) {
			return reg
		}
	}
	return nil
}

// publicSource is source for a name out of a request's body, of which only
// an upstream is of interest: nil where it is no name, a private one, or none
// that an upstream answers for.
func (s *Server) publicSource(ctx context.Context, name string) *upstream.Registry {
	if npm.CheckName(name) != nil {
		return nil
	}
	src, err := s.source(ctx, name)
	if err != nil {
		return nil
	}
	return src.upstream
}

// reserved reports whether hosted.reserved covers a name. A scope has no case,
// as on the public registry: what is asked for as @ACME/lib is somebody's slip,
// and must not tell an upstream of @acme/lib. Names without a scope may be told
// apart by case alone, as JSONStream and jsonstream are.
func (s *Server) reserved(name string) bool {
	return slices.ContainsFunc(s.cfg.Reserved, func(p string) bool {
		return npm.MatchName(p, name) ||
			strings.HasPrefix(name, "@") && npm.MatchName(strings.ToLower(p), strings.ToLower(name))
	})
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return npm.MatchName(p, name) })
}

// catchAll returns the upstream that search and audits go to: the one that
// takes names which no narrower pattern claims, with a scope and without.
func catchAll(upstreams []*upstream.Registry) *upstream.Registry {
	for _, reg := range upstreams {
		if reg.Matches("any-name-at-all") && reg.Matches("@any-scope-at-all/name") {
			return reg
		}
	}
	return nil
}
