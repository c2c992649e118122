package cache

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"larder/metrics"
)

// Responses keeps upstream's answers for httpcache: it implements
// httpcache.Cache. Keys are logical URLs, http://SOURCE.upstream.invalid/PACKAGE/…#form,
// and lie under OwnerKey(SOURCE, PACKAGE). Header and body are two objects, so
// that a 304 rewrites only the header; a header names the body it belongs to
// and its hash, so that a crash between the two is a miss, never a mixture.
//
// A response that has changed on disk is a miss, too, and forgotten. All
// methods may be called concurrently; of two that change one key at once the
// later wins.
type Responses struct {
	store   Store
	metrics *metrics.Metrics
	log     *slog.Logger
	seed    maphash.Seed
	locks   [lockStripes]sync.Mutex // see lock
}

// NewResponses returns Responses on store. Errors of the store are logged,
// never returned: httpcache has no place for them.
func NewResponses(store Store, m *metrics.Metrics, log *slog.Logger) *Responses {
	return &Responses{store: store, metrics: m, log: logOrDiscard(log), seed: maphash.MakeSeed()}
}

// lock locks key against every other Set and Delete of it, so that none takes
// away the body that another's header is about to name. Unlike most locks it
// is held while files are written: only upstream's answers wait for it.
func (r *Responses) lock(key string) *sync.Mutex {
	mu := &r.locks[maphash.String(r.seed, key)%lockStripes]
	mu.Lock()
	return mu
}

// readTries is how often a response is read anew because it was replaced
// between the reading of its header and of its body.
const readTries = 3

// Get returns the dumped response under key (httpcache.Cache).
func (r *Responses) Get(key string) ([]byte, bool) {
	return r.read(key, func(h responseHead) []byte { return h.http })
}

// read returns the body of the response under key, behind what prefix returns.
func (r *Responses) read(key string, prefix func(responseHead) []byte) ([]byte, bool) {
	ctx := context.Background()
	owner := responseOwner(key)
	var rev string
	for range readTries {
		h, ok := r.head(ctx, owner, key)
		if !ok || h.rev == rev {
			return nil, false // the body is missing
		}
		rev = h.rev
		before := prefix(h)
		data, err := r.body(ctx, h, before)
		switch {
		case err == nil:
			return data, true
		case errors.Is(err, errDamaged):
			r.damaged(ctx, owner, key, h.rev, h.body, err)
			return nil, false
		case !errors.Is(err, fs.ErrNotExist):
			r.failed("read", key, err)
			return nil, false
		}
	}
	return nil, false
}

// body returns before and, behind it, the body that h names.
func (r *Responses) body(ctx context.Context, h responseHead, before []byte) ([]byte, error) {
	o, err := r.store.Open(ctx, h.body)
	if err != nil {
		return nil, err
	}
	defer o.Close() // it was only read
	if o.Size != h.size {
		return nil, errDamaged
	}
	data := make([]byte, int64(len(before))+o.Size)
	body := data[copy(data, before):]
	if _, err := io.ReadFull(o, body); err != nil {
		return nil, err
	}
	if bodySum(body) != h.sum {
		return nil, errDamaged
	}
	return data, nil
}

// Body returns the stored response's body as it lies (packed, where its
// Content-Encoding says so) with the header it belongs to.
func (r *Responses) Body(key string) (http.Header, []byte, bool) {
	var header http.Header
	body, ok := r.read(key, func(h responseHead) []byte { header = h.header; return nil })
	if !ok {
		return nil, nil, false
	}
	return header, body, true
}

// Header returns the stored response's header alone, without reading its
// body; that may turn out to be missing.
func (r *Responses) Header(key string) (http.Header, bool) {
	h, ok := r.head(context.Background(), responseOwner(key), key)
	return h.header, ok
}

// Set stores a dumped response (httpcache.Cache). A body equal to the stored
// one is not written again.
func (r *Responses) Set(key string, dump []byte) {
	if err := r.set(context.Background(), key, dump); err != nil {
		r.failed("store", key, err)
	}
}

// SetBody is Set for a body that is not in the dump, which is of an empty one: big
// bodies need not go through all the hands that a dump goes through.
func (r *Responses) SetBody(key string, dump, body []byte) {
	err := func() error {
		resp, err := parseHTTPHead(dump)
		if err != nil {
			return err
		}
		h, err := headOf(resp, body)
		if err != nil {
			return err
		}
		return r.put(context.Background(), key, h, body)
	}()
	if err != nil {
		r.failed("store", key, err)
	}
}

