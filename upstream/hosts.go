package upstream

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"larder/npm"
)

// Which hosts an upstream may send Larder to. The list is closed: the hosts of
// the configured URLs and those in tarball_hosts. Since all of these were
// written down by the administrator, who may well mean a private address,
// there is no address that would have to be refused after the name is
// resolved: an answer of the DNS can lead nowhere that the name may not.

// baseURL checks and normalises a configured URL.
func baseURL(u *url.URL) (*url.URL, error) {
	switch {
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, fmt.Errorf("%q is not an http or https URL", u.Redacted())
	case u.User != nil:
		return nil, fmt.Errorf("%q carries credentials: put them under auth", u.Redacted())
	}
	base := &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host)}
	return joinPath(base, strings.TrimRight(u.EscapedPath(), "/"), "")
}

// joinPath returns base with an escaped path appended to its own, and a query.
// Escapes stay as they are written: "@types%2fnode" is one segment.
func joinPath(base *url.URL, escaped, query string) (*url.URL, error) {
	u := *base
	u.RawPath = base.EscapedPath() + escaped
	path, err := url.PathUnescape(u.RawPath)
	if err != nil {
		return nil, fmt.Errorf("path of %s: %w", base.Host, err)
	}
	u.Path, u.RawQuery = path, query
	return &u, nil
}

// list adds an entry of TarballHosts.
func (m *remote) list(host string) error {
	u, err := url.Parse("//" + host)
	if err != nil || u.Hostname() == "" || u.Host != host || strings.ContainsAny(host, "*/@") {
		return fmt.Errorf("tarball host %q is not of the form host or host:port", host)
	}
	if u.Port() != "" {
		m.listed[authority(u)] = true
		return nil
	}
	for _, scheme := range []string{"http", "https"} {
		u.Scheme = scheme
		m.listed[authority(u)] = true
	}
	return nil
}

// authority returns host:port in lower case, the port always written out.
func authority(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = defaultPort(u.Scheme)
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

func defaultPort(scheme string) string {
	if scheme == "http" {
		return "80"
	}
	return "443"
}

// permitted reports whether a request may go to u at all.
func (m *remote) permitted(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && (m.own(u) || m.listed[authority(u)])
}

// own reports whether u is on a host of the configured URLs, and so may be
// shown the credentials: the same port, or https's in place of http's.
func (m *remote) own(u *url.URL) bool {
	for _, base := range m.bases {
		if u.Scheme == "http" && base.Scheme == "https" {
			continue
		}
		if authority(u) == authority(base) {
			return true
		}
		upgraded := base.Scheme == "http" && base.Port() == "" && u.Scheme == "https" && u.Port() == ""
		if upgraded && strings.EqualFold(u.Hostname(), base.Hostname()) {
			return true
		}
	}
	return false
}

// home rewrites a URL on the host name of a configured one to that one's
// scheme and port: documents of all ages say http:// where the registry has
// long been on https://.
func (m *remote) home(u *url.URL) *url.URL {
	for _, base := range m.bases {
		if !strings.EqualFold(u.Hostname(), base.Hostname()) {
			continue
		}
		if u.Port() != "" && u.Port() != base.Port() && u.Port() != defaultPort(u.Scheme) {
			continue
		}
		moved := *u
		moved.Scheme, moved.Host, moved.User = base.Scheme, base.Host, nil
		return &moved
	}
	return u
}

// foreign is the error for a URL that is not permitted.
func (m *remote) foreign(u *url.URL) *npm.Error {
	return &npm.Error{
		Kind: npm.BadUpstream,
		Op:   "upstream " + m.name,
		Msg: fmt.Sprintf("upstream %s points to the host %q, which is neither its own nor among its tarball_hosts: "+
			"add it there if it is to be trusted", m.name, u.Host),
		Code: "tarball-host",
	}
}
