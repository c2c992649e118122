package cache

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"
)

const (
	// sampleGroups is how many groups are looked at before some go, of
	// sampleOwners owners at most. One in victimPart goes: what goes is then of the
	// oldest eighth, about.
	sampleGroups = 24
	sampleOwners = 24
	victimPart   = 8
	// maxSampled is how many groups of one owner are looked at, at most.
	maxSampled = 64
	// poolSize is how many of the oldest groups seen so far are remembered.
	poolSize = 64
)

// sampler finds groups that have not been used for long, without an index: it
// looks at a few owners at random and remembers the oldest groups that it has seen,
// as Redis does with its keys. It is used by one goroutine.
type sampler struct {
	dir  *Dir
	rand *rand.Rand
	pool []candidate // the oldest first
}

// candidate is a group that may go. What became of it since is not known.
type candidate struct {
	owner, id string
	used      time.Time // zero: it is of no use at all
}

// sample looks at some owners and returns how many groups it saw that may go.
func (s *sampler) sample() (seen int, err error) {
	for n := 0; n < sampleOwners && seen < sampleGroups; n++ {
		owner, err := s.owner()
		if err != nil {
			return seen, err
		}
		if owner == "" {
			continue
		}
		groups, err := s.dir.look(owner)
		if err == nil {
			groups, err = s.dir.describe(s.some(groups))
		}
		if err != nil {
			return seen, err
		}
		for _, g := range groups {
			if !s.dir.kept(g) {
				s.add(g)
				seen++
			}
		}
	}
	return seen, nil
}

// owner returns an owner that is there, or "" where the way ends.
func (s *sampler) owner() (string, error) {
	path, name := s.dir.objects, ""
	for range len(ownerPath("0000")) {
		names, err := readNames(path)
		if err != nil || len(names) == 0 {
			return "", s.dir.count("walk", err)
		}
		name = names[s.rand.IntN(len(names))]
		path = filepath.Join(path, name)
	}
	if !validOwner(name) || s.dir.path(name, "") != path {
		return "", nil // it is not ours
	}
	return name, nil
}

// some returns all groups, or of very many a part that is left to chance, and the
// responses and documents, which must be known to know how old any of them is.
func (s *sampler) some(groups []*group) []*group {
	if len(groups) <= maxSampled {
		return groups
	}
	s.rand.Shuffle(len(groups), func(i, j int) { groups[i], groups[j] = groups[j], groups[i] })
	n := 0
	return slices.DeleteFunc(groups, func(g *group) bool {
		n++
		return n > maxSampled && !ofDocument(g)
	})
}

// ofDocument reports whether g is a response or a document made of one.
func ofDocument(g *group) bool {
	return slices.ContainsFunc(g.files, func(f groupFile) bool { return ofResponse(f.kind) || f.kind == "doc" })
}

// add remembers g if it is among the oldest.
func (s *sampler) add(g *group) {
	c := candidate{owner: g.owner, id: g.id, used: g.used}
	if g.orphan {
		c.used = time.Time{}
	}
	s.pool = slices.DeleteFunc(s.pool, func(o candidate) bool { return o.owner == c.owner && o.id == c.id })
	at, _ := slices.BinarySearchFunc(s.pool, c, func(a, b candidate) int { return a.used.Compare(b.used) })
	if at >= poolSize {
		return
	}
	s.pool = slices.Insert(s.pool, at, c)
	s.pool = s.pool[:min(len(s.pool), poolSize)]
}

// oldest takes the oldest group out of the pool, as it is now. It returns nil where
// none is left. One that was used meanwhile goes back.
func (s *sampler) oldest() (*group, error) {
	for range poolSize {
		if len(s.pool) == 0 {
			return nil, nil
		}
		c := s.pool[0]
		s.pool = slices.Delete(s.pool, 0, 1)
		groups, err := s.dir.look(c.owner)
		if err == nil {
			groups = slices.DeleteFunc(groups, func(g *group) bool { return g.id != c.id && !ofDocument(g) })
			groups, err = s.dir.describe(groups)
		}
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(groups, func(g *group) bool { return g.id == c.id })
		if i < 0 || s.dir.kept(groups[i]) {
			continue
		}
		if g := groups[i]; g.orphan || !g.used.After(c.used) {
			return g, nil
		}
		s.add(groups[i])
	}
	return nil, nil
}
