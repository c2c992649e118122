package registry

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestForms(t *testing.T) {
	s := start(t, Config{})
	tests := []struct {
		name, accept string
		short        bool
	}{
		{"npm and most others", strings.TrimPrefix(corgi, "Accept: "), true},
		{"install form alone", "application/vnd.npm.install-v1+json", true},
		{"npm, full", "application/json", false},
		{"pnpm, full", "application/json; q=1.0, */*", false},
		{"deno", "*/*", false},
		{"yarn 4", "", false},
		{"both alike", "application/json, application/vnd.npm.install-v1+json", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := ask(t, s, "@acme%2fkit", "Accept: "+tt.accept)
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("status %d", resp.StatusCode)
			}
			if short := resp.Header.Get("Content-Type") == "application/vnd.npm.install-v1+json"; short != tt.short {
				t.Errorf("content type %s", resp.Header.Get("Content-Type"))
			}
			if short := !gjson.GetBytes(resp.body, "time").Exists(); short != tt.short {
				t.Errorf("wrong form: %s", resp.body)
			}
		})
	}
}

func TestAbbreviatedVersion(t *testing.T) {
	s := start(t, Config{})
	doc := func(name string) gjson.Result {
		return gjson.ParseBytes(ask(t, s, name, corgi).body)
	}
	kit := doc("@acme%2fkit")
	if keys := fmt.Sprint(kit.Get("@keys").Value()); keys != "[name dist-tags versions modified]" {
		t.Errorf("top level: %s", keys)
	}
	version := kit.Get(`versions.1\.2\.0`)
	for _, key := range []string{"bin.kit", "dependencies", "optionalDependencies", "peerDependencies", "peerDependenciesMeta", "dist.integrity", "dist.shasum", "dist.tarball", "dist.signatures"} {
		if !version.Get(key).Exists() {
			t.Errorf("lacks %s", key)
		}
	}
	for _, key := range []string{"main", "description", "_id", "hasInstallScript"} {
		if version.Get(key).Exists() {
			t.Errorf("has %s", key)
		}
	}
	if windows := doc("@acme%2fkit-win32").Get(`versions.1\.2\.0`); windows.Get("libc").Exists() || !windows.Get("os").Exists() {
		t.Errorf("libc is dropped and os is not: %s", windows)
	}
	if !doc("native-thing").Get(`versions.2\.0\.0.hasInstallScript`).Bool() {
		t.Error("a postinstall script goes unmentioned")
	}
	if got := doc("is-number").Get(`versions.6\.0\.0.deprecated`).String(); got == "" {
		t.Error("a deprecation goes unmentioned")
	}
}

func TestFullDocument(t *testing.T) {
	s := start(t, Config{})
	doc := gjson.ParseBytes(ask(t, s, "is-number").body)
	if order := fmt.Sprint(doc.Get("versions.@keys").Value()); order != "[6.0.0 7.0.0 8.0.0-rc.1]" {
		t.Errorf("versions %s", order)
	}
	tests := []struct{ path, want string }{
		{"name", "is-number"},
		{"dist-tags.latest", "7.0.0"}, // the highest stable one
		{"dist-tags.next", "8.0.0-rc.1"},
		{"dist-tags.legacy", "6.0.0"},
		{`time.6\.0\.0`, "2018-03-31T00:00:00.000Z"},
		{"time.created", "2018-03-31T00:00:00.000Z"},
		{"time.modified", "2019-01-01T00:00:00.000Z"},
		{`versions.7\.0\.0.dist.tarball`, s.URL() + "is-number/-/is-number-7.0.0.tgz"},
		{`versions.7\.0\.0._id`, "is-number@7.0.0"},
		{"readmeFilename", "README.md"},
	}
	for _, tt := range tests {
		if got := doc.Get(tt.path).String(); got != tt.want {
			t.Errorf("%s = %q, want %q", tt.path, got, tt.want)
		}
	}
	if engines := gjson.GetBytes(ask(t, s, "jsonparse").body, `versions.1\.3\.1.engines`).Raw; engines != `["node >= 0.2.0"]` {
		t.Errorf("engines were touched: %s", engines)
	}
}

func TestDocumentHeaders(t *testing.T) {
	s := start(t, Config{})
	plain := ask(t, s, "is-number")
	want := map[string]string{
		"Cache-Control":  "public, max-age=300",
		"Vary":           "accept-encoding, accept",
		"Last-Modified":  "Tue, 01 Jan 2019 00:00:00 GMT",
		"ETag":           etag(plain.body),
		"Content-Length": fmt.Sprint(len(plain.body)),
	}
	for name, value := range want {
		if got := plain.Header.Get(name); got != value {
			t.Errorf("%s: %s, want %s", name, got, value)
		}
	}
	if !strings.HasPrefix(plain.Header.Get("Set-Cookie"), "_cfuvid=") {
		t.Error("no cookie to strip")
	}

	packed := ask(t, s, "is-number", "Accept-Encoding: gzip, deflate, br")
	if got := packed.Header.Get("ETag"); got != "W/"+etag(plain.body) {
		t.Errorf("ETag %s with gzip", got)
	}
	zr, err := gzip.NewReader(bytes.NewReader(packed.body))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(zr); err != nil || !bytes.Equal(body, plain.body) {
		t.Errorf("gzip unpacks to something else (%v)", err)
	}
	if packed.ContentLength != int64(len(packed.body)) {
		t.Errorf("length %d of %d", packed.ContentLength, len(packed.body))
	}

	head := ask(t, s, "is-number", http.MethodHead)
	if head.StatusCode != http.StatusOK || len(head.body) != 0 || head.ContentLength != int64(len(plain.body)) {
		t.Errorf("HEAD: %d, %d bytes, length %d", head.StatusCode, len(head.body), head.ContentLength)
	}
}

