// Package metrics holds the name and the labels of every metric that Larder
// exports. Label values come from fixed sets or from the configuration, never
// from a request, so that strangers cannot grow the registry; they are bound
// once, at construction, and exist from the start, so that a rate over a
// failure that has not happened yet is zero and not missing. Every method may
// be called on a nil receiver.
package metrics

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// namespace begins every name that is ours.
const namespace = "larder"

// Metrics is Larder's set of metrics on registries of its own.
type Metrics struct {
	registry *prometheus.Registry // ours
	process  *prometheus.Registry // a few of the Go runtime's, and the process's
	runtime  *prometheus.Registry // the same, with all that the Go runtime measures
	requests requests
	conns    connections
	fills    fills
	store    store
	rot      rot
	render   render
	upstream upstreamVecs
	hosted   hosted
	access   access
	age      prometheus.Histogram

	certificate certificate
}

// New returns the metrics, with Go and process collectors and build info.
func New(version, commit string) *Metrics {
	reg := prometheus.NewRegistry()
	f := factory{reg}
	f.gaugeVec("build_info", "Always 1; the labels say what is running.", "version", "commit", "go").
		WithLabelValues(version, commit, runtime.Version()).Set(1)
	return &Metrics{
		registry: reg,
		process:  newProcess(collectors.NewGoCollector()),
		runtime:  newProcess(collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectors.MetricsAll))),
		requests: newRequests(f),
		conns:    newConnections(f),
		fills:    newFills(f),
		store:    newStore(f),
		rot:      newRot(f),
		render:   newRender(f),
		upstream: newUpstreamVecs(f),
		hosted:   newHosted(f),
		access:   newAccess(f),
		age:      newDocumentAge(f),

		certificate: newCertificate(f),
	}
}

// newProcess returns a registry of what can be said of every process, with the
// metrics of the Go runtime that golang collects.
func newProcess(golang prometheus.Collector) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(golang, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// Handler serves the exposition format, packed where the scraper accepts it.
func (m *Metrics) Handler() http.Handler {
	if m == nil {
		return http.NotFoundHandler()
	}
	return promhttp.HandlerFor(prometheus.Gatherers{m.registry, m.process}, promhttp.HandlerOpts{})
}

// RuntimeHandler is Handler, with everything that the Go runtime measures of
// itself: some sixty further metrics, for those who look into a process.
func (m *Metrics) RuntimeHandler() http.Handler {
	if m == nil {
		return http.NotFoundHandler()
	}
	return promhttp.HandlerFor(prometheus.Gatherers{m.registry, m.runtime}, promhttp.HandlerOpts{})
}

// Request counts a finished request: route is one of Routes, result one of
// Results or "" ; both fall back to "other" and "none".
func (m *Metrics) Request(route, result string, status int, bytes int64, d time.Duration) {
	if m == nil {
		return
	}
	r := pick(m.requests.routes, route)
	r.classes[classOf(status)].Inc()
	if result == "" {
		result = None
	}
	pick(r.results, result).Inc()
	r.bytes.Add(float64(bytes))
	r.duration.Observe(d.Seconds())
}

// RequestStarted and RequestEnded keep the gauge of requests in flight.
func (m *Metrics) RequestStarted() {
	if m != nil {
		m.requests.inFlight.Inc()
	}
}

// RequestEnded is the other half of RequestStarted.
func (m *Metrics) RequestEnded() {
	if m != nil {
		m.requests.inFlight.Dec()
	}
}

// ClientStalled counts a response that was broken off because its client did
// not take it.
func (m *Metrics) ClientStalled() {
	if m != nil {
		m.requests.stalled.Inc()
	}
}

// ConnectionOpened and ConnectionClosed keep the gauge of open connections.
func (m *Metrics) ConnectionOpened() {
	if m != nil {
		m.conns.open.Inc()
	}
}

// ConnectionClosed is the other half of ConnectionOpened.
func (m *Metrics) ConnectionClosed() {
	if m != nil {
		m.conns.open.Dec()
	}
}

// ConnectionBounded counts what a bound on connections did: how is "waited" (for
// a place), "idle_closed" (for another to have its place) or "refused".
func (m *Metrics) ConnectionBounded(how string) {
	if m != nil {
		pick(m.conns.bounded, how).Inc()
	}
}

// FillStarted counts a blob fill and keeps the gauge of fills in flight.
func (m *Metrics) FillStarted() {
	if m != nil {
		m.fills.started.Inc()
		m.fills.inFlight.Inc()
	}
}

// FillEnded ends a fill: outcome is "stored", "failed", "aborted" or "passed" (served, not stored).
func (m *Metrics) FillEnded(outcome string, bytes int64, d time.Duration) {
	if m == nil {
		return
	}
	m.fills.inFlight.Dec()
	pick(m.fills.ended, outcome).Inc()
	m.fills.bytes.Add(float64(bytes))
	m.fills.duration.Observe(d.Seconds())
}

// FillResumed counts a broken download that was taken up again.
func (m *Metrics) FillResumed() {
	if m != nil {
		m.fills.resumed.Inc()
	}
}

// IntegrityFailure counts bytes that were not what they had to be.
func (m *Metrics) IntegrityFailure() {
	if m != nil {
		m.fills.integrity.Inc()
	}
}

// Rotten counts a file that had changed on disk: store is "cache" or "hosted",
// where "read", "scrub" or "verify".
func (m *Metrics) Rotten(store, where string) {
	if m != nil {
		pick(pick(m.rot.files, store), where).Inc()
	}
}

// StoreError counts a failed operation of the disk: op is "open", "create",
// "write", "commit", "delete" or "walk".
func (m *Metrics) StoreError(op string) {
	if m != nil {
		pick(m.store.errors, op).Inc()
	}
}

// StoreSize sets what the store holds, in bytes and files.
func (m *Metrics) StoreSize(bytes, files int64) {
	if m != nil {
		m.store.bytes.Set(float64(bytes))
		m.store.files.Set(float64(files))
	}
}

// Rendered counts a finished document that was made: identity bytes in, time taken.
func (m *Metrics) Rendered(bytes int64, d time.Duration) {
	if m != nil {
		m.render.bytes.Add(float64(bytes))
		m.render.duration.Observe(d.Seconds())
	}
}

// Refined counts a finished document that was packed again.
func (m *Metrics) Refined() {
	if m != nil {
		m.render.refined.Inc()
	}
}

// TarballMemory sets the bytes of tarballs held in memory.
func (m *Metrics) TarballMemory(bytes int64) {
	if m != nil {
		m.store.memory.Set(float64(bytes))
	}
}

// DocumentMemory sets the bytes of finished documents held in memory.
func (m *Metrics) DocumentMemory(bytes int64) {
	if m != nil {
		m.render.memory.Set(float64(bytes))
	}
}
