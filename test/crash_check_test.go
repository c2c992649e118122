package test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// beliefs are what a client knows: of each fact the values that it may have,
// which is one value unless a write was not acknowledged. A fact that is not in
// it has the value "".
type beliefs map[string][]string

// trying says that a write begins which gives a fact this value.
func (b beliefs) trying(fact, value string) {
	if b[fact] == nil {
		b[fact] = []string{""}
	}
	if !slices.Contains(b[fact], value) {
		b[fact] = append(slices.Clip(b[fact]), value)
	}
}

// learned says that a fact has this value.
func (b beliefs) learned(fact, value string) { b[fact] = []string{value} }

// is tells whether a fact has this value for certain.
func (b beliefs) is(fact, value string) bool { return len(b[fact]) == 1 && b[fact][0] == value }

// check fails the test unless all facts have one of the values that they may
// have. Afterwards they have just that one.
func (w *crashWriter) check(t *testing.T) {
	t.Helper()
	for _, err := range w.problems {
		t.Errorf("writer %d: %v", w.id, err)
	}
	doc := w.pair.document(t, w.name)
	versions := doc.Get("versions").Map()
	for _, fact := range slices.Sorted(maps.Keys(w.beliefs)) {
		kind, subject, _ := strings.Cut(fact, " ")
		value := ""
		switch kind {
		case "tag":
			value = doc.Get("dist-tags").Map()[w.tag()].String()
		case "deprecated":
			value = versions[subject].Get("deprecated").String()
			if !versions[subject].Exists() {
				continue // its version is another fact
			}
		case "version":
			value = w.stateOf(t, versions, subject)
		case "package":
			value = w.pair.stateOf(t, subject)
		}
		if !slices.Contains(w.beliefs[fact], value) && !(value == "" && slices.Contains(w.beliefs[fact], gone)) {
			t.Errorf("writer %d: %s of %s is %q, and can only be one of %q", w.id, fact, w.name, value, w.beliefs[fact])
		}
		if may := w.beliefs[fact]; len(may) > 1 {
			w.count(value == may[len(may)-1] || value == "" && may[len(may)-1] == gone)
		}
		if value == "" && !slices.Contains(w.beliefs[fact], "") {
			value = gone
		}
		w.beliefs.learned(fact, value)
	}
}

// count counts a fact that hung in the air when Larder was killed.
func (w *crashWriter) count(came bool) {
	if came {
		w.came++
	} else {
		w.lost++
	}
}

// stateOf tells whether a version is there, with the bytes that were sent.
func (w *crashWriter) stateOf(t *testing.T, versions map[string]gjson.Result, version string) string {
	t.Helper()
	path := release{name: w.name, version: version}.path()
	if !versions[version].Exists() {
		if r := w.pair.get(t, path); w.beliefs.is("version "+version, gone) && r.status != http.StatusNotFound {
			t.Errorf("the tarball of %s@%s, which is gone: %d", w.name, version, r.status)
		}
		return ""
	}
	want := w.tgz[version]
	if got := archiveOf(w.pair.ok(t, path).body); got.integrity != want.integrity || versions[version].Get("dist.integrity").String() != want.integrity {
		t.Errorf("%s@%s has other bytes", w.name, version)
	}
	return present
}

// stateOf tells whether a package of one version is there.
func (p *pair) stateOf(t *testing.T, name string) string {
	t.Helper()
	r := p.get(t, escaped(name))
	switch r.status {
	case http.StatusNotFound:
		return ""
	case http.StatusOK:
		p.wantWhole(t, name)
		return present
	}
	t.Errorf("%s: %d %s", name, r.status, r.body)
	return ""
}

// settle does again what was not acknowledged, which must do.
func (w *crashWriter) settle(t *testing.T) {
	t.Helper()
	if w.pending == nil {
		return
	}
	if err := w.pending(); err != nil {
		t.Errorf("writer %d: done again after the crash: %v", w.id, err)
	}
	w.pending = nil
	w.check(t)
}
