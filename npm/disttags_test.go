package npm

import (
	"strings"
	"testing"
)

func TestRenderDistTags(t *testing.T) {
	tests := []struct{ name, tags, versions, want string }{
		{"nothing dangles: byte for byte", `{ "latest" : "1.0.0" }`, "1.0.0 2.0.0", `{ "latest" : "1.0.0" }`},
		{"latest to the highest below it", `{"latest":"2.0.0"}`, "1.0.0 1.10.0 1.9.0 3.0.0", `{"latest":"1.10.0"}`},
		{"latest to the same version with other build metadata", `{"latest":"2.0.0+a"}`, "1.0.0 2.0.0+b 3.0.0", `{"latest":"2.0.0+b"}`},
		{"latest to the highest stable, as all are above", `{"latest":"0.9.0"}`, "1.0.0 2.0.0 3.0.0-rc.1", `{"latest":"2.0.0"}`},
		{"a stable one above before a pre-release below", `{"latest":"2.0.0"}`, "1.0.0-rc.1 3.0.0", `{"latest":"3.0.0"}`},
		{"latest to the highest pre-release", `{"latest":"1.0.0"}`, "1.0.0-rc.2 1.0.0-rc.10 junk", `{"latest":"1.0.0-rc.10"}`},
		{"latest that was no version", `{"latest":"junk"}`, "1.0.0 2.0.0", `{"latest":"2.0.0"}`},
		{"latest of another type", `{"latest":null}`, "1.0.0", `{"latest":"1.0.0"}`},
		{"latest with no version left", `{"latest":"1.0.0","next":"2.0.0"}`, "", `{}`},
		{"latest with nothing but junk left", `{"latest":"1.0.0"}`, "junk", `{}`},
		{"a missing latest is not made up", `{"next":"1.0.0"}`, "1.0.0", `{"next":"1.0.0"}`},
		{"the first tag dangles", `{"a":"9.0.0","b":"1.0.0"}`, "1.0.0", `{"b":"1.0.0"}`},
		{"the last tag dangles", `{"b":"1.0.0","a":"9.0.0"}`, "1.0.0", `{"b":"1.0.0"}`},
		{"a tag in the middle dangles", `{ "a" : "1.0.0" , "b":"9.0.0" , "c":"1.0.0" }`, "1.0.0", `{"a" : "1.0.0","c":"1.0.0"}`},
		{"tags of other types dangle", `{"a":1,"b":["1.0.0"],"c":{},"d":"1.0.0"}`, "1.0.0", `{"d":"1.0.0"}`},
		{"an escaped version", `{"a":"1\u002e0.0"}`, "1.0.0", `{"a":"1\u002e0.0"}`},
		{"a version as another spells it", `{"a":"v1.0.0"}`, "1.0.0", `{}`},
		{"empty", `{}`, "1.0.0", `{}`},
		{"null", `null`, "1.0.0", `{}`},
		{"an array", `["1.0.0"]`, "1.0.0", `{}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var versions []string
			for _, v := range strings.Fields(tt.versions) {
				versions = append(versions, `"`+v+`":{}`)
			}
			doc := `{"name":"lib","dist-tags":` + tt.tags + `,"versions":{` + strings.Join(versions, ",") + `}}`
			got, err := RenderDistTags([]byte(doc), Target{})
			if err != nil || string(got) != tt.want {
				t.Errorf("got %s, %v; want %s", got, err, tt.want)
			}
		})
	}
}

func TestRenderDistTagsWithoutAny(t *testing.T) {
	got, err := RenderDistTags([]byte(`{"name":"lib","versions":{"1.0.0":{}}}`), Target{})
	if err != nil || string(got) != "{}" {
		t.Errorf("got %s, %v; want {}", got, err)
	}
}
