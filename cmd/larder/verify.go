package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"larder/cache"
	"larder/hosted"
)

// maxFound bounds the files that --json lists, and those that are printed.
const maxFound = 10_000

func cacheCommand(environ []string, info build) *cobra.Command {
	return family("cache", "Look after what is cached", verifyCommand(environ, info))
}

func verifyCommand(environ []string, info build) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check everything on disk against the hash that it was stored with",
		Long: "Read everything that is cached and published here, and check it against the hash that it was stored with.\n" +
			"The server may be running or stopped. What has rotted in the cache is put aside, and fetched again when it is\n" +
			"asked for; what is published here is not touched. The exit status is 1 if anything had rotted.\n" +
			"Ctrl-C stops it, and the same command goes on from there.",
		Args: cobra.NoArgs,
	}
	v := &verification{info: info}
	flags := addDataFlags(cmd.Flags())
	cmd.Flags().Var(sizeFlag{&v.rate}, "rate", "read at most so much per second, like 50MB; 0: no bound")
	cmd.Flags().BoolVar(&v.restart, "restart", false, "begin anew, not where an earlier call was stopped")
	cmd.Flags().BoolVar(&v.json, "json", false, "print the result as one line of JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		src := flags.sources(environ)
		src.withoutFiles = true
		s, err := load(src)
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return failing(explained(v.run(ctx, s, cmd.OutOrStdout(), cmd.ErrOrStderr())))
	}
	return cmd
}

// sizeFlag is a flag that takes a Size.
type sizeFlag struct{ size *Size }

func (f sizeFlag) String() string {
	if f.size == nil {
		return "0"
	}
	return f.size.String()
}

func (f sizeFlag) Set(text string) error { return f.size.UnmarshalText([]byte(text)) }
func (sizeFlag) Type() string            { return "SIZE" }

// verification is one call of larder cache verify.
type verification struct {
	rate          Size
	restart, json bool
	info          build

	stderr   io.Writer
	log      *slog.Logger
	pace     *rate.Limiter
	progress *progress
	result   verified
}

// verified is the result, and what --json prints.
type verified struct {
	Complete bool            `json:"complete"` // everything was read
	Stores   []verifiedStore `json:"stores"`
	Found    []rottenFile    `json:"found"` // by this call
}

type verifiedStore struct {
	Store      string `json:"store"`
	Files      int64  `json:"files"`
	Bytes      int64  `json:"bytes"`
	Rotten     int64  `json:"rotten"`
	Unreadable int64  `json:"unreadable"`
}

type rottenFile struct {
	Store string `json:"store"`
	Key   string `json:"key"`
	What  string `json:"what"`
	Error string `json:"error"`
}

// errRotten ends a verification that found something.
var errRotten = errors.New("not everything was what it should be")

func (v *verification) run(ctx context.Context, s *settings, stdout, stderr io.Writer) error {
	v.stderr, v.progress, v.pace = stderr, newProgress(stderr), cache.NewPace(int64(v.rate))
	v.result.Found = []rottenFile{}
	v.log = newLogger(LogConfig{Format: s.Log.Format, Level: "warn"}, stderr)
	data, err := filepath.Abs(s.Data)
	if err != nil {
		return err
	}
	if _, err := os.Stat(data); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if err := becomeOwner(data); err != nil {
		return err
	}
	err = v.stores(ctx, data)
	v.progress.clear()
	v.result.Complete = err == nil
	if err := v.print(stdout); err != nil {
		return err
	}
	bad := int64(0)
	for _, store := range v.result.Stores {
		bad += store.Rotten + store.Unreadable
	}
	switch {
	case ctx.Err() != nil:
		return errors.New("stopped; the same command goes on from here, with --restart it begins anew")
	case err != nil:
		return err
	case bad > 0:
		return errRotten
	}
	return nil
}

// stores verifies the cache and what is published here, as far as they exist. A
// call that was stopped in the second does not read the first again.
func (v *verification) stores(ctx context.Context, data string) error {
	cached, private := (&dataDir{path: data}).cachePath(), hostedPath(data)
	second, err := cache.ReadCursor(cursorOf(private))
	begun := err == nil && !second.Began.IsZero() && second.Ended.IsZero()
	if exists(cached) {
		if err := v.cache(ctx, cached, begun && !v.restart); err != nil {
			return err
		}
	}
	if exists(filepath.Join(private, formatFile)) {
		return v.hosted(ctx, data, private)
	}
	return nil
}

