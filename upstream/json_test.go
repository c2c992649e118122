package upstream

import (
	"strings"
	"testing"

	"larder/npm"
)

// A few kilobytes of gzip can unpack to brackets that nest millions deep, on
// which a recursive validator would bring the process down.
func TestCheckJSON_RefusesDeepNesting(t *testing.T) {
	const depth = 100_000
	deep := strings.Repeat("[", depth) + strings.Repeat("]", depth)
	if err := checkJSON([]byte(deep)); npm.KindOf(err) != npm.BadUpstream {
		t.Errorf("checkJSON of %d levels: %v, want BadUpstream", depth, err)
	}
	if err := checkJSON([]byte(`{"keys":[[[]]]}`)); err != nil {
		t.Errorf("checkJSON of a shallow document: %v", err)
	}
}
