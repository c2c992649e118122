package npm

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hide returns a Target.Hide of the versions in list.
func hide(list string) func(string) bool {
	if list == "" {
		return nil
	}
	versions := strings.Fields(list)
	return func(version string) bool { return slices.Contains(versions, version) }
}

func TestRenderHidesVersions(t *testing.T) {
	const doc = `{"name":"lib","dist-tags":{"latest":"1.2.0","next":"2.0.0-rc.1","old":"1.0.0"},` +
		`"versions":{ "1.0.0" : {"x":1} ,"1.1.0":{"os":["linux"]}, "1.2.0":{},"2.0.0-rc.1":{} },"time":{"modified":"m","1.0.0":"t","1.2.0":"u"}}`
	tests := []struct {
		name, hidden      string
		full, abbreviated string
	}{
		{
			name:   "the first",
			hidden: "1.0.0",
			full: `{"name":"lib","dist-tags":{"latest":"1.2.0","next":"2.0.0-rc.1"},` +
				`"versions":{ "1.1.0":{"os":["linux"]}, "1.2.0":{},"2.0.0-rc.1":{} },"time":{"modified":"m","1.0.0":"t","1.2.0":"u","1.1.0":"m","2.0.0-rc.1":"m"}}`,
			abbreviated: `{"name":"lib","modified":"m","dist-tags":{"latest":"1.2.0","next":"2.0.0-rc.1"},` +
				`"versions":{"1.1.0":{"os":["linux"]},"1.2.0":{},"2.0.0-rc.1":{}},"time":{"modified":"m","1.0.0":"t","1.2.0":"u","1.1.0":"m","2.0.0-rc.1":"m"}}`,
		},
		{
			name:   "the first two",
			hidden: "1.1.0 1.0.0",
			full: `{"name":"lib","dist-tags":{"latest":"1.2.0","next":"2.0.0-rc.1"},` +
				`"versions":{ "1.2.0":{},"2.0.0-rc.1":{} },"time":{"modified":"m","1.0.0":"t","1.2.0":"u","2.0.0-rc.1":"m"}}`,
			abbreviated: `{"name":"lib","modified":"m","dist-tags":{"latest":"1.2.0","next":"2.0.0-rc.1"},` +
				`"versions":{"1.2.0":{},"2.0.0-rc.1":{}},"time":{"modified":"m","1.0.0":"t","1.2.0":"u","2.0.0-rc.1":"m"}}`,
		},
		{
			name:   "latest goes to the highest below it, two in the middle",
			hidden: "1.1.0 1.2.0",
			full: `{"name":"lib","dist-tags":{"latest":"1.0.0","next":"2.0.0-rc.1","old":"1.0.0"},` +
				`"versions":{ "1.0.0" : {"x":1},"2.0.0-rc.1":{} },"time":{"modified":"m","1.0.0":"t","1.2.0":"u","2.0.0-rc.1":"m"}}`,
			abbreviated: `{"name":"lib","modified":"m","dist-tags":{"latest":"1.0.0","next":"2.0.0-rc.1","old":"1.0.0"},` +
				`"versions":{"1.0.0" : {},"2.0.0-rc.1":{}},"time":{"modified":"m","1.0.0":"t","1.2.0":"u","2.0.0-rc.1":"m"}}`,
		},
		{
			name:   "a pre-release if nothing else",
			hidden: "1.0.0 1.1.0 1.2.0",
			full: `{"name":"lib","dist-tags":{"latest":"2.0.0-rc.1","next":"2.0.0-rc.1"},` +
				`"versions":{ "2.0.0-rc.1":{} },"time":{"modified":"m","1.0.0":"t","1.2.0":"u","2.0.0-rc.1":"m"}}`,
			abbreviated: `{"name":"lib","modified":"m","dist-tags":{"latest":"2.0.0-rc.1","next":"2.0.0-rc.1"},` +
				`"versions":{"2.0.0-rc.1":{}},"time":{"modified":"m","1.0.0":"t","1.2.0":"u","2.0.0-rc.1":"m"}}`,
		},
		{
			name:   "the first and the last",
			hidden: "1.0.0 2.0.0-rc.1",
			full: `{"name":"lib","dist-tags":{"latest":"1.2.0"},` +
				`"versions":{ "1.1.0":{"os":["linux"]}, "1.2.0":{} },"time":{"modified":"m","1.0.0":"t","1.2.0":"u","1.1.0":"m"}}`,
			abbreviated: `{"name":"lib","modified":"m","dist-tags":{"latest":"1.2.0"},` +
				`"versions":{"1.1.0":{"os":["linux"]},"1.2.0":{}},"time":{"modified":"m","1.0.0":"t","1.2.0":"u","1.1.0":"m"}}`,
		},
		{
			name:        "all",
			hidden:      "1.0.0 1.1.0 1.2.0 2.0.0-rc.1",
			full:        `{"name":"lib","dist-tags":{},"versions":{  },"time":{"modified":"m","1.0.0":"t","1.2.0":"u"}}`,
			abbreviated: `{"name":"lib","modified":"m","dist-tags":{},"versions":{},"time":{"modified":"m","1.0.0":"t","1.2.0":"u"}}`,
		},
		{
			name:   "one that is not there",
			hidden: "7.0.0",
			full: `{"name":"lib","dist-tags":{"latest":"1.2.0","next":"2.0.0-rc.1","old":"1.0.0"},` +
				`"versions":{ "1.0.0" : {"x":1} ,"1.1.0":{"os":["linux"]}, "1.2.0":{},"2.0.0-rc.1":{} },"time":{"modified":"m","1.0.0":"t","1.2.0":"u","1.1.0":"m","2.0.0-rc.1":"m"}}`,
			abbreviated: `{"name":"lib","modified":"m","dist-tags":{"latest":"1.2.0","next":"2.0.0-rc.1","old":"1.0.0"},` +
				`"versions":{"1.0.0" : {},"1.1.0":{"os":["linux"]},"1.2.0":{},"2.0.0-rc.1":{}},"time":{"modified":"m","1.0.0":"t","1.2.0":"u","1.1.0":"m","2.0.0-rc.1":"m"}}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			target := Target{Name: "lib", Base: testBase, Hide: hide(tt.hidden)}
			for form, want := range map[Form]string{Full: tt.full, Abbreviated: tt.abbreviated} {
				target.Form = form
				if diff := cmp.Diff(want, renderTo(t, doc, Full, target)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", form, diff)
				}
			}
			again := renderTo(t, tt.abbreviated, Abbreviated, target)
			if diff := cmp.Diff(tt.abbreviated, again); diff != "" {
				t.Errorf("abbreviated again (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRenderRestoresVersions(t *testing.T) {
	const pinned = `{"name":"lib","version":"1.0.0","x":1,"scripts":{"install":"y"},"dist":{"tarball":"http://upstream.example/z"}}`
	const (
		full  = `{"name":"lib","version":"1.0.0","x":1,"scripts":{"install":"y"},"dist":{"tarball":"` + testBase + `/lib/-/lib-1.0.0.tgz"}}`
		short = `{"name":"lib","version":"1.0.0","dist":{"tarball":"` + testBase + `/lib/-/lib-1.0.0.tgz"},"hasInstallScript":true}`
	)
	tests := []struct {
		name, doc, hidden string
		full, abbreviated string
	}{
		{
			name:        "after the others, and a latest that was gone names it",
			doc:         `{"name":"lib","dist-tags":{"latest":"1.0.0"},"versions":{"0.9.0":{} },"time":{"modified":"m","0.9.0":"t"}}`,
			full:        `{"name":"lib","dist-tags":{"latest":"1.0.0"},"versions":{"0.9.0":{},"1.0.0":` + full + ` },"time":{"modified":"m","0.9.0":"t","1.0.0":"m"}}`,
			abbreviated: `{"name":"lib","modified":"m","dist-tags":{"latest":"1.0.0"},"versions":{"0.9.0":{},"1.0.0":` + short + `},"time":{"modified":"m","0.9.0":"t","1.0.0":"m"}}`,
		},
		{
			name:        "the only one, of none",
			doc:         `{"name":"lib","versions":{ }}`,
			full:        `{"name":"lib","versions":{"1.0.0":` + full + ` }}`,
			abbreviated: `{"name":"lib","versions":{"1.0.0":` + short + `}}`,
		},
		{
			name:        "the only one, of null",
			doc:         `{"name":"lib","versions":null}`,
			full:        `{"name":"lib","versions":{"1.0.0":` + full + `}}`,
			abbreviated: `{"name":"lib","versions":{"1.0.0":` + short + `}}`,
		},
		{
			name:        "the only one, of a stub",
			doc:         `{"name":"lib","time":{"modified":"m","unpublished":{}} }`,
			full:        `{"name":"lib","time":{"modified":"m","unpublished":{},"1.0.0":"m"},"versions":{"1.0.0":` + full + `} }`,
			abbreviated: `{"name":"lib","modified":"m","versions":{"1.0.0":` + short + `},"time":{"modified":"m","unpublished":{},"1.0.0":"m"}}`,
		},
		{
			name:        "the only one, as the others are hidden",
			doc:         `{"name":"lib","versions":{"0.8.0":{}, "0.9.0":{}}}`,
			hidden:      "0.8.0 0.9.0",
			full:        `{"name":"lib","versions":{"1.0.0":` + full + `}}`,
			abbreviated: `{"name":"lib","versions":{"1.0.0":` + short + `}}`,
		},
		{
			name:        "not one that is there",
			doc:         `{"name":"lib","versions":{"1.0.0":{}}}`,
			full:        `{"name":"lib","versions":{"1.0.0":{}}}`,
			abbreviated: `{"name":"lib","versions":{"1.0.0":{}}}`,
		},
		{
			name:        "in place of one that is there and hidden",
			doc:         `{"name":"lib","versions":{"1.0.0":{"a":1},"1.1.0":{}}}`,
			hidden:      "1.0.0",
			full:        `{"name":"lib","versions":{"1.1.0":{},"1.0.0":` + full + `}}`,
			abbreviated: `{"name":"lib","versions":{"1.1.0":{},"1.0.0":` + short + `}}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			target := Target{Name: "lib", Base: testBase, Hide: hide(tt.hidden), Restored: [][]byte{[]byte(pinned), []byte(pinned)}}
			for form, want := range map[Form]string{Full: tt.full, Abbreviated: tt.abbreviated} {
				target.Form = form
				if diff := cmp.Diff(want, renderTo(t, tt.doc, Full, target)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", form, diff)
				}
			}
		})
	}
}

