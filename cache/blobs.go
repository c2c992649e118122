package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"larder/metrics"
)

// What a fill can fail with, beside the errors of its Source, which its readers
// get as they are or wrapped.
var (
	// ErrIntegrity: the bytes are not the expected ones. It wraps the error of
	// Check.Verify, where there is one. Nothing is stored, and the error is
	// remembered for BlobsConfig.BadFor.
	ErrIntegrity = errors.New("cache: wrong bytes")
	// ErrTruncated: the download broke, and taking it up again failed too
	// often. It wraps what broke it last.
	ErrTruncated = errors.New("cache: download broken off")
	// ErrChanged: the source has other bytes than when the download began.
	ErrChanged = errors.New("cache: source changed during the download")
	// ErrBusy: there was no place for the fill among those that run.
	ErrBusy = errors.New("cache: too many downloads at once")
	// ErrSlow: the fill has nothing to show for a long time. It goes on.
	ErrSlow = errors.New("cache: the download does not begin")
	// ErrClosed: the Blobs was closed.
	ErrClosed = errors.New("cache: closed")
	// ErrNotStored is returned by Blob.Wait where the store failed, so that the
	// blob will never be whole there. Read still gives all of it, verified.
	ErrNotStored = errors.New("cache: not stored")
)

// BlobsConfig configures Blobs. Zero values mean the defaults in brackets.
type BlobsConfig struct {
	Store    Store // its Writers are Followers
	Metrics  *metrics.Metrics
	Log      *slog.Logger
	MaxFills int           // fills at once; more wait for a place [256]
	BadFor   time.Duration // how long wrong bytes are remembered [1m]
	Memory   int64         // bytes of small blobs kept in memory, where Store is a Stater [16 MB]
}

const (
	defaultMaxFills = 256
	defaultBadFor   = time.Minute

	// maxFlights bounds the fills that run or wait for a place to run.
	maxFlights = 16384
	// placeWait bounds the wait for a place.
	placeWait = time.Minute
	// beginWait bounds Get's wait for something to show. The least patient of
	// clients, yarn 1, gives up after 30 s of silence.
	beginWait = 25 * time.Second
	// maxBad is how many keys whose bytes were wrong are remembered.
	maxBad = 4096
	// maxKnown is how many rotten blobs are remembered that cannot be deleted.
	maxKnown = 4096
)

// Blobs serves immutable files and fills them on their first request. One
// fill runs per key, however many ask; it is detached from whoever asked first.
type Blobs struct {
	store    Store
	sidecars sidecars
	bad      *lru.Cache[string, badBytes]
	badFor   time.Duration
	places   *places
	small    smallReads
	memory   *blobMemory
	checks   *Checks
	known    *lru.Cache[string, string] // revisions of rotten blobs that could not be taken away, by key
	metrics  *metrics.Metrics
	log      *slog.Logger
	fills    sync.WaitGroup // the fills' goroutines

	mu      sync.Mutex       // guards what follows; never held during I/O
	flights map[string]*fill // by key
	closed  bool
}

type badBytes struct {
	err   error
	times int // that they came in a row
	until time.Time
}

// NewBlobs returns a Blobs on cfg.Store.
func NewBlobs(cfg BlobsConfig) *Blobs {
	if cfg.MaxFills <= 0 {
		cfg.MaxFills = defaultMaxFills
	}
	if cfg.BadFor <= 0 {
		cfg.BadFor = defaultBadFor
	}
	if cfg.Memory <= 0 {
		cfg.Memory = defaultBlobMemory
	}
	return &Blobs{
		store:    cfg.Store,
		sidecars: sidecars{store: cfg.Store, recent: newLRU[BlobMeta](maxSidecars)},
		bad:      newLRU[badBytes](maxBad),
		badFor:   cfg.BadFor,
		places:   newPlaces(cfg.MaxFills, placeWait),
		metrics:  cfg.Metrics,
		log:      logOrDiscard(cfg.Log),
		memory:   newBlobMemory(cfg.Memory, cfg.Store, cfg.Metrics),
		checks:   NewChecks(),
		known:    newLRU[string](maxKnown),
		flights:  make(map[string]*fill),
	}
}

// newLRU returns a cache of at most size entries, which is positive.
func newLRU[V any](size int) *lru.Cache[string, V] {
	c, err := lru.New[string, V](size)
	if err != nil {
		panic(err) // it only refuses other sizes
	}
	return c
}

// Get returns the blob under key, from the store or by filling it from src.
// A hit, and an error that is already known (bytes that were wrong less than
// BadFor ago), return at once. Otherwise Get returns when the fill has
// something to show: its size (or that it has none) and, for a blob over 64
// KB, first bytes; for one up to 64 KB, the whole, verified. Where a source
// does not tell the size, up to 1 MB is awaited for the end, which tells it.
// None of this takes longer than 25 s: then the error is ErrSlow, and the fill
// goes on for whoever asks again.
//
// ctx bounds the caller's waits, those of Get and those of the Blob's Read,
// never the fill. The caller closes the Blob.
func (b *Blobs) Get(ctx context.Context, key string, src Source) (*Blob, error) {
	blob, err := b.Open(ctx, key)
	if err == nil {
		return blob, nil
	}
	switch {
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return nil, err // who asked has left while it was hashed
	case !errors.Is(err, fs.ErrNotExist):
		b.log.Warn("reading the store failed: fetching instead", "key", key, "error", err)
	}
	f, err := b.join(key, src)
	if err != nil {
		return nil, fmt.Errorf("cache.Get %s: %w", key, err)
	}
	blob = &Blob{ctx: ctx, fill: f}
	if err := blob.begin(ctx); err != nil {
		blob.Close()
		return nil, fmt.Errorf("cache.Get %s: %w", key, err)
	}
	return blob, nil
}

