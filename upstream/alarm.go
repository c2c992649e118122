package upstream

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"larder/metrics"
)

// alarms are the conditions of an upstream that an administrator must know of
// and that nobody else would notice: clients get good answers all the while.
type alarms struct {
	log     *slog.Logger
	metrics *metrics.Upstream

	mu sync.Mutex        // guards on
	on map[string]string // a sentence for each condition that holds, by its name
}

// set says that a condition holds, in a sentence, or with "" that it does not.
// The log is told of its beginning and its end.
func (a *alarms) set(condition, sentence string) {
	a.mu.Lock()
	before := a.on[condition]
	if sentence == "" {
		delete(a.on, condition)
	} else {
		if a.on == nil {
			a.on = make(map[string]string)
		}
		a.on[condition] = sentence
	}
	any := len(a.on) > 0
	a.mu.Unlock()
	a.metrics.Alarm(any)
	switch {
	case before == "" && sentence != "":
		a.log.Warn("alarm: "+sentence, "condition", condition)
	case before != "" && sentence == "":
		a.log.Info("the alarm is over", "condition", condition, "was", before)
	}
}

// sentence returns all that is on, "" for nothing.
func (a *alarms) sentence() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []string
	for _, condition := range slices.Sorted(maps.Keys(a.on)) {
		all = append(all, a.on[condition])
	}
	return strings.Join(all, "; ")
}

// Alarm returns, in one sentence for people, what is wrong with upstream
// although clients are answered; nil if nothing is.
func (r *Registry) Alarm() error {
	r.reviewHeldBack()
	r.credentials.review(r.now())
	r.forbidden.review(r.now())
	r.absentees.review(r.now())
	if s := r.alarms.sentence(); s != "" {
		return errors.New(s)
	}
	return nil
}

// reviewHeldBack turns the alarm about documents that are held back on or off.
func (r *Registry) reviewHeldBack() {
	r.alarms.set("held back", r.distrust.sentence(r.cfg.Name, r.now()))
}
