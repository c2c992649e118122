package npm

import (
	"cmp"
	"slices"
	"strings"
)

const (
	maxVersion   = 256       // bytes, node-semver's MAX_LENGTH
	maxComponent = 1<<53 - 1 // node-semver's MAX_SAFE_INTEGER
)

// Version is a parsed semantic version in node-semver's strict grammar.
//
// It and Range are our own, because npm's resolution is whatever node-semver
// does, and Masterminds/semver does otherwise: there a pre-release satisfies
// any range that has one in some comparator ("^1.2.3-alpha" takes 1.5.0-beta),
// "" and "||" are errors, and "1.x.5", leading zeros, "!=" and "=>" are not.
type Version struct {
	Major, Minor, Patch uint64
	Pre                 []string // pre-release identifiers
	Build               []string // ignored when comparing
}

// ParseVersion parses a version as semver.valid does: white space around it
// and a leading "v" are tolerated, a leading "=" is not. Kind Invalid.
func ParseVersion(s string) (Version, error) {
	if len(s) <= maxVersion {
		if v, ok := parseExact(strings.TrimPrefix(strings.TrimSpace(s), "v")); ok {
			return v, nil
		}
	}
	return Version{}, invalidf("npm.ParseVersion", "%.80q is not a semantic version", s)
}

// parseExact parses MAJOR.MINOR.PATCH[-PRE][+BUILD] with nothing around it.
func parseExact(s string) (v Version, ok bool) {
	if len(s) > maxVersion {
		return Version{}, false
	}
	for i, n := range [...]*uint64{&v.Major, &v.Minor, &v.Patch} {
		if i > 0 {
			if s, ok = strings.CutPrefix(s, "."); !ok {
				return Version{}, false
			}
		}
		if *n, s, ok = cutComponent(s); !ok {
			return Version{}, false
		}
	}
	if v.Pre, s, ok = cutPre(s); !ok {
		return Version{}, false
	}
	if v.Build, s, ok = cutBuild(s); !ok {
		return Version{}, false
	}
	return v, s == ""
}

// cutComponent cuts a decimal number without leading zeros off s.
func cutComponent(s string) (n uint64, rest string, ok bool) {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		n = n*10 + uint64(s[i]-'0')
		if i++; n > maxComponent {
			return 0, s, false
		}
	}
	return n, s[i:], i == 1 || i > 1 && s[0] != '0'
}

// cutPre cuts an optional "-alpha.1" off s. A numeric identifier has no
// leading zeros.
func cutPre(s string) (ids []string, rest string, ok bool) {
	s, ok = strings.CutPrefix(s, "-")
	if !ok {
		return nil, s, true
	}
	ids, rest, ok = cutIdents(s)
	if ok && slices.ContainsFunc(ids, func(id string) bool { return id[0] == '0' && len(id) > 1 && isNumeric(id) }) {
		return nil, s, false
	}
	return ids, rest, ok
}

// cutBuild cuts an optional "+build.5" off s.
func cutBuild(s string) (ids []string, rest string, ok bool) {
	s, ok = strings.CutPrefix(s, "+")
	if !ok {
		return nil, s, true
	}
	return cutIdents(s)
}

// cutIdents cuts identifiers separated by dots off s, none of them empty.
func cutIdents(s string) (ids []string, rest string, ok bool) {
	i := 0
	for i < len(s) && (s[i] == '.' || isIdentByte(s[i])) {
		i++
	}
	ids = strings.Split(s[:i], ".")
	return ids, s[i:], !slices.Contains(ids, "")
}

// Compare orders as node-semver's compare: -1, 0 or 1; build is ignored.
func (v Version) Compare(o Version) int {
	if c := cmp.Or(cmp.Compare(v.Major, o.Major), cmp.Compare(v.Minor, o.Minor), cmp.Compare(v.Patch, o.Patch)); c != 0 {
		return c
	}
	if len(v.Pre) == 0 || len(o.Pre) == 0 {
		// 1.0.0-rc.1 comes before 1.0.0: having none is more.
		return cmp.Compare(len(o.Pre), len(v.Pre))
	}
	return slices.CompareFunc(v.Pre, o.Pre, compareIdents)
}

// compareIdents orders pre-release identifiers: numbers by value and before
// words, words by their bytes.
func compareIdents(a, b string) int {
	switch an, bn := isNumeric(a), isNumeric(b); {
	case an && bn: // of any length, so by digits and not by a machine's integer
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	case an:
		return -1
	case bn:
		return 1
	}
	return cmp.Compare(a, b)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isIdentByte(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-'
}

func isNumeric(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}
