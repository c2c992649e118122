package upstream

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"larder/npm"
)

const (
	maxRefused = 256            // names that are remembered as refused
	refusedFor = 24 * time.Hour // so long a name counts that nobody asks for any more
)

// codeCredentials is npm.Error.Code where upstream refused ours.
const codeCredentials = "upstream-credentials"

// refusals are the names that upstream refuses, which it should not: an alarm
// is on until each of them has got a good answer.
type refusals struct {
	condition string
	sentence  func(name string, others int) string
	alarms    *alarms

	mu    sync.Mutex           // guards what follows
	names map[string]time.Time // when they were refused last
	last  string
	first time.Time // when the oldest complaint of those that followed each other began
}

// note says that name was refused.
func (f *refusals) note(name string, now time.Time) {
	f.mu.Lock()
	if f.names == nil {
		f.names = make(map[string]time.Time)
	}
	if len(f.names) == 0 || f.first.After(now.Add(clockSlack)) {
		f.first = now
	}
	if _, ok := f.names[name]; ok || len(f.names) < maxRefused {
		f.names[name] = now
		f.last = name
	}
	f.tellLocked(now)
}

// answered says that name got a good answer.
func (f *refusals) answered(name string, now time.Time) {
	f.mu.Lock()
	if _, ok := f.names[name]; !ok {
		f.mu.Unlock()
		return
	}
	delete(f.names, name)
	f.tellLocked(now)
}

// review forgets what nobody has asked for in a long time.
func (f *refusals) review(now time.Time) {
	f.mu.Lock()
	f.tellLocked(now)
}

// tellLocked sets the alarm and unlocks.
func (f *refusals) tellLocked(now time.Time) {
	for name, at := range f.names {
		if now.Sub(at) > refusedFor {
			delete(f.names, name)
		}
	}
	sentence := ""
	if n := len(f.names); n > 0 {
		name := f.last
		if _, ok := f.names[name]; !ok {
			for name = range f.names { // any will do
				break
			}
		}
		sentence = f.sentence(name, n-1)
	}
	f.mu.Unlock()
	f.alarms.set(f.condition, sentence)
}

// all returns the names that are refused, and since when there were any.
func (f *refusals) all() (names []string, since time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.names)), f.first
}

// newRefusals returns what is noted of credentials that upstream refuses, of
// packages that it refuses although copies of them are held, and of those that
// it says do not exist, which is an alarm where they are many.
func newRefusals(upstream string, a *alarms) (credentials, forbidden, missing *refusals) {
	credentials = &refusals{condition: "credentials", alarms: a, sentence: func(name string, others int) string {
		return fmt.Sprintf("upstream %s refuses Larder's credentials, for %s", upstream, andOthers(name, others))
	}}
	forbidden = &refusals{condition: "refused", alarms: a, sentence: func(name string, others int) string {
		return fmt.Sprintf("upstream %s refuses %s, of which the copies are served on", upstream, andOthers(name, others))
	}}
	missing = &refusals{condition: "missing", alarms: a, sentence: func(name string, others int) string {
		if others < stormPackages {
			return ""
		}
		return fmt.Sprintf("upstream %s says that %s do not exist, of which the copies are served on: it may have lost them, or its credentials do not suffice any more", upstream, andOthers(name, others))
	}}
	return credentials, forbidden, missing
}

func andOthers(name string, others int) string {
	switch others {
	case 0:
		return name
	case 1:
		return name + " and another"
	}
	return fmt.Sprintf("%s and %d others", name, others)
}

// judgeCredentials looks at how an exchange about a subject ended.
func (r *Registry) judgeCredentials(subject string, err error) {
	switch {
	case err == nil:
		r.credentials.answered(family(subject), r.now())
	case asError(err).Code == codeCredentials:
		r.credentials.note(family(subject), r.now())
	}
}

// judgeHeld looks at how upstream answered about a package that is held.
func (r *Registry) judgeHeld(name string, err *npm.Error) {
	switch {
	case err == nil:
		r.forbidden.answered(name, r.now())
		r.absentees.answered(name, r.now())
	case err.Kind == npm.Forbidden:
		r.forbidden.note(name, r.now())
	}
}
