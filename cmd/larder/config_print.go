package main

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/token"
)

// hidden stands in for values that may be secret.
const hidden = "hidden"

// printConfig writes the configuration in effect as YAML, each value with where it
// was set. Secrets are not in it: a Config holds their names, and the values of
// headers, which may be secret, are hidden.
func printConfig(w io.Writer, s *settings) error {
	var out bytes.Buffer
	p := printer{out: &out, origins: s.origins}
	p.section(reflect.ValueOf(&s.Config).Elem(), "", "")
	_, err := w.Write(out.Bytes())
	return err
}

type printer struct {
	out     *bytes.Buffer
	origins origins
	nested  bool // inside a list of objects
}

// section prints the keys of a section, each line after indent.
func (p printer) section(v reflect.Value, path, indent string) {
	for _, f := range fieldsOf(v, path) {
		switch shapeOf(f.value.Type()) {
		case section:
			if f.value.IsZero() && p.nested {
				continue // an upstream that wants no auth
			}
			fmt.Fprintf(p.out, "%s%s:\n", indent, f.key)
			p.section(f.value, f.path, indent+"  ")
		case objects:
			p.objects(f, indent)
		default:
			fmt.Fprintf(p.out, "%s%s: %s # %s\n", indent, f.key, yamlValue(f.value), p.origins.setter(f.path))
		}
	}
}

// objects prints a list of sections: the first line of each has a dash in its
// indent.
func (p printer) objects(f field, indent string) {
	if f.value.Len() == 0 {
		fmt.Fprintf(p.out, "%s%s: [] # %s\n", indent, f.key, p.origins.setter(f.path))
		return
	}
	fmt.Fprintf(p.out, "%s%s:\n", indent, f.key)
	p.nested = true
	for i := range f.value.Len() {
		inner := indent + "    "
		begin := p.out.Len()
		p.section(f.value.Index(i), at(f.path, i), inner)
		copy(p.out.Bytes()[begin:], indent+"  - ")
	}
}

// yamlValue returns a value in YAML's flow notation.
func yamlValue(v reflect.Value) string {
	switch shapeOf(v.Type()) {
	case list:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = yamlValue(v.Index(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case table, lists:
		items := make([]string, 0, v.Len())
		for _, name := range v.MapKeys() {
			value := hidden
			if shapeOf(v.Type()) == lists {
				value = yamlValue(v.MapIndex(name))
			}
			items = append(items, yamlString(name.String())+": "+value)
		}
		slices.Sort(items)
		return "{" + strings.Join(items, ", ") + "}"
	}
	text := scalarText(v)
	if v.Kind() == reflect.String {
		return yamlString(text)
	}
	return text
}

// yamlString quotes a string where YAML would take it for something else.
func yamlString(s string) string {
	if token.IsNeedQuoted(s) || strings.ContainsAny(s, ",[]{}?\"'\t\n\r") || strconv.Quote(s) != `"`+s+`"` {
		return strconv.Quote(s)
	}
	return s
}
