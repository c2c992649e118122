package test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// The values of facts about versions and packages. One that was never tried is
// "", which looks the same as gone.
const (
	present = "present"
	gone    = "gone"
)

// crashWriter is one client. It shares a package's document with others, but
// nobody else writes what it knows of: its versions, whose first number is its
// own, their deprecation, its dist-tag, and whole packages.
type crashWriter struct {
	pair    *pair
	account account
	name    string // of the shared package
	id      int
	dice    *rand.Rand
	pack    func(release) archive

	beliefs      beliefs
	tgz          map[string]archive // by version, of all that were tried
	solo         int                // packages of its own
	pending      func() error       // the write that was not acknowledged, to be done again; nil: none
	problems     []error
	acknowledged int // writes
	came, lost   int // facts of writes that were not acknowledged: the write was made, was not
}

// errCut is how a write ends that was not acknowledged.
var errCut = errors.New("nobody said whether it was made")

func (w *crashWriter) tag() string { return fmt.Sprintf("writer-%d", w.id) }

// run writes one thing after the other until Larder is not there any more.
func (w *crashWriter) run() {
	for {
		write := w.draw()
		switch err := write(); {
		case errors.Is(err, errCut):
			w.pending = write
			return
		case err != nil:
			w.problems = append(w.problems, err)
			return
		}
		w.acknowledged++
	}
}

// draw returns the next write.
func (w *crashWriter) draw() func() error {
	var mine []string // versions that are there
	for version := range w.tgz {
		if w.beliefs.is("version "+version, present) {
			mine = append(mine, version)
		}
	}
	slices.Sort(mine)
	n := w.dice.IntN(100)
	if len(mine) < 2 || n < 35 {
		version := fmt.Sprintf("%d.0.%d", w.id, len(w.tgz))
		return func() error { return w.publish(version) }
	}
	version := mine[w.dice.IntN(len(mine))]
	switch {
	case n < 55:
		message := fmt.Sprintf("reason %d", w.dice.IntN(1000))
		return func() error { return w.deprecate(version, message) }
	case n < 75:
		return func() error { return w.setTag(version) }
	case n < 90 && !slices.Contains(w.beliefs["tag"], version):
		return func() error { return w.unpublish(version) }
	default:
		w.solo++
		name := fmt.Sprintf("@crash/solo-%s-%d-%d", w.name[strings.LastIndexByte(w.name, '-')+1:], w.id, w.solo)
		return func() error { return w.comeAndGo(name) }
	}
}

// send sends a write. accepted are statuses besides 2xx that are an answer,
// which is returned.
func (w *crashWriter) send(method, path, body string, accepted ...int) (reply, error) {
	headers := []string{w.account.auth(), "Content-Type: application/json"}
	if method == http.MethodGet {
		headers = append(headers, "Cache-Control: no-cache")
	}
	r, err := w.pair.send(method, w.pair.url()+path, strings.NewReader(body), headers)
	switch {
	case err != nil:
		return r, errCut
	case r.status/100 != 2 && !slices.Contains(accepted, r.status):
		return r, fmt.Errorf("%s %s: %d %.300s", method, path, r.status, r.body)
	}
	return r, nil
}

// publish publishes a version under the writer's tag. One that was tried
// before may be refused, but only because it is there.
func (w *crashWriter) publish(version string) error {
	r := lib(w.name, version)
	r.tag = w.tag()
	tgz, again := w.tgz[version]
	if !again {
		tgz = w.pack(r)
		w.tgz[version] = tgz
	}
	w.beliefs.trying("version "+version, present)
	w.beliefs.trying("tag", version)
	body, err := npmBody(w.pair.url(), r, tgz).MarshalJSON()
	if err != nil {
		return err
	}
	var accepted []int
	if again && w.beliefs.is("version "+version, present) {
		accepted = []int{http.StatusForbidden}
	}
	answer, err := w.send(http.MethodPut, escaped(w.name), string(body), accepted...)
	if err != nil {
		return err
	}
	if answer.status == http.StatusForbidden && !strings.Contains(string(answer.body), "You cannot publish over the previously published versions: "+version) {
		return fmt.Errorf("publish of %s: %s", version, answer.body)
	}
	w.beliefs.learned("version "+version, present)
	w.beliefs.learned("tag", version)
	return nil
}

