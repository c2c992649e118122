package npm

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// MatchName reports whether a package name matches a pattern in Verdaccio's
// notation: '*' matches any run of characters but '/', '**' any run at all;
// '?' one character but '/'. "**" matches every name, "@acme/*" the packages
// of one scope, "*" the names without a scope.
func MatchName(pattern, name string) bool {
	// Where to go on after a mismatch: behind the last '*' and the last '**',
	// each having swallowed one character more. Earlier wildcards never need
	// another try: what an earlier '*' would take, a later one can take too,
	// and a '**' takes anything.
	type retry struct{ pattern, name int }
	star, deep := retry{-1, 0}, retry{-1, 0}
	p, n := 0, 0
	for n < len(name) || p < len(pattern) {
		switch {
		case strings.HasPrefix(pattern[p:], "**"):
			for p < len(pattern) && pattern[p] == '*' {
				p++
			}
			deep, star = retry{p, n}, retry{-1, 0}
		case p < len(pattern) && pattern[p] == '*':
			p++
			star = retry{p, n}
		case p < len(pattern) && n < len(name) && (pattern[p] == name[n] || pattern[p] == '?' && name[n] != '/'):
			p++
			n++
		case star.pattern >= 0 && star.name < len(name) && name[star.name] != '/':
			star.name++
			p, n = star.pattern, star.name
		case deep.pattern >= 0 && deep.name < len(name):
			deep.name++
			p, n = deep.pattern, deep.name
			star.pattern = -1
		default:
			return false
		}
	}
	return true
}

// CheckPattern reports a pattern that can match no name. Kind Invalid.
func CheckPattern(pattern string) error {
	if why := patternFault(pattern); why != "" {
		return invalidf("npm.CheckPattern", "pattern %.80q matches no package name: %s", pattern, why)
	}
	return nil
}

// patternFault returns why pattern can match no name, or "".
func patternFault(pattern string) string {
	scope, base, scoped := strings.Cut(pattern, "/")
	switch {
	case pattern == "":
		return "it is empty"
	case len(pattern) > maxName:
		return "it is too long"
	case !strings.ContainsAny(pattern, "*?"):
		return nameFault(pattern)
	case strings.Contains(base, "/"):
		return "a name has one '/' at most"
	case pattern[0] == '@' && !scoped && !strings.Contains(pattern, "**"):
		return "'*' and '?' stop at '/', so a scope's packages are \"@scope/*\""
	case scoped && pattern[0] != '@' && pattern[0] != '*' && pattern[0] != '?':
		return "a name with '/' starts with '@'"
	case scoped && (base == "" || len(scope) == 1 && scope != "*"):
		return "scope and name have at least one character"
	case strings.IndexByte("._-", pattern[0]) >= 0, scoped && base[0] == '.', strings.HasPrefix(pattern, "@."):
		return "no name starts so"
	}
	for i, r := range pattern {
		// An '@' is the first of a name, so only what may be empty precedes it.
		at := r == '@' && strings.Trim(pattern[:i], "*") == ""
		if !at && r != '?' && r != '/' && (r >= utf8.RuneSelf || !isURLSafeByte(byte(r))) {
			return "no name has " + strconv.QuoteRune(r) + " there"
		}
	}
	return ""
}
