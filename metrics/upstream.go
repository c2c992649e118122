package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type upstreamVecs struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	retries  *prometheus.CounterVec
	received *prometheus.CounterVec
	stale    *prometheus.CounterVec
	recalled *prometheus.CounterVec
	breaker  *prometheus.GaugeVec
	offline  *prometheus.GaugeVec
	url      *prometheus.GaugeVec
	takedownVecs
}

func newUpstreamVecs(f factory) upstreamVecs {
	return upstreamVecs{
		requests: f.counterVec("upstream_requests_total", "HTTP exchanges with an upstream, by what was asked and how it ended.", "upstream", "kind", "outcome"),
		duration: f.histogramVec("upstream_request_duration_seconds", "Time of one HTTP exchange with an upstream.", latencies(), "upstream", "kind"),
		retries:  f.counterVec("upstream_retries_total", "Exchanges with an upstream that were tried again.", "upstream"),
		received: f.counterVec("upstream_received_bytes_total", "Body bytes read from an upstream.", "upstream"),
		stale:    f.counterVec("upstream_stale_served_total", "Answers from an old copy because the upstream failed or was slow.", "upstream"),
		recalled: f.counterVec("upstream_absences_recalled_total", "Answers that something does not exist, from memory because the upstream could not be asked.", "upstream"),
		breaker:  f.gaugeVec("upstream_breaker_state", "The circuit breaker: 0 closed, 1 half-open, 2 open.", "upstream"),
		offline:  f.gaugeVec("upstream_offline", "1 while the upstream is not to be asked because an administrator said so.", "upstream"),
		url:      f.gaugeVec("upstream_url_index", "Which of the upstream's URLs is asked first: 0 is the first, anything else stands in for it.", "upstream"),

		takedownVecs: newTakedownVecs(f),
	}
}

// Upstream is the part of Metrics that belongs to one upstream. A nil
// *Upstream counts nothing.
type Upstream struct {
	kinds                    map[string]exchange
	retries, received, stale prometheus.Counter
	recalled                 prometheus.Counter
	breaker, offline, url    prometheus.Gauge
	takedowns
}

type exchange struct {
	outcomes map[string]prometheus.Counter
	duration prometheus.Observer
}

// Upstream returns the metrics of one configured upstream, its labels bound.
func (m *Metrics) Upstream(name string) *Upstream {
	if m == nil {
		return nil
	}
	v := m.upstream
	u := &Upstream{
		kinds:    make(map[string]exchange),
		retries:  v.retries.WithLabelValues(name),
		received: v.received.WithLabelValues(name),
		stale:    v.stale.WithLabelValues(name),
		recalled: v.recalled.WithLabelValues(name),
		breaker:  v.breaker.WithLabelValues(name),
		offline:  v.offline.WithLabelValues(name),
		url:      v.url.WithLabelValues(name),

		takedowns: v.takedownVecs.of(name),
	}
	for _, kind := range upstreamKinds() {
		u.kinds[kind] = exchange{
			outcomes: bind(v.requests, upstreamOutcomes(), name, kind),
			duration: v.duration.WithLabelValues(name, kind),
		}
	}
	return u
}

// Request counts one HTTP exchange with upstream: kind is "document",
// "tarball", "probe" or "other"; outcome "ok", "not_modified", "not_found", "refused",
// "error" (5xx, 429), "bad" (bytes that cannot be right), "held_back"
// (a document that is not believed), "timeout",
// "unreachable" or "canceled".
func (u *Upstream) Request(kind, outcome string, d time.Duration) {
	if u == nil {
		return
	}
	x := pick(u.kinds, kind)
	pick(x.outcomes, outcome).Inc()
	x.duration.Observe(d.Seconds())
}

// Retry counts an exchange that is tried again.
func (u *Upstream) Retry() {
	if u != nil {
		u.retries.Inc()
	}
}

// Received counts body bytes read from upstream.
func (u *Upstream) Received(bytes int64) {
	if u != nil {
		u.received.Add(float64(bytes))
	}
}

// Breaker sets the state of the circuit breaker: "closed", "half-open", "open".
func (u *Upstream) Breaker(state string) {
	if u == nil {
		return
	}
	switch state {
	case "closed":
		u.breaker.Set(0)
	case "half-open":
		u.breaker.Set(1)
	default:
		u.breaker.Set(2)
	}
}

// Offline says whether upstream is not to be asked.
func (u *Upstream) Offline(on bool) {
	if u != nil {
		u.offline.Set(truth(on))
	}
}

// AbsenceRecalled counts a 404 from memory because upstream could not be asked.
func (u *Upstream) AbsenceRecalled() {
	if u != nil {
		u.recalled.Inc()
	}
}

// URL says which of the upstream's URLs is asked first.
func (u *Upstream) URL(index int) {
	if u != nil {
		u.url.Set(float64(index))
	}
}

// truth is a condition as a gauge shows it.
func truth(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// StaleServed counts an answer from an old copy because upstream failed or was slow.
func (u *Upstream) StaleServed() {
	if u != nil {
		u.stale.Inc()
	}
}
