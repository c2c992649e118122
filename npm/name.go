package npm

import "strings"

// maxName is the longest package name in bytes: twice the 214 that the public
// registry has enforced since 2014, so that everything published before stays
// installable and nothing hostile is looked at for long.
const maxName = 428

// CheckName reports whether name may be asked of a registry: the rules of
// validate-npm-package-name for *old* packages, since those must stay
// installable (upper case, over 214 characters, core module names, the
// characters ~'!()*). The error's kind is Invalid.
func CheckName(name string) error {
	if why := nameFault(name); why != "" {
		return invalidf("npm.CheckName", "%.80q is not a package name: %s", name, why)
	}
	return nil
}

// nameFault returns the rule that name breaks, or "".
func nameFault(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > maxName:
		return "it is too long"
	case name[0] == '@':
		return scopedNameFault(name[1:])
	case name[0] == '.' || name[0] == '_' || name[0] == '-':
		return "it starts with '.', '_' or '-'"
	case strings.EqualFold(name, "node_modules"), strings.EqualFold(name, "favicon.ico"):
		return "it is reserved"
	case !isURLSafe(name):
		return "it has a character that a URL would escape"
	}
	return ""
}

// scopedNameFault checks "types/node", the part after the '@'. Inside a scope
// npm bars less: "@user/_x" and "@user/node_modules" are names. Only a scope
// that starts with '.' is refused here and not there: no user is called so,
// and "@.." has no business in a path.
func scopedNameFault(name string) string {
	scope, base, ok := strings.Cut(name, "/")
	switch {
	case !ok || scope == "" || base == "":
		return "it is not of the form @scope/name"
	case scope[0] == '.' || base[0] == '.':
		return "a part of it starts with '.'"
	case !isURLSafe(scope) || !isURLSafe(base):
		return "it has a character that a URL would escape"
	}
	return ""
}

// isURLSafe reports whether s is what JavaScript's encodeURIComponent leaves
// as it is, which is npm's own test of a name.
func isURLSafe(s string) bool {
	for i := range len(s) {
		if !isURLSafeByte(s[i]) {
			return false
		}
	}
	return true
}

func isURLSafeByte(c byte) bool {
	return isIdentByte(c) || strings.IndexByte("_.!~*'()", c) >= 0
}

// Scope returns "@types" for "@types/node" and "" for "lodash".
func Scope(name string) string {
	if scope, _, ok := strings.Cut(name, "/"); ok {
		return scope
	}
	return ""
}

// Basename returns "node" for "@types/node" and "lodash" for "lodash".
func Basename(name string) string {
	return name[strings.IndexByte(name, '/')+1:]
}

// EscapeName returns name as one path segment: "@types%2fnode" (lower-case f,
// as npm-package-arg's escapedName writes it).
func EscapeName(name string) string {
	return strings.Replace(name, "/", "%2f", 1)
}

// TarballFile returns the conventional file name of a version's tarball,
// "node-20.1.0.tgz" for ("@types/node", "20.1.0").
func TarballFile(name, version string) string {
	return Basename(name) + "-" + version + ".tgz"
}

// TarballPath returns the conventional path of a version's tarball below the
// registry's base, without a leading slash and with the scope's slash raw:
// "@types/node/-/node-20.1.0.tgz".
func TarballPath(name, version string) string {
	return name + "/-/" + TarballFile(name, version)
}

// VersionOfFile is the inverse of TarballFile: it returns the version in a
// conventional tarball file name of name, and false where file is not of the
// form BASENAME-VERSION.tgz or VERSION is not a version.
func VersionOfFile(name, file string) (version string, ok bool) {
	version, ok = strings.CutPrefix(file, Basename(name)+"-")
	if !ok {
		return "", false
	}
	version, ok = strings.CutSuffix(version, ".tgz")
	if !ok {
		return "", false
	}
	// The exact grammar: what ParseVersion tolerates around a version
	// ("v1.0.0") would give one tarball several names.
	if _, ok = parseExact(version); !ok {
		return "", false
	}
	return version, true
}
