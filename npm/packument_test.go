package npm

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestInspect(t *testing.T) {
	tests := []struct {
		name, doc string
		want      Summary
	}{
		{
			"a package",
			`{"name":"lib","versions":{"1.0.0":{},"1.1.0":{}},"time":{"modified":"2024-01-01T00:00:00.000Z"}}`,
			Summary{Versions: 2, Modified: "2024-01-01T00:00:00.000Z"},
		},
		{"abbreviated", `{"name":"lib","modified":"m","versions":{"1.0.0":{}}}`, Summary{Versions: 1, Modified: "m"}},
		{"time.modified before modified", `{"name":"lib","time":{"modified":"t"},"modified":"m"}`, Summary{Modified: "t"}},
		{"modified where time.modified is odd", `{"name":"lib","time":{"modified":null},"modified":"m"}`, Summary{Modified: "m"}},
		{"modified escaped", `{"name":"lib","modified":"\u006d"}`, Summary{Modified: "m"}},
		{"only _id", `{"_id":"lib"}`, Summary{}},
		{"name before _id", `{"_id":"other","name":"lib"}`, Summary{}},
		{"name escaped", `{"n\u0061me":"l\u0069b"}`, Summary{}},
		{"the last name", `{"name":"other","name":"lib"}`, Summary{}},
		{"versions null", `{"name":"lib","versions":null}`, Summary{}},
		{"the last versions", `{"name":"lib","versions":{"1.0.0":{},"2.0.0":{}},"versions":{"3.0.0":{}}}`, Summary{Versions: 1}},
		{"a stub", `{"name":"lib","time":{"modified":"m","unpublished":{"name":"bob","time":"u"}}}`, Summary{Modified: "m", Unpublished: "u"}},
		{"a stub without its time", `{"name":"lib","time":{"modified":"m","unpublished":{}}}`, Summary{Modified: "m", Unpublished: "m"}},
		{
			"published again after it was unpublished",
			`{"name":"lib","versions":{"2.0.0":{}},"time":{"unpublished":{"time":"u"}}}`,
			Summary{Versions: 1},
		},
		{"time of another type", `{"name":"lib","time":[1]}`, Summary{}},
		{"deep, but not too deep", `{"name":"lib","x":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `}`, Summary{}},
		{"brackets in a string are no depth", `{"name":"lib","x":["` + strings.Repeat("[", 2*maxDepth) + `"]}`, Summary{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Inspect([]byte(tt.doc), "lib")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreUnexported(Summary{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestInspectRefuses(t *testing.T) {
	tests := []struct{ name, doc, says string }{
		{"nothing", "", "not a JSON object"},
		{"a captive portal", "<!doctype html><title>Log in</title>", "not a JSON object"},
		{"an array", `[{"name":"lib"}]`, "not a JSON object"},
		{"a truncated document", `{"name":"lib","versions":{"1.0.0":{}`, "not valid JSON"},
		{"a truncated string", `{"name":"lib`, "not valid JSON"},
		{"a bad literal", `{"name":"lib","x":nul}`, "not valid JSON"},
		{"a trailing comma", `{"name":"lib",}`, "not valid JSON"},
		{"a comma too many", `{"name":"lib",,"x":1}`, "not valid JSON"},
		{"no comma", `{"name":"lib" "x":1}`, "not valid JSON"},
		{"brackets that do not match", `{"name":"lib","x":[}}`, "not valid JSON"},
		{"a control character", "{\"name\":\"lib\",\"x\":\"\n\"}", "not valid JSON"},
		{"a second document", `{"name":"lib"}{}`, "not valid JSON"},
		{"no value", `{"name":"lib","x":}`, "not valid JSON"},
		{"another name", `{"name":"Lib"}`, `it is of "Lib"`},
		{"another name with the right _id", `{"_id":"lib","name":"other"}`, `it is of "other"`},
		{"no name", `{"versions":{}}`, `it is of ""`},
		{"a name of another type", `{"name":["lib"],"_id":"lib"}`, `it is of ""`},
		{"versions an array", `{"name":"lib","versions":[]}`, `"versions" is not an object`},
		{"versions a string", `{"name":"lib","versions":"1.0.0"}`, `"versions" is not an object`},
		{"a version that is no object", `{"name":"lib","versions":{"1.0.0":{},"1.0.1":null}}`, `version "1.0.1" is not an object`},
		{"deeper than the bound", `{"name":"lib","x":` + strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1) + `}`, "not valid JSON"},
		{"deeper than the stack", `{"name":"lib","x":` + strings.Repeat("[", 20<<20), "not valid JSON"},
		{"deeper than the stack from the start", strings.Repeat(`{"a":`, 4<<20), "not valid JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Inspect([]byte(tt.doc), "lib")
			if KindOf(err) != BadUpstream || !strings.Contains(Message(err), tt.says) {
				t.Errorf("got %v, want bad upstream: …%s…", err, tt.says)
			}
		})
	}
}