// cursorOf is where a verification of the store in dir remembers its place.
func cursorOf(dir string) string { return filepath.Join(dir, "verify") }

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func (v *verification) cache(ctx context.Context, dir string, done bool) error {
	store, err := cache.OpenDir(cache.DirConfig{Path: dir, Shared: true, Log: v.log})
	if err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler) // found tells
	blobs := cache.NewBlobs(cache.BlobsConfig{Store: store, Log: quiet})
	look := (&cache.Inspector{Blobs: blobs, Where: "verify", Log: quiet}).Look
	err = v.pass(ctx, cache.PassConfig{Name: "cache", Store: store, Look: look, Cursor: cursorOf(dir)}, done)
	return errors.Join(err, blobs.Close(context.WithoutCancel(ctx)), store.Close())
}

func (v *verification) hosted(ctx context.Context, data, dir string) error {
	quiet := slog.New(slog.DiscardHandler) // found tells
	packages, store, err := openHosted(data, hosted.Config{Log: quiet}, v.info, true)
	if err != nil {
		return err
	}
	look := packages.Inspector("verify", false).Look
	err = v.pass(ctx, cache.PassConfig{Name: "hosted", Store: store, Look: look, Cursor: cursorOf(dir)}, false)
	return errors.Join(err, packages.Close(), store.Close())
}

// pass reads one store, unless that is done, and notes the result.
func (v *verification) pass(ctx context.Context, cfg cache.PassConfig, done bool) error {
	var total atomic.Int64 // bytes, once known
	what := map[string]string{"cache": "cached", "hosted": "published here"}[cfg.Name]
	cfg.Pace, cfg.Log = v.pace, v.log
	cfg.Found = func(r *cache.Rot) { v.found(cfg.Name, r) }
	cfg.Step = func(c cache.Cursor) { v.progress.show(what, c.Bytes, total.Load()) }
	pass := cache.NewPass(cfg)
	if v.restart {
		pass.Restart()
	}
	var err error
	if !done {
		counting, stop := context.WithCancel(ctx)
		counted := make(chan struct{})
		go func() {
			defer close(counted)
			total.Store(sizeOf(counting, cfg.Store))
		}()
		if pass.Cursor().Ended.IsZero() {
			v.progress.begin(pass.Cursor().Bytes)
		} else {
			v.progress.begin(0)
		}
		err = pass.Run(ctx)
		stop()
		<-counted
	}
	c := pass.Cursor()
	v.result.Stores = append(v.result.Stores, verifiedStore{cfg.Name, c.Files, c.Bytes, c.Rotten, c.Unread})
	return err
}

// sizeOf returns how many bytes a store holds, 0 if that cannot be told.
func sizeOf(ctx context.Context, store cache.Store) (total int64) {
	err := store.Walk(ctx, "", func(o cache.Info) error {
		total += o.Size
		return nil
	})
	if err != nil {
		return 0
	}
	return total
}

// found tells of a file that has rotted.
func (v *verification) found(store string, r *cache.Rot) {
	if len(v.result.Found) >= maxFound {
		return
	}
	v.result.Found = append(v.result.Found, rottenFile{store, r.Key, r.Label, r.Err.Error()})
	v.progress.clear()
	fmt.Fprintf(v.stderr, "rotten: %s, %s\n", strconv.QuoteToGraphic(r.Label), r.Key)
}

// print writes the result.
func (v *verification) print(w io.Writer) error {
	if v.json {
		line, err := json.Marshal(v.result)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s\n", line)
		return err
	}
	if len(v.result.Stores) == 0 {
		_, err := fmt.Fprintln(w, "Nothing lies on disk.")
		return err
	}
	for _, s := range v.result.Stores {
		name := map[string]string{"cache": "Cached", "hosted": "Published here"}[s.Store]
		_, err := fmt.Fprintf(w, "%s: %d files read, %s; %d had rotted, %d could not be read.\n", name, s.Files, roughly(s.Bytes), s.Rotten, s.Unreadable)
		if err != nil {
			return err
		}
	}
	return nil
}
