package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// rot are the metrics of bytes that change on disk.
type rot struct {
	files   map[string]map[string]prometheus.Counter // by store, then by where
	scrubs  map[string]scrub                         // by store
	damaged prometheus.Gauge
}

// scrub are the metrics of reading a store to check it.
type scrub struct {
	files, bytes prometheus.Counter
	passed       prometheus.Gauge
}

func newRot(f factory) rot {
	files := f.counterVec("rotten_files_total", "Files that had changed on disk, by store and by what found them.", "store", "where")
	scrubbed := f.counterVec("scrubbed_files_total", "Files read to check them, by store.", "store")
	bytes := f.counterVec("scrubbed_bytes_total", "Bytes read to check them, by store.", "store")
	passed := f.gaugeVec("scrub_last_pass_timestamp_seconds", "When all of a store had last been read and checked, 0 if never.", "store")
	r := rot{
		files:   make(map[string]map[string]prometheus.Counter),
		scrubs:  make(map[string]scrub),
		damaged: f.gauge("hosted_damaged_files", "Files of packages published here that are damaged or missing on disk: an alarm."),
	}
	for _, s := range rotStores() {
		r.files[s] = bind(files, rotFinders(), s)
		r.scrubs[s] = scrub{scrubbed.WithLabelValues(s), bytes.WithLabelValues(s), passed.WithLabelValues(s)}
	}
	return r
}

// Scrubbed counts what was read to check it: store is "cache" or "hosted".
func (m *Metrics) Scrubbed(store string, bytes, files int64) {
	if m != nil {
		s := pick(m.rot.scrubs, store)
		s.bytes.Add(float64(bytes))
		s.files.Add(float64(files))
	}
}

// ScrubPassed tells when all of a store had been read; zero for never.
func (m *Metrics) ScrubPassed(store string, t time.Time) {
	if m == nil {
		return
	}
	var seconds int64
	if !t.IsZero() {
		seconds = t.Unix()
	}
	pick(m.rot.scrubs, store).passed.Set(float64(seconds))
}

// HostedDamaged sets how many files of packages published here are damaged.
func (m *Metrics) HostedDamaged(files int) {
	if m != nil {
		m.rot.damaged.Set(float64(files))
	}
}

func rotStores() []string { return []string{"cache", "hosted", Other} }

func rotFinders() []string { return []string{"read", "scrub", "verify", Other} }
