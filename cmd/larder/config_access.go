package main

import (
	"errors"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"larder/auth"
	"larder/npm"
)

const (
	minAuditSize = 1 * megabyte // below, the log would turn over within a minute of refused logins
	maxAuditKeep = 1000         // files
)

// checkPrivate looks at all that is about packages published here and about who
// may touch what.
func (l *loader) checkPrivate() {
	l.checkPatterns("hosted.reserved", l.Hosted.Reserved)
	l.checkPatterns("hosted.allow_shadow", l.Hosted.AllowShadow)
	if l.Hosted.MaxPublish <= 0 {
		l.bad("hosted.max_publish", "must be more than 0")
	}
	l.checkAccess()
	switch l.Auth.Registration {
	case "", "open", "closed":
	default:
		l.bad("auth.registration", `must be open, closed or "", not %q`, l.Auth.Registration)
	}
	l.checkBootstrap()
	if l.Audit.MaxSize < minAuditSize {
		l.bad("audit.max_size", "must be at least %s", Size(minAuditSize))
	}
	if l.Audit.Keep < 1 || l.Audit.Keep > maxAuditKeep {
		l.bad("audit.keep", "must be from 1 to %d", maxAuditKeep)
	}
}

func (l *loader) checkPatterns(path string, patterns []string) {
	for i, pattern := range patterns {
		if err := npm.CheckPattern(pattern); err != nil {
			l.bad(at(path, i), "%s", npm.Message(err))
		}
	}
}

// checkAccess has package auth judge groups and rules, and finds the place of
// each problem in the configuration.
func (l *loader) checkAccess() {
	rules, places := l.rules(), l.checkReach()
	var wrong auth.Problems
	if !errors.As(auth.CheckRules(rules, l.Auth.Groups), &wrong) {
		return
	}
	for _, p := range wrong {
		path := join("auth.groups", p.Group)
		if p.Rule >= 0 {
			path = places[p.Rule]
		}
		if p.Rule >= 0 && p.Field != "match" {
			entry, _, _ := strings.Cut(path, ".")
			path = entry + "." + p.Field
		}
		if p.Item >= 0 {
			path = at(path, p.Item)
		}
		l.bad(path, "%s", npm.Message(p.Err))
	}
}

// checkReach looks for entries and patterns that decide nothing. It returns
// the path of each pattern, in the order of rules.
func (l *loader) checkReach() (places []string) {
	first := make(map[string]string) // where a pattern stands first
	for i, entry := range l.Access {
		path := at("access", i) + ".match"
		if len(entry.Match) == 0 {
			l.bad(path, `must hold at least one pattern; "**" is every name`)
		}
		for j, pattern := range entry.Match {
			places = append(places, at(path, j))
			for _, before := range []string{"**", pattern} {
				if where, taken := first[before]; taken {
					l.bad(at(path, j), "is never reached: %s, above, matches %q", where, before)
				}
			}
			if _, taken := first[pattern]; !taken {
				first[pattern] = at(path, j)
			}
		}
	}
	return places
}

func (l *loader) checkBootstrap() {
	b := l.Bootstrap
	switch {
	case b == BootstrapConfig{}:
	case b.PasswordFile == "":
		l.bad("bootstrap.user", "needs bootstrap.password_file beside it")
	case b.User == "":
		l.bad("bootstrap.password_file", "needs bootstrap.user beside it")
	default:
		if err := auth.CheckUserName(b.User); err != nil {
			l.bad("bootstrap.user", "%s", npm.Message(err))
		}
	}
}

// rules translates access. An entry with several patterns is several rules in
// its place.
func (c *Config) rules() []auth.Rule {
	var rules []auth.Rule
	for _, entry := range c.Access {
		for _, pattern := range entry.Match {
			rules = append(rules, auth.Rule{Match: pattern, Read: entry.Read, Publish: entry.Publish, Unpublish: entry.Unpublish})
		}
	}
	return rules
}

// groups returns the groups in effect: the bootstrap user is one of admins.
func (c *Config) groups() map[string][]string {
	groups := maps.Clone(c.Auth.Groups)
	if user := c.Bootstrap.User; user != "" && !slices.Contains(groups[auth.Admins], user) {
		if groups == nil {
			groups = make(map[string][]string)
		}
		groups[auth.Admins] = append(slices.Clip(groups[auth.Admins]), user)
	}
	return groups
}

// registrationOpen reports whether strangers may make accounts. Where nobody
// said so, they may while nobody but this machine can be such a stranger.
func (c *Config) registrationOpen() bool {
	switch c.Auth.Registration {
	case "open":
		return true
	case "":
		return c.local()
	}
	return false
}

// local reports whether only this machine reaches the server, as far as the
// configuration can tell. Proxies that are trusted stand in front of others.
func (c *Config) local() bool {
	if len(c.TrustedProxies) > 0 {
		return false
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || !isLoopback(u.Hostname()) {
			return false
		}
	}
	return !slices.ContainsFunc(c.Listen, func(addr string) bool {
		host, _, err := net.SplitHostPort(addr)
		return err != nil || !isLoopback(host)
	})
}

// isLoopback reports whether a host is this machine whoever resolves it: RFC
// 6761, section 6.3, keeps localhost for that.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}
