package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/semaphore"

	"larder/cache"
	"larder/metrics"
	"larder/npm"
)

// Auth is how Larder presents itself to an upstream. At most one of Token and
// User is set. It is never logged.
type Auth struct {
	Token    string // sent as "Bearer TOKEN"
	User     string // with Password: HTTP basic
	Password string
}

// Config configures one upstream registry. Zero values mean the defaults in
// brackets.
type Config struct {
	Name         string     // keys the cache; [a-z0-9-]+
	URLs         []*url.URL // the first that is up is asked
	Match        []string   // name patterns (npm.MatchName) [**]
	Auth         Auth
	Headers      http.Header // added to each request to URLs' hosts
	CAFile       string      // PEM, added to the system's roots
	TarballHosts []string    // other hosts (host or host:port) its tarballs may come from; may be private
	Concurrency  int         // requests at once, apart for documents and for tarballs [64]

	Memory int64 // bytes of unpacked documents at once; a bigger one takes all of it for itself [DocumentMemory]

	FreshFor             time.Duration // [5m]
	StaleWhileRevalidate time.Duration // [5m]
	StaleWait            time.Duration // how long a request waits for upstream when a stale copy exists [3s]
	HeaderTimeout        time.Duration // for response headers, connecting included [8s]
	DocumentTimeout      time.Duration // to the first byte of a document, all tries together [20s]
	IdleTimeout          time.Duration // silence in a tarball, which is then resumed; in a document, which clients see nothing of before it is whole, HeaderTimeout if that is less [15s]
	RetryBudget          time.Duration // for all tries but the last [10s]
	BreakerPause         time.Duration // between probes of an upstream that is down [10s]
	PostTimeout          time.Duration // for a Post from start to end, since clients wait for it at the end of an install [5s]

	Offline   bool   // no request is sent, until SetOffline says otherwise; what is cached is served, whatever its age
	Via       string // this server's name in Via headers; an upstream request that would loop is refused by the other end
	UserAgent string // [larder]

	Pins []string // versions that stay installable when upstream removes them; see npm.ParsePin

	Turns     *cache.Turns // for big documents [no bound]
	Responses *cache.Responses
	Notes     *cache.Notes // remembers removed versions, and what never was; nil: only until the process ends
	Vault     Vault        // puts their bytes aside; nil: they stay where they are, and are not served
	Metrics   *metrics.Metrics
	Log       *slog.Logger

	now func() time.Time // of freshness and negative entries [time.Now]
}

