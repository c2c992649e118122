package npm

import "strings"

// Form is one of the two documents that a registry keeps per package.
type Form uint8

// Full is everything; Abbreviated ("corgi") is what an installer needs.
const (
	Full Form = iota
	Abbreviated
)

// The media types of the two forms.
const (
	FullType        = "application/json"
	AbbreviatedType = "application/vnd.npm.install-v1+json"
)

func (f Form) String() string {
	if f == Abbreviated {
		return "abbreviated"
	}
	return "full"
}

// MediaType returns the Content-Type of the form.
func (f Form) MediaType() string {
	if f == Abbreviated {
		return AbbreviatedType
	}
	return FullType
}

// FormOf returns the form that an Accept header asks for: Abbreviated only
// where its media type is listed by name and at a higher quality than
// application/json has there. As RFC 9110 says, that is the quality of the
// most precise range that covers it: its own, else application/*, else */*.
// With no header, or anything else, it is Full: yarn 4 sends none and needs
// "time", and every client can read the full form.
func FormOf(accept string) Form {
	const unlisted = -1
	abbreviated, full, application, anything := unlisted, unlisted, unlisted, unlisted
	for accept != "" {
		var element string
		element, accept = cutUnquoted(accept, ',')
		mediaType, q, ok := parseMediaRange(element)
		switch {
		case !ok:
		case strings.EqualFold(mediaType, AbbreviatedType):
			abbreviated = max(abbreviated, q)
		case strings.EqualFold(mediaType, FullType):
			full = max(full, q)
		case strings.EqualFold(mediaType, "application/*"):
			application = max(application, q)
		case mediaType == "*/*":
			anything = max(anything, q)
		}
	}
	switch {
	case full != unlisted:
	case application != unlisted:
		full = application
	case anything != unlisted:
		full = anything
	default:
		full = 0
	}
	if abbreviated > full {
		return Abbreviated
	}
	return Full
}

// parseMediaRange splits an element of an Accept header into its media range
// and its quality in thousandths, which is 1000 where none is given. It is not
// ok where the quality is malformed: such an element counts as not sent.
func parseMediaRange(element string) (mediaType string, q int, ok bool) {
	mediaType, params := cutUnquoted(element, ';')
	q = 1000
	for params != "" {
		var param string
		param, params = cutUnquoted(params, ';')
		name, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(name, "q") {
			if q, ok = parseQuality(value); !ok {
				return "", 0, false
			}
		}
	}
	return mediaType, q, true
}

// parseQuality parses RFC 9110's qvalue, at most three decimals between 0 and
// 1, into thousandths.
func parseQuality(s string) (q int, ok bool) {
	whole, decimals, _ := strings.Cut(s, ".")
	if whole != "0" && whole != "1" || len(decimals) > 3 {
		return 0, false
	}
	q = int(whole[0] - '0')
	for i := range 3 {
		q *= 10
		if i < len(decimals) {
			if !isDigit(decimals[i]) {
				return 0, false
			}
			q += int(decimals[i] - '0')
		}
	}
	return q, q <= 1000
}

// cutUnquoted cuts s around the first sep outside of quoted strings, and the
// white space off what is before it.
func cutUnquoted(s string, sep byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted && s[i] == '\\':
			i++
		case !quoted && s[i] == sep:
			return strings.Trim(s[:i], " \t"), s[i+1:]
		}
	}
	return strings.Trim(s, " \t"), ""
}
