package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"larder/hosted"
	"larder/npm"
)

// warning is something that is allowed and probably not meant.
type warning struct {
	origin
	text string
}

func (w warning) String() string {
	if w.by == byDefault {
		return w.text
	}
	return w.origin.String() + ": " + w.text
}

// warnings returns what a configuration that holds may do against its owner's
// intention.
func (s *settings) warnings() []warning {
	var found []warning
	for i, rule := range s.Access {
		if slices.Contains(rule.Read, "anyone") {
			continue
		}
		for j, pattern := range rule.Match {
			if where, exposed := s.exposed(pattern); exposed {
				path := at(at("access", i)+".match", j)
				found = append(found, warning{s.origins.of(path), path + ": " + pattern + " is private but not reserved: " + confusion(pattern, where)})
			}
		}
	}
	if len(s.Access) > 0 && !slices.ContainsFunc(s.Access, func(r AccessConfig) bool { return slices.Contains(r.Match, "**") }) {
		found = append(found, warning{s.origins.of("access"), "access: names that no entry matches are for admins alone, " +
			`public packages too; end with an entry {match: ["**"], …}`})
	}
	if age := s.Cache.MaxAge; age > 0 && age < Duration(dayOff) {
		found = append(found, warning{s.origins.of("cache.max_age"), "cache.max_age: " + age.String() + " is short: " +
			"what was not installed for that long, over a weekend perhaps, cannot be installed while upstream is away"})
	}
	if host, _, _ := net.SplitHostPort(s.Admin.Listen); s.Admin.Listen != "" && !isLoopback(host) {
		found = append(found, warning{s.origins.of("admin.listen"), "admin.listen: " + s.Admin.Listen + " is no loopback address: " +
			"whoever reaches it can read profiles and metrics, and slow the server down by asking for them"})
	}
	return found
}

// dayOff is how long nobody may install anything because nobody works.
const dayOff = 4 * 24 * time.Hour

// hostedWarnings returns what is wrong with the scopes of packages that are
// published here already, if their directory can be read.
func (s *settings) hostedWarnings(ctx context.Context, info build) []warning {
	if _, err := os.Stat(filepath.Join(hostedPath(s.Data), formatFile)); err != nil {
		return nil // nothing here, or none of our business
	}
	packages, store, err := openHosted(s.Data, hosted.Config{}, info, true)
	if err != nil {
		return nil // serve will say it
	}
	defer store.Close() // it was only read
	defer packages.Close()
	names, err := packages.Names(ctx)
	if err != nil {
		return nil
	}
	var found []warning
	told := make(map[string]bool)
	for _, name := range names {
		scope, _, _ := strings.Cut(name, "/")
		where, exposed := s.exposed(scope + "/*")
		if exposed && !told[scope] && !matchesAny(s.Hosted.AllowShadow, name) {
			told[scope] = true
			found = append(found, warning{s.origins.of("hosted.reserved"), "hosted.reserved: " + name + " is published here, but its scope is not reserved: " +
				confusion(scope+"/*", where)})
		}
	}
	return found
}

// confusion says what may happen to names that are not reserved, and the cure.
func confusion(pattern, upstream string) string {
	return fmt.Sprintf("a name of it that is not published here is asked for at upstream %q, "+
		"where anybody could publish it and so get into your installs (dependency confusion); add %q to hosted.reserved",
		upstream, pattern)
}

// exposed reports whether some name that pattern, one of a single scope,
// matches could be asked for upstream, and at which one. A scope that an
// upstream matches by itself is that upstream's: somebody thought about it.
func (s *settings) exposed(pattern string) (upstream string, exposed bool) {
	scope, _, scoped := strings.Cut(pattern, "/")
	if !scoped || scope[0] != '@' || strings.ContainsAny(scope, "*?") {
		return "", false
	}
	if slices.ContainsFunc(s.Hosted.Reserved, func(r string) bool { return covers(r, pattern) }) {
		return "", false
	}
	for _, u := range s.Upstreams {
		for _, m := range u.Match {
			switch {
			case strings.HasPrefix(m, scope+"/") && covers(m, pattern):
				return "", false
			case covers(m, pattern):
				return u.Name, true
			}
		}
	}
	return "", false
}

// covers reports whether every name that inner matches is matched by outer,
// which it tries out with names that are as short and as odd as inner allows.
func covers(outer, inner string) bool {
	for _, filling := range []string{"", "x", "7-larder_probe.z"} {
		one := cmp.Or(filling, "q")[:1]
		name := strings.NewReplacer("**", filling, "*", filling, "?", one).Replace(inner)
		if strings.HasSuffix(name, "/") {
			name += one // a name has at least one character
		}
		if !npm.MatchName(outer, name) {
			return false
		}
	}
	return true
}
