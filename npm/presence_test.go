package npm

import (
	"maps"
	"slices"
	"testing"
)

func TestFind(t *testing.T) {
	for _, tt := range []struct {
		name string
		doc  string
		want Presence // of 1.0.0
	}{
		{"listed", `{"name":"a","versions":{"1.0.0":{}}}`, Presence{Listed: true}},
		{"listed and timed", `{"time":{"modified":"m","1.0.0":"t"},"versions":{"0.9.0":{},"1.0.0":{}}}`, Presence{Listed: true, Timed: true}},
		{"timed alone", `{"versions":{"0.9.0":{}},"time":{"1.0.0":"t"}}`, Presence{Timed: true}},
		{"neither", `{"versions":{"0.9.0":{"1.0.0":{}}},"time":{"0.9.0":"1.0.0"},"dist-tags":{"1.0.0":"1.0.0"}}`, Presence{}},
		{"no versions", `{"name":"a"}`, Presence{}},
		{"null", `{"versions":null,"time":null}`, Presence{}},
		{"an escaped key", `{"versions":{"1\u002e0.0":{}}}`, Presence{Listed: true}},
		{"twice, and then not", `{"versions":{"1.0.0":{}},"versions":{}}`, Presence{}},
		{"no object", `[]`, Presence{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Find([]byte(tt.doc), []string{"2.0.0", "1.0.0"})
			if got[1] != tt.want || got[0] != (Presence{}) {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestManifests(t *testing.T) {
	doc := []byte(`{"versions":{"1.0.0":{"a":1},"2.0.0":{"b":{"c":2}},"3.0.0":{}},"time":{}}`)
	got := Manifests(doc, []string{"2.0.0", "4.0.0", "1.0.0"})
	if keys := slices.Sorted(maps.Keys(got)); !slices.Equal(keys, []string{"1.0.0", "2.0.0"}) {
		t.Fatalf("manifests of %v", keys)
	}
	clear(doc) // they are copies
	if string(got["1.0.0"]) != `{"a":1}` || string(got["2.0.0"]) != `{"b":{"c":2}}` {
		t.Errorf("%q", got)
	}
}

func TestFileOfManifest(t *testing.T) {
	for manifest, want := range map[string]string{
		`{"dist":{"tarball":"https://registry.example/a/-/a-1.0.0.tgz"}}`: "a-1.0.0.tgz",
		`{"dist":{"tarball":"https://r.example/x/a%402.tgz?sig=1"}}`:      "a@2.tgz",
		`{"dist":{}}`: "",
		`{}`:          "",
	} {
		if got := File([]byte(manifest)); got != want {
			t.Errorf("%s: %q, want %q", manifest, got, want)
		}
	}
}
