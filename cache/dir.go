package cache

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/peterbourgon/diskv/v3"

	"larder/metrics"
)

// DirConfig configures a Dir.
type DirConfig struct {
	Path string // made if it is missing; this Dir's alone unless Shared
	// Durable makes a Commit or Delete that has returned nil survive a power
	// cut, at the price of a few fsyncs.
	Durable bool
	// Shared says that other processes have Dirs on Path, too. What is being
	// written may then be theirs, so leftovers go when they are a day old, and
	// the store's size, which they change, is not counted. A Precondition is
	// kept against the writers of this process alone.
	Shared bool
	// Within is a directory above Path that is never made anew: where it is
	// gone, so is its volume, and what comes back must find its place free.
	// "": none; Path is then made wherever it is missing.
	Within string
	// MaxSize bounds what the store takes on its volume, and MinFree is what
	// that keeps free, at most a tenth of it; both in bytes, 0: no bound. What was
	// not used for longest goes to make room, and what was not used for MaxAge
	// goes in any case (0: never), except where Keep, which may be nil,
	// says true: of a key, or of another with the same hash in its name. They are
	// for stores that are neither Durable nor Shared.
	MaxSize int64
	MinFree int64
	MaxAge  time.Duration
	Keep    func(key string) bool
	Metrics *metrics.Metrics
	Log     *slog.Logger
}

// Dir is a Store in a directory of one volume: the objects lie in objects/,
// what is being written in tmp/. Between two Dirs on one path there is no
// protection: whoever opens the data directory holds its lock, or says Shared.
//
// The revision of an object is its file's modification time, which Commit sets
// to a value later than any that this process gave before, and its size. So
// nothing but the file itself has to be kept, and a file that was put there by
// hand has a revision, too.
//
// Contexts stop a Walk; the other methods make a few local system calls and
// run to their end.
type Dir struct {
	tmp     string // the directory of unfinished writes
	objects string
	run     string // begins the name of every temporary file of this process
	durable bool
	shared  bool
	within  string // see DirConfig
	disk    *diskv.Diskv
	clock   revClock
	seed    maphash.Seed
	locks   [lockStripes]sync.Mutex      // see lock
	rooted  *lru.Cache[string, struct{}] // owners whose directory is durable up to objects/; see root
	size    *ledger
	temps   atomic.Uint64 // numbers the temporary files
	counter string        // the file that the size is kept in

	maxAge     time.Duration
	opened     time.Time // see age
	keep       func(key string) bool
	touchEvery time.Duration         // see noteUse
	touches    chan string           // keys for writeTouches
	recount    chan struct{}         // gets an element when a census should be taken
	measuredAt atomic.Int64          // when the volume was looked at last, in ns
	full       atomic.Pointer[error] // see Alarm
	world

	metrics  *metrics.Metrics
	log      *slog.Logger
	stop     context.CancelFunc // ends the background goroutines
	finished sync.WaitGroup     // is waited for until they have ended
	started  sync.WaitGroup     // the sweep, and the count of a store that nothing is known of
}

// world is what a Dir knows of its surroundings.
type world struct {
	now    func() time.Time
	passed func() time.Duration // since it was made, however the clock is set
	volume func(path string) (volume, error)
	rand   *rand.Rand // the evictor's
}

const (
	// Readable to the group, so that a backup need not run as root, but to
	// nobody else: packages from a private upstream lie here.
	filePerm = 0o640
	dirPerm  = 0o750

	// maxRooted is how many owners are remembered to be rooted.
	maxRooted = 16384

	// lockStripes is how many keys can be changed at once without waiting
	// for each other.
	lockStripes = 64
)

// OpenDir opens or makes the store in cfg.Path, in a time that does not depend
// on what it holds. Leftovers of crashed writes are removed and the store's
// size is counted in the background, until Close; see Shared.
func OpenDir(cfg DirConfig) (*Dir, error) {
	return openDir(cfg, world{now: time.Now, passed: stopwatch(), volume: statVolume, rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))})
}