// Open is Get without filling: fs.ErrNotExist where the store has no whole
// blob under key.
func (b *Blobs) Open(ctx context.Context, key string) (*Blob, error) {
	content, meta, err := b.lookup(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("cache.Open %s: %w", key, err)
	}
	return &Blob{content: content, meta: meta, hit: true}, nil
}

// join returns the running fill of key, or a new one; the caller releases it.
func (b *Blobs) join(key string, src Source) (*fill, error) {
	bad, wary := b.bad.Get(key)
	switch {
	case !wary:
	case !time.Now().Before(bad.until):
		b.bad.Remove(key)
		wary = false
	case bad.times >= wrongTries:
		return nil, bad.err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if f, ok := b.flights[key]; ok {
		f.hold()
		return f, nil
	}
	switch {
	case b.closed:
		return nil, ErrClosed
	case len(b.flights) >= maxFlights:
		return nil, ErrBusy
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	f := newFill(b, key, src, cancel)
	f.wary = wary
	f.hold()
	b.flights[key] = f
	b.fills.Go(func() {
		defer cancel(nil)
		f.run(ctx)
	})
	return f, nil
}

// leave ends the flight of f: who asks from now on asks the store.
func (b *Blobs) leave(f *fill) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.flights, f.key)
}

// lookupTries is how often a blob is looked up anew because a fill has replaced
// it while it was hashed.
const lookupTries = 3

// lookup opens the blob under key if the store has all of it, as it was put
// there. What was damaged behind our back is put aside, and missing from then on.
func (b *Blobs) lookup(ctx context.Context, key string) (content Content, meta BlobMeta, err error) {
	for range lookupTries {
		content, meta, err = b.look(ctx, key)
		if !errors.Is(err, errReplaced) {
			break
		}
	}
	return content, meta, err
}

// look is one try of lookup.
func (b *Blobs) look(ctx context.Context, key string) (Content, BlobMeta, error) {
	if content, meta, ok := b.memory.get(ctx, key); ok {
		return content, meta, nil
	}
	meta, err := b.sidecars.get(ctx, key)
	if errors.Is(err, errSidecar) {
		b.metrics.IntegrityFailure()
		b.metrics.Rotten("cache", onRead)
		b.log.Warn("unreadable description of a blob: fetching it again", "key", key, "error", err)
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, BlobMeta{}, err
	}
	obj, err := b.store.Open(ctx, key)
	if err != nil {
		b.sidecars.forget(key)
		return nil, BlobMeta{}, err
	}
	content := Content(nil)
	if err = b.vouch(ctx, obj.Info, meta); err == nil {
		content, err = b.contentOf(obj, meta)
	}
	if err == nil {
		return content, meta, nil
	}
	obj.Close() // it was only read
	if errors.Is(err, errReplaced) || errors.Is(err, errRotten) {
		b.sidecars.forget(key) // there may be a newer one
	}
	if errors.Is(err, errRotten) {
		err = fs.ErrNotExist
	}
	return nil, BlobMeta{}, err
}

// contentOf returns the bytes of o, of which some at least can be read. It takes
// over o unless it fails.
func (b *Blobs) contentOf(o *Object, meta BlobMeta) (Content, error) {
	small, err := b.small.read(o)
	if err != nil {
		return nil, err
	}
	if small != nil {
		b.memory.offer(o.Info, meta, small.buffer[:o.Size])
		return small, nil
	}
	return o.Content, readable(o, o.Size)
}

// Drop takes a blob out of the store because its bytes could not be read to the
// end: whoever asks again gets them from the source. What else it may be good
// for is not worth a second broken download.
func (b *Blobs) Drop(ctx context.Context, key string, cause error) {
	b.sidecars.forget(key)
	b.metrics.IntegrityFailure()
	err := b.store.Delete(ctx, key, Precondition{})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	b.log.Warn("a blob cannot be read: fetching it again", "key", key, "cause", cause, "error", err)
}

// judge takes note of how a download of key ended, and how many attempts at it
// gave wrong bytes. After wrongTries in a row they are remembered: clients come
// again at once, and would get the same.
func (b *Blobs) judge(key string, wrong int, err error) {
	if err == nil {
		b.bad.Remove(key)
	}
	if !errors.Is(err, ErrIntegrity) {
		return
	}
	b.metrics.IntegrityFailure()
	if before, ok := b.bad.Get(key); ok && time.Now().Before(before.until) {
		wrong += before.times
	}
	b.bad.Add(key, badBytes{err: err, times: wrong, until: time.Now().Add(b.badFor)})
}

// Close stops new fills and waits for the running ones, and for blobs that are
// being hashed, until ctx is done; they are then aborted and leave nothing. It returns ctx.Err() in that case.
// What the store holds is served on, and Blobs that are open stay usable.
func (b *Blobs) Close(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()

	ended := make(chan struct{})
	go func() {
		b.fills.Wait()
		close(ended)
	}()
	cut := b.checks.Close(ctx) // before the fills, which may wait for one
	select {
	case <-ended:
		return cut
	case <-ctx.Done():
	}
	b.mu.Lock()
	for _, f := range b.flights {
		f.abort(ErrClosed)
	}
	b.mu.Unlock()
	<-ended
	return ctx.Err()
}
