package hosted

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"golang.org/x/sync/semaphore"

	"larder/cache"
	"larder/metrics"
	"larder/npm"
)

// defaultMaxPublish is Config.MaxPublish where that is not set, in bytes.
const defaultMaxPublish = 200e6

// Config configures Packages.
type Config struct {
	// Store is durable and holds nothing else; its Writers are Retargeters.
	Store cache.Store
	// MaxPublish is the size of the biggest tarball that may be published, in
	// bytes; 0 stands for 200 MB.
	MaxPublish int64
	// Sign signs "NAME@VERSION:INTEGRITY". Where it is nil versions are not signed.
	Sign    func(message string) (keyID, signature string, err error)
	Metrics *metrics.Metrics
	Log     *slog.Logger
	Now     func() time.Time // nil: time.Now
}

// Packages are the packages published here. All methods may be called
// concurrently.
type Packages struct {
	store       cache.Store
	maxPublish  int64
	maxDocument int64
	sign        func(message string) (keyID, signature string, err error)
	metrics     *metrics.Metrics
	log         *slog.Logger
	now         func() time.Time

	writing *nameLocks // one writer per package, by owner
	reading *nameLocks // one parser per package, by name
	memory  *memory
	absent  *absences
	uploads *semaphore.Weighted // bytes of documents that are being received
	index   *index
	checks  *cache.Checks // of tarballs
	damages *damages
}

// New returns the packages in cfg.Store. It reads nothing.
func New(cfg Config) (*Packages, error) {
	if cfg.Store == nil {
		return nil, errors.New("hosted.New: no store")
	}
	p := &Packages{
		store:       cfg.Store,
		maxPublish:  cfg.MaxPublish,
		maxDocument: maxDocument,
		sign:        cfg.Sign,
		metrics:     cfg.Metrics,
		log:         cfg.Log,
		now:         cfg.Now,
		writing:     newNameLocks(),
		reading:     newNameLocks(),
		memory:      newMemory(maxMemory, cfg.Metrics),
		absent:      newAbsences(),
		uploads:     semaphore.NewWeighted(maxUploadMemory),
	}
	if p.maxPublish <= 0 {
		p.maxPublish = defaultMaxPublish
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.now == nil {
		p.now = time.Now
	}
	p.index = newIndex(p.store, p.log)
	p.checks = cache.NewChecks()
	p.damages = newDamages(p.metrics, p.log)
	return p, nil
}

// Close ends what runs in the background and waits for it. The store stays open.
func (p *Packages) Close() error {
	p.index.close()
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = p.checks.Close(now) // nobody waits for a check any more
	return nil
}

// Get returns the package called name as it now is. A name that was never
// published here, or was forgotten, is fs.ErrNotExist, and no other error is: a
// disk that fails is Unavailable, so that the name is not looked for upstream,
// unless it is known from before (see Learn).
// It costs one open and one fstat where the parsed copy is still current, and
// nothing for a name that was found missing a moment ago.
func (p *Packages) Get(ctx context.Context, name string) (*Package, error) {
	writes, err := p.absent.get(name, p.now())
	if err != nil {
		return nil, err
	}
	k, err := p.get(ctx, name)
	if errors.Is(err, ErrDisk) {
		k, err = p.remembered(name, err)
		return k, wrap("Get", name, err)
	}
	err = wrap("Get", name, err)
	if errors.Is(err, fs.ErrNotExist) {
		p.absent.add(name, err, writes, p.now())
	}
	return k, err
}

func (p *Packages) get(ctx context.Context, name string) (*Package, error) {
	k, err := p.current(ctx, name)
	if k != nil || err != nil {
		return k, err
	}
	// It has to be parsed, which only the first of many readers does.
	unlock, err := p.reading.lock(ctx, name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return p.parse(ctx, name)
}

// current returns the package if its parsed copy is current, else nil.
func (p *Packages) current(ctx context.Context, name string) (*Package, error) {
	o, err := p.open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer o.Close() // it was only read
	k, _ := p.memory.get(name, o.Rev)
	return k, nil
}

// parse returns the package as it lies in the store, and keeps it.
func (p *Packages) parse(ctx context.Context, name string) (*Package, error) {
	o, err := p.open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer o.Close() // it was only read
	if k, ok := p.memory.get(name, o.Rev); ok {
		return k, nil
	}
	d, data, err := readDocument(o)
	if err != nil {
		if isDamage(err) {
			p.damages.add(o.Key, damage{"the document of " + name, o.Rev, p.now()}, onRead, err)
		}
		return nil, unreadable(name, err)
	}
	p.damages.clear(o.Key)
	k := newPackage(d, data, o.Rev)
	p.memory.add(k)
	return k, nil
}

func (p *Packages) open(ctx context.Context, name string) (*cache.Object, error) {
	o, err := p.store.Open(ctx, documentKey(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notOurs(name)
	}
	return o, readFault(err)
}

// unreadable says whose document it is that cannot be read, and why where that
// is for clients to know.
func unreadable(name string, err error) error {
	msg := "the document of " + name + " cannot be read"
	var own *npm.Error
	if errors.As(err, &own) {
		msg += ": " + own.Msg
	}
	return &npm.Error{Kind: npm.Unavailable, Msg: msg, Err: err}
}