func openDir(cfg DirConfig, w world) (*Dir, error) {
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("cache.OpenDir: %w", err)
	}
	d := &Dir{
		tmp:     filepath.Join(path, "tmp"),
		objects: filepath.Join(path, "objects"),
		run:     crand.Text()[:8],
		durable: cfg.Durable,
		shared:  cfg.Shared,
		within:  cfg.Within,
		seed:    maphash.MakeSeed(),
		rooted:  newLRU[struct{}](maxRooted),
		metrics: cfg.Metrics,
		log:     logOrDiscard(cfg.Log),
		counter: counterPath(path),

		size:       newLedger(bounds{max: cfg.MaxSize, minFree: cfg.MinFree}, cfg.Metrics),
		maxAge:     cfg.MaxAge,
		opened:     w.now().Round(0),
		keep:       cfg.Keep,
		touchEvery: touchInterval(cfg.MaxAge),
		touches:    make(chan string, maxTouches),
		recount:    make(chan struct{}, 1),
		world:      w,
	}
	if err := os.MkdirAll(d.tmp, dirPerm); err != nil {
		return nil, fmt.Errorf("cache.OpenDir: %w", err)
	}
	made := os.Mkdir(d.objects, dirPerm)
	if made != nil && !errors.Is(made, fs.ErrExist) {
		return nil, fmt.Errorf("cache.OpenDir: %w", made)
	}
	if d.durable {
		err := SyncDir(path)
		// The parent knows path's own name; it may be somebody else's.
		if up := SyncDir(filepath.Dir(path)); !errors.Is(up, fs.ErrPermission) {
			err = errors.Join(err, up)
		}
		if err != nil {
			return nil, fmt.Errorf("cache.OpenDir: %w", err)
		}
	}
	d.disk = diskv.New(diskv.Options{
		BasePath:          d.objects,
		AdvancedTransform: toPath,
		InverseTransform:  fromPath,
		CacheSizeMax:      0, // its cache buffers whole files and can go stale
		PathPerm:          dirPerm,
		FilePerm:          filePerm,
		TempDir:           d.tmp,
	})
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	d.goOnce(func() { d.sweep(ctx) })
	// The size of what others write, too, would be wrong, and that of what never
	// goes is of no use.
	if !d.shared && !d.durable {
		d.keepHouse(ctx, made == nil)
	}
	return d, nil
}

// Close stops the background goroutines and waits for them. Objects and
// Writers that are open stay usable.
func (d *Dir) Close() error {
	d.stop()
	d.finished.Wait()
	d.saveCounter()
	return nil
}

// Open implements Store. The object's Content is an *os.File.
func (d *Dir) Open(_ context.Context, key string) (*Object, error) {
	owner, file, err := splitKey(key)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(d.path(owner, file), os.O_RDONLY|openFlags, 0)
	if errors.Is(err, fs.ErrNotExist) {
		err = d.absent(err)
	}
	if err != nil {
		return nil, d.count("open", err)
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: f.Name(), Err: fs.ErrNotExist}
	}
	if err != nil {
		f.Close() // it was only read
		return nil, d.count("open", err)
	}
	if d.evicts() {
		d.noteUse(f.Name(), accessed(fi))
	}
	return &Object{Content: f, Info: fileInfo(key, fi)}, nil
}

// Stat implements Stater.
func (d *Dir) Stat(_ context.Context, key string) (Info, error) {
	owner, file, err := splitKey(key)
	if err != nil {
		return Info{}, err
	}
	path := d.path(owner, file)
	fi, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = d.absent(err)
	}
	if err == nil && !fi.Mode().IsRegular() {
		err = &fs.PathError{Op: "stat", Path: path, Err: fs.ErrNotExist}
	}
	if err != nil {
		return Info{}, d.count("open", err)
	}
	if d.evicts() {
		d.noteUse(path, accessed(fi))
	}
	return fileInfo(key, fi), nil
}

// absent returns what it means that something is not there: missing, but of a
// durable store only if that is there itself. Of a volume that is gone nothing
// is known.
func (d *Dir) absent(missing error) error {
	if !d.durable {
		return missing
	}
	if _, err := os.Stat(d.objects); err != nil {
		return fmt.Errorf("%w: %s cannot be looked at", ErrGone, d.objects)
	}
	return missing
}

// Delete implements Store. Directories that become empty go with the object.
func (d *Dir) Delete(_ context.Context, key string, p Precondition) error {
	owner, file, err := splitKey(key)
	if err != nil {
		return err
	}
	mu := d.lock(key)
	defer mu.Unlock()
	old, exists, err := d.stat(owner, file)
	if err == nil && !exists {
		return d.count("delete", d.absent(&fs.PathError{Op: "delete", Path: key, Err: fs.ErrNotExist}))
	}
	if err == nil {
		if err := p.check(true, fileRev(old)); err != nil {
			return fmt.Errorf("delete %s: %w", key, err)
		}
		// Its directory may go with it, and if it comes back it is not rooted.
		d.rooted.Remove(owner)
		var gone usage
		done := d.size.changing(owner)
		if err = d.erase(owner, file); err == nil {
			gone = usageOf(old.Size())
		}
		done(usage{}.minus(gone))
	}
	if err != nil {
		return d.count("delete", err)
	}
	if d.durable {
		return d.count("delete", d.syncPath(owner))
	}
	return nil
}

// lock locks key against every other Commit and Delete of it, so that nothing
// comes between the check of a Precondition and the change. It is held for a
// stat and a rename (in a durable store, for the directories' fsync, too).
func (d *Dir) lock(key string) *sync.Mutex {
	mu := &d.locks[maphash.String(d.seed, key)%lockStripes]
	mu.Lock()
	return mu
}

// stat describes the file of a key. What is not a regular file is none of ours.
func (d *Dir) stat(owner, file string) (fi fs.FileInfo, exists bool, err error) {
	fi, err = os.Lstat(d.path(owner, file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	return fi, err == nil && fi.Mode().IsRegular(), err
}

// count counts a failure of the disk, which a missing object is not, and
// returns err.
func (d *Dir) count(op string, err error) error {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.metrics.StoreError(op)
	}
	return err
}

func logOrDiscard(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}
