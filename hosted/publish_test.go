package hosted

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/cache"
	"larder/npm"
)

func TestPublish(t *testing.T) {
	stores(t, func(t *testing.T, s cache.Store) {
		c := newClock()
		p := newPackages(t, Config{Store: s, Now: c.Now, Sign: func(message string) (string, string, error) {
			return "SHA256:key", "signed:" + message, nil
		}})
		lib := pkg{name: "@acme/lib", version: "1.0.0", tags: []string{"next"}, text: "a",
			manifest: map[string]any{"description": "<a & b>", "keywords": []string{"x"}, "custom": map[string]any{"z": 1, "a": 2}}}
		change := publish(t, p, lib)
		if change.Old != "" || !strings.HasPrefix(change.New, "1-") || change.Version != "1.0.0" || change.Repeated {
			t.Errorf("change is %+v", change)
		}
		data := lib.tarball(t)
		doc := packument(t, p, "@acme/lib")
		want := map[string]any{
			"_id": "@acme/lib", "_rev": change.New, "name": "@acme/lib",
			"description": "<a & b>", "keywords": []any{"x"}, "readme": "# 1.0.0",
			"dist-tags":   map[string]any{"latest": "1.0.0", "next": "1.0.0"},
			"maintainers": []any{map[string]any{"name": "alice", "email": "alice@example.com"}},
			"time": map[string]any{
				"created": "2026-03-01T12:00:00.123Z", "modified": "2026-03-01T12:00:00.123Z", "1.0.0": "2026-03-01T12:00:00.123Z",
			},
			"versions": map[string]any{"1.0.0": map[string]any{
				"_id": "@acme/lib@1.0.0", "name": "@acme/lib", "version": "1.0.0",
				"description": "<a & b>", "keywords": []any{"x"}, "custom": map[string]any{"z": 1.0, "a": 2.0},
				"_npmUser":    map[string]any{"name": "alice", "email": "alice@example.com"},
				"maintainers": []any{map[string]any{"name": "alice", "email": "alice@example.com"}},
				"dist": map[string]any{
					"integrity": integrityOf(data), "shasum": at(decoded(t, lib.body(t)), "versions", "1.0.0", "dist", "shasum"), "tarball": "",
					"fileCount": 2.0, "unpackedSize": 38.0 + 23.0,
					"signatures": []any{map[string]any{"keyid": "SHA256:key", "sig": "signed:@acme/lib@1.0.0:" + integrityOf(data)}},
				},
			}},
		}
		if d := cmp.Diff(want, doc); d != "" {
			t.Error(d)
		}
		wantWhole(t, p, "@acme/lib")

		// A process that starts now sees the same, to the byte.
		again := newPackages(t, Config{Store: s, Now: c.Now})
		if d := cmp.Diff(string(get(t, p, "@acme/lib").Packument()), string(get(t, again, "@acme/lib").Packument())); d != "" {
			t.Error(d)
		}
	})
}

func TestPackumentIsRenderedInBothForms(t *testing.T) {
	p := newPackages(t, Config{})
	publish(t, p, pkg{name: "@acme/lib", version: "1.0.0", provenance: bundle("https://slsa.dev/provenance/v1")})
	k := get(t, p, "@acme/lib")
	for _, form := range []npm.Form{npm.Full, npm.Abbreviated} {
		var out bytes.Buffer
		target := npm.Target{Name: "@acme/lib", Base: "http://r.example/npm", Form: form}
		if err := npm.Render(&out, k.Packument(), npm.Full, target); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			`"tarball":"http://r.example/npm/@acme/lib/-/lib-1.0.0.tgz"`,
			`"url":"http://r.example/npm/-/npm/v1/attestations/@acme%2flib@1.0.0"`,
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("form %v lacks %s:\n%s", form, want, out.String())
			}
		}
	}
}

