package cache

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"larder/metrics"
)

// DocumentKey names a finished document.
type DocumentKey struct {
	Owner string // OwnerKey of the package
	Slot  string // form and public base: a newer ID in the same slot replaces the older one
	ID    string // document revision, policy revision, renderer version: all that the bytes depend on beside Slot
	// Volatile documents are rendered for a public base that nobody
	// configured: they are not written to disk, share a small part of the
	// memory, and are rendered one at a time.
	Volatile bool
}

// object returns the key of the document's object in the store.
func (k DocumentKey) object() string { return FileKey(k.Owner, "doc", k.Slot) }

// slot returns what the document is kept under in memory.
func (k DocumentKey) slot() slot { return slot{k.Owner, k.Slot} }

// flight returns what makes two renders the same.
func (k DocumentKey) flight() string {
	volatile := "0"
	if k.Volatile {
		volatile = "1"
	}
	return volatile + k.Owner + "\x00" + k.Slot + "\x00" + k.ID
}

// DocumentsConfig configures Documents. Zero values mean the defaults in brackets.
type DocumentsConfig struct {
	Store   Store
	Memory  int64  // bytes kept in memory [64 MB]; documents over 1 MB packed never are
	Turns   *Turns // for big documents [no bound]
	Metrics *metrics.Metrics
	Log     *slog.Logger
}

const (
	defaultDocumentMemory = 64 << 20 // bytes

	// smallDocument is the size in bytes up to which a document is kept in
	// memory, in each encoding.
	smallDocument = 1 << 20

	// volatileShare is the part of the memory that volatile documents have:
	// one in so many bytes.
	volatileShare = 8
)

// Documents keeps finished documents: rendered, packed with gzip, hashed, and
// ready to be sent, on disk, the small hot ones also in memory. A hit parses
// and compresses nothing.
type Documents struct {
	store   Store
	toucher Toucher // the store, if it wants to know what is used; or nil
	metrics *metrics.Metrics
	log     *slog.Logger
	pack    packer
	loose   looseRoom
	plains  chan struct{}   // holds an element for each document that is being unpacked on disk
	kept    *documentMemory // of configured bases
	passing *documentMemory // volatile ones

	flights      singleflight.Group
	volatileTurn chan struct{} // holds a token while a volatile document is rendered
	hot          chan hotDocument
	asked        atomic.Bool // there has been a Lookup since this was last cleared
	closing      context.Context
	stop         context.CancelFunc
	mu           sync.Mutex // guards the next three, and that renders is not added to once closed is set
	closed       bool
	rendering    int
	refining     bool // there is a goroutine that empties hot
	renders      sync.WaitGroup
}

// NewDocuments returns Documents on cfg.Store.
func NewDocuments(cfg DocumentsConfig) *Documents {
	memory := cfg.Memory
	if memory == 0 {
		memory = defaultDocumentMemory
	}
	d := &Documents{
		store:        cfg.Store,
		metrics:      cfg.Metrics,
		log:          logOrDiscard(cfg.Log),
		volatileTurn: make(chan struct{}, 1),
		hot:          make(chan hotDocument, maxHot),
		pack:         packer{turns: cfg.Turns, repacks: make(chan struct{}, maxRepacks)},
		loose:        newLooseRoom(),
		plains:       make(chan struct{}, maxPlains),
	}
	d.toucher, _ = cfg.Store.(Toucher)
	total := &memoryTotal{metrics: cfg.Metrics}
	d.kept = newDocumentMemory(memory-memory/volatileShare, total)
	d.passing = newDocumentMemory(memory/volatileShare, total)
	d.closing, d.stop = context.WithCancel(context.Background())
	return d
}

// Close cancels the renders that are under way and waits for them. Make fails
// with ErrClosed from now on; documents that are open stay usable.
func (d *Documents) Close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.stop()
	d.renders.Wait()
	return nil
}

// memory returns the part of the memory that key's document belongs to.
func (d *Documents) memory(key DocumentKey) *documentMemory {
	if key.Volatile {
		return d.passing
	}
	return d.kept
}

// Lookup returns a finished document if there is one, from memory or disk. The
// caller closes the Document.
func (d *Documents) Lookup(ctx context.Context, key DocumentKey) (*Document, bool) {
	memory := d.memory(key)
	f, ok := memory.get(key)
	if ok && f.packed != nil {
		d.touch(key, f)
		d.used(key, f)
		return d.document(ctx, key, f, nil), true
	}
	if key.Volatile {
		return nil, false
	}
	// The memory knows of a big document only that its file has been checked.
	o, loaded, ok := d.load(ctx, key, f)
	if !ok {
		return nil, false
	}
	if loaded != f {
		memory.add(key, loaded)
	}
	d.used(key, loaded)
	return d.document(ctx, key, loaded, o), true
}

// tellEvery is how often the store is told at most that a document in memory is
// in use. How often it writes that down is its own affair.
const tellEvery = time.Minute

// touch tells the store, now and then, that a document is in use which it is not
// asked for because it is in memory.
func (d *Documents) touch(key DocumentKey, f *finished) {
	if d.toucher == nil {
		return
	}
	now := time.Now().Unix()
	last := f.touched.Load()
	if now-last >= int64(tellEvery/time.Second) && f.touched.CompareAndSwap(last, now) && last != 0 {
		d.toucher.Touch(key.object())
	}
}

// document returns one reader's view of f; o is its open file or nil.
func (d *Documents) document(ctx context.Context, key DocumentKey, f *finished, o *Object) *Document {
	return &Document{finished: f, ctx: ctx, docs: d, key: key, object: o}
}

// finished is what the readers of a finished document share.
type finished struct {
	header documentHeader
	packed []byte // the gzip bytes; nil if they lie in the store alone
	offset int64  // of the gzip bytes in the store's object
	rev    string // of that object; "" if there is none

	touched atomic.Int64 // when its use was last told to the store, in Unix seconds
	uses    atomic.Int32 // how often it was looked up, as long as that is below hotAfter

	// Other encodings of a small document, made when first asked for.
	identity, zstd once
	// The identity bytes of a big one.
	plain plain
}

// once is bytes that are made once.
type once struct {
	mu   sync.Mutex // guards data; it is held while they are made
	data []byte
}

// get returns the bytes; they are made if need be, and grew is called then.
func (o *once) get(produce func() ([]byte, error), grew func(bytes int)) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.data == nil {
		data, err := produce()
		if err != nil {
			return nil, err
		}
		o.data = data
		grew(len(data))
	}
	return o.data, nil
}

// length returns the number of bytes, -1 if they have not been made.
func (o *once) length() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.data == nil {
		return -1
	}
	return int64(len(o.data))
}
