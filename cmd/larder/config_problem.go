package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// origin is where a value was set.
type origin struct {
	by        originKind
	name      string // the file, the variable or the flag with its dashes
	line, col int    // in a file, from 1; 0: the file as a whole
}

type originKind uint8

// The order is that in which problems are printed.
const (
	byDefault originKind = iota
	byFile
	byVariable
	byFlag
)

func (o origin) String() string {
	switch {
	case o.by == byDefault:
		return "default"
	case o.line > 0:
		return fmt.Sprintf("%s:%d:%d", o.name, o.line, o.col)
	}
	return o.name
}

// origins tells where each value was set, by path. What is missing was not set.
type origins map[string]origin

// set notes that path and all below it were set at o, whatever was noted before.
func (os origins) set(path string, o origin) {
	for known := range os {
		if rest, below := strings.CutPrefix(known, path); below && (strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "[")) {
			delete(os, known)
		}
	}
	os[path] = o
}

// of returns where path was set: by itself, or together with what it is part of.
func (os origins) of(path string) origin {
	for {
		if o, ok := os[path]; ok {
			return o
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return origin{}
		}
		path = path[:cut]
	}
}

// setter returns what gave path its value. A file that mentions only what path
// is part of has left it at its default.
func (os origins) setter(path string) origin {
	if o := os.of(path); o.by != byFile {
		return o
	}
	return os[path]
}

// problem is one thing that is wrong with the configuration.
type problem struct {
	origin
	key  string // "" where the name of the origin says it all
	text string
}

func (p problem) String() string {
	parts := []string{p.key, p.text}
	if p.by != byDefault {
		parts[0] = p.origin.String()
	}
	if p.by == byFile && p.key != "" {
		parts = slices.Insert(parts, 1, p.key)
	}
	return strings.ReplaceAll(strings.Join(parts, ": "), "\n", " ")
}

// problems is everything that is wrong with a configuration, one a line.
type problems []problem

func (ps problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sort puts problems in the order in which a person meets their causes.
func (ps problems) sort() {
	slices.SortStableFunc(ps, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.by, b.by), cmp.Compare(a.line, b.line), cmp.Compare(a.col, b.col))
	})
}

// suggestion returns ` (did you mean "NAME"?)` for the name that is close to
// what was written, or "". Both begin with prefix, which says nothing about how
// close they are.
func suggestion(prefix, written string, names []string) string {
	written = strings.TrimPrefix(written, prefix)
	const longest = 64 // bytes; what is longer is no misspelling
	best, distance := "", min(len(written), longest)/3+1
	for _, name := range names {
		if len(written) > longest {
			break
		}
		name = strings.TrimPrefix(name, prefix)
		if d := editDistance(written, name); d < distance && d < len(name) {
			best, distance = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", prefix+best)
}

// editDistance counts the insertions, deletions and substitutions of bytes
// that turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substituted := diagonal
			if a[i] != b[j] {
				substituted++
			}
			diagonal = row[j+1]
			row[j+1] = min(substituted, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
