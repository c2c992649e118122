package hosted

import (
	"slices"
	"strings"
)

const (
	// maxText bounds the text of a search, in bytes.
	maxText = 1 << 10
	// maxTerms bounds its words and the values of its qualifiers: each costs a
	// look at every package.
	maxTerms = 32
)

// terms are what a search text asks for. A package must match all words and all
// qualifiers that are given, and of each qualifier one of its values.
type terms struct {
	words                                  []string
	authors, maintainers, scopes, keywords []string
	unstable, stable                       bool // is:unstable, not:unstable
}

// parseText reads a search text, in lower case:
//
//	left pad author:alice,bob keywords:"string, pad" scope:@acme not:unstable
//
// Qualifiers that ask for what is not known here (insecure, boost-exact) are
// passed over.
func parseText(text string) (terms, error) {
	var t terms
	if len(text) > maxText {
		return t, invalid("a search text has at most %d bytes", maxText)
	}
	count := 0
	for _, token := range splitText(strings.ToLower(text)) {
		key, value, qualified := strings.Cut(token, ":")
		value = strings.ReplaceAll(value, `"`, "")
		var values *[]string
		switch {
		case !qualified:
			t.words = append(t.words, strings.ReplaceAll(token, `"`, ""))
			count++
		case key == "author":
			values = &t.authors
		case key == "maintainer":
			values = &t.maintainers
		case key == "scope":
			values = &t.scopes
		case key == "keywords" || key == "keyword":
			values = &t.keywords
		case key == "is" && value == "unstable":
			t.unstable = true
		case key == "not" && value == "unstable":
			t.stable = true
		}
		if values != nil {
			*values = append(*values, splitValues(value)...)
			count += len(*values)
		}
		if count > maxTerms {
			return t, invalid("a search has at most %d terms", maxTerms)
		}
	}
	t.words = slices.DeleteFunc(t.words, func(w string) bool { return w == "" })
	for i, s := range t.scopes {
		t.scopes[i] = strings.TrimPrefix(s, "@")
	}
	return t, nil
}

// splitText splits at white space outside of quotes.
func splitText(text string) []string {
	quoted := false
	return strings.FieldsFunc(text, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return !quoted && (r == ' ' || r == '\t' || r == '\n' || r == '\r')
	})
}

func splitValues(list string) (values []string) {
	for v := range strings.SplitSeq(list, ",") {
		if v = strings.TrimSpace(v); v != "" {
			values = append(values, v)
		}
	}
	return values
}

// What a word is worth by where it is found in a package; of several the most.
const (
	wholeName   = 100
	wholeBase   = 90 // "lib" in "@acme/lib"
	nameBegin   = 60
	namePart    = 40
	wholeWord   = 25 // a keyword
	description = 10
	otherPart   = 5 // of a keyword or a person
)

// score returns how well e matches, at most wholeName, and whether it does.
func (t terms) score(e *entry) (score float64, ok bool) {
	if !t.allows(e) {
		return 0, false
	}
	if len(t.words) == 0 {
		return wholeName, true
	}
	sum := 0
	for _, w := range t.words {
		worth := e.worth(w)
		if worth == 0 {
			return 0, false
		}
		sum += worth
	}
	return float64(sum) / float64(len(t.words)), true
}

// allows reports whether e keeps the qualifiers.
func (t terms) allows(e *entry) bool {
	switch {
	case !e.live, t.unstable && !e.unstable, t.stable && e.unstable:
		return false
	}
	return anyOf(t.scopes, []string{e.scope}) && anyOf(t.keywords, e.keywords) &&
		anyOf(t.authors, e.authors) && anyOf(t.maintainers, e.maintainers)
}

// anyOf reports whether one of the wanted values is there, or nothing is wanted.
func anyOf(wanted, have []string) bool {
	return len(wanted) == 0 || slices.ContainsFunc(wanted, func(w string) bool { return slices.Contains(have, w) })
}

func (e *entry) worth(word string) int {
	contains := func(s string) bool { return strings.Contains(s, word) }
	switch {
	case e.lower == word:
		return wholeName
	case e.base == word:
		return wholeBase
	case strings.HasPrefix(e.lower, word), strings.HasPrefix(e.base, word):
		return nameBegin
	case contains(e.lower):
		return namePart
	case slices.Contains(e.keywords, word):
		return wholeWord
	case contains(e.description):
		return description
	case slices.ContainsFunc(e.keywords, contains),
		slices.ContainsFunc(e.authors, contains),
		slices.ContainsFunc(e.maintainers, contains):
		return otherPart
	}
	return 0
}
