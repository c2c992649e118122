package proxy

import (
	"net/netip"
	"strconv"
	"strings"
)

// maxHost is the length of a DNS name, in bytes.
const maxHost = 253

// The bytes of a host name, of a segment of a path prefix, and of a request
// id.
const (
	hostChars   = "abcdefghijklmnopqrstuvwxyz0123456789-_."
	idChars     = hostChars + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	prefixChars = idChars + "~"
)

// canonicalHost returns the host and port of a Host header in lower case,
// without the scheme's default port. The grammar is strict because the result
// becomes part of documents that others may get from a cache: letters, digits,
// '-', '_' and '.', or an IPv6 address in brackets, and a port. A trailing dot
// is dropped.
func canonicalHost(s, scheme string) (host string, ok bool) {
	s = strings.ToLower(s)
	port := ""
	if strings.HasPrefix(s, "[") {
		literal, rest, closed := strings.Cut(s[1:], "]")
		addr, err := netip.ParseAddr(literal)
		if !closed || err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", false
		}
		host = "[" + addr.String() + "]"
		if rest != "" {
			if rest[0] != ':' {
				return "", false
			}
			port = rest[1:]
		}
	} else {
		host, port, _ = strings.Cut(s, ":")
		if len(host) > maxHost || strings.HasPrefix(host, ".") || strings.Contains(host, "..") ||
			!consistsOf(host, hostChars) {
			return "", false
		}
		if host = strings.TrimSuffix(host, "."); host == "" {
			return "", false
		}
	}
	if port == "" {
		return host, !strings.HasSuffix(s, ":")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", false
	}
	if scheme == "http" && n == 80 || scheme == "https" && n == 443 {
		return host, true
	}
	return host + ":" + strconv.FormatUint(n, 10), true
}

// validPrefix reports whether p is "" or a path like "/npm" or "/a/b" that no
// client needs to escape, so that it looks the same however it is written.
func validPrefix(p string) bool {
	if p == "" {
		return true
	}
	if p[0] != '/' {
		return false
	}
	for segment := range strings.SplitSeq(p[1:], "/") {
		if segment == "" || segment == "." || segment == ".." || segment == "-" || !consistsOf(segment, prefixChars) {
			return false
		}
	}
	return true
}

// consistsOf reports whether s has no byte but those in chars, which is ASCII.
func consistsOf(s, chars string) bool { return strings.Trim(s, chars) == "" }
