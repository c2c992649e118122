package proxy

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"larder/npm"
)

// client returns the address of whoever sent r, and whether the peer of the
// connection is a trusted proxy. Behind trusted proxies the client is the
// right-most address in X-Forwarded-For that is not one of theirs: what
// stands left of it, the client itself may have written.
func (b *bases) client(r *http.Request) (addr netip.Addr, trusted bool) {
	addr = parseAddr(r.RemoteAddr)
	if !b.trusts(addr) {
		return addr, false
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		next := parseAddr(strings.TrimSpace(hop))
		if !next.IsValid() {
			break
		}
		addr = next
		if !b.trusts(addr) {
			break
		}
	}
	return addr, true
}

func (b *bases) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(b.proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// parseAddr parses an address with or without a port; the zero Addr means
// that it is neither.
func parseAddr(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// checkPage refuses a write that a web page sent, but to our own pages, which
// look for themselves. A page's scripts could use a password that the browser
// remembers, or begin a login from the address of whoever looks at the page, who
// would then take it for his own. Browsers say where a request comes from;
// package managers send neither header.
func checkPage(r *http.Request) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	fromBrowser := r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != ""
	if !fromBrowser || strings.HasPrefix(r.URL.EscapedPath(), "/-/web/") {
		return nil
	}
	return &npm.Error{Kind: npm.Forbidden, Op: "proxy.checkPage", Msg: "this is for package managers, not for web pages"}
}

// passedThrough reports whether the server named self is among those that
// Via headers name.
func passedThrough(via []string, self string) bool {
	for _, line := range via {
		for hop := range strings.SplitSeq(line, ",") {
			if f := strings.Fields(hop); len(f) >= 2 && f[1] == self {
				return true
			}
		}
	}
	return false
}
