package upstream

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"larder/npm"
)

const (
	// stormPackages is how many packages may lose versions without proof within
	// stormTime before it is upstream that is taken for sick.
	stormPackages = 5
	stormTime     = 10 * time.Minute

	// heldBackFor is how long a package counts as held back after its document
	// was last not believed.
	heldBackFor = 2 * time.Hour

	maxDistrusted = 16_384 // packages that are remembered of each sort
	maxNamed      = 5      // packages that an alarm names
)

// distrust is what a registry knows of answers that it does not believe: it
// tells one package that lost versions from an upstream that loses them all.
type distrust struct {
	mu       sync.Mutex               // guards what follows
	losses   map[string]time.Time     // packages that lost versions without proof, and when
	storm    time.Time                // until then every such loss is held back
	heldBack map[string]time.Time     // packages whose documents are, and when last
	answers  map[string][2]lastAnswer // by scope, "" for all: of different packages, the latest first
}

// lastAnswer is when upstream last gave a good answer for a package.
type lastAnswer struct {
	name string
	at   time.Time
}

func newDistrust() *distrust {
	return &distrust{
		losses:   make(map[string]time.Time),
		heldBack: make(map[string]time.Time),
		answers:  make(map[string][2]lastAnswer),
	}
}

// lose notes that a package lost versions without proof, and reports whether so
// many did that none is believed. began are the others of the first minutes,
// who were believed before it was known.
func (d *distrust) lose(name string, now time.Time) (storm bool, began []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	expire(d.losses, stormTime, now)
	if len(d.losses) < maxDistrusted {
		d.losses[name] = now
	}
	raging := now.Before(d.storm) && d.storm.Sub(now) <= stormTime
	if !raging && len(d.losses) <= stormPackages {
		return false, nil
	}
	d.storm = now.Add(stormTime)
	if raging {
		return true, nil
	}
	others := maps.Clone(d.losses)
	delete(others, name)
	return true, slices.Sorted(maps.Keys(others))
}

// expire forgets what is older than d, or lies in the future since the clock was
// set back.
func expire(known map[string]time.Time, d time.Duration, now time.Time) {
	maps.DeleteFunc(known, func(_ string, at time.Time) bool {
		age := now.Sub(at)
		return age >= d || age < -clockSlack
	})
}

// hold notes that a package's document is held back.
func (d *distrust) hold(name string, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.heldBack) < maxDistrusted {
		d.heldBack[name] = now
	}
}

// answered notes a good answer for a package.
func (d *distrust) answered(name string, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.heldBack, name)
	d.noteAnswer("", name, now)
	if scope := npm.Scope(name); scope != "" {
		d.noteAnswer(scope, name, now)
	}
}

// noteAnswer is called with mu held.
func (d *distrust) noteAnswer(scope, name string, now time.Time) {
	last, known := d.answers[scope]
	if !known && len(d.answers) >= maxDistrusted {
		return
	}
	if last[0].name != name {
		last[1] = last[0]
	}
	last[0] = lastAnswer{name, now}
	d.answers[scope] = last
}

// others reports whether upstream gave a good answer for another package since
// then, of a scope unless that is "".
func (d *distrust) others(scope, name string, since time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	last := d.answers[scope]
	return slices.ContainsFunc(last[:], func(a lastAnswer) bool {
		return a.name != "" && a.name != name && !a.at.Before(since)
	})
}

// sentence says what is held back, "" if nothing is.
func (d *distrust) sentence(upstream string, now time.Time) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	expire(d.heldBack, heldBackFor, now)
	if len(d.heldBack) == 0 {
		return ""
	}
	names := slices.Sorted(maps.Keys(d.heldBack))
	more := ""
	if len(names) > maxNamed {
		more = fmt.Sprintf(" and %d others", len(names)-maxNamed)
		names = names[:maxNamed]
	}
	return fmt.Sprintf("upstream %s no longer lists versions of %s%s and does not prove that they were removed: the older documents are served on",
		upstream, strings.Join(names, ", "), more)
}
