package main

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
)

const exampleHead = `# Configuration of larder: "larder serve --config FILE".
#
# Keys that are left out have the defaults shown here. A flag wins over an
# environment variable, a variable over this file. Check a change with
# "larder config check FILE"; see what is in effect with "larder config print".
`

// exampleConfig returns a commented configuration file: the defaults, and an
// example of what has none, switched off by a "#" right before the key.
func exampleConfig() []byte {
	cfg := defaults()
	var out bytes.Buffer
	out.WriteString(exampleHead)
	e := example{out: &out}
	e.section(reflect.ValueOf(&cfg).Elem(), "", "", "")
	return out.Bytes()
}

type example struct {
	out    *bytes.Buffer
	nested bool // inside a list of objects, whose keys no variable sets
}

// section writes the keys of a section. off is "#" where the whole section is
// switched off, else "".
func (e example) section(v reflect.Value, path, indent, off string) {
	for _, f := range fieldsOf(v, path) {
		if path == "" {
			e.out.WriteByte('\n')
		}
		e.comment(f, indent)
		off := off
		if f.value.IsZero() && shapeOf(f.value.Type()) != scalar || f.value.IsZero() && f.value.Kind() == reflect.String {
			off = "#"
		}
		switch shapeOf(f.value.Type()) {
		case section:
			fmt.Fprintf(e.out, "%s%s%s:\n", indent, off, f.key)
			e.section(f.value, f.path, indent+"  ", off)
		case objects:
			if f.value.Len() == 0 {
				e.noObjects(f, indent)
			} else {
				e.objects(f, indent)
			}
		default:
			fmt.Fprintf(e.out, "%s%s%s: %s\n", indent, off, f.key, exampleValue(f))
		}
	}
}

// objects writes a list's default entries with all their keys.
func (e example) objects(f field, indent string) {
	fmt.Fprintf(e.out, "%s%s:\n", indent, f.key)
	for i := range f.value.Len() {
		e.nested = true
		begin := e.out.Len()
		e.section(f.value.Index(i), at(f.path, i), indent+"    ", "")
		copy(e.out.Bytes()[begin:], indent+"  - ")
	}
}

// noObjects writes an entry of a list that has none by default, all of it
// switched off.
func (e example) noObjects(f field, indent string) {
	fmt.Fprintf(e.out, "%s#%s:\n", indent, f.key)
	entry := reflect.New(f.value.Type().Elem()).Elem()
	var out bytes.Buffer
	inner := indent + "    "
	example{out: &out, nested: true}.section(entry, at(f.path, 0), inner, "#")
	// The dash stands before the first key, behind the "#" that is to go.
	first := fieldsOf(entry, "")[0].key + ":"
	e.out.Write(bytes.Replace(out.Bytes(), []byte(inner+"#"+first), []byte(indent+"  #- "+first), 1))
}

// comment writes what is to be known about a key above it.
func (e example) comment(f field, indent string) {
	const width = 96
	doc := f.doc
	if s := shapeOf(f.value.Type()); (s == scalar || s == list) && !e.nested {
		doc += " " + variable(f.path)
	}
	line := indent + "#"
	for word := range strings.FieldsSeq(doc) {
		if len(line)+1+len(word) > width {
			fmt.Fprintln(e.out, line)
			line = indent + "#"
		}
		line += " " + word
	}
	fmt.Fprintln(e.out, line)
}

func exampleValue(f field) string {
	if f.value.IsZero() && f.example != "" {
		return f.example
	}
	return yamlValue(f.value)
}
