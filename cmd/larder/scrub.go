package main

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"larder/cache"
	"larder/metrics"
)

// refetchTime bounds the time to fetch a rotten tarball again, for which the
// scrub waits. It comes when it is asked for, too.
const refetchTime = 5 * time.Minute

// scrub reads in the background all that lies on disk, again and again, so that
// what has rotted is found before somebody needs it. It ends with ctx.
func (srv *server) scrub(ctx context.Context, s *settings, counters *metrics.Metrics) {
	srv.running.Go(func() { srv.hosted.Watch(ctx) })
	if s.Cache.ScrubRate == 0 {
		return
	}
	pace := cache.NewPace(int64(s.Cache.ScrubRate)) // of both together
	for _, cfg := range []cache.PassConfig{
		{
			Name: "cache", Store: srv.store, Cursor: filepath.Join(srv.data.cachePath(), "scrub"),
			Look: (&cache.Inspector{Blobs: srv.blobs, Where: "scrub", Metrics: counters, Log: srv.log, Refetch: srv.refetch}).Look,
		},
		{
			Name: "hosted", Store: srv.private, Cursor: filepath.Join(hostedPath(srv.data.path), "scrub"),
			Look: srv.hosted.Inspector("scrub", true).Look,
		},
	} {
		cfg.Pace, cfg.Metrics, cfg.Log = pace, counters, srv.log
		srv.running.Go(func() { cache.Scrub(ctx, cache.NewPass(cfg)) })
	}
}

// refetch brings back the tarball under key, which label names as "NAME/FILE":
// even while the server stops, which gives it as much time as every download,
// because nobody will look for it again.
func (srv *server) refetch(ctx context.Context, key, label string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refetchTime)
	defer cancel()
	name, file := label[:max(0, strings.LastIndexByte(label, '/'))], label[strings.LastIndexByte(label, '/')+1:]
	for _, registry := range srv.registries {
		if registry.BlobKey(name, file) != key {
			continue
		}
		blob, err := srv.blobs.Get(ctx, key, registry.Tarball(name, file))
		if err == nil {
			err = blob.Wait(ctx)
			blob.Close()
		}
		if err != nil {
			srv.log.Warn("a rotten tarball could not be fetched again: it is when it is asked for", "label", label, "error", err)
			return
		}
		srv.log.Info("a rotten tarball was fetched again", "label", label)
		return
	}
}
