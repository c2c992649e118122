package npm

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// FuzzRender renders whatever Inspect lets pass, in every way, and reads the
// results with encoding/json, which shares no code with the renderer.
func FuzzRender(f *testing.F) {
	for _, seed := range []string{
		`{"name":"lib"}`,
		`{"_id":"lib","versions":null,"dist-tags":null,"time":null}`,
		`{"name":"lib","dist-tags":{"latest":"2.0.0","x":"1"},"versions":{"1.0.0":{"dist":{"tarball":"https://registry.example/x.tgz","shasum":"00","attestations":{"url":"https://registry.example/y"}}}},"time":{"modified":"m"}}`,
		`{"name":"lib","modified":"m","versions":{"1.0.0":{"scripts":{"install":"x"},"deprecated":"","hasInstallScript":true,"bundledDependencies":["a"]},"1.0.0-a\u002b":{"dist":{"tarball":1}}}}`,
		` { "time" : { } , "name" : "lib" , "modified" : "m" , "versions" : { "1.0.0" : { "dist" : { "tarball" : "" } } , "a\n" : { } } } `,
		`{"name":"lib","versions":{"1.0.0":{"dist":{"tarball":"x"},"dist":{"tarball":"y"}}},"versions":{"2.0.0":{}},"dist-tags":{"latest":"1.0.0"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		s, err := Inspect(doc, "lib")
		if err != nil {
			// What is not a document must still not crash its readers.
			FindDist(doc, "lib", "lib-1.0.0.tgz")
			Render(&bytes.Buffer{}, doc, Full, Target{Name: "lib", Base: testBase})
			return
		}
		for _, forms := range [][2]Form{{Full, Full}, {Full, Abbreviated}, {Abbreviated, Abbreviated}} {
			from, to := forms[0], forms[1]
			once := renderBytes(t, doc, from, to)
			if twice := renderBytes(t, once, to, to); !bytes.Equal(once, twice) {
				t.Errorf("%s to %s: not idempotent:\n%s\n%s", from, to, once, twice)
			}
			checkRendered(t, once, s.Modified != "" && from == Full && to == Full)
		}
	})
}

func renderBytes(t *testing.T, doc []byte, from, to Form) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := Render(&out, doc, from, Target{Name: "lib", Base: testBase, Form: to}); err != nil {
		t.Fatalf("%s to %s: %v", from, to, err)
	}
	return out.Bytes()
}

// checkRendered checks what a client relies on in a rendered document.
func checkRendered(t *testing.T, doc []byte, timed bool) {
	t.Helper()
	var top map[string]json.RawMessage
	if err := json.Unmarshal(doc, &top); err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
	var versions map[string]map[string]json.RawMessage
	if err := json.Unmarshal(top["versions"], &versions); err != nil {
		versions = nil
	}
	for version, manifest := range versions {
		var dist map[string]json.RawMessage
		var tarball string
		if json.Unmarshal(manifest["dist"], &dist) != nil || json.Unmarshal(dist["tarball"], &tarball) != nil || string(dist["tarball"]) == "null" {
			continue
		}
		if !strings.HasPrefix(tarball, testBase+"/lib/-/lib-") || !strings.HasSuffix(tarball, ".tgz") {
			t.Errorf("version %q: tarball %q in %s", version, tarball, doc)
		}
	}
	var tags map[string]json.RawMessage
	if json.Unmarshal(top["dist-tags"], &tags) == nil {
		for tag, value := range tags {
			var version string
			if err := json.Unmarshal(value, &version); err != nil || versions[version] == nil {
				t.Errorf("tag %q names %s in %s", tag, value, doc)
			}
		}
	}
	var times map[string]json.RawMessage
	if timed && json.Unmarshal(top["time"], &times) == nil {
		for version := range versions {
			if _, ok := times[version]; !ok && needsNoEscape([]byte(version)) {
				t.Errorf("version %q has no time in %s", version, doc)
			}
		}
	}
}
