package npm

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a request path. The longest true one is a legacy scoped name in
// percent signs with its tarball's file.
const (
	maxPath     = 4096 // bytes, as escaped
	maxSegments = 16
)

// RouteKind names what a request path asks for.
type RouteKind uint8

// The kinds of route.
const (
	RouteUnknown      RouteKind = iota // below /-/ and not one of ours: an honest 404
	RouteRoot                          // /
	RouteFixed                         // a fixed /-/… path without a package name; Rest has it
	RoutePackument                     // /NAME
	RouteVersion                       // /NAME/1.2.3, /NAME/latest
	RouteTarball                       // /NAME/-/FILE.tgz
	RouteDistTags                      // /-/package/NAME/dist-tags
	RouteDistTag                       // /-/package/NAME/dist-tags/TAG
	RouteAttestations                  // /-/npm/v1/attestations/NAME@VERSION
	RouteRevision                      // /NAME/-rev/REV, /NAME/-/FILE/-rev/REV (writes)
	RouteAccess                        // /-/package/NAME/access, visibility, collaborators; Rest has the last word
	RouteOwners                        // /-/package/NAME/owners, and below it USER in Subject (pnpm 12)
	RouteUser                          // /-/user/org.couchdb.user:USER, and below it /-rev/REV
	RouteUserStars                     // /-/user/USER/stars (pnpm 12)
	RouteUserToken                     // /-/user/token/TOKEN (npm logout)
	RouteToken                         // /-/npm/v1/tokens/token/KEY
	RouteLoginDone                     // /-/v1/done/SECRET, which a web login polls
	RouteWeb                           // below /-/web/: pages for people; Rest has the path
)

// Route is a parsed request path. Name has its scope's slash raw and is valid
// for CheckName; Version is a version, a tag or a range, unescaped; File is one
// path segment, never "." or "..", without a slash, backslash or control
// character. Of Version, Rev and Rest no part between slashes is empty, "." or
// "..", but they may hold any other printable character: escape them before
// they become part of a URL.
type Route struct {
	Kind    RouteKind
	Name    string
	Version string // RouteVersion, RouteAttestations: version or tag; RouteDistTag: the tag
	File    string // RouteTarball, RouteRevision of a tarball
	Rev     string // RouteRevision, RouteUser
	Subject string // RouteUser, RouteUserStars, RouteOwners: the user; RouteUserToken, RouteToken, RouteLoginDone: a secret or its key
	Rest    string // RouteFixed, RouteUnknown, RouteWeb: the path as decoded, "/-/ping"
}

// ParseRoute is the only parser of request paths. It takes
// url.URL.EscapedPath(), because decoding before splitting would turn
// "/@types%2fnode" and "/@types/node" into different things for a router and
// "/a/%2e%2e/b" into a walk: the path is split at '/', each segment is
// unescaped exactly once, and "@scope", "name" are glued. All five spellings
// of a scoped name that clients send give the same Route.
//
// The error is of kind Invalid for what can never be a package (a bad name, a
// bad escape, a NUL, a dot segment, an over-long path) and NotFound for one
// that has too many segments or stops halfway ("/lodash/-"). One trailing
// slash is tolerated.
func ParseRoute(escapedPath string) (Route, error) {
	segs, err := splitPath(escapedPath)
	switch {
	case err != nil:
		return Route{}, err
	case len(segs) == 0:
		return Route{Kind: RouteRoot}, nil
	case segs[0] == "-":
		return parseDashPath(segs)
	}
	return parsePackagePath(segs)
}

// splitPath returns the unescaped segments of an escaped path; none for "/".
func splitPath(escaped string) ([]string, error) {
	if len(escaped) > maxPath {
		return nil, invalidf("npm.ParseRoute", "path is longer than %d bytes", maxPath)
	}
	if escaped == "" || escaped == "/" {
		return nil, nil
	}
	path, ok := strings.CutPrefix(escaped, "/")
	if !ok {
		return nil, invalidf("npm.ParseRoute", "the path does not start with a slash")
	}
	path = strings.TrimSuffix(path, "/")
	if strings.Count(path, "/") >= maxSegments {
		return nil, noSuchPath()
	}
	segs := strings.Split(path, "/")
	for i, seg := range segs {
		if segs[i], ok = unescapeSegment(seg); !ok {
			// Nothing of the path is repeated: npm logout puts its token there.
			return nil, invalidf("npm.ParseRoute", "the path has an empty or dot segment, a bad escape or a control character")
		}
	}
	return segs, nil
}

// unescapeSegment unescapes one segment, once. It may come to hold slashes (a
// scoped name, a tag), but no part between them can be empty or a step up.
func unescapeSegment(seg string) (string, bool) {
	seg, err := url.PathUnescape(seg)
	if err != nil || !utf8.ValidString(seg) || strings.IndexByte(seg, '\\') >= 0 || strings.ContainsFunc(seg, unicode.IsControl) {
		return "", false
	}
	return seg, !walks(seg)
}

// walks reports whether a part of s between slashes is empty or a dot segment.
func walks(s string) bool {
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || part == "." || part == ".." {
			return true
		}
	}
	return false
}

// takeName glues the package name together that segs, not empty, start with.
func takeName(segs []string) (name string, rest []string) {
	name, rest = segs[0], segs[1:]
	if name[0] == '@' && !strings.Contains(name, "/") && len(rest) > 0 {
		return name + "/" + rest[0], rest[1:]
	}
	return name, rest
}

