package metrics

import "github.com/prometheus/client_golang/prometheus"

// factory makes metrics and registers them. A name that is taken or malformed
// is a defect that every test finds, hence MustRegister.
type factory struct{ reg prometheus.Registerer }

func register[C prometheus.Collector](f factory, c C) C {
	f.reg.MustRegister(c)
	return c
}

func (f factory) counter(name, help string) prometheus.Counter {
	return register(f, prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}))
}

func (f factory) counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	return register(f, prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels))
}

func (f factory) gauge(name, help string) prometheus.Gauge {
	return register(f, prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}))
}

func (f factory) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	return register(f, prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels))
}

func (f factory) histogram(name, help string, buckets []float64) prometheus.Histogram {
	return register(f, prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: buckets,
	}))
}

func (f factory) histogramVec(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return register(f, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: buckets,
	}, labels))
}

// bind makes one counter for each value of the last label of vec, the labels
// before it being fixed.
func bind(vec *prometheus.CounterVec, values []string, fixed ...string) map[string]prometheus.Counter {
	bound := make(map[string]prometheus.Counter, len(values))
	for _, v := range values {
		bound[v] = vec.WithLabelValues(append(fixed[:len(fixed):len(fixed)], v)...)
	}
	return bound
}

// pick returns what is bound to value, or to Other.
func pick[T any](bound map[string]T, value string) T {
	if b, ok := bound[value]; ok {
		return b
	}
	return bound[Other]
}

// latencies are the buckets of everything that a client or an upstream waits
// for, in seconds: a hit from memory is under a millisecond, and clients give
// up at 30 to 60 seconds.
func latencies() []float64 {
	return []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
}
