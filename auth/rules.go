package auth

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"larder/npm"
)

// Problem is one thing that is wrong with access rules or groups, and where.
type Problem struct {
	Rule  int    // index of the rule; -1: it is a group's
	Group string // the group, if Rule is -1
	Field string // "match", "read", "publish" or "unpublish"; "" of a group
	Item  int    // index into Field, or into the group's users; -1: the whole of it
	Err   error  // kind Invalid
}

func (p Problem) Error() string {
	where := fmt.Sprintf("rule %d: %s", p.Rule+1, p.Field)
	if p.Rule < 0 {
		where = "group " + p.Group
	}
	return where + ": " + npm.Message(p.Err)
}

// Unwrap returns what is wrong, without the place.
func (p Problem) Unwrap() error { return p.Err }

// Problems is everything that CheckRules found, at least one thing.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns each of them.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

// CheckRules returns nil or Problems: patterns that match nothing, rules that
// an earlier one keeps from being reached, and names that nobody can have.
func CheckRules(rules []Rule, groups map[string][]string) error {
	ps := checkGroups(groups)
	access := newAccess(nil, groups)
	for i, r := range rules {
		if err := npm.CheckPattern(r.Match); err != nil {
			ps = append(ps, Problem{i, "", "match", -1, err})
		}
		reached := func(before Rule) bool { return before.Match == "**" || before.Match == r.Match }
		if j := slices.IndexFunc(rules[:i], reached); j >= 0 {
			ps = append(ps, Problem{i, "", "match", -1, invalid("is never reached: rule %d, before it, matches %q", j+1, rules[j].Match)})
		}
		for _, field := range []struct {
			name string
			who  []string
		}{{"read", r.Read}, {"publish", r.Publish}, {"unpublish", r.Unpublish}} {
			for item, name := range field.who {
				if err := access.checkPrincipal(name); err != nil {
					ps = append(ps, Problem{i, "", field.name, item, err})
				}
			}
		}
	}
	if len(ps) == 0 {
		return nil
	}
	return ps
}

func checkGroups(groups map[string][]string) (ps Problems) {
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		if group == anyone || group == authenticated {
			ps = append(ps, Problem{-1, group, "", -1, invalid("access rules use the word %q for something else", group)})
		} else if why := nameFault(group); why != "" {
			ps = append(ps, Problem{-1, group, "", -1, invalid("%.80q cannot be a group's name: %s", group, why)})
		}
		for i, user := range groups[group] {
			if err := checkMember(user); err != nil {
				ps = append(ps, Problem{-1, group, "", i, err})
			}
		}
	}
	return ps
}

// checkPrincipal returns an error if nobody can be called so.
func (a *access) checkPrincipal(name string) error {
	if name == anyone || name == authenticated || a.isGroup(name) {
		return nil
	}
	if word, ok := strings.CutPrefix(name, "$"); ok && slices.Contains([]string{"all", "anonymous", "authenticated"}, word) {
		return invalid("%q is Verdaccio's word: say anyone or authenticated", name)
	}
	return checkMember(name)
}

// checkMember returns an error if no account can be called name, not even one
// that an htpasswd file from elsewhere brought along.
func checkMember(name string) error {
	if name == anyone || name == authenticated {
		return invalid("%q is no user", name)
	}
	if _, _, _, ok := splitLine(name + ":"); !ok || strings.Contains(name, ":") {
		return invalid("%.80q is no user's name", name)
	}
	return nil
}

func invalid(format string, args ...any) *npm.Error {
	return &npm.Error{Kind: npm.Invalid, Op: "auth.CheckRules", Msg: fmt.Sprintf(format, args...)}
}
