package npm

import (
	"slices"
	"strings"
)

// maxRange bounds a range, in bytes. It holds hundreds of alternatives.
const maxRange = 4096

// Range is a parsed range: "^1.2.3 || >=2.0.0-beta <3". The zero Range
// contains nothing.
type Range struct {
	alternatives [][]comparator // an empty alternative is "*"
}

// comparator is one bound. Every other notation is sugar for one or two.
type comparator struct {
	op operator
	v  Version
}

type operator uint8

const (
	equal operator = iota
	less
	lessEqual
	greater
	greaterEqual
)

// ParseRange parses a range as node-semver's Range does in strict mode:
// hyphens, carets, tildes, x-ranges, comparators, "||". Kind Invalid. Of what
// node-semver accepts by accident ("*1.2.3" for 1.2.3) nothing is taken.
func ParseRange(s string) (Range, error) {
	if len(s) > maxRange {
		return Range{}, invalidf("npm.ParseRange", "range is longer than %d bytes", maxRange)
	}
	var r Range
	for alt := range strings.SplitSeq(s, "||") {
		cs, ok := parseAlternative(strings.Fields(alt))
		if !ok {
			return Range{}, invalidf("npm.ParseRange", "%.80q is not a version range", s)
		}
		// node-semver reads ">=0.0.0" as "*", which matters just below.
		cs = slices.DeleteFunc(cs, func(c comparator) bool {
			return c.op == greaterEqual && c.v.Compare(Version{}) == 0
		})
		r.alternatives = append(r.alternatives, cs)
	}
	// node-semver reduces "* || 1.0.0-rc" to "*", which has no pre-releases.
	if slices.ContainsFunc(r.alternatives, func(cs []comparator) bool { return len(cs) == 0 }) {
		r.alternatives = [][]comparator{nil}
	}
	return r, nil
}

// Contains reports whether v satisfies the range: as node-semver's satisfies,
// a pre-release only where a comparator names the same major.minor.patch with
// a pre-release of its own.
func (r Range) Contains(v Version) bool {
	return slices.ContainsFunc(r.alternatives, func(cs []comparator) bool {
		for _, c := range cs {
			if !c.holds(v) {
				return false
			}
		}
		return len(v.Pre) == 0 || slices.ContainsFunc(cs, func(c comparator) bool {
			return len(c.v.Pre) > 0 && c.v.Major == v.Major && c.v.Minor == v.Minor && c.v.Patch == v.Patch
		})
	})
}

func (c comparator) holds(v Version) bool {
	switch order := v.Compare(c.v); c.op {
	case less:
		return order < 0
	case lessEqual:
		return order <= 0
	case greater:
		return order > 0
	case greaterEqual:
		return order >= 0
	default:
		return order == 0
	}
}

// parseAlternative parses what stands between two "||": comparators that must
// all hold.
func parseAlternative(fields []string) (cs []comparator, ok bool) {
	if len(fields) == 3 && fields[1] == "-" {
		return parseHyphen(fields[0], fields[2])
	}
	for i := 0; i < len(fields); i++ {
		token := fields[i]
		// "> 1.2.3" and "~ > 1.2" are one comparator each.
		for i+1 < len(fields) && isOperator(token) {
			i++
			token += fields[i]
		}
		sugar, ok := parseComparator(token)
		if !ok {
			return nil, false
		}
		cs = append(cs, sugar...)
	}
	return cs, true
}

// parseHyphen parses "1.2 - 2.3", in which a partial upper end takes in all
// that it covers.
func parseHyphen(from, to string) ([]comparator, bool) {
	lo, ok := parsePartial(from, false)
	if !ok {
		return nil, false
	}
	hi, ok := parsePartial(to, false)
	if !ok {
		return nil, false
	}
	lower, _ := lo.bound(">=")
	upper, ok := hi.bound("<=")
	return append(lower, upper...), ok
}

// operators in the order in which a prefix is looked for.
var operators = [...]string{">=", "<=", "~>", ">", "<", "=", "~", "^"}

func isOperator(s string) bool { return slices.Contains(operators[:], s) }

func parseComparator(s string) ([]comparator, bool) {
	op := ""
	for _, o := range operators {
		if strings.HasPrefix(s, o) {
			op = o
			break
		}
	}
	s = s[len(op):]
	switch op {
	case "^":
		p, ok := parsePartial(s, true)
		if !ok {
			return nil, false
		}
		return p.caret()
	case "~", "~>":
		p, ok := parsePartial(s, true)
		if !ok {
			return nil, false
		}
		return p.tilde()
	default:
		p, ok := parsePartial(s, false)
		if !ok || p.gap {
			return nil, false
		}
		return p.bound(op)
	}
}
