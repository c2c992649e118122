package proxy

import (
	"context"
	"errors"
	"strings"

	"github.com/tidwall/gjson"

	"larder/cache"
	"larder/npm"
	"larder/upstream"
)

// view is what of a package's upstream document a caller may see. The zero
// view is all of it.
type view struct {
	rev      string                    // tells apart what two views show of one document; "" for all of it
	hide     func(version string) bool // versions that nobody may see; nil: none
	restored [][]byte                  // see npm.Target

	// held, where upstream may not be asked, reports whether a version's
	// tarball is on disk: no other can be installed.
	held func(version string) bool
	// missing is the error where there is none that could be.
	missing error
}

// view makes the view that a request has of a package of reg: without what
// upstream took down, and where it may not be asked with only what is on disk.
// The error is NotFound for a package that was taken down altogether.
func (s *Server) view(ctx context.Context, reg *upstream.Registry, name string) (view, error) {
	taken, err := reg.Taken(ctx, name)
	if err != nil {
		return view{}, err
	}
	var v view
	if taken != nil {
		v = view{rev: taken.Rev, hide: taken.Hides, restored: taken.Restored}
	}
	if !reg.Held(ctx) {
		return v, nil
	}
	present, err := s.cfg.Blobs.Present(ctx, reg.Owner(name))
	if err != nil {
		return view{}, &npm.Error{Kind: npm.Unavailable, Op: "proxy.view", Name: name, Err: err,
			Msg: "it cannot be found out what is cached of " + name}
	}
	v.rev = strings.TrimSpace(present.Rev() + " " + v.rev)
	v.held = func(version string) bool { return holds(present, reg, name, version) }
	v.missing = noTarball(reg, name)
	return v, nil
}

func holds(present cache.Present, reg *upstream.Registry, name, version string) bool {
	return present.Has(reg.BlobKey(name, npm.TarballFile(name, version)))
}

// noTarball is the error for a package of which no version can be installed. It
// must not be 404: package managers write down what they are told does not
// exist.
func noTarball(reg *upstream.Registry, subject string) error {
	msg := "Larder is offline and has no tarball of " + subject
	if !reg.Offline() {
		msg = "only what is cached is served here, and no tarball of " + subject + " is"
	}
	return &npm.Error{Kind: npm.Unavailable, Op: "proxy.view", Name: subject, Msg: msg, Err: upstream.ErrOffline}
}

// all reports whether v shows the whole of a document, as upstream sent it.
func (v view) all() bool { return v.rev == "" }

// slot is what a view adds to the slot of its finished documents. What is shown
// while upstream is away must not take the place of what is shown always.
func (v view) slot() string {
	if v.held != nil {
		return " cached"
	}
	return ""
}

// target adds to t what v shows of doc, which has passed npm.Inspect. Where
// nothing is on disk of a package that is for some platforms only, all such
// versions are shown: clients list the packages of every platform, and fetch
// only their own's. The error is v.missing.
func (v view) target(doc []byte, t npm.Target) (npm.Target, error) {
	t.Hide, t.Restored = v.hide, v.restored
	if v.held == nil {
		return t, nil
	}
	t.Restored = nil
	for _, manifest := range v.restored {
		if v.held(gjson.GetBytes(manifest, "version").Str) {
			t.Restored = append(t.Restored, manifest)
		}
	}
	t.Hide = func(version string) bool { return !v.held(version) || v.hides(version) }
	if len(t.Restored) > 0 || shows(t, npm.VersionNames(doc)) {
		return t, nil
	}
	skippable := make(map[string]bool)
	for _, version := range npm.PlatformVersions(doc) {
		skippable[string(version)] = true
	}
	t.Hide = func(version string) bool { return !skippable[version] || v.hides(version) }
	if !shows(t, npm.PlatformVersions(doc)) {
		return t, v.missing
	}
	return t, nil
}

func (v view) hides(version string) bool { return v.hide != nil && v.hide(version) }

func shows(t npm.Target, versions [][]byte) bool {
	for _, version := range versions {
		if !t.Hide(string(version)) {
			return true
		}
	}
	return false
}

// current is reg.Packument. Where the full document cannot be had now, and the
// abbreviated one is held, that is what there is: rather one without a readme
// than none.
func current(ctx context.Context, reg *upstream.Registry, name string, form npm.Form, force bool) (*upstream.Packument, error) {
	pk, err := reg.Packument(ctx, name, form, force)
	if form != npm.Full || ctx.Err() != nil {
		return pk, err
	}
	switch npm.KindOf(err) {
	case npm.Unavailable, npm.Timeout, npm.BadUpstream:
		short, failed := reg.Packument(upstream.HeldOnly(ctx), name, npm.Abbreviated, false)
		if failed != nil {
			break
		}
		short.Away = short.Outcome == upstream.Stale && !errors.Is(err, upstream.ErrOffline)
		return short, nil
	}
	return pk, err
}

// cacheControl is what may be kept of a packument: where it depends on what is
// on disk, nothing without asking again.
func (v view) cacheControl() string {
	if v.held != nil {
		return revalidate
	}
	return cacheDocument
}
