package hosted

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"larder/cache"
	"larder/npm"
)

// FuzzPackument publishes manifests and documents of any members. Whatever was
// not refused is a packument that can be rendered in both forms, and the one
// that is read from disk is the one that was in memory.
func FuzzPackument(f *testing.F) {
	for _, seed := range [][2]string{
		{`{}`, `{}`},
		{`{"description":"d","readme":"r","deprecated":"","bin":"x","keywords":"a, b"}`, `{"readme":"# r","readmeFilename":"R"}`},
		{`{"dist":{"x":1,"attestations":[],"tarball":null},"deprecated":"old","author":"A <a@b>"}`, `{"access":"public","maintainers":[]}`},
		{`{"\u0064eprecated":false,"versions":{},"time":[],"scripts":{"install":"x"},"author":{"name":"a"}}`, `{"time":7,"users":{"a":true},"_rev":"x"}`},
		{`{"description":"<&>\u2028","repository":{"url":"u"}, "dist" : { "tarball" : "t" } }`, `{"_id":1,"readme":"\ud800"}`},
	} {
		f.Add(seed[0], seed[1], "next", "gone")
	}
	tarball := pkg{name: "lib", version: "1.0.0"}.tarball(f)
	attachments := `{"lib-1.0.0.tgz":{"data":"` + base64.StdEncoding.EncodeToString(tarball) + `"}}`
	f.Fuzz(func(t *testing.T, manifest, doc, tag, message string) {
		manifest, manifestOK := strings.CutPrefix(manifest, "{")
		doc, docOK := strings.CutPrefix(doc, "{")
		if !manifestOK || !docOK {
			return
		}
		// The last of two members counts.
		manifest = strings.TrimSuffix(strings.TrimRight(manifest, " \t\r\n"), "}")
		doc = strings.TrimSuffix(strings.TrimRight(doc, " \t\r\n"), "}")
		body := `{` + join(doc, `"_id":"lib","name":"lib","dist-tags":{`+string(npm.Quote(tag))+`:"1.0.0"},`+
			`"versions":{"1.0.0":{`+join(manifest, `"name":"lib","version":"1.0.0"`)+`}},"_attachments":`+attachments) + `}`
		s := cache.NewMem()
		p := newPackages(t, Config{Store: s})
		if _, err := sendBody(t.Context(), p, "lib", []byte(body), alice); err != nil {
			if kind := npm.KindOf(err); kind != npm.Invalid {
				t.Errorf("%v (%v) of\n%s", err, kind, body)
			}
			return
		}
		wantPackument(t, p, s)
		deprecated := npm.Object{{Key: "versions", Value: []byte(`{"1.0.0":{"deprecated":` + string(npm.Quote(message)) + `}}`)}}
		if _, err := p.Deprecate(t.Context(), "lib", deprecated, alice); err != nil {
			t.Fatal(err)
		}
		wantPackument(t, p, s)
		if _, err := p.Search(t.Context(), Query{}); err != nil {
			t.Error(err)
		}
	})
}

// join joins members of an object, of which the former may be none.
func join(members, more string) string {
	if strings.TrimSpace(members) == "" {
		return more
	}
	return members + "," + more
}

// wantPackument checks the packument of "lib", which lies in s.
func wantPackument(t *testing.T, p *Packages, s cache.Store) {
	t.Helper()
	raw := get(t, p, "lib").Packument()
	if again := get(t, newPackages(t, Config{Store: s}), "lib").Packument(); !bytes.Equal(raw, again) {
		t.Errorf("from disk it is\n%s\nand was\n%s", again, raw)
	}
	if _, err := npm.Inspect(raw, "lib"); err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	for _, form := range []npm.Form{npm.Full, npm.Abbreviated} {
		target := npm.Target{Name: "lib", Base: "http://larder.example", Form: form}
		var out bytes.Buffer
		if err := npm.Render(&out, raw, npm.Full, target); err != nil {
			t.Fatalf("%v\n%s", err, raw)
		}
		var rendered struct {
			Name     string                                `json:"name"`
			Modified string                                `json:"modified"`
			Time     map[string]string                     `json:"time"`
			Tags     map[string]string                     `json:"dist-tags"`
			Versions map[string]map[string]json.RawMessage `json:"versions"`
		}
		if err := json.Unmarshal(out.Bytes(), &rendered); err != nil {
			t.Fatalf("%v\n%s", err, out.Bytes())
		}
		v := rendered.Versions["1.0.0"]
		text := func(raw json.RawMessage) (s string) {
			_ = json.Unmarshal(raw, &s) // what is none is ""
			return s
		}
		var dist struct{ Tarball, Integrity, Shasum string }
		if err := json.Unmarshal(v["dist"], &dist); err != nil {
			t.Fatalf("%v\n%s", err, out.Bytes())
		}
		modified := rendered.Time["modified"]
		if form == npm.Abbreviated {
			modified = rendered.Modified
		}
		_, timeErr := time.Parse(stampForm, modified)
		if rendered.Name != "lib" || text(v["name"]) != "lib" || text(v["version"]) != "1.0.0" || rendered.Tags["latest"] != "1.0.0" ||
			dist.Tarball != "http://larder.example/lib/-/lib-1.0.0.tgz" || dist.Integrity == "" || dist.Shasum == "" || timeErr != nil {
			t.Errorf("%s\nbecame\n%s", raw, out.Bytes())
		}
		if d, ok := v["deprecated"]; ok && text(d) == "" {
			t.Errorf("deprecated is %s", d)
		}
		for _, key := range []string{"readme", "_attachments", "_resolved", "_from"} {
			if _, ok := v[key]; ok {
				t.Errorf("the manifest has %s: %s", key, out.Bytes())
			}
		}
		if _, err := npm.RenderVersion(raw, "latest", target); err != nil {
			t.Errorf("%v\n%s", err, raw)
		}
		wantUniqueKeys(t, out.Bytes())
	}
}

// wantUniqueKeys fails the test if an object has a member twice at its top.
func wantUniqueKeys(t *testing.T, raw []byte) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(raw))
	seen, depth, key := make(map[string]bool), 0, false
	for {
		token, err := dec.Token()
		if err != nil {
			return
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			key = depth == 1
			continue
		case json.Delim('}'), json.Delim(']'):
			depth--
			key = depth == 1
			continue
		}
		if depth != 1 {
			continue
		}
		if key {
			if name := fmt.Sprint(token); seen[name] {
				t.Errorf("%s is there twice in %s", name, raw)
			} else {
				seen[name] = true
			}
		}
		key = !key
	}
}
