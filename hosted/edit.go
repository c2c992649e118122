package hosted

import (
	"context"
	"encoding/json"
	"slices"

	"larder/npm"
)

const (
	// maxMaintainers bounds the owners of a package.
	maxMaintainers = 1000
	// maxPerson bounds a name or an address of one, in bytes.
	maxPerson = 256
)

// Deprecate takes "deprecated" of each version over from doc, which is the
// whole packument as the client last saw it; "" removes it. Whatever else doc
// has, lacks or changes is ignored, versions that are not ours included.
func (p *Packages) Deprecate(ctx context.Context, name string, doc npm.Object, by Actor) (Change, error) {
	return p.write("Deprecate", "deprecate", name, func() (Change, error) {
		manifests, err := versionsOf(doc)
		if err != nil {
			return Change{}, err
		}
		return p.updateLive(ctx, name, "", func(d *draft) error { return d.deprecate(manifests) })
	})
}

func (d *draft) deprecate(manifests map[string][]byte) error {
	var changed []string
	for i, old := range d.Versions {
		message, ok := deprecation(manifests[old.Version])
		if !ok || message == old.Deprecated {
			continue
		}
		v := *old
		v.Deprecated = message
		d.Versions[i] = &v
		changed = append(changed, v.Version)
	}
	switch len(changed) {
	case 0:
		return errUnchanged
	case 1:
		d.number = changed[0]
	}
	return nil
}

// deprecation returns the message in a manifest that a client sent, and false
// where that says nothing. Tools have written null and false for "".
func deprecation(manifest []byte) (message string, ok bool) {
	m, err := npm.ParseObject(manifest)
	if err != nil {
		return "", false
	}
	raw, ok := m.Get("deprecated")
	switch {
	case !ok:
		return "", false
	case string(raw) == "null" || string(raw) == "false":
		return "", true
	}
	return m.String("deprecated"), raw[0] == '"'
}

// SetOwners takes "maintainers" over from doc. Invalid where that is empty. With
// the revision "undefined" it only adds them: yarn 1 reads the short document,
// which has neither revision nor owners, and sends the one it adds (owner.js).
func (p *Packages) SetOwners(ctx context.Context, name, rev string, doc npm.Object, by Actor) (Change, error) {
	return p.write("SetOwners", "owners", name, func() (Change, error) {
		owners, err := ownersOf(doc)
		if err != nil {
			return Change{}, err
		}
		return p.updateLive(ctx, name, rev, func(d *draft) error {
			owners := owners // of this try
			if rev == "undefined" {
				owners = joined(d.Maintainers, owners)
			}
			if len(owners) > maxMaintainers {
				return invalid("a package has at most %d maintainers", maxMaintainers)
			}
			if slices.Equal(owners, d.Maintainers) {
				return errUnchanged
			}
			d.Maintainers = owners
			return nil
		})
	})
}

// joined are the people of both lists, each once by name.
func joined(people, more []Actor) []Actor {
	all := slices.Clone(people)
	for _, m := range more {
		if !slices.ContainsFunc(all, func(a Actor) bool { return a.Name == m.Name }) {
			all = append(all, m)
		}
	}
	return all
}

func ownersOf(doc npm.Object) ([]Actor, error) {
	var owners []Actor
	raw, _ := doc.Get("maintainers")
	if err := json.Unmarshal(raw, &owners); err != nil {
		return nil, invalid(`"maintainers" is not a list of people with a name and an email`)
	}
	var unique []Actor
	for _, o := range owners {
		if o.Name == "" || len(o.Name) > maxPerson || len(o.Email) > maxPerson {
			return nil, invalid("a maintainer must have a name, and neither that nor the email may be over %d bytes", maxPerson)
		}
		if !slices.ContainsFunc(unique, func(u Actor) bool { return u.Name == o.Name }) {
			unique = append(unique, o)
		}
		if len(unique) > maxMaintainers {
			return nil, invalid("a package has at most %d maintainers", maxMaintainers)
		}
	}
	if len(unique) == 0 {
		return nil, invalid("a package must have a maintainer")
	}
	return unique, nil
}

// SetStar sets or removes the star of one user.
func (p *Packages) SetStar(ctx context.Context, name, user string, starred bool) (Change, error) {
	return p.write("SetStar", "star", name, func() (Change, error) {
		if user == "" || len(user) > maxPerson {
			return Change{}, invalid("only a user can star a package")
		}
		return p.updateLive(ctx, name, "", func(d *draft) error {
			i, has := slices.BinarySearch(d.Stars, user)
			switch {
			case has == starred:
				return errUnchanged
			case starred:
				d.Stars = slices.Insert(d.Stars, i, user)
			default:
				d.Stars = slices.Delete(d.Stars, i, i+1)
			}
			return nil
		})
	})
}

// SetAccess sets access to "public" or "restricted".
func (p *Packages) SetAccess(ctx context.Context, name, access string, by Actor) (Change, error) {
	return p.write("SetAccess", "access", name, func() (Change, error) {
		if access != "public" && access != "restricted" {
			return Change{}, invalid(`access must be "public" or "restricted"`)
		}
		return p.updateLive(ctx, name, "", func(d *draft) error {
			if access == d.Access {
				return errUnchanged
			}
			d.Access = access
			return nil
		})
	})
}
