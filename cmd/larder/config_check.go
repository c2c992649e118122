package main

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"larder/npm"
	"larder/proxy"
)

// minCacheSize is the least bound on the cache, in bytes: below it not even one
// bigger package with its document would stay.
const minCacheSize = 10 * megabyte

const maxConcurrency = 10_000 // requests to one upstream at once; more is a slip of the finger

// minScrubRate is less than any disk is worth; below it a pass would never end.
const minScrubRate Size = 1000

// check looks at every value by itself and at those that must fit together. It
// reads no file: see readFiles.
func (l *loader) check() {
	l.checkListen()
	if l.PublicURL != "" {
		l.checkURL("public_url", l.PublicURL)
		if err := proxy.CheckPublicURL(l.PublicURL); err != nil {
			l.bad("public_url", "%v", err)
		}
	}
	if l.Data == "" {
		l.bad("data", "must name a directory")
	}
	for i, proxy := range l.TrustedProxies {
		if _, err := parsePrefix(proxy); err != nil {
			l.bad(at("trusted_proxies", i), "%v", err)
		}
	}
	l.checkUpstreams()
	l.checkPrivate()
	l.checkLimits()
	l.checkAdmin()
	l.checkTLS()
	if l.Cache.Memory <= 0 {
		l.bad("cache.memory", "must be more than 0")
	}
	if l.Cache.MaxSize > 0 && l.Cache.MaxSize < minCacheSize {
		l.bad("cache.max_size", "must be at least %v, or 0 for no bound", Size(minCacheSize))
	}
	if l.Cache.MaxAge < 0 {
		l.bad("cache.max_age", "must not be less than 0")
	}
	if l.Cache.FreshFor <= 0 {
		l.bad("cache.fresh_for", "must be more than 0")
	}
	if l.Cache.StaleWhileRevalidate <= 0 {
		l.bad("cache.stale_while_revalidate", "must be more than 0")
	}
	for i, pin := range l.Cache.Pins {
		if _, _, err := npm.ParsePin(pin); err != nil {
			l.bad(at("cache.pins", i), "%s", npm.Message(err))
		}
	}
	if l.Cache.ScrubRate > 0 && l.Cache.ScrubRate < minScrubRate {
		l.bad("cache.scrub_rate", "must be at least %s per second, or 0 for no scrub", minScrubRate)
	}
	l.checkOneOf("log.format", l.Log.Format, "text", "json")
	l.checkOneOf("log.level", l.Log.Level, "debug", "info", "warn", "error")
}

// at returns the path of an item of the list at path.
func at(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func (l *loader) checkListen() {
	if len(l.Listen) == 0 {
		l.bad("listen", "must name at least one address")
	}
	for i, addr := range l.Listen {
		if _, ok := l.checkAddress(at("listen", i), addr); ok && !strings.HasSuffix(addr, ":0") && slices.Contains(l.Listen[:i], addr) {
			l.bad(at("listen", i), "lists %s twice", addr)
		}
	}
}

// checkAddress looks at an address to listen on, and returns its host.
func (l *loader) checkAddress(path, addr string) (host string, ok bool) {
	host, port, err := net.SplitHostPort(addr)
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 0 || n > 65535 {
		l.bad(path, "must be host:port, like 127.0.0.1:4873 or [::1]:4873, not %q", addr)
		return "", false
	}
	return host, true
}

// checkURL accepts what a registry's base may be. Its messages repeat nothing
// of the URL, which may hold a password.
func (l *loader) checkURL(path, raw string) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		l.bad(path, "must be a URL like https://npm.example.com/")
	case u.User != nil && path == "public_url":
		l.bad(path, "must not hold credentials")
	case u.User != nil:
		l.bad(path, "must not hold credentials; use auth: {type: basic, user: …, password_env: …}")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(raw, "#"):
		l.bad(path, "must have neither a query nor a fragment")
	}
}

func (l *loader) checkOneOf(path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		l.bad(path, "must be %s or %s, not %q", strings.Join(allowed[:len(allowed)-1], ", "), allowed[len(allowed)-1], value)
	}
}

var upstreamName = regexp.MustCompile(`^[a-z0-9-]+$`)

