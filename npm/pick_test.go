package npm

import (
	"testing"

	"github.com/tidwall/gjson"
)

func TestRenderVersionSelects(t *testing.T) {
	const doc = `{"name":"lib","dist-tags":{"latest":"1.1.0","beta":"2.0.0-beta.1","gone":"9.9.9","1.2.0":"1.0.0"},"versions":{
		"1.0.0":{"version":"1.0.0"},
		"1.1.0":{"version":"1.1.0"},
		"1.2.0":{"version":"1.2.0"},
		"1.3.0":{"version":"1.3.0","deprecated":"broken"},
		"2.0.0-beta.1":{"version":"2.0.0-beta.1"},
		"2.0.0-beta.2":{"version":"2.0.0-beta.2"},
		"3.0.0":{"version":"3.0.0","deprecated":"broken"},
		"3.10.0":{"version":"3.10.0","deprecated":"broken"},
		"3.9.0":{"version":"3.9.0","deprecated":"broken"},
		"4.0.0":{"version":"4.0.0","deprecated":""},
		"junk":{"version":"junk"}}}`
	tests := []struct{ name, selector, want string }{
		{"version", "1.0.0", "1.0.0"},
		{"version before a tag of that name", "1.2.0", "1.2.0"},
		{"key that is no version", "junk", "junk"},
		{"tag", "latest", "1.1.0"},
		{"tag of a pre-release", "beta", "2.0.0-beta.1"},
		{"range with latest in it", "^1.0.0", "1.1.0"},
		{"range without latest", ">=1.1.1 <2", "1.2.0"},
		{"range of deprecated versions only", "3.x", "3.10.0"},
		{"range of pre-releases", "^2.0.0-beta.1", "2.0.0-beta.2"},
		{"undeprecated", ">=3", "4.0.0"},
		{"anything", "*", "1.1.0"},
		{"version with a v", "v1.0.0", "1.0.0"},
		{"no such version", "5.0.0", ""},
		{"dangling tag", "gone", ""},
		{"no such tag", "next", ""},
		{"range with nothing in it", "^5", ""},
		{"nothing", "", "1.1.0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := RenderVersion([]byte(doc), tt.selector, Target{Name: "lib", Base: testBase})
			if tt.want == "" {
				if KindOf(err) != NotFound || Message(err) != "version not found: "+tt.selector {
					t.Errorf("got %s, %v; want not found", got, err)
				}
				return
			}
			if version := gjson.GetBytes(got, "version").Str; err != nil || version != tt.want {
				t.Errorf("got %s, %v; want %s", version, err, tt.want)
			}
		})
	}
}

func TestRenderVersionOfOddDocuments(t *testing.T) {
	tests := []struct{ name, doc, selector, want string }{
		{"a stub", `{"name":"lib","time":{"unpublished":{}}}`, "latest", ""},
		{"only pre-releases", `{"name":"lib","dist-tags":{"latest":"1.0.0-b"},"versions":{"1.0.0-a":{"n":1},"1.0.0-b":{"n":2}}}`, "*", `{"n":2}`},
		{"latest repaired", `{"name":"lib","dist-tags":{"latest":"2.0.0"},"versions":{"1.0.0":{"n":1}}}`, "latest", `{"n":1}`},
		{"escaped version", `{"name":"lib","versions":{"1\u002e0.0":{"n":1}}}`, "1.0.0", `{"n":1}`},
		{"version twice", `{"name":"lib","versions":{"1.0.0":{"n":1},"1.0.0":{"n":2}}}`, "1.0.0", `{"n":2}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := RenderVersion([]byte(tt.doc), tt.selector, Target{Name: "lib", Base: testBase})
			if string(got) != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %s, %v; want %s", got, err, tt.want)
			}
		})
	}
}

func TestRenderSingleManifests(t *testing.T) {
	const (
		manifest = `{"name":"@acme/lib","version":"1.0.0+b","scripts":{"install":"make"}, "dist":{"tarball":"https://registry.example/x.tgz","attestations":{"url":"https://registry.example/y"}},"_x":1}`
		want     = `{"name":"@acme/lib","version":"1.0.0+b","scripts":{"install":"make"}, "dist":{"tarball":"` + testBase + `/@acme/lib/-/lib-1.0.0%2Bb.tgz","attestations":{"url":"` + testBase + `/-/npm/v1/attestations/@acme%2flib@1.0.0%2Bb"}},"_x":1}`
	)
	target := Target{Name: "@acme/lib", Base: testBase}
	if _, err := ManifestDist([]byte(manifest), "@acme/lib"); err != nil {
		t.Fatal(err)
	}
	if got, err := RenderManifest([]byte(manifest), target); err != nil || string(got) != want {
		t.Errorf("RenderManifest: got %s, %v; want %s", got, err, want)
	}
	doc := `{"name":"@acme/lib","versions":{"1.0.0+b":` + manifest + `}}`
	if got, err := RenderVersion([]byte(doc), "1.0.0+b", target); err != nil || string(got) != want {
		t.Errorf("RenderVersion: got %s, %v; want %s", got, err, want)
	}
}