func TestOrderOfMembers(t *testing.T) {
	p := newPackages(t, Config{})
	publish(t, p, pkg{name: "lib", version: "1.0.0", doc: map[string]any{"access": "public"}, manifest: map[string]any{
		"readmeFilename": "README.md", "license": "MIT", "description": "d", "author": "a", "bugs": "b", "homepage": "h",
		"repository": "r", "keywords": "k", "contributors": []string{"c"},
	}})
	if _, err := p.SetStar(t.Context(), "lib", "bob", true); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range object(t, string(get(t, p, "lib").Packument())) {
		got = append(got, m.Key)
	}
	want := strings.Fields("_id _rev name description homepage keywords repository author bugs license contributors " +
		"readmeFilename dist-tags versions time users maintainers access readme")
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestTagsOfPublish(t *testing.T) {
	p := newPackages(t, Config{})
	publish(t, p, pkg{name: "lib", version: "1.0.0", tags: []string{"next"}})
	publish(t, p, pkg{name: "lib", version: "2.0.0", tags: []string{"next"}})
	if d := cmp.Diff(map[string]string{"latest": "1.0.0", "next": "2.0.0"}, get(t, p, "lib").DistTags()); d != "" {
		t.Error(d)
	}
	if got := packument(t, p, "lib")["readme"]; got != "# 1.0.0" {
		t.Errorf("readme is %q, want that of latest", got)
	}
}

func TestPublishRefuses(t *testing.T) {
	wrongIntegrity := integrityOf([]byte("something else"))
	tests := []struct {
		name     string
		pkg      pkg
		body     []byte // in place of pkg's
		kind     npm.Kind
		sentence string
	}{
		{"wrong sha512", pkg{dist: map[string]any{"integrity": wrongIntegrity}}, nil, npm.Invalid, "dist.integrity is " + wrongIntegrity},
		{"wrong sha1", pkg{dist: map[string]any{"shasum": strings.Repeat("0", 40)}}, nil, npm.Invalid, "dist.shasum is 000"},
		{"wrong sha1 alone", pkg{dist: map[string]any{"shasum": strings.Repeat("0", 40), "integrity": nil}}, nil, npm.Invalid, "dist.shasum"},
		{"sha256", pkg{dist: map[string]any{"integrity": "sha256-" + base64.StdEncoding.EncodeToString(make([]byte, 32))}}, nil, npm.Invalid, "must be a sha512"},
		{"other name inside", pkg{inside: map[string]any{"name": "evil", "version": "1.0.0"}}, nil, npm.Invalid, "is of evil@1.0.0, but lib@1.0.0 is"},
		{"other version inside", pkg{inside: map[string]any{"name": "lib", "version": "2.0.0"}}, nil, npm.Invalid, "is of lib@2.0.0, but lib@1.0.0 is"},
		{"private inside", pkg{inside: map[string]any{"name": "lib", "version": "1.0.0", "private": true}}, nil, npm.Invalid, "private"},
		{"private in the manifest", pkg{manifest: map[string]any{"private": true}}, nil, npm.Invalid, "private"},
		{"body of another name", pkg{doc: map[string]any{"name": "other"}}, nil, npm.Invalid, "other"},
		{"version not canonical", pkg{version: "v1.0.0"}, nil, npm.Invalid, "v1.0.0"},
		{"tag that is a range", pkg{tags: []string{"1.x"}}, nil, npm.Invalid, "1.x"},
		{"no tarball", pkg{}, []byte(`{"name":"lib","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"lib","version":"1.0.0"}}}`), npm.Invalid, "no tarball"},
		{"tarball is no gzip", pkg{}, []byte(`{"name":"lib","_attachments":{"lib-1.0.0.tgz":{"data":"AAAA"}}}`), npm.Invalid, "gzip"},
		{"bad base64", pkg{}, []byte(`{"name":"lib","_attachments":{"lib-1.0.0.tgz":{"data":"!!!!"}}}`), npm.Invalid, "base64"},
		{"no JSON", pkg{}, []byte(`{"name":`), npm.Invalid, ""},
		{"provenance that is none", pkg{provenance: "[]"}, nil, npm.Invalid, "provenance"},
		{"too large", pkg{text: strings.Repeat("x", 100), files: noise(60_000)}, nil, npm.TooLarge, "hosted.max_publish"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := cache.NewMem()
			p := newPackages(t, Config{Store: s, MaxPublish: 50_000})
			tt.pkg.name = "lib"
			if tt.pkg.version == "" {
				tt.pkg.version = "1.0.0"
			}
			body := tt.body
			if body == nil {
				body = tt.pkg.body(t)
			}
			_, err := sendBody(t.Context(), p, "lib", body, alice)
			wantError(t, err, tt.kind, tt.sentence)
			if left := keys(t, s, "lib"); len(left) > 0 {
				t.Errorf("the store holds %v", left)
			}
			_, err = p.Get(t.Context(), "lib")
			wantNotOurs(t, err)
		})
	}
}

