package npm

import (
	"bytes"

	"github.com/tidwall/gjson"
)

// maxDepth is how deep a document may nest. Nothing that npm reads comes near
// it, and it is what keeps gjson.ValidBytes safe: that one recurses, and forty
// megabytes of '[' would exhaust its stack, which no recover can catch.
const maxDepth = 1000

// ValidJSON reports whether doc is one JSON value that nests no deeper than a
// thousand levels. What comes from outside is checked with it and never with
// gjson.ValidBytes alone.
func ValidJSON(doc []byte) bool {
	c := cursor{doc: doc}
	c.space()
	c.value()
	return !c.failed && gjson.ValidBytes(doc)
}

// cursor reads one JSON document in place, from front to back, each byte once:
//
//	if c.enter() {
//		for c.next() {
//			use(c.key, c.value())
//		}
//	}
//
// A value that is an object can be entered in its turn instead of being taken
// by value; one of the two must happen before the next call of next.
//
// It exists because a packument is read at the speed of its bytes: gjson's
// walk scans a value once for each level above it and unescapes what nobody
// asked for. The cursor checks structure alone; gjson.ValidBytes does the rest. In
// what is not JSON it fails, but never panics and always ends.
type cursor struct {
	doc    []byte
	pos    int    // of the next byte to read; of a member's value after next
	key    []byte // of the current member, unescaped
	keyPos int    // of the current member's key, at its opening quote
	failed bool   // doc is not JSON, or nests too deep; pos is at the end
}

// enter steps into the object at c. Any other value is stepped over, and the
// result is false.
func (c *cursor) enter() bool {
	c.space()
	if c.peek() != '{' {
		c.value()
		return false
	}
	c.pos++
	return true
}

// next steps to the value of the next member and sets key. At the object's end
// it steps out of it and returns false.
func (c *cursor) next() bool {
	c.space()
	if c.peek() == ',' {
		c.pos++
		c.space()
	}
	switch c.peek() {
	case '}':
		c.pos++
		return false
	case '"':
		c.keyPos = c.pos
		c.key = unquote(c.value())
		c.space()
		if c.peek() == ':' {
			c.pos++
			c.space()
			return true
		}
	}
	c.fail()
	return false
}

// member steps over the object at c and returns the raw value of its member
// key: the last where it occurs twice, nil where it does not occur.
func (c *cursor) member(key string) []byte {
	if !c.enter() {
		return nil
	}
	var found []byte
	for c.next() {
		if v := c.value(); string(c.key) == key {
			found = v
		}
	}
	return found
}

// memberOf returns the raw value of a member of the raw object, nil where raw is
// no object.
func memberOf(raw []byte, key string) []byte {
	c := cursor{doc: raw}
	return c.member(key)
}

// value steps over the value at c and returns its bytes, quotes included.
func (c *cursor) value() []byte {
	start := c.pos
	switch c.peek() {
	case '"':
		c.pos = stringEnd(c.doc, c.pos)
	case '{', '[':
		c.pos = nestedEnd(c.doc, c.pos)
	default:
		c.pos = scalarEnd(c.doc, c.pos)
	}
	if c.pos <= start {
		c.fail()
		return nil
	}
	return c.doc[start:c.pos]
}

func (c *cursor) space() {
	for c.pos < len(c.doc) && isSpace(c.doc[c.pos]) {
		c.pos++
	}
}

// peek returns the byte at c, and 0 at the end.
func (c *cursor) peek() byte {
	if c.pos < len(c.doc) {
		return c.doc[c.pos]
	}
	return 0
}

func (c *cursor) fail() {
	c.failed, c.pos = true, len(c.doc)
}

// The three functions that follow return the offset after the value at start,
// or 0 where there is no end.

func stringEnd(doc []byte, start int) int {
	for i := start + 1; i < len(doc); i++ {
		n := bytes.IndexByte(doc[i:], '"')
		if n < 0 {
			return 0
		}
		i += n
		slash := i - 1
		for doc[slash] == '\\' { // ends at the opening quote at the latest
			slash--
		}
		if (i-slash)%2 == 1 {
			return i + 1
		}
	}
	return 0
}

func nestedEnd(doc []byte, start int) int {
	depth := 0
	for i := start; i < len(doc); i++ {
		switch doc[i] {
		case '"':
			end := stringEnd(doc, i)
			if end == 0 {
				return 0
			}
			i = end - 1
		case '{', '[':
			if depth++; depth > maxDepth {
				return 0
			}
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

func scalarEnd(doc []byte, start int) int {
	i := start
	for i < len(doc) && doc[i] != ',' && doc[i] != '}' && doc[i] != ']' && !isSpace(doc[i]) {
		i++
	}
	return i
}

func isSpace(b byte) bool {
	return b == ' ' || b == '\n' || b == '\t' || b == '\r'
}

func isString(raw []byte) bool { return len(raw) > 0 && raw[0] == '"' }

func isObject(raw []byte) bool { return len(raw) > 0 && raw[0] == '{' }

// unquote returns the text of a raw JSON string, in place where nothing in it
// is escaped, and nil for any other value.
func unquote(raw []byte) []byte {
	switch {
	case !isString(raw):
		return nil
	case bytes.IndexByte(raw, '\\') < 0:
		return raw[1 : len(raw)-1]
	}
	return []byte(gjson.ParseBytes(raw).Str)
}

// needsNoEscape reports whether s can stand between quotes in JSON as it is.
func needsNoEscape(s []byte) bool {
	return !bytes.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' })
}
