package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"

	"larder/npm"
)

// bases finds out under which URL a client knows this server, because the
// tarball URLs in every packument begin with it, and who that client is.
type bases struct {
	public  string // the configured base, without a trailing slash; "" if none is
	prefix  string // its path, "" or "/npm"
	proxies []netip.Prefix

	mu    sync.Mutex // guards named
	named []string
}

// base is a URL under which clients reach this server, without a trailing
// slash and without a character that JSON would escape.
type base struct {
	url    string
	proven bool // configured, or the very address that the connection came in on
}

// maxNamedBases is how many host names clients may make up before documents
// rendered for further ones are volatile.
const maxNamedBases = 4

func newBases(publicURL string, proxies []netip.Prefix) (*bases, error) {
	b := &bases{proxies: proxies}
	if publicURL == "" {
		return b, nil
	}
	var err error
	if b.public, b.prefix, err = parsePublicURL(publicURL); err != nil {
		return nil, fmt.Errorf("proxy: the public URL %w", err)
	}
	return b, nil
}

// CheckPublicURL reports what keeps New from taking rawURL, which is not
// empty, as Config.PublicURL. The error completes a sentence that begins with
// the URL's name, and repeats nothing of it: it may hold a password.
func CheckPublicURL(rawURL string) error {
	_, _, err := parsePublicURL(rawURL)
	return err
}

func parsePublicURL(rawURL string) (public, prefix string, err error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", "", errors.New("must be a URL")
	}
	host, hostOK := canonicalHost(u.Host, u.Scheme)
	prefix = strings.TrimRight(u.EscapedPath(), "/")
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		err = errors.New("must begin with http:// or https://")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		err = errors.New("must have no more than scheme, host and path")
	case !hostOK:
		err = errors.New("must have a host of letters, digits, '-', '_' and '.' (an international name as xn--…), and a port up to 65535 if any")
	case !validPrefix(prefix):
		err = errors.New("must have a path of letters, digits, '-', '_', '.' and '~', in which no part is empty, a dot, two dots or a dash")
	}
	return u.Scheme + "://" + host + prefix, prefix, err
}

// of returns the base of a request: the configured one, else what its
// connection and its Host say, corrected by X-Forwarded-Proto, -Host and
// -Prefix of a trusted proxy. Of a header that is a list, the first element
// counts: it is the one nearest to the client.
func (b *bases) of(r *http.Request, trusted bool) (base, error) {
	if b.public != "" {
		return base{b.public, true}, nil
	}
	scheme, host, prefix := "http", r.Host, ""
	if r.TLS != nil {
		scheme = "https"
	}
	if trusted {
		if p := strings.ToLower(first(r.Header, "X-Forwarded-Proto")); p == "http" || p == "https" {
			scheme = p
		}
		if h := first(r.Header, "X-Forwarded-Host"); h != "" {
			host = h
		}
		prefix, _ = forwardedPrefix(r)
	}
	host, ok := canonicalHost(host, scheme)
	if !ok {
		return base{}, &npm.Error{Kind: npm.Invalid, Op: "proxy.base",
			Msg: "the Host header is not a host name or address with an optional port"}
	}
	return base{scheme + "://" + host + prefix, prefix == "" && isSocket(r, scheme, host)}, nil
}

// volatile reports whether documents rendered for a base must not be kept on
// disk. Whoever sends made-up Host headers would otherwise fill it, a copy of
// every document for each, so only bounded sets of bases are kept: the
// configured one; without one, the addresses that connections really came in
// on, which nobody can make up; and the first few other hosts ever asked for,
// which are the server's own names wherever nobody plays tricks. Where
// somebody does, the server goes on answering, more slowly under its names,
// and public_url is the cure.
func (b *bases) volatile(of base) bool {
	if of.proven {
		return false
	}
	of.url = strings.TrimSuffix(of.url, cachedPath) // no other name than without it
	b.mu.Lock()
	defer b.mu.Unlock()
	if slices.Contains(b.named, of.url) {
		return false
	}
	if len(b.named) < maxNamedBases {
		b.named = append(b.named, of.url)
		return false
	}
	return true
}

// isSocket reports whether host is the address that r's connection came in
// on, or localhost on a loopback connection.
func isSocket(r *http.Request, scheme, host string) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	addr, err := netip.ParseAddrPort(local.String())
	if err != nil {
		return false
	}
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	if own, _ := canonicalHost(addr.String(), scheme); own == host {
		return true
	}
	localhost, _ := canonicalHost(fmt.Sprintf("localhost:%d", addr.Port()), scheme)
	return addr.Addr().IsLoopback() && host == localhost
}

// strip returns r without the path prefix, for the router. It is false where
// the path is outside the prefix and neither "/" nor below "/-/": those answer
// there too, because npm loses the prefix on some calls (OIDC exchange,
// attestations) and load balancers ask for "/". A trusted proxy that has
// stripped the prefix already says so by X-Forwarded-Prefix.
func (b *bases) strip(r *http.Request, trusted bool) (*http.Request, bool) {
	if b.prefix == "" {
		return r, true
	}
	if _, stripped := forwardedPrefix(r); trusted && stripped {
		return r, true
	}
	inner, inside := cutPath(r, b.prefix)
	escaped := r.URL.EscapedPath()
	return inner, inside || escaped == "/" || strings.HasPrefix(escaped, "/-/")
}

// forwardedPrefix returns the path prefix that a proxy has stripped, "" for
// one that is malformed or empty.
func forwardedPrefix(r *http.Request) (prefix string, sent bool) {
	sent = r.Header.Get("X-Forwarded-Prefix") != ""
	prefix = strings.TrimRight(first(r.Header, "X-Forwarded-Prefix"), "/")
	if !validPrefix(prefix) {
		prefix = ""
	}
	return prefix, sent
}

// first returns the first element of a header that is a list.
func first(h http.Header, key string) string {
	element, _, _ := strings.Cut(h.Get(key), ",")
	return strings.TrimSpace(element)
}
