package hosted

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"larder/cache"
	"larder/metrics"
	"larder/npm"
)

// What is published here has no other copy: a file that has changed on disk, or
// is not there, is never touched. It is not served either, and an alarm says so
// until it is right again.

const (
	// maxDamages bounds how many damaged files are known at once.
	maxDamages = 10_000
	// lookAgain is after how long a damaged file is read again.
	lookAgain = 5 * time.Minute
)

// What finds damage, for the metrics.
const onRead = "read"

var (
	// errDamage: the bytes under a key are not those that were published.
	errDamage = errors.New("hosted: damaged on disk")
	// errReplaced: the object has another revision than the one that was opened.
	errReplaced = errors.New("hosted: replaced meanwhile")
)

// damages are the files that are known to be damaged.
type damages struct {
	metrics *metrics.Metrics
	log     *slog.Logger

	mu    sync.Mutex // guards files
	files map[string]damage
}

type damage struct {
	what string // for people
	rev  string // "" where it is missing
	seen time.Time
}

func newDamages(m *metrics.Metrics, log *slog.Logger) *damages {
	return &damages{metrics: m, log: log, files: make(map[string]damage)}
}

// add notes that the file under key is damaged.
func (d *damages) add(key string, found damage, where string, cause error) {
	d.mu.Lock()
	_, known := d.files[key]
	if known || len(d.files) < maxDamages {
		d.files[key] = found
	}
	n := len(d.files)
	d.mu.Unlock()
	d.metrics.HostedDamaged(n)
	if !known {
		d.metrics.IntegrityFailure()
		d.metrics.Rotten("hosted", where)
		d.log.Error("a file of a package published here is damaged: restore it from a backup",
			"file", found.what, "key", key, "found_by", where, "error", cause)
	}
}

// clear notes that the file under key is right, or that nobody needs it.
func (d *damages) clear(key string) {
	d.mu.Lock()
	was, known := d.files[key]
	delete(d.files, key)
	n := len(d.files)
	d.mu.Unlock()
	if known {
		d.metrics.HostedDamaged(n)
		d.log.Info("a file of a package published here is right again", "file", was.what, "key", key)
	}
}

// fresh reports whether the revision under key was found damaged not long ago.
func (d *damages) fresh(key, rev string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.files[key]
	return ok && f.rev == rev && now.Sub(f.seen) < lookAgain
}

func (d *damages) keys() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.files))
}

// Alarm returns nil if no file is known to be damaged, else one sentence.
func (p *Packages) Alarm() error {
	d := p.damages
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.files) == 0 {
		return nil
	}
	first := slices.Min(slices.Collect(maps.Keys(d.files)))
	if n := len(d.files); n > 1 {
		return fmt.Errorf("%d files of packages published here are damaged on disk, among them %s: restore them from a backup", n, d.files[first].what)
	}
	return fmt.Errorf("%s, published here, is damaged on disk: restore it from a backup", d.files[first].what)
}

// Watch looks again at what is damaged, until ctx is done: an alarm ends when
// the file is right.
func (p *Packages) Watch(ctx context.Context) {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.lookAgain(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (p *Packages) lookAgain(ctx context.Context) {
	i := p.Inspector("scrub", false)
	for _, key := range p.damages.keys() {
		if ctx.Err() != nil {
			return
		}
		if !strings.HasSuffix(key, documentFile) && !i.names(ctx, p.store, key) {
			p.damages.clear(key) // nobody misses it any more
			continue
		}
		_ = i.Look(ctx, p.store, cache.Info{Key: key}) // it is noted
	}
}

// vouch returns nil if o, a tarball that clients ask for as file, holds what
// was published: known, or found out now.
func (p *Packages) vouch(ctx context.Context, o *cache.Object, file string, size int64) error {
	if o.Size == size && p.checks.Seen(o.Key, o.Rev) {
		return nil
	}
	err := errDamage
	if !p.damages.fresh(o.Key, o.Rev, p.now()) {
		err = p.checks.Once(ctx, o.Key, o.Rev, func(ctx context.Context) error {
			return p.checkBlob(ctx, p.store, o.Key, o.Rev, file, onRead)
		})
	}
	if errors.Is(err, errDamage) {
		return damaged("the tarball %.300s is damaged on this server's disk, and an administrator must restore it from a backup", file)
	}
	return err
}

// checkBlob reads the blob under key, by way of reads, and holds it against the
// hash in its key. what names it for people.
func (p *Packages) checkBlob(ctx context.Context, reads cache.Store, key, rev, what, where string) error {
	o, err := reads.Open(ctx, key)
	if err != nil {
		return err
	}
	defer o.Close() // it was only read
	if rev != "" && o.Rev != rev {
		return errReplaced
	}
	h := sha512.New()
	if _, err := io.Copy(h, untilDone{ctx, o}); err != nil {
		return err
	}
	_, want, _ := strings.Cut(key, "/tgz-")
	if got := hex.EncodeToString(h.Sum(nil))[:blobHash]; got != want {
		err := fmt.Errorf("%w: %d bytes with the sha512 %s…", errDamage, o.Size, got)
		p.damages.add(key, damage{what, o.Rev, p.now()}, where, err)
		return err
	}
	p.damages.clear(key)
	return nil
}

// untilDone reads from r until ctx is done.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(b)
}

// isDamage reports whether err says that a document's bytes are wrong, and not
// that they could not be read.
func isDamage(err error) bool {
	var own *npm.Error
	return errors.As(err, &own)
}
