package npm

// extent finds the end of one JSON value in text that comes in pieces. It
// looks at structure alone, as cursor does of a document that is all there.
type extent struct {
	depth   int  // of the object or array that the next byte is in
	quoted  bool // the next byte is in a string
	escaped bool // the next byte comes after a backslash
}

// scan returns how many bytes of p belong to the value, and whether it ends
// with them. A number or a word ends before the byte that cannot be its own.
func (e *extent) scan(p []byte) (n int, whole bool) {
	for i, b := range p {
		switch {
		case e.escaped:
			e.escaped = false
		case e.quoted:
			switch b {
			case '\\':
				e.escaped = true
			case '"':
				e.quoted = false
				if e.depth == 0 {
					return i + 1, true
				}
			}
		case b == '"':
			e.quoted = true
		case b == '{' || b == '[':
			e.depth++
		case b == '}' || b == ']':
			if e.depth == 0 {
				return i, true // it ends what the number or word is in
			}
			if e.depth--; e.depth == 0 {
				return i + 1, true
			}
		case e.depth == 0 && (b == ',' || isSpace(b)):
			return i, true
		}
	}
	return len(p), false
}
