package main

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"larder/upstream"
)

const (
	envPrefix    = "LARDER_"
	maxFileBytes = 64 << 10 // of a configuration file; the YAML parser is slow on hostile ones
)

// sources is where a configuration comes from. A flag wins over a variable, a
// variable over the file, the file over the default.
type sources struct {
	file    string   // "": none
	environ []string // as os.Environ returns it
	flags   []flagValue
	// withoutFiles leaves out what the configuration only names: a command on
	// the data directory need not hold the server's secrets.
	withoutFiles bool
}

// flagValue is a flag that was given on the command line.
type flagValue struct {
	name   string // with its dashes
	path   string // the key that it sets
	values []string
}

// settings is a configuration that holds: every value valid, every secret read.
type settings struct {
	Config
	origins origins
	auths   []upstream.Auth // of Upstreams, by index
	strays  []string        // LARDER_* variables that set nothing
}

// loader collects a configuration and everything that is wrong with it.
type loader struct {
	settings
	env      map[string]string
	problems problems
}

// load reads a configuration. Its error is a problems, which holds all that is
// wrong and not only the first.
func load(src sources) (*settings, error) {
	l := newLoader(src.environ)
	if src.file != "" {
		l.readFile(src.file)
	}
	l.readEnvironment()
	l.readFlags(src.flags)
	l.findStrays()
	l.check()
	if !src.withoutFiles {
		l.readFiles()
	}
	if len(l.problems) > 0 {
		l.problems.sort()
		return nil, l.problems
	}
	return &l.settings, nil
}

func newLoader(environ []string) *loader {
	l := &loader{env: make(map[string]string, len(environ))}
	l.Config = defaults()
	l.origins = make(origins)
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		l.env[name] = value
	}
	return l
}

// top returns the configuration as the section that holds all keys.
func (l *loader) top() reflect.Value { return reflect.ValueOf(&l.Config).Elem() }

// bad notes that the value at path is wrong, unless something was wrong with it
// before: what could not be read need not also be called missing.
func (l *loader) bad(path, format string, args ...any) {
	if slices.ContainsFunc(l.problems, func(p problem) bool { return p.key == path }) {
		return
	}
	l.badAt(l.origins.of(path), path, format, args...)
}

func (l *loader) badAt(o origin, path, format string, args ...any) {
	l.problems = append(l.problems, problem{origin: o, key: path, text: fmt.Sprintf(format, args...)})
}

func (l *loader) readFile(name string) {
	data, err := readBounded(name, maxFileBytes)
	if err != nil {
		l.badAt(origin{by: byFlag, name: "--config"}, "", "%v", err)
		return
	}
	l.parseFile(name, data)
}

// readEnvironment sets what LARDER_* variables set. An empty one counts as not
// set: that is what compose files make of a variable they were not given.
func (l *loader) readEnvironment() {
	settable(l.top(), "", func(f field) {
		name := variable(f.path)
		value := l.env[name]
		if value == "" {
			return
		}
		items := []string{value}
		if shapeOf(f.value.Type()) == list {
			items = splitList(value)
		}
		l.setAt(origin{by: byVariable, name: name}, f, items)
	})
}

// findStrays notes the LARDER_* variables that set nothing, each with the one
// that may have been meant. They are no problem: Kubernetes makes up variables
// of its own for a service called larder.
func (l *loader) findStrays() {
	var known []string
	settable(l.top(), "", func(f field) { known = append(known, variable(f.path)) })
	named := make(map[string]bool)
	for _, u := range l.Upstreams {
		named[u.Auth.TokenEnv] = true
		named[u.Auth.PasswordEnv] = true
	}
	for name := range l.env {
		if strings.HasPrefix(name, envPrefix) && !slices.Contains(known, name) && !named[name] {
			l.strays = append(l.strays, name+suggestion(envPrefix, name, known))
		}
	}
	slices.Sort(l.strays)
}

func (l *loader) readFlags(flags []flagValue) {
	byPath := make(map[string]field)
	settable(l.top(), "", func(f field) { byPath[f.path] = f })
	for _, given := range flags {
		o := origin{by: byFlag, name: given.name}
		if given.path == "upstreams" {
			l.Upstreams = []UpstreamConfig{onlyUpstream(given.values[0])}
			l.origins.set(given.path, o)
			continue
		}
		l.setAt(o, byPath[given.path], given.values)
	}
}

// setAt gives a scalar or a list of scalars its value.
func (l *loader) setAt(o origin, f field, items []string) {
	var err error
	if shapeOf(f.value.Type()) == list {
		err = setList(f.value, items)
	} else {
		err = setScalar(f.value, items[0])
	}
	if err != nil {
		l.badAt(o, f.path, "%v", err)
		return
	}
	l.origins.set(f.path, o)
}

func splitList(value string) []string {
	var items []string
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// readBounded reads a file that must not be longer than limit bytes.
func readBounded(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is longer than %s", name, Size(limit))
	}
	return data, nil
}