func (r *Responses) set(ctx context.Context, key string, dump []byte) error {
	h, body, err := parseDump(dump)
	if err != nil {
		return err
	}
	return r.put(ctx, key, h, body)
}

// put stores a response of which h knows only what is not about the body.
func (r *Responses) put(ctx context.Context, key string, h responseHead, body []byte) error {
	owner := responseOwner(key)
	h.sum = bodySum(body)
	h.size = int64(len(body))
	// The name says what is in it: a new body never replaces one that a header
	// still names.
	h.body = FileKey(owner, "body", key) + "-" + h.sum[:32]

	defer r.lock(key).Unlock()
	old, had := r.head(ctx, owner, key)
	if !had || old.sum != h.sum || !r.has(ctx, h.body, h.size) {
		if err := r.write(ctx, h.body, body); err != nil {
			return err
		}
	}
	if err := r.write(ctx, FileKey(owner, "head", key), h.encode()); err != nil {
		return err
	}
	if had && old.body != h.body {
		r.remove(ctx, key, old.body)
	}
	return nil
}

// Delete removes key (httpcache.Cache).
func (r *Responses) Delete(key string) {
	ctx := context.Background()
	owner := responseOwner(key)
	defer r.lock(key).Unlock()
	h, ok := r.head(ctx, owner, key)
	r.remove(ctx, key, FileKey(owner, "head", key))
	if ok {
		r.remove(ctx, key, h.body)
	}
}

// Move renames a stored response, replacing what to had. An upstream that
// answers with the full form whatever was asked is stored once this way.
func (r *Responses) Move(from, to string) {
	dump, ok := r.Get(from)
	if !ok || from == to {
		return
	}
	if err := r.set(context.Background(), to, dump); err != nil {
		r.failed("store", to, err)
		return
	}
	r.Delete(from)
}

// responseOwner returns the owner of a response. What is no logical URL (the
// key of a HEAD request begins with the method) has one of its own.
func responseOwner(key string) string {
	u, err := url.Parse(key)
	if err != nil || u.Host == "" {
		return OwnerKey("", key)
	}
	source, _, _ := strings.Cut(u.Host, ".")
	pkg, _, _ := strings.Cut(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	if name, err := url.PathUnescape(pkg); err == nil {
		pkg = name
	}
	return OwnerKey(source, pkg)
}

// head returns the stored header of key.
func (r *Responses) head(ctx context.Context, owner, key string) (responseHead, bool) {
	o, err := r.store.Open(ctx, FileKey(owner, "head", key))
	if errors.Is(err, fs.ErrNotExist) {
		return responseHead{}, false
	}
	if err != nil {
		r.failed("read", key, err)
		return responseHead{}, false
	}
	defer o.Close() // it was only read
	data, err := io.ReadAll(io.LimitReader(o, maxResponseHead+1))
	if err != nil {
		r.failed("read", key, err)
		return responseHead{}, false
	}
	h, err := parseResponseHead(data)
	if err != nil {
		r.damaged(ctx, owner, key, o.Rev, "", err)
		return responseHead{}, false
	}
	h.rev = o.Rev
	return h, true
}

// has reports whether an object of that size is there.
func (r *Responses) has(ctx context.Context, name string, size int64) bool {
	o, err := r.store.Open(ctx, name)
	if err != nil {
		return false
	}
	defer o.Close() // it was only read
	return o.Size == size
}

func (r *Responses) write(ctx context.Context, name string, data []byte) error {
	w, err := r.store.Create(ctx, name)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return errors.Join(err, w.Abort())
	}
	_, err = w.Commit(Precondition{})
	return err
}

// remove deletes one of key's objects.
func (r *Responses) remove(ctx context.Context, key, name string) {
	if err := r.store.Delete(ctx, name, Precondition{}); err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.failed("delete", key, err)
	}
}

// damaged forgets a response whose bytes are not those that were stored,
// unless it has been replaced since it was read. body may be "".
func (r *Responses) damaged(ctx context.Context, owner, key, rev, body string, cause error) {
	r.metrics.IntegrityFailure()
	r.metrics.Rotten("cache", onRead)
	r.log.Warn("a stored response was damaged on disk and is fetched anew", "key", key, "error", cause)
	err := r.store.Delete(ctx, FileKey(owner, "head", key), IfRev(rev))
	if errors.Is(err, ErrPrecondition) {
		return
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.failed("delete", key, err)
	}
	if body != "" {
		r.remove(ctx, key, body)
	}
}

func (r *Responses) failed(what, key string, err error) {
	r.log.Log(context.Background(), levelOf(err), "cannot "+what+" an upstream response", "key", key, "error", err)
}
