package npm

import (
	"strings"
)

// ParsePin takes apart "left-pad@1.3.0" or "@scope/x@1.0.0": one version of one
// package. Its errors are of kind Invalid and say what is wrong.
func ParsePin(pin string) (name, version string, err error) {
	at := strings.LastIndexByte(pin, '@')
	if at <= 0 {
		return "", "", invalidf("npm.ParsePin", "%.100q names no version: write name@version, like left-pad@1.3.0", pin)
	}
	name, version = pin[:at], pin[at+1:]
	if err := CheckName(name); err != nil {
		return "", "", invalidf("npm.ParsePin", "%.100q: %s", pin, Message(err))
	}
	if _, err := ParseVersion(version); err != nil || strings.TrimLeft(version, "v= ") != version {
		return "", "", invalidf("npm.ParsePin", "%.100q: %.100q is no version: a pin names one, not a range or a tag", pin, version)
	}
	return name, version, nil
}
