package metrics

import "github.com/prometheus/client_golang/prometheus"

type takedownVecs struct {
	takenDown *prometheus.CounterVec
	heldBack  *prometheus.CounterVec
	alarm     *prometheus.GaugeVec
}

func newTakedownVecs(f factory) takedownVecs {
	return takedownVecs{
		takenDown: f.counterVec("upstream_taken_down_total", "Versions, or whole packages, that an upstream was found to have removed, by what proved it.", "upstream", "evidence"),
		heldBack:  f.counterVec("upstream_held_back_total", "Documents of an upstream that were not believed because versions were missing from them.", "upstream"),
		alarm:     f.gaugeVec("upstream_alarm", "1 while something is wrong with the upstream that clients do not notice.", "upstream"),
	}
}

// takedowns is the part of Upstream about what was removed.
type takedowns struct {
	takenDown map[string]prometheus.Counter
	heldBack  prometheus.Counter
	alarm     prometheus.Gauge
}

func (v takedownVecs) of(upstream string) takedowns {
	return takedowns{
		takenDown: bind(v.takenDown, takedownEvidence(), upstream),
		heldBack:  v.heldBack.WithLabelValues(upstream),
		alarm:     v.alarm.WithLabelValues(upstream),
	}
}

// TakenDown counts versions that upstream removed: evidence is "time",
// "unpublished", "absence" or "tarball", or for a whole package "vanished".
func (u *Upstream) TakenDown(evidence string, n int) {
	if u != nil {
		pick(u.takenDown, evidence).Add(float64(n))
	}
}

// HeldBack counts a document that was not believed.
func (u *Upstream) HeldBack() {
	if u != nil {
		u.heldBack.Inc()
	}
}

// Alarm says whether something is wrong that clients do not notice.
func (u *Upstream) Alarm(on bool) {
	if u != nil {
		u.alarm.Set(truth(on))
	}
}
