package registry

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestThinMirror(t *testing.T) {
	s := start(t, Config{})
	s.SetMode(Mode{Thin: true})
	resp := ask(t, s, "is-number", corgi, "Accept-Encoding: gzip")
	for _, name := range []string{"ETag", "Cache-Control", "Vary", "Last-Modified", "Content-Encoding"} {
		if value := resp.Header.Get(name); value != "" {
			t.Errorf("%s: %s", name, value)
		}
	}
	if tags := gjson.GetBytes(resp.body, "dist-tags").Raw; tags != `{"latest":"7.0.0"}` {
		t.Errorf("dist-tags %s", tags)
	}
	if !gjson.GetBytes(resp.body, "time").Exists() {
		t.Error("the abbreviated form")
	}
	if missing := ask(t, s, "no-such-package"); missing.StatusCode != 404 || len(missing.body) != 0 {
		t.Errorf("%d %s", missing.StatusCode, missing.body)
	}
	if keys := ask(t, s, "-/npm/v1/keys"); keys.StatusCode != 404 {
		t.Errorf("keys: %d", keys.StatusCode)
	}
	s.SetMode(Mode{})
	if ask(t, s, "is-number").Header.Get("ETag") == "" {
		t.Error("still thin")
	}
}

func TestNoVersionDocuments(t *testing.T) {
	s := start(t, Config{})
	s.SetMode(Mode{NoVersionDocuments: true})
	if resp := ask(t, s, "is-number/7.0.0"); resp.StatusCode != 404 {
		t.Errorf("version: %d", resp.StatusCode)
	}
	if resp := ask(t, s, "is-number"); resp.StatusCode != 200 {
		t.Errorf("packument: %d", resp.StatusCode)
	}
}

func TestOddTarballs(t *testing.T) {
	s := start(t, Config{})
	conventional := ask(t, s, "@types/ms/-/ms-2.1.0.tgz")
	s.SetMode(Mode{OddTarballs: true})
	url := gjson.GetBytes(ask(t, s, "@types%2fms").body, `versions.2\.1\.0.dist.tarball`).String()
	if odd := ask(t, s, strings.TrimPrefix(url, s.URL())); string(odd.body) != string(conventional.body) {
		t.Errorf("%s: %d", url, odd.StatusCode)
	}
	if resp := ask(t, s, "@types/ms/-/ms-2.1.0.tgz"); resp.StatusCode != 404 {
		t.Errorf("conventional: %d", resp.StatusCode)
	}
}

func TestTarballBase(t *testing.T) {
	s := start(t, Config{})
	s.SetMode(Mode{TarballBase: "http://files.registry.example/x/"})
	got := gjson.GetBytes(ask(t, s, "is-odd").body, `versions.3\.0\.1.dist.tarball`).String()
	if got != "http://files.registry.example/x/is-odd/-/is-odd-3.0.1.tgz" {
		t.Errorf("tarball %s", got)
	}
}

func TestOldDocuments(t *testing.T) {
	s := start(t, Config{},
		Package{Name: "sha1", Version: "1.0.0", OnlySHA1: true},
		Package{Name: "nothing", Version: "1.0.0", NoHash: true},
		Package{Name: "odd", Version: "1.0.0", File: "odd@1.0.0.tgz"})
	dist := func(name string) gjson.Result { return gjson.GetBytes(ask(t, s, name+"/1.0.0").body, "dist") }
	if d := dist("sha1"); d.Get("integrity").Exists() || len(d.Get("shasum").String()) != 40 {
		t.Errorf("sha1: %s", d)
	}
	if d := dist("nothing"); d.Get("integrity").Exists() || d.Get("shasum").Exists() || !d.Get("tarball").Exists() {
		t.Errorf("nothing: %s", d)
	}
	if resp := ask(t, s, "odd/-/odd@1.0.0.tgz"); resp.StatusCode != 200 {
		t.Errorf("odd: %d", resp.StatusCode)
	}
	if resp := ask(t, s, "odd/-/odd-1.0.0.tgz"); resp.StatusCode != 404 {
		t.Errorf("conventional: %d", resp.StatusCode)
	}
}

func TestUnpublish(t *testing.T) {
	s := start(t, Config{})
	if err := s.Unpublish("is-number"); err != nil {
		t.Fatal(err)
	}
	for _, accept := range []string{corgi, "Accept: */*"} {
		doc := gjson.ParseBytes(ask(t, s, "is-number", accept).body)
		if !doc.Get("time.unpublished").IsObject() || doc.Get("versions").Exists() || doc.Get("dist-tags").Exists() {
			t.Errorf("%s: %s", accept, doc)
		}
	}
	if resp := ask(t, s, "is-number/-/is-number-7.0.0.tgz"); resp.StatusCode != 404 {
		t.Errorf("tarball: %d", resp.StatusCode)
	}
	s.Remove("is-number")
	if resp := ask(t, s, "is-number"); resp.StatusCode != 404 {
		t.Errorf("removed: %d", resp.StatusCode)
	}
}

func TestPublishAndTag(t *testing.T) {
	s := start(t, Config{})
	before := ask(t, s, "is-odd").Header.Get("Last-Modified")
	if err := s.Add(Package{Name: "is-odd", Version: "4.0.0", Time: Published}); err != nil {
		t.Fatal(err)
	}
	if err := s.Tag("is-odd", "beta", "4.0.0"); err != nil {
		t.Fatal(err)
	}
	resp := ask(t, s, "is-odd")
	if tags := gjson.GetBytes(resp.body, "dist-tags").Raw; tags != `{"latest":"4.0.0","beta":"4.0.0"}` {
		t.Errorf("dist-tags %s", tags)
	}
	if after := resp.Header.Get("Last-Modified"); after == before {
		t.Errorf("still of %s", after)
	}
	if err := s.Tag("no-such-package", "beta", "1.0.0"); err == nil {
		t.Error("tagged what is not there")
	}
}

func TestAddRefuses(t *testing.T) {
	tests := []struct {
		name string
		pkg  Package
	}{
		{"no name", Package{Version: "1.0.0"}},
		{"no version", Package{Name: "a"}},
		{"a range", Package{Name: "a", Version: "^1.0.0"}},
		{"not JSON", Package{Name: "a", Version: "1.0.0", Manifest: "{"}},
		{"another name", Package{Name: "a", Version: "1.0.0", Manifest: `{"name":"b"}`}},
		{"another version", Package{Name: "a", Version: "1.0.0", Manifest: `{"version":"2.0.0"}`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, Config{}, Package{Name: "other", Version: "1.0.0"})
			if err := s.Add(tt.pkg); err == nil {
				t.Error("it was published")
			}
		})
	}
}

func TestBig(t *testing.T) {
	s := start(t, Config{}, Package{Name: "small", Version: "1.0.0"})
	const size = 2_000_000
	if err := s.Big("big", 40, size); err != nil {
		t.Fatal(err)
	}
	full, short := ask(t, s, "big"), ask(t, s, "big", corgi)
	if got := len(full.body); got < size*9/10 || got > size*11/10 {
		t.Errorf("%d bytes, want about %d", got, size)
	}
	if n := len(gjson.GetBytes(short.body, "versions").Map()); n != 40 {
		t.Errorf("%d versions", n)
	}
	if len(short.body) > len(full.body)*2/3 {
		t.Errorf("abbreviated has %d bytes of %d", len(short.body), len(full.body))
	}
}