func TestPublishTakes(t *testing.T) {
	tests := []struct {
		name string
		pkg  pkg
	}{
		{"no claims", pkg{dist: map[string]any{"shasum": nil, "integrity": nil}}},
		{"sha1 alone", pkg{dist: map[string]any{"integrity": nil}}},
		{"one of several hashes", pkg{dist: map[string]any{"integrity": integrityOf([]byte("old")) + " " + integrityOf(pkg{name: "lib", version: "1.0.0"}.tarball(t))}}},
		{"v in package.json", pkg{inside: map[string]any{"name": "lib", "version": "v1.0.0"}, dist: map[string]any{"integrity": nil, "shasum": nil}}},
		{"as large as allowed", pkg{files: noise(40_000)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPackages(t, Config{MaxPublish: 50_000})
			tt.pkg.name, tt.pkg.version = "lib", "1.0.0"
			publish(t, p, tt.pkg)
			wantWhole(t, p, "lib")
		})
	}
}

// Names are checked when they are new, and not again.
func TestNewNames(t *testing.T) {
	p := newPackages(t, Config{})
	for _, name := range []string{"Lib", "fs", "@acme/it's"} {
		_, err := send(t.Context(), t, p, pkg{name: name, version: "1.0.0"}, alice)
		wantError(t, err, npm.Invalid, name)
	}
}

func TestVersionsAreNeverReused(t *testing.T) {
	c := newClock()
	s := cache.NewMem()
	p := newPackages(t, Config{Store: s, Now: c.Now})
	publishAll(t, p, "lib", "1.0.0", "2.0.0+a", "3.0.0")
	if _, err := p.SetVersions(t.Context(), "lib", "", object(t, `{"versions":{"1.0.0":{},"2.0.0+a":{}}}`), alice); err != nil {
		t.Fatal(err)
	}
	before := keys(t, s, "lib")
	rev := get(t, p, "lib").Rev()
	tests := []struct {
		name string
		pkg  pkg
		by   Actor
		wait time.Duration
	}{
		{"other bytes", pkg{version: "1.0.0", text: "other"}, alice, 0},
		{"same bytes by another user", pkg{version: "1.0.0"}, bob, 0},
		{"same bytes with another tag", pkg{version: "1.0.0", tags: []string{"next"}}, alice, 0},
		{"other build metadata", pkg{version: "2.0.0+b"}, alice, 0},
		{"no build metadata", pkg{version: "2.0.0"}, alice, 0},
		{"unpublished, same bytes", pkg{version: "3.0.0"}, alice, 0},
		{"unpublished, other build metadata", pkg{version: "3.0.0+x"}, alice, 0},
		{"same bytes, much later", pkg{version: "1.0.0"}, alice, repeatWindow + time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c.move(tt.wait)
			tt.pkg.name = "lib"
			_, err := send(t.Context(), t, p, tt.pkg, tt.by)
			wantError(t, err, npm.Forbidden, "")
			want := "You cannot publish over the previously published versions: " + tt.pkg.version + "."
			if got := npm.Message(err); got != want {
				t.Errorf("message is %q, want %q", got, want)
			}
			if d := cmp.Diff(before, keys(t, s, "lib")); d != "" {
				t.Errorf("the store has changed:\n%s", d)
			}
			if got := get(t, p, "lib").Rev(); got != rev {
				t.Errorf("_rev is %s, was %s", got, rev)
			}
		})
	}
}

