package npm

import (
	"errors"
	"fmt"

	"github.com/tidwall/gjson"
)

// Summary is what Inspect finds at the top of a packument.
type Summary struct {
	Modified    string // time.modified, or lacking it "modified", as written; "" if neither
	Versions    int    // how many there are
	Unpublished string // time of unpublishing where the document is a stub without versions

	outline outline
}

// Inspect checks that doc is a packument of name and may be stored: it is
// valid JSON, an object, its "name" (or, lacking that, "_id") is name exactly,
// and "versions", where present and not null, is an object of objects. The
// error is of kind BadUpstream and says what is wrong. A document that passes
// is safe for every function of this package that takes one; they do not
// validate again. A document that nests a thousand levels deep does not pass.
func Inspect(doc []byte, name string) (Summary, error) {
	fault := func(err error) (Summary, error) {
		return Summary{}, &Error{Kind: BadUpstream, Op: "npm.Inspect", Name: name,
			Msg: "upstream sent no usable package document: " + err.Error()}
	}
	// The outline comes first: it is what bounds the depth for ValidBytes.
	o, err := outlineOf(doc)
	if err != nil {
		return fault(err)
	}
	if !gjson.ValidBytes(doc) {
		return fault(errNotJSON)
	}
	if o.name == nil {
		o.name = o.id
	}
	if got := unquote(o.name); string(got) != name {
		return fault(fmt.Errorf("it is of %.80q", got))
	}
	s := Summary{Modified: string(unquote(o.modified)), Versions: len(o.keys), outline: o}
	if s.Versions == 0 {
		s.Unpublished = unpublishedAt(o.unpublished, s.Modified)
	}
	return s, nil
}

// unpublishedAt returns the time in a stub's time.unpublished. That there is
// such a member matters more than what is in it, so modified stands in.
func unpublishedAt(unpublished []byte, modified string) string {
	if !isObject(unpublished) {
		return ""
	}
	if at := unquote(memberOf(unpublished, "time")); len(at) > 0 {
		return string(at)
	}
	return modified
}

var errNotJSON = errors.New("it is not valid JSON")

// outline is what must be known of a packument before its first byte can be
// written again: "dist-tags" mostly stands before the versions that it names.
// Of members that occur twice the last one counts, as in every client.
type outline struct {
	name, id    []byte // raw values; nil where lacking
	modified    []byte // a raw JSON string that is not empty; nil where there is none
	unpublished []byte // the raw value of time.unpublished; nil where lacking

	// Offsets of the members' values; 0 where lacking.
	distTags, versions, time int

	keys  [][]byte // the keys of "versions", unescaped, in the document's order
	dists []distAt // every "dist" in them, in the document's order

	versionsEnd int // offset after the value of "versions"
}

// distAt is where a version has its "dist": offsets of the version's key and of
// the value. It is smaller than what it leads to.
type distAt struct{ key, value int }

// visit moves c to the value and returns the version.
func (d distAt) visit(c *cursor) (version []byte) {
	c.pos = d.key
	version = unquote(c.value())
	c.pos = d.value
	return version
}

// outlineOf reads doc in one pass that stops at nothing inside a version but
// its "dist". Its errors are sentences that begin with "it".
func outlineOf(doc []byte) (outline, error) {
	var o outline
	var modified []byte // at the top, where abbreviated documents have it
	c := cursor{doc: doc}
	if !c.enter() {
		return o, errors.New("it is not a JSON object")
	}
	for c.next() {
		switch string(c.key) {
		case "name":
			o.name = c.value()
		case "_id":
			o.id = c.value()
		case "modified":
			modified = c.value()
		case "dist-tags":
			o.distTags = c.pos
			c.value()
		case "time":
			o.time = c.pos
			o.readTime(&c)
		case "versions":
			o.versions = c.pos
			if err := o.readVersions(&c); err != nil {
				return o, err
			}
			o.versionsEnd = c.pos
		default:
			c.value()
		}
	}
	if c.failed {
		return o, errNotJSON
	}
	if o.modified == nil && isString(modified) && len(modified) > len(`""`) {
		o.modified = modified
	}
	return o, nil
}

func (o *outline) readTime(c *cursor) {
	o.modified, o.unpublished = nil, nil
	if !c.enter() {
		return
	}
	for c.next() {
		v := c.value()
		switch string(c.key) {
		case "modified":
			if isString(v) && len(v) > len(`""`) {
				o.modified = v
			}
		case "unpublished":
			o.unpublished = v
		}
	}
}

func (o *outline) readVersions(c *cursor) error {
	o.keys, o.dists = nil, nil
	if b := c.peek(); b != '{' && b != 'n' {
		return errors.New(`its "versions" is not an object`)
	}
	if !c.enter() {
		return nil
	}
	for c.next() {
		key, keyPos := c.key, c.keyPos
		if c.peek() != '{' {
			return fmt.Errorf("its version %.80q is not an object", key)
		}
		for c.enter(); c.next(); c.value() {
			if string(c.key) == "dist" {
				o.dists = append(o.dists, distAt{keyPos, c.pos})
			}
		}
		o.keys = append(o.keys, key)
	}
	return nil
}