// parsePackagePath parses the paths that start with a package name.
func parsePackagePath(segs []string) (Route, error) {
	name, rest := takeName(segs)
	if err := CheckName(name); err != nil {
		return Route{}, err
	}
	switch len(rest) {
	case 0:
		return Route{Kind: RoutePackument, Name: name}, nil
	case 1:
		if rest[0] != "-" && rest[0] != "-rev" {
			return Route{Kind: RouteVersion, Name: name, Version: rest[0]}, nil
		}
	case 2:
		switch rest[0] {
		case "-":
			return fileRoute(Route{Kind: RouteTarball, Name: name, File: rest[1]})
		case "-rev":
			return Route{Kind: RouteRevision, Name: name, Rev: rest[1]}, nil
		}
	case 4:
		if rest[0] == "-" && rest[2] == "-rev" {
			return fileRoute(Route{Kind: RouteRevision, Name: name, File: rest[1], Rev: rest[3]})
		}
	}
	return Route{}, noSuchPath()
}

// fileRoute refuses a File that an escaped slash makes more than a file.
func fileRoute(r Route) (Route, error) {
	if strings.Contains(r.File, "/") {
		return Route{}, invalidf("npm.ParseRoute", "%.80q is not a file name", r.File)
	}
	return r, nil
}

// parseDashPath parses the paths below /-/, where no package can be: a name
// does not start with '-'.
func parseDashPath(segs []string) (Route, error) {
	switch {
	case hasPrefix(segs, "-", "package") && len(segs) > 2:
		name, rest := takeName(segs[2:])
		r := Route{Kind: RouteDistTags, Name: name}
		if len(rest) == 2 {
			r.Kind, r.Version = RouteDistTag, rest[1]
		}
		if hasPrefix(rest, "dist-tags") && len(rest) <= 2 {
			return named(r)
		}
		if len(rest) == 1 && isAccess(rest[0]) {
			return named(Route{Kind: RouteAccess, Name: name, Rest: rest[0]})
		}
		if hasPrefix(rest, "owners") && len(rest) <= 2 {
			r := Route{Kind: RouteOwners, Name: name}
			if len(rest) == 2 {
				r.Subject = rest[1]
			}
			return named(r)
		}
	case hasPrefix(segs, "-", "npm", "v1", "attestations") && len(segs) > 4:
		spec, rest := takeName(segs[4:])
		if len(rest) == 0 {
			at := strings.LastIndexByte(spec, '@')
			if at <= 0 || walks(spec[at+1:]) {
				return Route{}, invalidf("npm.ParseRoute", "%.80q is not of the form NAME@VERSION", spec)
			}
			return named(Route{Kind: RouteAttestations, Name: spec[:at], Version: spec[at+1:]})
		}
	}
	if r, ok := parseAccountPath(segs); ok {
		return r, nil
	}
	r := Route{Kind: RouteUnknown, Rest: "/" + strings.Join(segs, "/")}
	escapedSlash := strings.Count(r.Rest, "/") != len(segs)
	if isFixed(r.Rest) && !escapedSlash {
		r.Kind = RouteFixed
	}
	return r, nil
}

// parseAccountPath parses the paths below /-/ that are about a user, a token
// or a page.
func parseAccountPath(segs []string) (Route, bool) {
	last := segs[len(segs)-1]
	switch {
	case hasPrefix(segs, "-", "user", "token") && len(segs) == 4:
		return Route{Kind: RouteUserToken, Subject: last}, true
	case hasPrefix(segs, "-", "user") && len(segs) == 4 && last == "stars":
		return Route{Kind: RouteUserStars, Subject: segs[2]}, true
	case hasPrefix(segs, "-", "user") && len(segs) > 2:
		user, ok := strings.CutPrefix(segs[2], couchUser)
		switch {
		case !ok:
		case len(segs) == 3:
			return Route{Kind: RouteUser, Subject: user}, true
		case len(segs) == 5 && segs[3] == "-rev":
			return Route{Kind: RouteUser, Subject: user, Rev: last}, true
		}
	case hasPrefix(segs, "-", "npm", "v1", "tokens", "token") && len(segs) == 6:
		return Route{Kind: RouteToken, Subject: last}, true
	case hasPrefix(segs, "-", "v1", "done") && len(segs) == 4:
		return Route{Kind: RouteLoginDone, Subject: last}, true
	case hasPrefix(segs, "-", "web"):
		return Route{Kind: RouteWeb, Rest: "/" + strings.Join(segs, "/")}, true
	}
	return Route{}, false
}

// couchUser begins the name of a user's document, as CouchDB called it.
const couchUser = "org.couchdb.user:"

// isAccess reports whether word is what npm access asks of a package.
func isAccess(word string) bool {
	return word == "access" || word == "visibility" || word == "collaborators"
}

// named returns r if its name is one.
func named(r Route) (Route, error) {
	if err := CheckName(r.Name); err != nil {
		return Route{}, err
	}
	return r, nil
}

// isFixed reports whether path is an endpoint without a package name: npm's
// own, then Larder's.
func isFixed(path string) bool {
	switch path {
	case "/-/ping",
		"/-/whoami",
		"/-/v1/login",
		"/-/v1/search",
		"/-/npm/v1/user",
		"/-/npm/v1/tokens",
		"/-/user/v1/star",
		"/-/_view/starredByUser",
		"/-/npm/v1/keys",
		"/-/npm/v1/security/advisories/bulk",
		"/-/npm/v1/security/audits",
		"/-/npm/v1/security/audits/quick",
		"/-/health/live",
		"/-/health/ready",
		"/-/metrics":
		return true
	}
	return false
}

func hasPrefix(segs []string, prefix ...string) bool {
	return len(segs) >= len(prefix) && slices.Equal(segs[:len(prefix)], prefix)
}

// noSuchPath has npm's own text for what it does not know.
func noSuchPath() error {
	return &Error{Kind: NotFound, Op: "npm.ParseRoute", Msg: "Not found"}
}
