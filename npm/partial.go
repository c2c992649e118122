package npm

import "strings"

// partial is the operand of a comparator: a version whose tail may be left
// out or wild. "1", "1.x" and "1.*.*" are the same partial.
type partial struct {
	v     Version // what is not known is zero
	known int     // how many leading components are numbers, 0 to 3
	gap   bool    // a number stands after a wildcard, as in "1.x.5"
}

// parsePartial parses "1.2.3-rc.1+build" or a beginning of it. Of "v" and "="
// in front, node-semver takes any run except before a complete version, where
// only tildes and carets are that lenient.
func parsePartial(s string, lenient bool) (p partial, ok bool) {
	bare := strings.TrimLeft(s, "v=")
	sigils := s[:len(s)-len(bare)]

	rest, given := bare, 0
	wild := false
	for _, n := range [...]*uint64{&p.v.Major, &p.v.Minor, &p.v.Patch} {
		if given > 0 {
			after, dot := strings.CutPrefix(rest, ".")
			if !dot {
				break
			}
			rest = after
		}
		given++
		if rest != "" && strings.IndexByte("xX*", rest[0]) >= 0 {
			wild = true
			rest = rest[1:]
			continue
		}
		var number uint64
		if number, rest, ok = cutComponent(rest); !ok {
			return partial{}, false
		}
		if wild {
			p.gap = true
			continue
		}
		*n = number
		p.known++
	}
	if given == 3 {
		if p.v.Pre, rest, ok = cutPre(rest); !ok {
			return partial{}, false
		}
	}
	if len(bare)-len(rest) > maxVersion {
		return partial{}, false
	}
	if _, rest, ok = cutBuild(rest); !ok || rest != "" {
		return partial{}, false
	}
	if p.known < 3 {
		p.v.Pre = nil // "1.2.x-rc" is "1.2.x"
	} else if !lenient && sigils != "" && sigils != "v" {
		return partial{}, false
	}
	return p, true
}

// next returns the version at which component i (0: major) of p is one
// higher; false where that is past what a component may be.
func (p partial) next(i int) (Version, bool) {
	v := p.v
	v.Pre = nil
	switch i {
	case 0:
		v.Major, v.Minor, v.Patch = v.Major+1, 0, 0
	case 1:
		v.Minor, v.Patch = v.Minor+1, 0
	default:
		v.Patch++
	}
	return v, max(v.Major, v.Minor, v.Patch) <= maxComponent
}

// lowest returns v's first pre-release, the upper end that keeps v's
// pre-releases out as well.
func lowest(v Version) Version {
	v.Pre = []string{"0"}
	return v
}

// nothing is what "<*" and ">*" mean.
func nothing() []comparator { return []comparator{{less, lowest(Version{})}} }

// until returns the comparators for "from p up to where component i changes".
func (p partial) until(i int) ([]comparator, bool) {
	end, ok := p.next(i)
	return []comparator{{greaterEqual, p.v}, {less, lowest(end)}}, ok
}

// caret keeps the first component that is not zero.
func (p partial) caret() ([]comparator, bool) {
	switch {
	case p.known == 0:
		return nil, true
	case p.known == 1 || p.v.Major > 0:
		return p.until(0)
	case p.known == 2 || p.v.Minor > 0:
		return p.until(1)
	default:
		return p.until(2)
	}
}

// tilde keeps major and minor, so far as they are known.
func (p partial) tilde() ([]comparator, bool) {
	if p.known == 0 {
		return nil, true
	}
	return p.until(min(p.known, 2) - 1)
}

// bound is p after one of the plain operators, or none. A partial stands for
// all the versions that begin with it: ">1.2" starts at 1.3.0.
func (p partial) bound(op string) ([]comparator, bool) {
	switch op {
	case ">=":
		return []comparator{{greaterEqual, p.v}}, true
	case "<":
		switch p.known {
		case 0:
			return nothing(), true
		case 3:
			return []comparator{{less, p.v}}, true
		}
		return []comparator{{less, lowest(p.v)}}, true
	case ">":
		switch p.known {
		case 0:
			return nothing(), true
		case 3:
			return []comparator{{greater, p.v}}, true
		}
		start, ok := p.next(p.known - 1)
		return []comparator{{greaterEqual, start}}, ok
	case "<=":
		switch p.known {
		case 0:
			return nil, true
		case 3:
			return []comparator{{lessEqual, p.v}}, true
		}
		end, ok := p.next(p.known - 1)
		return []comparator{{less, lowest(end)}}, ok
	default: // "=" or none
		switch p.known {
		case 0:
			return nil, true
		case 3:
			return []comparator{{equal, p.v}}, true
		}
		return p.until(p.known - 1)
	}
}