func TestRepeatedPublish(t *testing.T) {
	stores(t, func(t *testing.T, s cache.Store) {
		c := newClock()
		p := newPackages(t, Config{Store: s, Now: c.Now})
		k := pkg{name: "lib", version: "1.0.0", tags: []string{"b", "a"}}
		first := publish(t, p, k)
		c.move(repeatWindow - time.Second)
		again := publish(t, p, k)
		if want := (Change{Old: first.New, New: first.New, Version: "1.0.0", Repeated: true}); again != want {
			t.Errorf("change is %+v, want %+v", again, want)
		}
		if n := blobs(t, s, "lib"); n != 1 {
			t.Errorf("there are %d blobs", n)
		}
		wantWhole(t, p, "lib")
	})
}

func TestClaimsOfTheClientAreReplaced(t *testing.T) {
	p := newPackages(t, Config{})
	publish(t, p, pkg{
		name: "lib", version: "1.0.0",
		manifest: map[string]any{
			"_hasShrinkwrap": true, "hasInstallScript": true, "deprecated": "old", "_nodeVersion": "26.0.0",
			"_npmUser": map[string]any{"name": "mallory"}, "maintainers": []any{map[string]any{"name": "mallory"}},
		},
		dist: map[string]any{
			"fileCount": 999, "unpackedSize": 1, "signatures": []any{"forged"}, "attestations": map[string]any{"url": "forged"},
			"npm-signature": "forged", "custom": "kept",
		},
	})
	v := at(packument(t, p, "lib"), "versions", "1.0.0")
	for path, want := range map[string]any{
		"_hasShrinkwrap": nil, "hasInstallScript": nil, "deprecated": "old", "_nodeVersion": "26.0.0",
		"_npmUser name": "alice", "dist fileCount": 2.0, "dist signatures": nil, "dist attestations": nil,
		"dist npm-signature": nil, "dist custom": "kept", "dist tarball": "",
	} {
		if got := at(v, strings.Fields(path)...); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	if got := fmt.Sprint(at(v, "maintainers")); strings.Contains(got, "mallory") {
		t.Errorf("maintainers are %s", got)
	}
}

func TestWhatInstallersMustKnow(t *testing.T) {
	gyp := map[string]string{"binding.gyp": "{}"}
	scripts := func(name string) map[string]any { return map[string]any{"scripts": map[string]any{name: "x"}} }
	tests := []struct {
		name     string
		pkg      pkg
		key      string
		wantTrue bool
	}{
		{"plain", pkg{}, "hasInstallScript", false},
		{"preinstall", pkg{manifest: scripts("preinstall")}, "hasInstallScript", true},
		{"install", pkg{manifest: scripts("install")}, "hasInstallScript", true},
		{"postinstall", pkg{manifest: scripts("postinstall")}, "hasInstallScript", true},
		{"test", pkg{manifest: scripts("test")}, "hasInstallScript", false},
		{"empty script", pkg{manifest: map[string]any{"scripts": map[string]any{"install": ""}}}, "hasInstallScript", false},
		{"binding.gyp", pkg{files: gyp}, "hasInstallScript", true},
		{"binding.gyp that npm must not build", pkg{files: gyp, manifest: map[string]any{"gypfile": false}}, "hasInstallScript", false},
		{"binding.gyp further down", pkg{files: map[string]string{"src/binding.gyp": "{}"}}, "hasInstallScript", false},
		{"shrinkwrap", pkg{files: map[string]string{"npm-shrinkwrap.json": "{}"}}, "_hasShrinkwrap", true},
		{"no shrinkwrap", pkg{}, "_hasShrinkwrap", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPackages(t, Config{})
			tt.pkg.name, tt.pkg.version = "lib", "1.0.0"
			publish(t, p, tt.pkg)
			var want any
			if tt.wantTrue {
				want = true
			}
			if got := at(packument(t, p, "lib"), "versions", "1.0.0", tt.key); got != want {
				t.Errorf("%s is %v, want %v", tt.key, got, want)
			}
		})
	}
}