func (w *crashWriter) deprecate(version, message string) error {
	w.beliefs.trying("deprecated "+version, message)
	body := fmt.Sprintf(`{"versions":{%q:{"name":%q,"version":%q,"deprecated":%q}}}`, version, w.name, version, message)
	if _, err := w.send(http.MethodPut, escaped(w.name), body); err != nil {
		return err
	}
	w.beliefs.learned("deprecated "+version, message)
	return nil
}

func (w *crashWriter) setTag(version string) error {
	w.beliefs.trying("tag", version)
	if _, err := w.send(http.MethodPut, "/-/package"+escaped(w.name)+"/dist-tags/"+w.tag(), fmt.Sprintf("%q", version)); err != nil {
		return err
	}
	w.beliefs.learned("tag", version)
	return nil
}

// unpublish takes a version away in npm's five steps, of which it repeats those
// that another writer was faster than.
func (w *crashWriter) unpublish(version string) error {
	for {
		doc, err := w.send(http.MethodGet, escaped(w.name)+"?write=true", "")
		if err != nil {
			return err
		}
		if !gjson.ParseBytes(doc.body).Get("versions").Map()[version].Exists() {
			break // a try before was successful
		}
		body, err := withoutOne(doc.body, version)
		if err != nil {
			return err
		}
		w.beliefs.trying("version "+version, gone)
		answer, err := w.send(http.MethodPut, escaped(w.name)+"/-rev/"+gjson.GetBytes(doc.body, "_rev").String(), body, http.StatusConflict)
		if err != nil {
			return err
		}
		if answer.status != http.StatusConflict {
			break
		}
	}
	w.beliefs.learned("version "+version, gone)
	for {
		doc, err := w.send(http.MethodGet, escaped(w.name)+"?write=true", "")
		if err != nil {
			return err
		}
		path := release{name: w.name, version: version}.path() + "/-rev/" + gjson.GetBytes(doc.body, "_rev").String()
		answer, err := w.send(http.MethodDelete, path, "", http.StatusConflict, http.StatusNotFound)
		if err != nil {
			return err
		}
		if answer.status != http.StatusConflict {
			w.beliefs.learned("deprecated "+version, "")
			return nil
		}
	}
}

// withoutOne is a document without one version and the tags of it.
func withoutOne(doc []byte, version string) (string, error) {
	var o object
	gjson.ParseBytes(doc).ForEach(func(key, value gjson.Result) bool {
		if !slices.Contains([]string{"versions", "dist-tags"}, key.String()) {
			o = append(o, member{key.String(), value.Value()})
			return true
		}
		var inner object
		value.ForEach(func(k, v gjson.Result) bool {
			if k.String() != version && v.String() != version {
				inner = append(inner, member{k.String(), v.Value()})
			}
			return true
		})
		o = append(o, member{key.String(), inner})
		return true
	})
	text, err := o.MarshalJSON()
	return string(text), err
}

// comeAndGo publishes a package and takes it away as a whole.
func (w *crashWriter) comeAndGo(name string) error {
	fact := "package " + name
	if !w.beliefs.is(fact, gone) && !w.beliefs.is(fact, present) {
		r := lib(name, "1.0.0")
		w.beliefs.trying(fact, present)
		body, err := npmBody(w.pair.url(), r, w.pack(r)).MarshalJSON()
		if err != nil {
			return err
		}
		if _, err := w.send(http.MethodPut, escaped(name), string(body)); err != nil {
			return err
		}
		w.beliefs.learned(fact, present)
	}
	doc, err := w.send(http.MethodGet, escaped(name)+"?write=true", "", http.StatusNotFound)
	if err != nil || doc.status == http.StatusNotFound && w.beliefs.is(fact, gone) {
		return err
	}
	w.beliefs.trying(fact, gone)
	if _, err := w.send(http.MethodDelete, escaped(name)+"/-rev/"+gjson.GetBytes(doc.body, "_rev").String(), ""); err != nil {
		return err
	}
	w.beliefs.learned(fact, gone)
	return nil
}
