package proxy

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"larder/cache"
	"larder/npm"
	"larder/upstream"
)

// tarball answers GET /NAME/-/FILE.tgz.
func (s *Server) tarball(x *exchange, r *http.Request, route npm.Route) error {
	if !strings.HasSuffix(route.File, ".tgz") {
		return &npm.Error{Kind: npm.NotFound, Op: "proxy.tarball", Name: route.Name, Msg: "not a tarball: " + route.File}
	}
	src, err := s.source(r.Context(), route.Name)
	if err != nil {
		return err
	}
	if src.hosted != nil {
		return s.hostedTarball(x, r, route)
	}
	reg, started := src.upstream, time.Now()
	if err := reg.Withheld(route.Name, route.File); err != nil {
		reg.Glance(r.Context(), route.Name, route.File)
		return err // whether it is cached or not
	}
	blob, err := s.blob(r.Context(), reg, route)
	x.waitedSince(started)
	if err != nil {
		return reg.Refused(r.Context(), route.Name, route.File, err)
	}
	defer blob.Close()
	result := "miss"
	if blob.Hit() {
		result = "hit"
		reg.Glance(r.Context(), route.Name, route.File)
	}
	if needsWhole(r, blob) {
		err := whole(r, blob)
		x.waitedSince(started)
		if err != nil {
			return err
		}
	}
	if blob.Passed() {
		result = "bypass"
	}
	x.answeredBy(result)
	err = x.sendBlob(r, blob)
	if blob.Hit() && x.unread != nil {
		s.cfg.Blobs.Drop(r.Context(), reg.BlobKey(route.Name, route.File), x.unread)
	}
	return err
}

// blob returns a tarball out of the store or on its way there; out of the store
// alone where upstream is not to be asked, since what is filled, and what it
// fails with, is shared by all who ask.
func (s *Server) blob(ctx context.Context, reg *upstream.Registry, route npm.Route) (*cache.Blob, error) {
	key := reg.BlobKey(route.Name, route.File)
	if reg.Pinned(route.Name, route.File) {
		s.bringBack(ctx, key)
	}
	if !reg.Held(ctx) {
		blob, err := s.cfg.Blobs.Get(ctx, key, reg.Tarball(route.Name, route.File))
		if errors.Is(err, cache.ErrSlow) || errors.Is(err, cache.ErrBusy) {
			return nil, &npm.Error{Kind: npm.Unavailable, Op: "proxy.tarball", Name: route.Name, Err: err,
				Msg: "upstream " + reg.Name() + " is slow to send " + route.File + ": ask again"}
		}
		return blob, err
	}
	blob, err := s.cfg.Blobs.Open(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, reg.NotHeld(ctx, route.File)
	}
	return blob, err
}

// bringBack takes a pinned tarball out of quarantine, where it lies if it was
// pinned after upstream had removed it. Failing that, upstream is asked.
func (s *Server) bringBack(ctx context.Context, key string) {
	blob, err := s.cfg.Blobs.Open(ctx, key)
	if err == nil {
		blob.Close()
		return
	}
	if err := s.cfg.Blobs.Restore(ctx, key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.cfg.Log.WarnContext(ctx, "a pinned tarball could not be brought back", "key", key, "error", err)
	}
}

// whole waits until blob is all there. One that cannot be kept, because the
// disk is full or broken, never will be: it is sent in full as it comes,
// which HTTP allows for every request that could have had less. Only a client
// of HTTP/1.0 that could not tell where it breaks off must come again.
func whole(r *http.Request, blob *cache.Blob) error {
	err := blob.Wait(r.Context())
	if !errors.Is(err, cache.ErrNotStored) {
		return err
	}
	if needsLength(r, blob) {
		return &npm.Error{Kind: npm.Unavailable, Op: "proxy.tarball", Msg: "the tarball's length is not known yet", Err: err}
	}
	return nil
}

// needsLength reports whether blob's end would be lost on the client: it knows
// no chunks, and we no Content-Length.
func needsLength(r *http.Request, blob *cache.Blob) bool {
	return blob.Size() < 0 && !r.ProtoAtLeast(1, 1)
}

// needsWhole reports whether r can only be answered out of a whole blob: parts
// of it, its validators, or its size for a client that cannot take chunks.
func needsWhole(r *http.Request, blob *cache.Blob) bool {
	if blob.Content() != nil {
		return false
	}
	if r.Method == http.MethodHead || needsLength(r, blob) {
		return true
	}
	return !asksForAll(r)
}
