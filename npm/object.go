package npm

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf8"
)

// maxMembers bounds what ParseObject takes apart: 64 MB of `"a":0,` would
// become ten times that in memory. No package has that many versions.
const maxMembers = 1 << 18

// Object is a JSON object as its members in their order, their values raw, so
// that what nobody asked about is written again byte for byte. A member is
// looked for from front to back: whoever asks for many of a big object makes
// a map of it first.
type Object []Member

// Member is one member of an Object. Value is valid JSON, as it was written.
type Member struct {
	Key   string
	Value []byte
}

// ParseObject splits a JSON object into its members. The values are slices of
// raw. Of a key that occurs twice the last value is kept, in the first one's
// place, as JavaScript does; what is not UTF-8 in a key becomes U+FFFD. Kind
// Invalid: raw is not JSON, is no object, has over 262,144 members or nests
// over a thousand levels deep.
func ParseObject(raw []byte) (Object, error) {
	if !ValidJSON(raw) {
		return nil, invalidf("npm.ParseObject", "the document is not valid JSON")
	}
	c := cursor{doc: raw}
	if !c.enter() {
		return nil, invalidf("npm.ParseObject", "the document is not a JSON object")
	}
	var o Object
	places := make(map[string]int)
	for c.next() {
		key := text(string(c.key))
		value := slices.Clip(c.value())
		if i, twice := places[key]; twice {
			o[i].Value = value
			continue
		}
		if len(o) == maxMembers {
			return nil, invalidf("npm.ParseObject", "an object of the document has more than %d members", maxMembers)
		}
		places[key] = len(o)
		o = append(o, Member{key, value})
	}
	return o, nil
}

// index returns the place of a member, -1 where there is none.
func (o Object) index(key string) int {
	return slices.IndexFunc(o, func(m Member) bool { return m.Key == key })
}

// Get returns the raw value of a member.
func (o Object) Get(key string) ([]byte, bool) {
	if i := o.index(key); i >= 0 {
		return o[i].Value, true
	}
	return nil, false
}

// String returns the text of a member that is a JSON string, and "" of any
// other.
func (o Object) String(key string) string {
	raw, _ := o.Get(key)
	return string(unquote(raw))
}

// Set gives a member a value, which must be valid JSON: in its place, or at
// the end where the object has no such member.
func (o *Object) Set(key string, value []byte) {
	if i := o.index(key); i >= 0 {
		(*o)[i].Value = value
		return
	}
	*o = append(*o, Member{key, value})
}

// SetString gives a member a JSON string as its value.
func (o *Object) SetString(key, value string) { o.Set(key, Quote(value)) }

// Delete removes a member, if there is one.
func (o *Object) Delete(key string) {
	if i := o.index(key); i >= 0 {
		*o = slices.Delete(*o, i, i+1)
	}
}

// AppendJSON appends the object, as JSON, to dst.
func (o Object) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	for i, m := range o {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, Quote(m.Key)...)
		dst = append(dst, ':')
		dst = append(dst, m.Value...)
	}
	return append(dst, '}')
}

// Quote returns s as a JSON string in which '<', '>' and '&' stay as they are.
// What is not UTF-8 becomes U+FFFD.
func Quote(s string) []byte {
	s = text(s)
	if needsNoEscape([]byte(s)) {
		return append(append(append(make([]byte, 0, len(s)+len(`""`)), '"'), s...), '"')
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // a string always has a JSON form
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// text returns s with U+FFFD for each byte that is not UTF-8.
func text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}
