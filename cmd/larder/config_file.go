package main

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// parseFile sets what a configuration file sets. It walks the parsed YAML along
// Config, so that every unknown key, wrong type and duplicate is found at once,
// each with its place.
func (l *loader) parseFile(name string, data []byte) {
	f := file{loader: l, name: name}
	// Duplicate keys are let through here and reported by section, together
	// with everything else.
	parsed, err := parseYAML(data)
	if err != nil {
		var syntax yaml.Error
		at, text := origin{by: byFile, name: name}, err.Error()
		if errors.As(err, &syntax) {
			at, text = f.at(syntax.GetToken()), syntax.GetMessage()
		}
		l.badAt(at, "", "%s", text)
		return
	}
	bodies := 0
	for _, doc := range parsed.Docs {
		if doc.Body == nil {
			continue
		}
		if bodies++; bodies > 1 {
			l.badAt(f.at(start(doc.Body)), "", "a second document; one file holds one configuration")
			return
		}
		f.section(doc.Body, l.top(), "")
	}
}

// parseYAML keeps a defect of the YAML library from ending the process: what
// it cannot parse is a problem like any other.
func parseYAML(data []byte) (parsed *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("is not YAML: %v", r)
		}
	}()
	return parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
}

// file is one configuration file on its way into a loader.
type file struct {
	*loader
	name string
}

// at returns the place of a token.
func (f *file) at(t *token.Token) origin {
	o := origin{by: byFile, name: f.name}
	if t != nil && t.Position != nil {
		o.line, o.col = t.Position.Line, t.Position.Column
	}
	return o
}

// start returns the token at which a person sees a node begin: for a block
// mapping that is its first key, not its first colon.
func start(n ast.Node) *token.Token {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 && !m.IsFlowStyle {
		return m.Values[0].Key.GetToken()
	}
	return n.GetToken()
}

// section reads the keys of one section into v, a struct.
func (f *file) section(n ast.Node, v reflect.Value, path string) {
	fields := fieldsOf(v, path)
	f.mapping(n, path, func(key, value ast.Node, name string) {
		for _, known := range fields {
			if known.key == name {
				f.value(f.at(key.GetToken()), value, known)
				return
			}
		}
		f.badAt(f.at(key.GetToken()), join(path, name), "unknown key%s", unknownKeyHint(name, fields))
	})
}

// mapping calls fn for each key of a mapping, once: a second use of a key is a
// problem.
func (f *file) mapping(n ast.Node, path string, fn func(key, value ast.Node, name string)) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		f.badAt(f.at(start(n)), path, "must be a mapping (key: value)%s", notPlain(n))
		return
	}
	lines := make(map[string]int)
	for _, kv := range m.Values {
		name := kv.Key.GetToken().Value
		at := f.at(kv.Key.GetToken())
		if first, again := lines[name]; again {
			f.badAt(at, join(path, name), "given twice, first in line %d", first)
			continue
		}
		lines[name] = at.line
		fn(kv.Key, kv.Value, name)
	}
}

// value reads one key's value. at is the place of the key.
func (f *file) value(at origin, n ast.Node, known field) {
	if n == nil || n.Type() == ast.NullType {
		f.badAt(at, known.path, "has no value; leave the key out to get its default")
		return
	}
	f.origins[known.path] = at
	switch shapeOf(known.value.Type()) {
	case scalar:
		f.scalar(n, known.value, known.path)
	case section:
		f.section(n, known.value, known.path)
	case list, objects:
		f.sequence(n, known)
	case table, lists:
		f.table(n, known)
	}
}

// table reads a table, whose names are the person's own.
func (f *file) table(n ast.Node, known field) {
	entries := reflect.MakeMap(known.value.Type())
	f.mapping(n, known.path, func(key, value ast.Node, name string) {
		entry := field{path: join(known.path, name), value: reflect.New(entries.Type().Elem()).Elem()}
		f.value(f.at(key.GetToken()), value, entry)
		entries.SetMapIndex(reflect.ValueOf(name), entry.value)
	})
	known.value.Set(entries)
}

// sequence reads a list. An item that cannot be read stays in its place, empty,
// so that the indices of the others are those that the person sees.
func (f *file) sequence(n ast.Node, known field) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		f.badAt(f.at(start(n)), known.path, "must be a list ([a, b])%s", notPlain(n))
		return
	}
	made := reflect.MakeSlice(known.value.Type(), len(seq.Values), len(seq.Values))
	for i, item := range seq.Values {
		path := fmt.Sprintf("%s[%d]", known.path, i)
		f.origins[path] = f.at(start(item))
		if shapeOf(made.Type()) == objects {
			if d, ok := made.Index(i).Addr().Interface().(interface{ setDefaults() }); ok {
				d.setDefaults()
			}
			f.section(item, made.Index(i), path)
		} else {
			f.scalar(item, made.Index(i), path)
		}
	}
	known.value.Set(made)
}

func (f *file) scalar(n ast.Node, v reflect.Value, path string) {
	text, ok := nodeText(n)
	if !ok {
		f.badAt(f.at(start(n)), path, "must be a single value%s", notPlain(n))
		return
	}
	if err := setScalar(v, text); err != nil {
		f.badAt(f.at(start(n)), path, "%v", err)
	}
}

// nodeText returns a scalar as it is written, so that "0123" and 1e3 stay what
// they are where a string is wanted.
func nodeText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// notPlain explains the refusal of YAML's rarer notations.
func notPlain(n ast.Node) string {
	switch n.Type() {
	case ast.AnchorType, ast.AliasType, ast.MergeKeyType, ast.TagType:
		return "; anchors, aliases and tags are not read"
	}
	return ""
}

func unknownKeyHint(name string, siblings []field) string {
	switch name {
	case "token", "password", "_authToken":
		return "; secrets are not written into this file: name a variable (token_env, password_env) or a file (token_file, password_file)"
	}
	keys := make([]string, len(siblings))
	for i, s := range siblings {
		keys[i] = s.key
	}
	return suggestion("", name, keys)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
