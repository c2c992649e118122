package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func newDocumentAge(f factory) prometheus.Histogram {
	return f.histogram("document_age_seconds", "How long before a document was served its upstream had last confirmed it.", ages())
}

// ages are buckets from what was fetched just now to what an upstream left
// behind weeks ago, in seconds.
func ages() []float64 {
	const (
		minute = 60
		hour   = 60 * minute
		day    = 24 * hour
	)
	return []float64{1, 10, minute, 5 * minute, 10 * minute, 30 * minute, hour, 6 * hour, day, 3 * day, 7 * day, 14 * day, 28 * day}
}

// DocumentAge notes the age of an upstream's document that is served.
func (m *Metrics) DocumentAge(age time.Duration) {
	if m != nil {
		m.age.Observe(max(0, age.Seconds()))
	}
}
