package cache

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// orphanAge is how old a file must be that is of no use without another one, which
// is missing, until it goes: the other one may be on its way.
const orphanAge = time.Hour

// group is what is kept of one object: the files of one owner with the same hash
// in their names. It goes as a whole or not at all: a blob with its sidecar, a
// response's head with its bodies.
type group struct {
	owner  string
	id     string // the hash, or the whole name of a file that has none
	files  []groupFile
	used   time.Time // when it was last used
	orphan bool      // whether it is of no use
	note   bool      // whether it says something about what else its owner has
}

type groupFile struct {
	name, kind string
	size       int64
	rev        string
	used       time.Time
	written    time.Time
}

// usage returns what the group takes.
func (g *group) usage() (u usage) {
	for _, f := range g.files {
		u = u.plus(usageOf(f.size))
	}
	return u
}

// splitFile returns the kind of a file and what it shares with others of its group.
func splitFile(name string) (kind, id string) {
	kind, rest, _ := strings.Cut(name, "-")
	if len(rest) < keyHash || !validOwner(rest[:keyHash]) || len(rest) > keyHash && rest[keyHash] != '-' && rest[keyHash] != '.' {
		return "", name
	}
	return kind, rest[:keyHash]
}

// ofResponse reports whether a kind is of those that upstream's answers are made of.
func ofResponse(kind string) bool { return kind == "head" || kind == "body" }

// look lists what is kept under owner, by name alone.
func (d *Dir) look(owner string) ([]*group, error) {
	names, err := readNames(d.path(owner, ""))
	if err != nil {
		return nil, d.count("walk", err)
	}
	var groups []*group
	byID := make(map[string]*group, len(names))
	for _, name := range names {
		if !validFile(name) {
			continue
		}
		kind, id := splitFile(name)
		g := byID[id]
		if g == nil {
			g = &group{owner: owner, id: id}
			byID[id] = g
			groups = append(groups, g)
		}
		g.files = append(g.files, groupFile{name: name, kind: kind})
	}
	notes := slices.ContainsFunc(groups, func(g *group) bool { return g.files[0].kind != noteKind })
	for _, g := range groups {
		g.note = notes && g.files[0].kind == noteKind
	}
	return groups, nil
}

// describe looks at the files of groups, which are of one owner, and leaves out
// what is gone. The answers of upstream are as recent as the most recent thing that
// is theirs or made of them: while their package is in use they stay, because where
// upstream is away nobody has them again.
func (d *Dir) describe(groups []*group) ([]*group, error) {
	var latest time.Time // use of a response, or of a document made of one
	for _, g := range groups {
		if err := d.describeGroup(g); err != nil {
			return nil, err
		}
		for _, f := range g.files {
			if (ofResponse(f.kind) || f.kind == "doc") && f.used.After(latest) {
				latest = f.used
			}
		}
	}
	groups = slices.DeleteFunc(groups, func(g *group) bool { return len(g.files) == 0 })
	for _, g := range groups {
		if !g.orphan && ofResponse(g.files[0].kind) && latest.After(g.used) {
			g.used = latest
		}
	}
	return groups, nil
}

func (d *Dir) describeGroup(g *group) error {
	g.used = time.Time{}
	files := g.files[:0]
	for _, f := range g.files {
		fi, err := os.Lstat(d.path(g.owner, f.name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return d.count("walk", err)
		}
		if !fi.Mode().IsRegular() {
			continue
		}
		f.size, f.rev, f.used, f.written = fi.Size(), fileRev(fi), accessed(fi), fi.ModTime()
		files = append(files, f)
		if f.used.After(g.used) {
			g.used = f.used
		}
	}
	g.files = files
	g.orphan = g.useless(d.now())
	return nil
}

// useless reports whether nothing in the group can be served, and nothing will:
// bodies without a head, an unpacked document without the packed one, or a sidecar without its blob. (A blob without a sidecar may
// get one again.)
func (g *group) useless(now time.Time) bool {
	has := func(name string) bool {
		return slices.ContainsFunc(g.files, func(f groupFile) bool { return f.name == name })
	}
	for _, f := range g.files {
		alone := false
		switch f.kind {
		case blobKind:
			blob, ok := strings.CutSuffix(f.name, sidecarSuffix)
			alone = ok && !has(blob)
		case "body":
			alone = !has("head-" + g.id)
		case "plain":
			alone = !has("doc-" + g.id)
		}
		if !alone || now.Sub(f.written) < orphanAge {
			return false
		}
	}
	return true
}

// removeGroup deletes what describe saw of g, and nothing that has come since. First
// goes what makes the rest reachable: a blob before its sidecar, a head before
// its bodies. It returns what has gone.
func (d *Dir) removeGroup(ctx context.Context, g *group, reason string) (gone usage, err error) {
	if d.kept(g) {
		return usage{}, nil
	}
	slices.SortStableFunc(g.files, func(a, b groupFile) int { return cmp.Compare(a.rank(), b.rank()) })
	for _, f := range g.files {
		err = d.Delete(ctx, g.owner+"/"+f.name, IfRev(f.rev))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
			continue
		}
		if err != nil {
			break
		}
		gone = gone.plus(usageOf(f.size))
	}
	d.metrics.StoreEvicted(reason, gone.Files, gone.Bytes)
	return gone, err
}

// rank orders the files of a group for removal.
func (f groupFile) rank() int {
	if ofResponse(f.kind) && f.kind == "body" || strings.HasSuffix(f.name, sidecarSuffix) {
		return 1
	}
	return 0
}

// kept reports whether a group is to stay whatever its age. What is known of a
// package, such as what upstream took away of it, goes when nothing else is left
// of it.
func (d *Dir) kept(g *group) bool {
	return g.note || d.keep != nil && slices.ContainsFunc(g.files, func(f groupFile) bool { return d.keep(g.owner + "/" + f.name) })
}

// readNames returns the names in a directory, in no order. One that is missing
// is empty.
func readNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err == nil {
		defer f.Close() // it was only read
		var names []string
		names, err = f.Readdirnames(-1)
		if err == nil {
			return names, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) {
		return nil, nil
	}
	return nil, err
}
