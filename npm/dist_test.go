package npm

import (
	"strings"
	"testing"
)

const (
	sha512Empty = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="
	sha1Empty   = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
	sha1SRI     = "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk="
)

func TestFindDist(t *testing.T) {
	const doc = `{"name":"@acme/thirty-two","versions":{
		"1.0.0":{"dist":{"tarball":"https://registry.example/@acme/thirty-two/-/thirty-two-1.0.0.tgz","integrity":"` + sha512Empty + `","shasum":"` + sha1Empty + `"}},
		"0.0.1":{"dist":{"tarball":"http://registry.example/a/thirty-two@0.0.1.tgz","shasum":"` + sha1Empty + `"}},
		"0.0.2":{"dist":{"tarball":"http://registry.example/a/thirty%20two.tgz?sig=/x","integrity":"sha512-short","shasum":"` + sha1Empty + `"}},
		"0.0.3":{"dist":{"tarball":"http://registry.example/a/thirty-two-1.0.0.tgz","integrity":"unknown-AAAA","shasum":"short"}},
		"0.0.4":{"dist":{"tarball":7,"integrity":null,"shasum":false}},
		"0.0.5":{"dist":null},
		"0.0.6":{},
		"1.0.0+b":{"dist":{"tarball":"t"}},
		"not a version":{"dist":{"tarball":"n"}}}}`
	tests := []struct {
		name, file string
		version    string // "" where nothing is to be found
		tarball    string
		integrity  string
	}{
		{"conventional", "thirty-two-1.0.0.tgz", "1.0.0", "https://registry.example/@acme/thirty-two/-/thirty-two-1.0.0.tgz", sha512Empty},
		{"conventional, though upstream's is not", "thirty-two-0.0.1.tgz", "0.0.1", "http://registry.example/a/thirty-two@0.0.1.tgz", sha1SRI},
		{"upstream's file name", "thirty-two@0.0.1.tgz", "0.0.1", "http://registry.example/a/thirty-two@0.0.1.tgz", sha1SRI},
		{"upstream's file name, escaped and with a query", "thirty two.tgz", "0.0.2", "http://registry.example/a/thirty%20two.tgz?sig=/x", sha1SRI},
		{"no hash that can be read", "thirty-two-0.0.3.tgz", "0.0.3", "http://registry.example/a/thirty-two-1.0.0.tgz", ""},
		{"values of other types", "thirty-two-0.0.4.tgz", "0.0.4", "", ""},
		{"dist null", "thirty-two-0.0.5.tgz", "0.0.5", "", ""},
		{"no dist", "thirty-two-0.0.6.tgz", "0.0.6", "", ""},
		{"build metadata", "thirty-two-1.0.0+b.tgz", "1.0.0+b", "t", ""},
		{"a key that is no version", "thirty-two-not a version.tgz", "not a version", "n", ""},
		{"a version that is not there", "thirty-two-9.9.9.tgz", "", "", ""},
		{"another package's file", "forty-two-1.0.0.tgz", "", "", ""},
		{"a part of a file name", "two@0.0.1.tgz", "", "", ""},
		{"a directory", "a", "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, ok := FindDist([]byte(doc), "@acme/thirty-two", tt.file)
			if ok != (tt.version != "") || d.Version != tt.version || d.Tarball != tt.tarball {
				t.Fatalf("got %+v, %v", d, ok)
			}
			checkIntegrity(t, d, tt.integrity)
		})
	}
	t.Run("no versions", func(t *testing.T) {
		if d, ok := FindDist([]byte(`{"name":"lib","versions":null}`), "lib", "lib-1.0.0.tgz"); ok {
			t.Errorf("got %+v", d)
		}
	})
}

// Every URL that a document is rendered with must lead back to its version.
func TestFindDistOfRenderedURLs(t *testing.T) {
	for version, file := range map[string]string{"1.0.0": "lib-1.0.0.tgz", "1.0.0+b": "lib-1.0.0%2Bb.tgz", "a b%": "lib-a%20b%25.tgz"} {
		doc := `{"name":"lib","versions":{"` + version + `":{"dist":{"tarball":"x"}}}}`
		if got := render(t, doc, Full, Full); !strings.Contains(got, "/lib/-/"+file+`"`) {
			t.Errorf("%s: no %s in %s", version, file, got)
		}
		if d, ok := FindDist([]byte(doc), "lib", "lib-"+version+".tgz"); !ok || d.Version != version {
			t.Errorf("%s: got %+v, %v", version, d, ok)
		}
	}
}

func checkIntegrity(t *testing.T, d Dist, want string) {
	t.Helper()
	switch {
	case want == "" && !d.Integrity.IsZero():
		t.Errorf("integrity %s, want none", d.Integrity)
	case want != "" && d.Integrity.String() != want:
		t.Errorf("integrity %s, want %s", d.Integrity, want)
	}
}

func TestManifestDist(t *testing.T) {
	manifest := `{"name":"lib","version":"1.0.0","dist":{"tarball":"https://registry.example/x.tgz","integrity":"` + sha512Empty + `"}}`
	d, err := ManifestDist([]byte(manifest), "lib")
	if err != nil || d.Version != "1.0.0" || d.Tarball != "https://registry.example/x.tgz" {
		t.Fatalf("got %+v, %v", d, err)
	}
	checkIntegrity(t, d, sha512Empty)
}