func TestConditional(t *testing.T) {
	s := start(t, Config{})
	tag := ask(t, s, "is-number").Header.Get("ETag")
	tests := []struct {
		name    string
		headers []string
		status  int
	}{
		{"same tag", []string{"If-None-Match: " + tag}, 304},
		{"weak tag", []string{"If-None-Match: W/" + tag}, 304},
		{"other tag", []string{`If-None-Match: "0"`}, 200},
		{"not modified since", []string{"If-Modified-Since: Tue, 01 Jan 2019 00:00:00 GMT"}, 304},
		{"the tag rules", []string{`If-None-Match: "0"`, "If-Modified-Since: Tue, 01 Jan 2019 00:00:00 GMT"}, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := ask(t, s, "is-number", tt.headers...)
			if resp.StatusCode != tt.status {
				t.Fatalf("status %d, want %d", resp.StatusCode, tt.status)
			}
			if resp.StatusCode == 304 && (len(resp.body) > 0 || resp.Header.Get("ETag") != tag || resp.Header.Get("Cache-Control") == "") {
				t.Errorf("304 with %v and %d bytes", resp.Header, len(resp.body))
			}
		})
	}
	if err := s.Deprecate("is-number", "7.0.0", "use Number.isFinite"); err != nil {
		t.Fatal(err)
	}
	if resp := ask(t, s, "is-number", "If-None-Match: "+tag); resp.StatusCode != 200 {
		t.Errorf("status %d after a change", resp.StatusCode)
	}
}

func TestSmallAnswers(t *testing.T) {
	s := start(t, Config{})
	tests := []struct {
		path   string
		status int
		want   string // is in the body
	}{
		{"", 200, `"db_name":"registry"`},
		{"-/ping", 200, "{}"},
		{"no-such-package", 404, `{"error":"Not found"}`},
		{"is-number/-/is-number-9.9.9.tgz", 404, `{"error":"Not found"}`},
		{"is-number/9.9.9", 404, `"version not found: 9.9.9"`},
		{"is-number/%5E7", 404, `"version not found: ^7"`},
		{"is-number/7.0.0", 200, `"_id":"is-number@7.0.0"`},
		{"is-number/next", 200, `"version":"8.0.0-rc.1"`},
		{"@types%2fms/latest", 200, `"_id":"@types/ms@2.1.0"`},
		{"@types/ms/2.1.0", 200, `"_id":"@types/ms@2.1.0"`},
		{"with-build/1.0.0%2Bbuild.1", 200, `"version":"1.0.0+build.1"`},
		{"-/package/is-number/dist-tags", 200, `{"latest":"7.0.0","legacy":"6.0.0","next":"8.0.0-rc.1"}`},
		{"-/package/no-such-package/dist-tags", 404, "Not found"},
		{"-/npm/v1/attestations/@types%2fms@2.1.0", 200, `"predicateType":"https://slsa.dev/provenance/v1"`},
		{"-/npm/v1/attestations/is-odd@3.0.1", 404, "Not found"},
		{"-/all", 404, "Not found"},
		{"-/npm/v1/security/advisories/bulk", 405, "MethodNotAllowedError"},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			resp := ask(t, s, tt.path)
			if resp.StatusCode != tt.status || !strings.Contains(string(resp.body), tt.want) {
				t.Errorf("%d %s\nwant %d %s", resp.StatusCode, resp.body, tt.status, tt.want)
			}
			if !json.Valid(resp.body) {
				t.Error("not JSON")
			}
		})
	}
	resp, err := http.Post(s.URL()+"is-number", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", resp.StatusCode, resp.Header.Get("Allow"))
	}
}

func TestPrefix(t *testing.T) {
	s := start(t, Config{Prefix: "/npm/"})
	if !strings.HasSuffix(s.URL(), "/npm/") {
		t.Fatalf("URL %s", s.URL())
	}
	resp := ask(t, s, "is-odd")
	tarball := gjson.GetBytes(resp.body, `versions.3\.0\.1.dist.tarball`).String()
	if tarball != s.URL()+"is-odd/-/is-odd-3.0.1.tgz" {
		t.Errorf("tarball %s", tarball)
	}
	if s.Count("/is-odd").Requests != 1 {
		t.Errorf("counted %v", s.Paths())
	}
	origin := strings.TrimSuffix(s.URL(), "/npm/")
	for path, want := range map[string]int{"/is-odd": 404, "/npmis-odd": 404, "/npm": 200, "/npm/": 200, "/": 404} {
		resp, err := http.Get(origin + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
}
