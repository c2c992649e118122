package npm

import (
	"bytes"
	"encoding/json"
	"hash/fnv"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
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
		`{"name":"lib","dist-tags":{"latest":"1.1.0","next":"1.2.0-a"},"versions":{"0.9.0":{},"1.0.0":{"dist":{"tarball":"x"}} , "1.1.0":{},"1.2.0-a":{}},"time":{"1.1.0":"t","modified":"m"}}`,
		` { "versions" : { "1.0.0" : { } , "1.1.0" : { } , "1.2.0" : { "os" : [ "linux" ] } } , "name" : "lib" , "versions" : { "1.1.0" : { } , "2.0.0" : { } } } `,
	} {
		for hidden := range uint8(4) {
			f.Add([]byte(seed), hidden)
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte, hidden uint8) {
		s, err := Inspect(doc, "lib")
		if err != nil {
			// What is not a document must still not crash its readers.
			FindDist(doc, "lib", "lib-1.0.0.tgz")
			Render(&bytes.Buffer{}, doc, Full, Target{Name: "lib", Base: testBase})
			PlatformVersions(doc)
			return
		}
		for _, forms := range [][2]Form{{Full, Full}, {Full, Abbreviated}, {Abbreviated, Abbreviated}, {Abbreviated, Full}} {
			from, to := forms[0], forms[1]
			once := renderBytes(t, doc, from, to)
			if twice := renderBytes(t, once, to, to); !bytes.Equal(once, twice) {
				t.Errorf("%s to %s: not idempotent:\n%s\n%s", from, to, once, twice)
			}
			checkRendered(t, once, s.Modified != "" && to == Full)
			checkHidden(t, doc, from, to, hidden)
			checkRestored(t, doc, from, to, hidden)
		}
	})
}

// hiding returns a Hide that takes about half of the versions, others for
// every seed.
func hiding(seed uint8) func(string) bool {
	return func(version string) bool {
		h := fnv.New32a()
		h.Write(append([]byte(version), seed))
		return h.Sum32()&8 != 0
	}
}

// checkHidden compares a document of which versions are hidden with one that
// never had them.
func checkHidden(t *testing.T, doc []byte, from, to Form, seed uint8) {
	t.Helper()
	target := Target{Name: "lib", Base: testBase, Form: to, Hide: hiding(seed)}
	var out bytes.Buffer
	if err := Render(&out, doc, from, target); err != nil {
		t.Fatal(err)
	}
	if !utf8.Valid(doc) {
		return // what json.Unmarshal makes of such a key is not what the document has
	}
	got, want := decoded(t, out.Bytes()), decoded(t, renderBytes(t, without(t, doc, target.Hide), from, to))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s to %s: with versions hidden\n%s, of\n%s", from, to, out.Bytes(), doc)
	}
	for _, version := range VersionNames(out.Bytes()) {
		if target.Hide(string(version)) {
			t.Errorf("%q is hidden, and stands in %s", version, out.Bytes())
		}
	}
	visible := 0
	for _, version := range newVersionSet(VersionNames(doc)) {
		if !target.Hide(string(version)) {
			visible++
		}
	}
	if shown := len(newVersionSet(VersionNames(out.Bytes()))); shown != visible {
		t.Errorf("%d versions of %d: %s", shown, visible, out.Bytes())
	}
}

// checkRestored hides versions and restores some of them: what comes of it
// must be a document that has each of them once.
func checkRestored(t *testing.T, doc []byte, from, to Form, seed uint8) {
	t.Helper()
	target := Target{Name: "lib", Base: testBase, Form: to, Hide: hiding(seed), Restored: [][]byte{
		[]byte(`{"name":"lib","version":"0.0.7","scripts":{"install":"x"},"dist":{"tarball":"http://upstream.example/x.tgz"}}`),
		[]byte(` {"version":"1.0.0","name":"lib"} `),
		[]byte(`{"version":"1.0.0","name":"lib"}`),
	}}
	var out bytes.Buffer
	if err := Render(&out, doc, from, target); err != nil {
		t.Fatal(err)
	}
	s, err := Inspect(out.Bytes(), "lib")
	if err != nil {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	checkRendered(t, out.Bytes(), s.Modified != "" && to == Full)
	times := make(map[string]int)
	for _, version := range VersionNames(out.Bytes()) {
		times[string(version)]++
	}
	shown := make(map[string]int)
	for _, version := range VersionNames(doc) {
		if !target.Hide(string(version)) {
			shown[string(version)]++
		}
	}
	for _, version := range []string{"0.0.7", "1.0.0"} {
		if want := max(1, shown[version]); times[version] != want {
			t.Errorf("%q stands %d times, not %d, in %s", version, times[version], want, out.Bytes())
		}
	}
}

// without returns doc as if it had never had some versions.
func without(t *testing.T, doc []byte, hidden func(string) bool) []byte {
	t.Helper()
	top, err := ParseObject(doc)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := top.Get("versions")
	if !isObject(raw) {
		return doc
	}
	versions, err := ParseObject(raw)
	if err != nil {
		t.Fatal(err)
	}
	var kept Object
	for _, m := range versions {
		if !hidden(m.Key) {
			kept = append(kept, m)
		}
	}
	top.Set("versions", kept.AppendJSON(nil))
	return top.AppendJSON(nil)
}

func decoded(t *testing.T, doc []byte) any {
	t.Helper()
	var v any
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
	return v
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
