package test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
)

// object is a JSON object whose members keep their order, as those that real
// clients send do. Its methods return changed copies.
type object []member

type member struct {
	key   string
	value any
}

// MarshalJSON makes object a json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i, m := range o {
		b.WriteByte("{,"[min(i, 1)])
		for j, v := range []any{m.key, m.value} {
			text, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			b.WriteString([]string{"", ":"}[j])
			b.Write(text)
		}
	}
	if len(o) == 0 {
		b.WriteByte('{')
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func (o object) index(key string) int {
	return slices.IndexFunc(o, func(m member) bool { return m.key == key })
}

// with returns o with a member in its old place, or at the end.
func (o object) with(key string, value any) object {
	if i := o.index(key); i >= 0 {
		o = slices.Clone(o)
		o[i].value = value
		return o
	}
	return append(slices.Clip(o), member{key, value})
}

// without returns o without a member.
func (o object) without(key string) object {
	return slices.DeleteFunc(slices.Clone(o), func(m member) bool { return m.key == key })
}

// at returns o with change made to the object that keys lead to, which may be
// missing so far.
func (o object) at(change func(object) object, keys ...string) object {
	if len(keys) == 0 {
		return change(o)
	}
	var inner object
	if i := o.index(keys[0]); i >= 0 {
		inner = o[i].value.(object)
	}
	return o.with(keys[0], inner.at(change, keys[1:]...))
}

// set returns o with a value where keys lead to.
func (o object) set(value any, keys ...string) object {
	last := len(keys) - 1
	return o.at(func(inner object) object { return inner.with(keys[last], value) }, keys[:last]...)
}

// mustJSON is a value as JSON.
func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sameJSON tells whether two texts are the same JSON, order aside.
func sameJSON(t *testing.T, got, want string) bool {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	return json.Unmarshal([]byte(got), &a) == nil && mustJSON(t, a) == mustJSON(t, b)
}