func TestManifestDistRefuses(t *testing.T) {
	for name, manifest := range map[string]string{
		"nothing":        "",
		"a sentence":     `"version not found: 1.0.0"`,
		"HTML":           "<html>",
		"truncated":      `{"name":"lib","version":"1.0.0","dist":{`,
		"another name":   `{"name":"Lib","version":"1.0.0"}`,
		"no version":     `{"name":"lib","error":"not found"}`,
		"not quite JSON": `{"name":"lib","version":"1.0.0","dist":{"size":01}}`,
		"too deep":       `{"name":"lib","version":"1.0.0","x":` + strings.Repeat("[", 20<<20) + "}",
	} {
		t.Run(name, func(t *testing.T) {
			if d, err := ManifestDist([]byte(manifest), "lib"); KindOf(err) != BadUpstream {
				t.Errorf("got %+v, %v; want bad upstream", d, err)
			}
		})
	}
}

// TestDistsAgreeWithTheDocument: what they find is what FindDist finds, and they
// find it for the usual kind.
func TestDistsAgreeWithTheDocument(t *testing.T) {
	usual := func(version, integrity string) string {
		return `{"dist":{"integrity":"` + integrity + `","shasum":"` + sha1Empty + `","tarball":"https://registry.example/x/@acme/a/-/a-` + version + `.tgz"}}`
	}
	other := sha512Of("other")
	tests := []struct {
		name, versions, version string
		want                    bool
	}{
		{"usual", `"1.0.0":` + usual("1.0.0", sha512Empty) + `,"1.0.1":` + usual("1.0.1", other), "1.0.1", true},
		{"build metadata", `"1.0.0+b":` + usual("1.0.0+b", other), "1.0.0+b", true},
		{"escaped", `"1.0.0":{"dist":{"tarball":"https:\/\/registry.example\/@acme\/a\/-\/a-1.0.0.tgz","integrity":"` + other + `"}}`, "1.0.0", true},
		{"another version", `"1.0.0":` + usual("1.0.0", other), "1.0", false},
		{"a name that is not whole", `"1.0.0":` + usual("1.0.0", other), ".0.0", false},
		{"of two versions the last counts", `"1.0.0":` + usual("1.0.0", other) + `,"1.0.0":` + usual("1.0.0", sha512Empty), "1.0.0", true},
		{"even if it is not usual", `"1.0.0":` + usual("1.0.0", other) + `,"1.0.0":` + usual("1.0.0", sha1SRI), "1.0.0", false},
		{"of two dists the last counts", `"1.0.0":{"dist":{"integrity":"` + other + `","tarball":"https://r.example/@acme/a/-/a-1.0.0.tgz"},"dist":null}`, "1.0.0", false},
		{"sha1 alone", `"1.0.0":` + usual("1.0.0", ""), "1.0.0", false},
		{"two hashes", `"1.0.0":` + usual("1.0.0", sha512Empty+" "+other), "1.0.0", false},
		{"a bad hash", `"1.0.0":` + usual("1.0.0", sha512Empty[:94]+"!"), "1.0.0", false},
		{"an address of another package", `"1.0.0":{"dist":{"integrity":"` + other + `","tarball":"https://r.example/@acme/b/-/b-1.0.0.tgz"}}`, "1.0.0", false},
		{"an address elsewhere", `"1.0.0":` + usual("1.0.0", other) + `,"1.0.1":{"dist":{"integrity":"` + other + `","tarball":"https://r.example/@acme/a/-/a-1.0.1.tgz"}}`, "1.0.1", false},
		{"an address with a query", `"1.0.0":{"dist":{"integrity":"` + other + `","tarball":"https://r.example/@acme/a/-/a-1.0.0.tgz?a=b"}}`, "1.0.0", false},
		{"no dist", `"1.0.0":{}`, "1.0.0", false},
		{"of two versions the last has no dist", `"1.0.0":` + usual("1.0.0", other) + `,"1.0.0":{}`, "1.0.0", false},
		{"nor one as many as there are versions", `"1.0.0":{"dist":1,"dist":{"integrity":"` + other + `","tarball":"https://r.example/@acme/a/-/a-1.0.0.tgz"}},"1.0.0":{}`, "1.0.0", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := []byte(`{"name":"@acme/a","versions":{` + tt.versions + `}}`)
			s, err := Inspect(doc, "@acme/a")
			if err != nil {
				t.Fatal(err)
			}
			dists := s.Dists(doc, "@acme/a")
			file := TarballFile("@acme/a", tt.version)
			want, listed := FindDist(doc, "@acme/a", file)
			got, ok := dists.Find(file)
			if ok != tt.want || ok && (!listed || got.Version != want.Version || got.Tarball != want.Tarball || got.Integrity.String() != want.Integrity.String()) {
				t.Errorf("found %+v, %t; the document has %+v, %t", got, ok, want, listed)
			}
			if _, ok := dists.Find("b-" + tt.version + ".tgz"); ok {
				t.Error("another package's file is found")
			}
		})
	}
}
