package npm

import "strings"

// maxTag is the longest dist-tag in bytes, as the longest new name.
const maxTag = 214

// CheckTag reports whether tag may be a dist-tag. A valid range is none, since
// "npm install lib@1" could never mean it (npm's own test, in
// lib/commands/dist-tag.js), and neither is what encodeURIComponent alters:
// npm-package-arg refuses to install it. "." and ".." cannot be asked for,
// because clients take them for steps in a path. Kind Invalid.
func CheckTag(tag string) error {
	why := ""
	switch _, err := ParseRange(tag); {
	case strings.TrimSpace(tag) == "":
		why = "it is empty"
	case len(tag) > maxTag:
		why = "it is longer than 214 bytes"
	case err == nil:
		why = "it is a version range"
	case tag == "." || tag == "..":
		why = "it is a step in a path"
	case !isURLSafe(tag):
		why = "it has a character that a URL would escape"
	}
	if why != "" {
		return invalidf("npm.CheckTag", "%.80q is not a dist-tag: %s", tag, why)
	}
	return nil
}
