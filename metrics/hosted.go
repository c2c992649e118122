package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// hosted are the metrics of what is published here.
type hosted struct {
	writes    map[string]map[string]prometheus.Counter // by op, then by result
	published prometheus.Counter
	races     prometheus.Counter
	leftovers prometheus.Counter
	orphans   prometheus.Counter
	memory    prometheus.Gauge
	duration  prometheus.Histogram
}

func newHosted(f factory) hosted {
	writes := f.counterVec("hosted_writes_total", "Writes to packages published here, by what was asked and how it ended.", "op", "result")
	h := hosted{
		writes:    make(map[string]map[string]prometheus.Counter),
		published: f.counter("hosted_published_bytes_total", "Bytes of tarballs published here."),
		races:     f.counter("hosted_races_total", "Writes begun anew because another process was faster."),
		leftovers: f.counter("hosted_leftover_blobs_total", "Tarballs of removed versions that could not be deleted."),
		orphans:   f.counter("hosted_orphan_blobs_total", "Tarballs deleted because no version named them: what crashes left."),
		memory:    f.gauge("hosted_memory_bytes", "Bytes of parsed documents held in memory."),
		duration:  f.histogram("hosted_write_duration_seconds", "Time of one write to a package, its body already received.", latencies()),
	}
	for _, op := range hostedOps() {
		h.writes[op] = bind(writes, hostedResults(), op)
	}
	return h
}

// HostedWrite counts a write to a package published here: op is "publish",
// "unpublish", "deprecate", "tags", "owners", "star", "access" or "forget", result "ok",
// "unchanged", "refused", "conflict", "canceled" or "failed".
func (m *Metrics) HostedWrite(op, result string, d time.Duration) {
	if m == nil {
		return
	}
	pick(pick(m.hosted.writes, op), result).Inc()
	m.hosted.duration.Observe(d.Seconds())
}

// HostedPublished counts the bytes of a tarball that was published.
func (m *Metrics) HostedPublished(bytes int64) {
	if m != nil {
		m.hosted.published.Add(float64(bytes))
	}
}

// HostedRace counts a write that was begun anew.
func (m *Metrics) HostedRace() {
	if m != nil {
		m.hosted.races.Inc()
	}
}

// HostedLeftover counts a tarball that should be gone and is still there.
func (m *Metrics) HostedLeftover() {
	if m != nil {
		m.hosted.leftovers.Inc()
	}
}

// HostedOrphan counts a tarball that no version named, and that was deleted.
func (m *Metrics) HostedOrphan() {
	if m != nil {
		m.hosted.orphans.Inc()
	}
}

// HostedMemory sets the bytes of parsed documents held in memory.
func (m *Metrics) HostedMemory(bytes int64) {
	if m != nil {
		m.hosted.memory.Set(float64(bytes))
	}
}

func hostedOps() []string {
	return []string{"publish", "unpublish", "deprecate", "tags", "owners", "star", "access", "forget", Other}
}

func hostedResults() []string {
	return []string{"ok", "unchanged", "refused", "conflict", "canceled", "failed", Other}
}