// withDefaults fills what is zero.
func (c Config) withDefaults() Config {
	orDuration := func(d *time.Duration, or time.Duration) {
		if *d == 0 {
			*d = or
		}
	}
	orDuration(&c.FreshFor, 5*time.Minute)
	orDuration(&c.StaleWhileRevalidate, 5*time.Minute)
	orDuration(&c.StaleWait, 3*time.Second)
	orDuration(&c.HeaderTimeout, 8*time.Second)
	orDuration(&c.DocumentTimeout, 20*time.Second)
	orDuration(&c.IdleTimeout, 15*time.Second)
	orDuration(&c.RetryBudget, 10*time.Second)
	orDuration(&c.BreakerPause, 10*time.Second)
	orDuration(&c.PostTimeout, 5*time.Second)
	if len(c.Match) == 0 {
		c.Match = []string{"**"}
	}
	if c.Concurrency == 0 {
		c.Concurrency = 64
	}
	if c.Memory == 0 {
		c.Memory = DocumentMemory
	}
	if c.UserAgent == "" {
		c.UserAgent = "larder"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

// namePattern is what may stand as the first label of a logical URL's host.
const namePattern = `^[a-z0-9-]+$`

func (c Config) check() error {
	var errs []error
	if ok, _ := regexp.MatchString(namePattern, c.Name); !ok {
		errs = append(errs, fmt.Errorf("name %q is not of the form [a-z0-9-]+", c.Name))
	}
	if c.Responses == nil {
		errs = append(errs, errors.New("there is no cache for its responses"))
	}
	if c.Concurrency < 0 {
		errs = append(errs, fmt.Errorf("concurrency %d is negative", c.Concurrency))
	}
	for _, pattern := range c.Match {
		if err := npm.CheckPattern(pattern); err != nil {
			errs = append(errs, err)
		}
	}
	for _, pin := range c.Pins {
		if _, _, err := npm.ParsePin(pin); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// pinsOf returns the pinned versions of each name. pins has been checked.
func pinsOf(pins []string) map[string]map[string]bool {
	byName := make(map[string]map[string]bool)
	for _, pin := range pins {
		name, version, err := npm.ParsePin(pin)
		if err != nil {
			continue
		}
		if byName[name] == nil {
			byName[name] = make(map[string]bool)
		}
		byName[name][version] = true
	}
	return byName
}

// maxEntries bounds how many packages' freshness is held in memory, at some
// 300 bytes each; the rest is read again from the stored headers.
const maxEntries = 65_536

// Registry is one remote registry.
type Registry struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics.Upstream
	now     func() time.Time // Config.now

	remote    *remote
	breaker   *breaker
	budget    *budget
	docSlots  *semaphore.Weighted // Config.Concurrency each
	tgzSlots  *semaphore.Weighted
	preferred preference
	probes    *probes
	keeper    *absentKeeper

	entries                *lru.Cache[string, *entry]
	dists                  *dists
	absent                 *absences
	quiet                  *quiet // of small documents
	distrust               *distrust
	alarms                 *alarms
	credentials, forbidden *refusals
	absentees              *refusals                  // held packages that upstream says do not exist
	glances                chan struct{}              // holds an element for each that is under way
	pins                   map[string]map[string]bool // by name and version
	flights                flights
	fullOnly               atomic.Int64 // until then (Unix seconds) upstream is taken to have no abbreviated form
	abbrevs                atomic.Bool  // upstream has once sent an abbreviated document

	posts     patience
	isOffline atomic.Bool
}

// New returns a Registry. Errors are about cfg: an unreadable CA file, no URL.
func New(cfg Config) (*Registry, error) {
	cfg = cfg.withDefaults()
	fail := func(err error) (*Registry, error) {
		return nil, fmt.Errorf("upstream %q: %w", cfg.Name, err)
	}
	if err := cfg.check(); err != nil {
		return fail(err)
	}
	remote, err := newRemote(cfg)
	if err != nil {
		return fail(err)
	}
	entries, err := lru.New[string, *entry](maxEntries)
	if err != nil {
		return fail(err)
	}
	absent, err := newAbsences()
	if err != nil {
		return fail(err)
	}
	quiet, err := newQuiet()
	if err != nil {
		return fail(err)
	}
	r := &Registry{
		cfg:      cfg,
		log:      cfg.Log.With("upstream", cfg.Name),
		metrics:  cfg.Metrics.Upstream(cfg.Name),
		now:      cfg.now,
		remote:   remote,
		budget:   newBudget(cfg.Memory),
		dists:    newDists(int(min(distMemory, cfg.Memory/distShare))),
		docSlots: semaphore.NewWeighted(int64(cfg.Concurrency)),
		tgzSlots: semaphore.NewWeighted(int64(cfg.Concurrency)),
		entries:  entries,
		absent:   absent,
		quiet:    quiet,
		distrust: newDistrust(),
		glances:  make(chan struct{}, maxGlances),
		pins:     pinsOf(cfg.Pins),
	}
	r.budget.turns = cfg.Turns
	r.isOffline.Store(cfg.Offline)
	r.metrics.Offline(cfg.Offline)
	r.alarms = &alarms{log: r.log, metrics: r.metrics}
	r.credentials, r.forbidden, r.absentees = newRefusals(cfg.Name, r.alarms)
	r.probes = newProbes()
	r.breaker = newBreaker(breakerConfig{
		upstream: cfg.Name, pause: cfg.BreakerPause, opened: r.probe, metrics: r.metrics, log: r.log,
	})
	r.metrics.URL(0)
	r.keeper = r.keepAbsences()
	return r, nil
}

// Close waits for background revalidations until ctx is done; those that still
// run are then cancelled and waited for, and the error is ctx's.
func (r *Registry) Close(ctx context.Context) error {
	r.probes.close()
	err := r.flights.close(ctx)
	r.keeper.close()
	r.budget.empty()
	r.remote.transport.CloseIdleConnections()
	return err
}

// Name returns the configured name.
func (r *Registry) Name() string { return r.cfg.Name }

// Matches reports whether name is this registry's to answer.
func (r *Registry) Matches(name string) bool {
	for _, pattern := range r.cfg.Match {
		if npm.MatchName(pattern, name) {
			return true
		}
	}
	return false
}

// State describes the registry for health checks: "ok", "offline" or "down". The
// reason is for "down" the most recent error in one sentence, and for "ok" which
// URL stands in, if one does.
func (r *Registry) State() (state, reason string) {
	if r.Offline() {
		return "offline", ""
	}
	if down, reason := r.breaker.down(); down {
		return "down", reason
	}
	if k := r.preferred.get(); k > 0 {
		return "ok", fmt.Sprintf("%s stands in for the first URL, which is down", r.remote.bases[k].Host)
	}
	return "ok", ""
}

// Owner returns the store's owner key of name.
func (r *Registry) Owner(name string) string { return cache.OwnerKey(r.cfg.Name, name) }

// BlobKey returns the store key of a tarball.
func (r *Registry) BlobKey(name, file string) string {
	return cache.FileKey(r.Owner(name), "blob", file)
}
