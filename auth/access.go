package auth

import (
	"fmt"
	"slices"
	"strings"

	"larder/npm"
)

// Action is what somebody wants to do to a package.
type Action uint8

// The actions. Deprecating, tags and owners are Publish.
const (
	Read Action = iota
	Publish
	Unpublish
)

func (act Action) String() string { return [...]string{"read", "publish", "unpublish"}[act] }

// Rule is one entry of the access rules: who may do what to the packages that
// Match, a pattern of npm.MatchName, names. The first rule that matches
// decides; what no rule matches, only admins may touch. A principal is
// "anyone", "authenticated", a group or a user; where a group is called like a
// user it is the group.
type Rule struct {
	Match                    string
	Read, Publish, Unpublish []string
}

// DefaultRules are those of a server that nobody configured.
func DefaultRules() []Rule {
	return []Rule{{
		Match: "**", Read: []string{anyone}, Publish: []string{authenticated}, Unpublish: []string{authenticated},
	}}
}

// access are the rules, ready for use.
type access struct {
	rules  []compiledRule
	groups map[string][]string // the users of each group
}

type compiledRule struct {
	match string
	who   [3]principals // by Action
}

type principals struct {
	anyone, authenticated bool
	groups, users         []string
}

func newAccess(rules []Rule, groups map[string][]string) *access {
	if rules == nil {
		rules = DefaultRules()
	}
	a := &access{groups: groups}
	for _, r := range rules {
		a.rules = append(a.rules, compiledRule{
			match: r.Match,
			who:   [3]principals{Read: a.compile(r.Read), Publish: a.compile(r.Publish), Unpublish: a.compile(r.Unpublish)},
		})
	}
	return a
}

func (a *access) compile(names []string) (p principals) {
	for _, name := range names {
		switch {
		case name == anyone:
			p.anyone = true
		case name == authenticated:
			p.authenticated = true
		case a.isGroup(name):
			p.groups = append(p.groups, name)
		default:
			p.users = append(p.users, name)
		}
	}
	return p
}

// isGroup reports whether name is a group: a configured one, or admins.
func (a *access) isGroup(name string) bool {
	_, ok := a.groups[name]
	return ok || name == Admins
}

// who returns the principals that may do something to a package.
func (a *access) who(act Action, name string) principals {
	for i := range a.rules {
		if npm.MatchName(a.rules[i].match, name) {
			return a.rules[i].who[act]
		}
	}
	return principals{}
}

// mentions reports whether a group or a rule names user, whatever the case:
// nobody may pass for them either.
func (a *access) mentions(user string) bool {
	named := func(name string) bool { return strings.EqualFold(name, user) }
	for _, members := range a.groups {
		if slices.ContainsFunc(members, named) {
			return true
		}
	}
	return slices.ContainsFunc(a.rules, func(r compiledRule) bool {
		return slices.ContainsFunc(r.who[:], func(p principals) bool { return slices.ContainsFunc(p.users, named) })
	})
}

// in reports whether a caller is in a group. A service token is in those that
// it was made for, as far as they are still configured.
func (a *access) in(c Caller, group string) bool {
	if c.service() {
		return a.isGroup(group) && slices.Contains(c.Token.Groups, group)
	}
	return c.User != "" && slices.Contains(a.groups[group], c.User)
}

// grants reports whether p holds a caller who is not anonymous.
func (a *access) grants(p principals, c Caller) bool {
	return p.anyone || p.authenticated || a.in(c, Admins) ||
		c.User != "" && slices.Contains(p.users, c.User) ||
		slices.ContainsFunc(p.groups, func(group string) bool { return a.in(c, group) })
}

// Check returns nil if the caller may do that to the package called name, or
// says why not: Unauthorized where it is not known who is asking and that
// matters, else Forbidden or what kept the caller's credentials from counting.
// Whether there is such a package it does not know.
func (a *Auth) Check(c Caller, act Action, name string) error {
	err := a.check(c, act, name)
	if err == nil {
		return nil // not a nil *npm.Error
	}
	a.metrics.AccessDenied(act.String())
	return err
}

// May is Check as a plain question, which is not counted as one that was
// denied: for lists that show each reader what is theirs to see.
func (a *Auth) May(c Caller, act Action, name string) bool { return a.check(c, act, name) == nil }

func (a *Auth) check(c Caller, act Action, name string) *npm.Error {
	who := a.access.who(act, name)
	deny := func(format string, args ...any) *npm.Error {
		return &npm.Error{Kind: npm.Forbidden, Op: "auth.Check", Name: name, Msg: fmt.Sprintf(format, args...)}
	}
	switch {
	case who.anyone && (act == Read || c.Anonymous()):
		return nil
	case c.Anonymous():
		return loginNeeded(c, name, map[Action]string{
			Read:      "You must be logged in to read this package.",
			Publish:   "You must be logged in to publish packages.",
			Unpublish: "You must be logged in to unpublish packages.",
		}[act])
	case act != Read && c.Token != nil && c.Token.ReadOnly:
		return deny("This token may only read, not %s.", act)
	case c.Token != nil && !c.Token.covers(name):
		return deny("This token is not for %q: it was made for other packages.", name)
	case a.access.grants(who, c):
		return nil
	case act == Read:
		return deny("You do not have permission to read %q.", name)
	}
	// The wording of the public registry, which tools match.
	return deny("You do not have permission to %s %q. Are you logged in as the correct user?", act, name)
}

// loginNeeded is the error for an anonymous caller where that does not do: what
// is wrong with the credentials that came, or that none came.
func loginNeeded(c Caller, name, sentence string) *npm.Error {
	e := &npm.Error{Kind: npm.Unauthorized, Op: "auth.Check", Name: name, Msg: sentence}
	if c.Fault == nil {
		return e
	}
	e.Err = c.Fault
	switch e.Kind = npm.KindOf(c.Fault); e.Kind {
	case npm.Unauthorized:
		e.Msg += " " + npm.Message(c.Fault) // the sentence first: tools match it
	default:
		e.Msg = npm.Message(c.Fault)
	}
	e.RetryAfter = retryAfter(c.Fault)
	return e
}

// Admin reports whether the caller may do everything. It does not ask what
// their token is good for, except that one for certain packages makes nobody
// the administrator of the rest.
func (a *Auth) Admin(c Caller) bool {
	return !c.Anonymous() && (c.Token == nil || len(c.Token.Packages) == 0) && a.access.in(c, Admins)
}

// Public reports whether anyone may read a package.
func (a *Auth) Public(name string) bool { return a.access.who(Read, name).anyone }
