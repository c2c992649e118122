package npm

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCursorReadsMembers(t *testing.T) {
	doc := ` { "a" : 1 , "b\"c":"x\\" , "d":{"}":["]", {}]},"e" : null ,"":-1.5e+3,"\ud83d\ude00":true}`
	type member struct{ Key, Value string }
	want := []member{
		{"a", "1"}, {`b"c`, `"x\\"`}, {"d", `{"}":["]", {}]}`}, {"e", "null"}, {"", "-1.5e+3"}, {"😀", "true"},
	}
	var got []member
	c := cursor{doc: []byte(doc)}
	if !c.enter() {
		t.Fatal("not an object")
	}
	for c.next() {
		value := string(c.value())
		got = append(got, member{string(c.key), value})
	}
	if c.failed || c.pos != len(doc) {
		t.Errorf("failed %v at %d of %d", c.failed, c.pos, len(doc))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCursorStepsOutOfObjects(t *testing.T) {
	doc := []byte(`{"in":{"deep":{"x":1},"y":2},"after":3}`)
	c := cursor{doc: doc}
	c.enter()
	c.next()
	if got := string(c.member("y")); got != "2" {
		t.Errorf("member y = %s, want 2", got)
	}
	if !c.next() || string(c.key) != "after" {
		t.Errorf("after the inner object comes %q, want after", c.key)
	}
}

// Every document cut short must fail and end, wherever the cut is.
func TestCursorFailsOnTruncation(t *testing.T) {
	doc := `{"a":{"b":["c\\\"",{"d":1}]},"e":"f"}`
	for i := range len(doc) {
		c := cursor{doc: []byte(doc[:i])}
		if c.enter() {
			for c.next() {
				if c.enter() {
					for c.next() {
						c.value()
					}
				}
			}
		}
		if !c.failed {
			t.Errorf("%q did not fail", doc[:i])
		}
	}
}

func TestValidJSON(t *testing.T) {
	tests := []struct {
		name, doc string
		want      bool
	}{
		{"object", ` {"a":[1,"]"]} `, true},
		{"array", "[]", true},
		{"string", `"version not found: 1.0.0"`, true},
		{"number", "-1.5e3", true},
		{"null", "null", true},
		{"nothing", " ", false},
		{"two values", "{} {}", false},
		{"truncated", `{"a":[`, false},
		{"brackets that do not match", "[}", false},
		{"as deep as the bound", strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth), true},
		{"deeper", strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1), false},
		{"deeper than the stack", strings.Repeat("[", 20<<20), false},
		{"objects deeper than the stack", strings.Repeat(`{"":`, 8<<20), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ValidJSON([]byte(tt.doc)); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestStringEnd(t *testing.T) {
	for doc, want := range map[string]int{
		`""`: 2, `"a",`: 3, `"\""`: 4, `"\\"x`: 4, `"\\\""x`: 6, `"`: 0, `"\"`: 0, `"a`: 0,
		`"` + strings.Repeat(`\\`, 100) + `"x`: 202,
	} {
		if got := stringEnd([]byte(doc), 0); got != want {
			t.Errorf("stringEnd(%s) = %d, want %d", doc, got, want)
		}
	}
}
