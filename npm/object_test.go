package npm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func parsedObject(t *testing.T, text string) Object {
	t.Helper()
	o, err := ParseObject([]byte(text))
	if err != nil {
		t.Fatalf("%v: %.100s", err, text)
	}
	return o
}

func TestParseObject(t *testing.T) {
	tests := []struct {
		name, text string
		want       Object
	}{
		{"empty", ` { } `, nil},
		{"in order, as written", ` { "b" : 1.50 , "a":[ 1,2 ] , "c":{"x" : "\u0041<&>"} }`, Object{
			{"b", []byte("1.50")}, {"a", []byte("[ 1,2 ]")}, {"c", []byte(`{"x" : "\u0041<&>"}`)}}},
		{"escaped keys", `{"\u0061\n":1,"":2}`, Object{{"a\n", []byte("1")}, {"", []byte("2")}}},
		{"the last of a key in the first's place", `{"a":1,"b":2,"\u0061":3}`, Object{{"a", []byte("3")}, {"b", []byte("2")}}},
		{"a prototype is a key", `{"__proto__":{}}`, Object{{"__proto__", []byte("{}")}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, parsedObject(t, tt.text)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestParseObjectRefuses(t *testing.T) {
	var many strings.Builder
	for i := range maxMembers + 1 {
		fmt.Fprintf(&many, `,"%d":0`, i)
	}
	tests := []struct{ name, text string }{
		{"nothing", ""},
		{"an array", "[]"},
		{"a string", `"{}"`},
		{"null", "null"},
		{"two objects", "{}{}"},
		{"no end", `{"a":1`},
		{"a comma too many", `{"a":1,}`},
		{"a bad number", `{"a":01}`},
		{"a control character", "{\"a\":\"\n\"}"},
		{"too deep", `{"a":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + "}"},
		{"much too deep", strings.Repeat(`{"a":`, 1<<20)},
		{"too many members", "{" + many.String()[1:] + "}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if o, err := ParseObject([]byte(tt.text)); KindOf(err) != Invalid {
				t.Errorf("got %d members and %v, want kind %v", len(o), err, Invalid)
			}
		})
	}
}

func TestObjectChanges(t *testing.T) {
	const text = `{"first":"a\/b","n": 1e2,"o":{ "x" : [ ] },"last":"<&>\u2028"}`
	tests := []struct {
		name   string
		change func(o *Object)
		want   string
	}{
		{"none", func(*Object) {}, `{"first":"a\/b","n":1e2,"o":{ "x" : [ ] },"last":"<&>\u2028"}`},
		{"in its place", func(o *Object) { o.Set("n", []byte("2")) }, `{"first":"a\/b","n":2,"o":{ "x" : [ ] },"last":"<&>\u2028"}`},
		{"at the end", func(o *Object) { o.SetString("new", `"<&`) }, `{"first":"a\/b","n":1e2,"o":{ "x" : [ ] },"last":"<&>\u2028","new":"\"<&"}`},
		{"removed from the middle", func(o *Object) { o.Delete("o") }, `{"first":"a\/b","n":1e2,"last":"<&>\u2028"}`},
		{"removed at the ends", func(o *Object) { o.Delete("first"); o.Delete("last") }, `{"n":1e2,"o":{ "x" : [ ] }}`},
		{"nothing to remove", func(o *Object) { o.Delete("x") }, `{"first":"a\/b","n":1e2,"o":{ "x" : [ ] },"last":"<&>\u2028"}`},
		{"removed and set again", func(o *Object) { o.Delete("n"); o.Set("n", []byte("3")) }, `{"first":"a\/b","o":{ "x" : [ ] },"last":"<&>\u2028","n":3}`},
		{"all removed", func(o *Object) { *o = nil }, `{}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := parsedObject(t, text)
			tt.change(&o)
			if got := string(o.AppendJSON([]byte("before "))); got != "before "+tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestObjectGet(t *testing.T) {
	o := parsedObject(t, `{"s":"a\u0062\/","n":1,"null":null,"empty":""}`)
	for key, want := range map[string]string{"s": "ab/", "n": "", "null": "", "empty": "", "none": ""} {
		if got := o.String(key); got != want {
			t.Errorf("String(%s) = %q, want %q", key, got, want)
		}
	}
	for key, want := range map[string]bool{"s": true, "null": true, "none": false} {
		if _, got := o.Get(key); got != want {
			t.Errorf("Get(%s) = %v, want %v", key, got, want)
		}
	}
}

// Whoever appends to a value must not write into the member behind it.
func TestObjectValuesDoNotOverlap(t *testing.T) {
	o := parsedObject(t, `{"a":[1],"b":2}`)
	_ = append(o[0].Value, "XXXXXXXX"...)
	if got := string(o.AppendJSON(nil)); got != `{"a":[1],"b":2}` {
		t.Errorf("got %s", got)
	}
}

func TestQuote(t *testing.T) {
	for text, want := range map[string]string{
		"":           `""`,
		"plain":      `"plain"`,
		"<a> & 'b'":  `"<a> & 'b'"`,
		"schön":      `"schön"`,
		`a"b\c/`:     `"a\"b\\c/"`,
		"<\n\x00>":   `"<\n\u0000>"`,
		"a\xff<":     "\"a\ufffd<\"",
		"\xff\"":     "\"\ufffd\\\"\"",
		"\U0001F600": "\"\U0001F600\"",
	} {
		if got := string(Quote(text)); got != want {
			t.Errorf("Quote(%q) = %s, want %s", text, got, want)
		}
	}
}

// FuzzObject takes objects apart and puts them together again: nothing that
// encoding/json can see changes, and the second time not a byte.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1,"b":{"c":[true,null,"\u00e4\n"]},"a":2}`, ` { "\ud800" : -0.0e+5 , "" : "" } `, `[]`, `{"a":1,}`, `{"\"":"\\"}`,
		"{\"\xbe\":0}", "{\"\xbe\":0,\"\xbf\":1}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := ParseObject(raw)
		if err != nil {
			if KindOf(err) != Invalid {
				t.Fatalf("kind %v: %v", KindOf(err), err)
			}
			return
		}
		once := o.AppendJSON(nil)
		if again := parsedObject(t, string(once)).AppendJSON(nil); !bytes.Equal(once, again) {
			t.Errorf("%s becomes %s", once, again)
		}
		if !utf8.Valid(raw) {
			return // encoding/json replaces what gjson leaves
		}
		var want, got map[string]json.RawMessage
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatalf("encoding/json says: %v", err)
		}
		if err := json.Unmarshal(once, &got); err != nil {
			t.Fatalf("%v in %s", err, once)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}
