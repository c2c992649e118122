package npm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	pubIntegrity = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="
	pubShasum    = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
)

// publishBody is a body that may be published, after edit has changed it.
func publishBody(t *testing.T, edit func(doc, manifest *Object)) *Put {
	t.Helper()
	manifest := parsedObject(t, `{"name":"@acme/lib","version":"1.2.3","readme":"# Lib","readmeFilename":"README.md","_id":"x",`+
		`"dist":{"integrity":"`+pubIntegrity+`","shasum":"`+pubShasum+`","tarball":"http://localhost/x.tgz"}}`)
	doc := parsedObject(t, `{"_id":"@acme/lib","name":"@acme/lib","dist-tags":{"latest":"1.2.3"},"access":"public"}`)
	if edit != nil {
		edit(&doc, &manifest)
	}
	if _, ok := doc.Get("versions"); !ok {
		doc.Set("versions", fmt.Appendf(nil, `{%s:%s}`, Quote("1.2.3"), manifest.AppendJSON(nil)))
	}
	return &Put{Doc: doc, Attachments: []Attachment{{Name: "@acme/lib-1.2.3.tgz", Length: 3, Size: 3}}}
}

func TestParsePublish(t *testing.T) {
	body := publishBody(t, nil)
	body.Attachments = append(body.Attachments, Attachment{Name: "@acme/lib-1.2.3.sigstore", Length: 7, Size: 8, Data: []byte(` {"a":1}`)})
	integrity, err := ParseIntegrity(pubIntegrity)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParsePublish(body, "@acme/lib")
	if err != nil {
		t.Fatal(err)
	}
	want := &Publication{
		Name: "@acme/lib", Version: "1.2.3", Tags: []string{"latest"},
		Manifest: parsedObject(t, `{"name":"@acme/lib","version":"1.2.3","readmeFilename":"README.md","_id":"@acme/lib@1.2.3","dist":{}}`),
		Readme:   "# Lib", ReadmeFilename: "README.md", Access: "public",
		Integrity: integrity, Shasum: pubShasum, Tarball: body.Attachments[0], Provenance: []byte(` {"a":1}`),
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Integrity{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestParsePublishTakes(t *testing.T) {
	tests := []struct {
		name string
		edit func(doc, manifest *Object)
		look func(p *Publication) string
		want string
	}{
		{"several tags", func(doc, _ *Object) { doc.Set("dist-tags", []byte(`{"next":"1.2.3","latest":"1.2.3"}`)) },
			func(p *Publication) string { return strings.Join(p.Tags, " ") }, "next latest"},
		{"access null", func(doc, _ *Object) { doc.Set("access", []byte("null")) },
			func(p *Publication) string { return p.Access }, ""},
		{"no access", func(doc, _ *Object) { doc.Delete("access") },
			func(p *Publication) string { return p.Access }, ""},
		{"restricted", func(doc, _ *Object) { doc.SetString("access", "restricted") },
			func(p *Publication) string { return p.Access }, "restricted"},
		{"private false", func(_, m *Object) { m.Set("private", []byte("false")) },
			func(p *Publication) string { return p.Version }, "1.2.3"},
		{"no dist", func(_, m *Object) { m.Delete("dist") },
			func(p *Publication) string { return fmt.Sprintf("%v %q", p.Integrity.IsZero(), p.Shasum) }, `true ""`},
		{"a shasum alone, in capitals", func(_, m *Object) { m.Set("dist", []byte(`{"shasum":"`+strings.ToUpper(pubShasum)+`"}`)) },
			func(p *Publication) string { return p.Integrity.String() + " " + p.Shasum }, "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk= " + pubShasum},
		{"an integrity alone", func(_, m *Object) { m.Set("dist", []byte(`{"integrity":"`+pubIntegrity+`"}`)) },
			func(p *Publication) string { return p.Integrity.String() + " " + p.Shasum }, pubIntegrity + " "},
		{"the README beside the version", func(doc, m *Object) {
			m.Delete("readme")
			m.Delete("readmeFilename")
			doc.SetString("readme", "top")
			doc.SetString("readmeFilename", "readme.txt")
		}, func(p *Publication) string { return p.Readme + " " + p.ReadmeFilename }, "top readme.txt"},
		{"the README of the version before that", func(doc, _ *Object) { doc.SetString("readme", "top") },
			func(p *Publication) string { return p.Readme }, "# Lib"},
		{"npm's placeholder for a README", func(doc, m *Object) {
			m.SetString("readme", "ERROR: No README data found!")
			doc.SetString("readme", "ERROR: No README data found!\n")
		}, func(p *Publication) string { return p.Readme }, ""},
		{"npm's placeholder before a README", func(doc, m *Object) {
			m.SetString("readme", "ERROR: No README data found!")
			doc.SetString("readme", "top")
		}, func(p *Publication) string { return p.Readme }, "top"},
		{"a README that is no string", func(_, m *Object) { m.Set("readme", []byte(`{"a":1}`)) },
			func(p *Publication) string { return p.Readme }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := ParsePublish(publishBody(t, tt.edit), "@acme/lib")
			if err != nil {
				t.Fatal(err)
			}
			if got := tt.look(p); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestParsePublishTakesNoDeclaredLength(t *testing.T) {
	body := publishBody(t, nil)
	body.Attachments[0].Length = -1
	if _, err := ParsePublish(body, "@acme/lib"); err != nil {
		t.Error(err)
	}
}

func TestParsePublishRefuses(t *testing.T) {
	set := func(key, value string) func(doc, manifest *Object) {
		return func(doc, _ *Object) { doc.Set(key, []byte(value)) }
	}
	setM := func(key, value string) func(doc, manifest *Object) {
		return func(_, m *Object) { m.Set(key, []byte(value)) }
	}
	tests := []struct {
		name string
		edit func(doc, manifest *Object)
		says string
	}{
		{"another name", set("name", `"@acme/other"`), "the body is of package"},
		{"no name", func(doc, _ *Object) { doc.Delete("name") }, "the body is of package"},
		{"a name that is no string", set("name", "1"), "the body is of package"},
		{"versions null", set("versions", "null"), "not an object of one version"},
		{"no version", set("versions", "{}"), "not an object of one version"},
		{"two versions", set("versions", `{"1.2.3":{},"1.2.4":{}}`), "not an object of one version"},
		{"versions an array", set("versions", `["1.2.3"]`), "not an object of one version"},
		{"a manifest that is no object", set("versions", `{"1.2.3":"x"}`), "not an object"},
		{"a version that is none", set("versions", `{"latest":{}}`), "not a semantic version"},
		{"a version with a v", set("versions", `{"v1.2.3":{}}`), "not a semantic version"},
		{"a version with leading zeros", set("versions", `{"1.02.3":{}}`), "not a semantic version"},
		{"a version with white space", set("versions", `{" 1.2.3":{}}`), "not a semantic version"},
		{"another name in the manifest", setM("name", `"@acme/other"`), "has the name"},
		{"no name in the manifest", func(_, m *Object) { m.Delete("name") }, "has the name"},
		{"another version in the manifest", setM("version", `"1.2.4"`), "has the version"},
		{"a version with a v in the manifest", setM("version", `"v1.2.3"`), "has the version"},
		{"private", setM("private", "true"), "is marked as private in its package.json"},
		{"private, in another word", setM("private", `"yes"`), "is marked as private in its package.json"},
		{"no tags", set("dist-tags", "{}"), "names a tag"},
		{"tags missing", func(doc, _ *Object) { doc.Delete("dist-tags") }, "names a tag"},
		{"tags a string", set("dist-tags", `"latest"`), "names a tag"},
		{"a tag for another version", set("dist-tags", `{"latest":"1.2.3","next":"1.2.4"}`), "the dist-tag next is for version"},
		{"a tag for no version", set("dist-tags", `{"latest":null}`), "the dist-tag latest is for version"},
		{"a tag that is a range", set("dist-tags", `{"1.x":"1.2.3"}`), "version range"},
		{"a tag with a slash", set("dist-tags", `{"a/b":"1.2.3"}`), "a URL would escape"},
		{"too many tags", func(doc, _ *Object) {
			var tags Object
			for i := range maxPublishTags + 1 {
				tags.SetString(fmt.Sprintf("t%d", i), "1.2.3")
			}
			doc.Set("dist-tags", tags.AppendJSON(nil))
		}, "more than 100 tags"},
		{"another access", set("access", `"secret"`), "neither"},
		{"access a number", set("access", "1"), "neither"},
		{"dist a string", setM("dist", `"x"`), `"dist" is not an object`},
		{"a broken integrity", setM("dist", `{"integrity":"sha512-AAAA"}`), "integrity"},
		{"a broken shasum beside an integrity", setM("dist", `{"integrity":"`+pubIntegrity+`","shasum":"x"}`), "shasum"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParsePublish(publishBody(t, tt.edit), "@acme/lib")
			if KindOf(err) != Invalid || !strings.Contains(Message(err), tt.says) {
				t.Errorf("got kind %v, %v; want %v that says %q", KindOf(err), err, Invalid, tt.says)
			}
		})
	}
}

func TestParsePublishRefusesAttachments(t *testing.T) {
	good := Attachment{Name: "x.tgz", Length: 3, Size: 3}
	tests := []struct {
		name        string
		attachments []Attachment
		says        string
	}{
		{"none", nil, "no tarball"},
		{"provenance alone", []Attachment{{Name: "x.sigstore", Data: []byte("{}")}}, "no tarball"},
		{"an empty tarball", []Attachment{{Name: "x.tgz"}}, "no tarball"},
		{"a tarball of another length", []Attachment{{Name: "x.tgz", Length: 4, Size: 3}}, "declared as 4 bytes and has 3"},
		{"a tarball declared as empty", []Attachment{{Name: "x.tgz", Length: 0, Size: 3}}, "declared as 0 bytes and has 3"},
		{"something else", []Attachment{good, {Name: "x.zip"}}, "neither"},
		{"provenance in base64", []Attachment{good, {Name: "x.sigstore", Data: []byte("e30=")}}, "not a JSON object"},
		{"provenance cut off", []Attachment{good, {Name: "x.sigstore", Data: []byte(`{"a":`)}}, "not a JSON object"},
		{"provenance that is no object", []Attachment{good, {Name: "x.sigstore", Data: []byte(`[]`)}}, "not a JSON object"},
		{"provenance without data", []Attachment{good, {Name: "x.sigstore"}}, "not a JSON object"},
		{"two of provenance", []Attachment{good, {Name: "x.sigstore", Data: []byte(`{}`)}, {Name: "y.sigstore", Data: []byte(`{}`)}}, "two .sigstore"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := publishBody(t, nil)
			body.Attachments = tt.attachments
			_, err := ParsePublish(body, "@acme/lib")
			if KindOf(err) != Invalid || !strings.Contains(Message(err), tt.says) {
				t.Errorf("got kind %v, %v; want %v that says %q", KindOf(err), err, Invalid, tt.says)
			}
		})
	}
}

func TestCheckNewVersion(t *testing.T) {
	for version, ok := range map[string]bool{
		"1.2.3": true, "0.0.0": true, "1.2.3-rc.1": true, "1.2.3+build.5": true, "1.2.3-a+b": true, "9007199254740991.0.0": true,
		"": false, "1": false, "1.2": false, "v1.2.3": false, "=1.2.3": false, "1.2.3 ": false, "01.2.3": false, "1.2.3-01": false,
		"1.2.3-": false, "1.2.3+": false, "1.2.3-ä": false, "1.2.3\x00": false, "1.2.x": false, "latest": false, "../1.2.3": false,
		"9007199254740992.0.0": false, "1.2.3-" + strings.Repeat("a", 251): false,
	} {
		if err := CheckNewVersion(version); (err == nil) != ok || err != nil && KindOf(err) != Invalid {
			t.Errorf("CheckNewVersion(%.80q) = %v, want ok = %v", version, err, ok)
		}
	}
}