func (l *loader) checkUpstreams() {
	catchAll := "" // the first upstream that matches every name
	for i, u := range l.Upstreams {
		path := at("upstreams", i)
		switch {
		case u.Name == "":
			l.bad(path+".name", "is missing")
		case !upstreamName.MatchString(u.Name):
			l.bad(path+".name", "must be of lower-case letters, digits and dashes")
		case slices.ContainsFunc(l.Upstreams[:i], func(before UpstreamConfig) bool { return before.Name == u.Name }):
			l.bad(path+".name", "is taken: %s is the name of two upstreams", u.Name)
		}
		if catchAll != "" {
			l.bad(path+".match", "is never reached: %s, above, matches every name", catchAll)
		}
		if slices.Contains(u.Match, "**") && catchAll == "" {
			catchAll = u.Name
		}
		l.checkUpstream(path, u)
	}
}

func (l *loader) checkUpstream(path string, u UpstreamConfig) {
	if len(u.Match) == 0 {
		l.bad(path+".match", `must hold at least one pattern; "**" is every name`)
	}
	for i, pattern := range u.Match {
		if err := npm.CheckPattern(pattern); err != nil {
			l.bad(at(path+".match", i), "%s", npm.Message(err))
		}
	}
	if len(u.URLs) == 0 {
		l.bad(path+".urls", "must hold at least one URL")
	}
	for i, raw := range u.URLs {
		l.checkURL(at(path+".urls", i), raw)
	}
	for name, value := range u.Headers {
		l.checkHeader(path+".headers."+name, name, value)
	}
	for i, host := range u.TarballHosts {
		if !isHost(host) {
			l.bad(at(path+".tarball_hosts", i), "must be a host or host:port, like files.example.com")
		}
	}
	if u.Concurrency < 1 || u.Concurrency > maxConcurrency {
		l.bad(path+".concurrency", "must be from 1 to %d", maxConcurrency)
	}
	l.checkAuth(path+".auth", u.Auth)
}

// ownHeaders are those that Larder sets itself.
var ownHeaders = map[string]string{
	"Accept": "", "Accept-Encoding": "", "Cache-Control": "", "Connection": "", "Content-Length": "", "Host": "",
	"If-Modified-Since": "", "If-None-Match": "", "If-Range": "", "Range": "", "Te": "", "Trailer": "",
	"Transfer-Encoding": "", "Upgrade": "", "Via": "",
	"Authorization": "; use auth", "Proxy-Authorization": "; put the proxy's credentials into HTTPS_PROXY",
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

func (l *loader) checkHeader(path, name, value string) {
	if hint, own := ownHeaders[http.CanonicalHeaderKey(name)]; own {
		l.bad(path, "is set by larder itself%s", hint)
		return
	}
	control := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
	if !headerName.MatchString(name) || strings.ContainsFunc(value, control) {
		l.bad(path, "is no header: a name is one word, a value one line")
	}
}

func (l *loader) checkAuth(path string, a AuthConfig) {
	forbid := func(key, value string) {
		if value != "" {
			l.bad(path+"."+key, "does not go with type %q", a.Type)
		}
	}
	oneOf := func(env, file, what string) {
		if (env == "") == (file == "") {
			l.bad(path, "type %s takes either %s_env or %s_file", a.Type, what, what)
		}
	}
	switch a.Type {
	case "bearer":
		oneOf(a.TokenEnv, a.TokenFile, "token")
		forbid("user", a.User)
		forbid("password_env", a.PasswordEnv)
		forbid("password_file", a.PasswordFile)
	case "basic":
		if a.User == "" || strings.Contains(a.User, ":") {
			l.bad(path+".user", "must be a user's name, without a colon")
		}
		oneOf(a.PasswordEnv, a.PasswordFile, "password")
		forbid("token_env", a.TokenEnv)
		forbid("token_file", a.TokenFile)
	case "":
		if a != (AuthConfig{}) {
			l.bad(path+".type", "is missing: bearer or basic")
		}
	default:
		l.bad(path+".type", "must be bearer or basic, not %q", a.Type)
	}
}

// isHost reports whether s is a host name or an address, with or without a port.
func isHost(s string) bool {
	u, err := url.Parse("http://" + s + "/")
	return err == nil && u.Host == s && u.Hostname() != "" && !strings.Contains(s, "*")
}

// parsePrefix reads a network, or an address as the network of one.
func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, errors.New("must be an address or a network, like 10.1.2.3 or 10.0.0.0/8")
	}
	return p.Masked(), nil
}
