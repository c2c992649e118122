package npm

import (
	"strings"
	"testing"
)

func TestParsePin(t *testing.T) {
	for _, tt := range []struct{ pin, name, version, word string }{
		{"left-pad@1.3.0", "left-pad", "1.3.0", ""},
		{"@scope/x@1.0.0-rc.1+build", "@scope/x", "1.0.0-rc.1+build", ""},
		{"JSONStream@1.0.0", "JSONStream", "1.0.0", ""},
		{"left-pad", "", "", "names no version"},
		{"@scope/x", "", "", "names no version"},
		{"", "", "", "names no version"},
		{"left-pad@", "", "", "is no version"},
		{"left-pad@^1.0.0", "", "", "is no version"},
		{"left-pad@latest", "", "", "is no version"},
		{"left-pad@v1.0.0", "", "", "is no version"},
		{"left-pad@1.3", "", "", "is no version"},
		{"../x@1.0.0", "", "", "../x@1.0.0"},
		{"@/x@1.0.0", "", "", "@/x@1.0.0"},
	} {
		t.Run(tt.pin, func(t *testing.T) {
			name, version, err := ParsePin(tt.pin)
			if name != tt.name || version != tt.version || (err == nil) != (tt.word == "") {
				t.Fatalf("%q, %q, %v", name, version, err)
			}
			if err != nil && (KindOf(err) != Invalid || !strings.Contains(Message(err), tt.word)) {
				t.Errorf("%v, want one with %q", err, tt.word)
			}
		})
	}
}
