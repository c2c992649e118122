package main

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// field is one key of the configuration and its place in a Config.
type field struct {
	path    string // from the top: "cache.memory", "upstreams[0].urls"
	key     string // the last part of path
	doc     string
	example string
	value   reflect.Value // addressable
}

// shape is what a key's value looks like in a file.
type shape uint8

const (
	scalar  shape = iota
	list          // of scalars
	table         // of strings by name
	lists         // lists of strings by name
	section       // of further keys
	objects       // a list of sections
)

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

func shapeOf(t reflect.Type) shape {
	switch {
	case reflect.PointerTo(t).Implements(textUnmarshaler):
		return scalar
	case t.Kind() == reflect.Struct:
		return section
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Slice:
		return lists
	case t.Kind() == reflect.Map:
		return table
	case t.Kind() == reflect.Slice && shapeOf(t.Elem()) == section:
		return objects
	case t.Kind() == reflect.Slice:
		return list
	}
	return scalar
}

// fieldsOf returns the keys of a section, a struct, in its order. path is the
// section's own, "" at the top.
func fieldsOf(v reflect.Value, path string) []field {
	fields := make([]field, v.NumField())
	for i := range fields {
		tag := v.Type().Field(i).Tag
		f := field{key: tag.Get("key"), doc: tag.Get("doc"), example: tag.Get("example"), value: v.Field(i)}
		f.path = f.key
		if path != "" {
			f.path = path + "." + f.key
		}
		fields[i] = f
	}
	return fields
}

// settable calls fn for every key that an environment variable can set:
// scalars and lists of scalars outside tables and lists of objects.
func settable(v reflect.Value, path string, fn func(field)) {
	for _, f := range fieldsOf(v, path) {
		switch shapeOf(f.value.Type()) {
		case scalar, list:
			fn(f)
		case section:
			settable(f.value, f.path, fn)
		}
	}
}

// variable returns the name of the environment variable that sets a key.
func variable(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// setScalar gives v the value that text stands for. Errors complete a sentence
// that begins with the key.
func setScalar(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("must be true or false")
		}
		v.SetBool(b)
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return errors.New("must be a whole number")
		}
		v.SetInt(int64(n))
	default:
		return fmt.Errorf("cannot be set: no notation for %s", v.Type())
	}
	return nil
}

// setList gives a list of scalars its items.
func setList(v reflect.Value, items []string) error {
	made := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		if err := setScalar(made.Index(i), item); err != nil {
			return err
		}
	}
	v.Set(made)
	return nil
}

// scalarText is the inverse of setScalar.
func scalarText(v reflect.Value) string { return fmt.Sprint(v.Interface()) }