// bundle makes a sigstore bundle.
func bundle(predicate string) string {
	statement := `{"_type":"https://in-toto.io/Statement/v1","predicateType":"` + predicate + `"}`
	return `{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": {"payload": "` +
		base64.StdEncoding.EncodeToString([]byte(statement)) + `"}}`
}

func TestProvenance(t *testing.T) {
	tests := []struct{ name, bundle, want string }{
		{"said", bundle("https://example.com/predicate"), "https://example.com/predicate"},
		{"not said", bundle(""), slsaProvenance},
		{"no envelope", `{"mediaType":"x"}`, slsaProvenance},
		{"payload is no base64", `{"dsseEnvelope":{"payload":"!"}}`, slsaProvenance},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPackages(t, Config{})
			publish(t, p, pkg{name: "lib", version: "1.0.0", provenance: tt.bundle})
			dist := at(packument(t, p, "lib"), "versions", "1.0.0", "dist")
			if got := at(dist, "attestations", "provenance", "predicateType"); got != tt.want {
				t.Errorf("predicateType is %v", got)
			}
			body, ok := get(t, p, "lib").Attestations("1.0.0")
			doc := decoded(t, body)
			list, _ := doc["attestations"].([]any)
			if !ok || len(list) != 1 || at(list[0], "predicateType") != tt.want {
				t.Fatalf("attestations are %s", body)
			}
			if d := cmp.Diff(any(decoded(t, []byte(tt.bundle))), at(list[0], "bundle")); d != "" {
				t.Error(d)
			}
		})
	}
	p := newPackages(t, Config{})
	publishAll(t, p, "lib", "1.0.0")
	for _, version := range []string{"1.0.0", "2.0.0"} {
		if body, ok := get(t, p, "lib").Attestations(version); ok {
			t.Errorf("attestations of %s are %s", version, body)
		}
	}
}

func TestPublishWithoutSignature(t *testing.T) {
	s := cache.NewMem()
	p := newPackages(t, Config{Store: s, Sign: func(string) (string, string, error) { return "", "", errors.New("no key") }})
	_, err := send(t.Context(), t, p, pkg{name: "lib", version: "1.0.0"}, alice)
	wantError(t, err, npm.Unavailable, "sign")
	if left := keys(t, s, "lib"); len(left) > 0 {
		t.Errorf("the store holds %v", left)
	}
}

func TestTarball(t *testing.T) {
	stores(t, func(t *testing.T, s cache.Store) {
		p := newPackages(t, Config{Store: s, Now: newClock().Now})
		k := pkg{name: "@acme/lib", version: "1.0.0+b"}
		publish(t, p, k)
		tarball, err := p.Tarball(t.Context(), "@acme/lib", "lib-1.0.0+b.tgz")
		if err != nil {
			t.Fatal(err)
		}
		defer tarball.Close()
		data, err := io.ReadAll(tarball)
		if err != nil || !bytes.Equal(data, k.tarball(t)) || tarball.Size != int64(len(data)) {
			t.Errorf("%d bytes, %v", len(data), err)
		}
		if !strings.HasPrefix(tarball.ETag, `"`) || len(tarball.ETag) != etagHash+2 || !tarball.Modified.Equal(get(t, p, "@acme/lib").Modified()) {
			t.Errorf("ETag %s, modified %v", tarball.ETag, tarball.Modified)
		}
		for _, file := range []string{"lib-2.0.0.tgz", "lib-1.0.0.tgz", "lib-v1.0.0+b.tgz", "other-1.0.0+b.tgz", "../lib-1.0.0+b.tgz", ""} {
			_, err := p.Tarball(t.Context(), "@acme/lib", file)
			wantOursButMissing(t, err)
		}
		_, err = p.Tarball(t.Context(), "other", "other-1.0.0.tgz")
		wantNotOurs(t, err)
	})
}

// wantOursButMissing checks that nobody would look upstream.
func wantOursButMissing(t testing.TB, err error) {
	t.Helper()
	wantError(t, err, npm.NotFound, "")
	if errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v would be looked for upstream", err)
	}
}
