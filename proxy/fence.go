package proxy

import (
	"context"
	"errors"
	"io/fs"

	"larder/npm"
	"larder/upstream"
)

// checkOwned reports why the name is not ours to write to. A name that is
// published here, or was, is ours, and so is a reserved one. Any other is free
// only while no upstream has it, or hosted.allow_shadow names it: a package
// that hides another must be somebody's decision.
func (s *Server) checkOwned(ctx context.Context, name string) error {
	_, err := s.cfg.Hosted.Get(ctx, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if s.reserved(name) || matchesAny(s.cfg.AllowShadow, name) {
		return nil
	}
	reg := s.upstreamOf(name)
	if reg == nil {
		return nil
	}
	_, err = reg.Packument(ctx, name, npm.Abbreviated, false)
	switch {
	case err == nil:
		return &npm.Error{Kind: npm.Forbidden, Op: "proxy.checkOwned", Name: name, Code: "shadows_upstream",
			Msg: name + " is a package of upstream " + reg.Name() + ": it can be neither changed nor published over here, unless hosted.allow_shadow has its name"}
	case npm.KindOf(err) == npm.NotFound && !errors.Is(err, upstream.ErrRecalled):
		return nil
	}
	return &npm.Error{Kind: npm.Unavailable, Op: "proxy.checkOwned", Name: name, Code: "upstream_unknown", Err: err,
		Msg: "upstream " + reg.Name() + " cannot be asked whether it has a package " + name + ": try again later, or put its name into hosted.reserved, so that nobody needs to ask"}
}

// checkHosted reports that name is not published here, for the writes that only
// change what is.
func (s *Server) checkHosted(ctx context.Context, name string) error {
	src, err := s.source(ctx, name)
	switch {
	case err != nil:
		return err
	case src.hosted != nil:
		return nil
	}
	return &npm.Error{Kind: npm.Forbidden, Op: "proxy.checkHosted", Name: name,
		Msg: name + " is not published here: what comes from upstream " + src.upstream.Name() + " cannot be changed"}
}