func renderTo(t *testing.T, doc string, from Form, target Target) string {
	t.Helper()
	if _, err := Inspect([]byte(doc), "lib"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Render(&out, []byte(doc), from, target); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(out.Bytes(), "lib"); err != nil {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	return out.String()
}

func TestRenderVersionHidesAndRestores(t *testing.T) {
	const doc = `{"name":"lib","dist-tags":{"latest":"1.2.0","next":"2.0.0"},"versions":{"1.0.0":{},"1.1.0":{},"1.2.0":{},"2.0.0":{}}}`
	const restored = `{"name":"lib","version":"1.1.5"}`
	tests := []struct{ selector, hidden, want string }{
		{"1.1.0", "1.2.0", `{}`},
		{"1.2.0", "1.2.0", ""},
		{"1.1.5", "", restored},
		{"^1.1.0", "1.2.0", restored},
		{"~1.0.0", "1.2.0", `{}`},
		{"latest", "1.2.0", restored},
		{"next", "2.0.0", ""},
		{"^2.0.0", "2.0.0", ""},
	}
	for _, tt := range tests {
		t.Run(tt.selector+" without "+tt.hidden, func(t *testing.T) {
			target := Target{Name: "lib", Base: testBase, Hide: hide(tt.hidden), Restored: [][]byte{[]byte(restored)}}
			got, err := RenderVersion([]byte(doc), tt.selector, target)
			if string(got) != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %s, %v; want %q", got, err, tt.want)
			}
			if err != nil && KindOf(err) != NotFound {
				t.Errorf("got %v, want NotFound", err)
			}
		})
	}
}

func TestRenderDistTagsHidesAndRestores(t *testing.T) {
	const doc = `{"name":"lib","dist-tags":{"latest":"1.2.0","next":"2.0.0"},"versions":{"1.0.0":{},"1.2.0":{},"2.0.0":{}}}`
	got, err := RenderDistTags([]byte(doc), Target{Name: "lib", Hide: hide("1.2.0 2.0.0")})
	if want := `{"latest":"1.0.0"}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	got, err = RenderDistTags([]byte(doc), Target{Name: "lib", Hide: hide("1.2.0"), Restored: [][]byte{[]byte(`{"name":"lib","version":"1.1.0"}`)}})
	if want := `{"latest":"1.1.0","next":"2.0.0"}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

func TestVersionNames(t *testing.T) {
	const doc = `{"name":"lib","versions":{"2.0.0":{"os":["!win32"]},"1.0.0":{"os":[],"cpu":"x64"},"1.1.0":{"os":[ ],"cpu":"","libc":null},"0\u002e1.0":{"libc":["musl"]},"0.0.1":{"os":{"a":1}}}}`
	list := func(names [][]byte) string { return string(bytes.Join(names, []byte(" "))) }
	if got, want := list(VersionNames([]byte(doc))), "2.0.0 1.0.0 1.1.0 0.1.0 0.0.1"; got != want {
		t.Errorf("VersionNames: %s, want %s", got, want)
	}
	if got, want := list(PlatformVersions([]byte(doc))), "2.0.0 1.0.0 0.1.0"; got != want {
		t.Errorf("PlatformVersions: %s, want %s", got, want)
	}
	for _, doc := range []string{`{"name":"lib"}`, `{"name":"lib","versions":null}`, `null`, `[`} {
		if VersionNames([]byte(doc)) != nil || PlatformVersions([]byte(doc)) != nil {
			t.Errorf("%s: it has versions", doc)
		}
	}
}
