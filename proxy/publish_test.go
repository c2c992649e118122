package proxy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"larder/auth"
	"larder/npm"
)

// packed returns a package's tarball with nothing but a package.json.
func packed(t testing.TB, name, version string) []byte {
	t.Helper()
	manifest := fmt.Sprintf(`{"name":%q,"version":%q}`, name, version)
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	archive := tar.NewWriter(z)
	if err := archive.WriteHeader(&tar.Header{Name: "package/package.json", Mode: 0o644, Size: int64(len(manifest))}); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Write([]byte(manifest)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []interface{ Close() error }{archive, z} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return buf.Bytes()
}

// publishBody is what npm sends to publish a version under the tag latest, with
// its odd tarball URL and attachment key.
func publishBody(t testing.TB, name, version string) string {
	t.Helper()
	tgz := packed(t, name, version)
	return fmt.Sprintf(`{"_id":%q,"name":%q,"dist-tags":{"latest":%q},"versions":{%q:{"name":%q,"version":%q,"_id":"%s@%s",`+
		`"dist":{"tarball":"http://registry.invalid/%s/-/%s-%s.tgz"}}},"access":null,`+
		`"_attachments":{"%s-%s.tgz":{"content_type":"application/octet-stream","data":%q,"length":%d}}}`,
		name, name, version, version, name, version, name, version,
		name, name, version, name, version, base64.StdEncoding.EncodeToString(tgz), len(tgz))
}

// token returns the Authorization of a new token.
func (w *world) token(req auth.TokenRequest) string {
	w.t.Helper()
	secret, _, err := w.proxy.cfg.Auth.CreateToken(w.t.Context(), req)
	if err != nil {
		w.t.Fatal(err)
	}
	return "Bearer " + secret
}

// user makes an account and returns the Authorization of a token of it.
func (w *world) user(name string) string {
	w.t.Helper()
	if err := w.proxy.cfg.Auth.AddUser(w.t.Context(), name, "correct horse", name+"@example.com"); err != nil {
		w.t.Fatal(err)
	}
	return w.token(auth.TokenRequest{Name: "test", User: name})
}

// publish publishes a version as whoever authorization stands for.
func (w *world) publish(authorization, name, version string) response {
	w.t.Helper()
	return w.do(http.MethodPut, "/"+npm.EscapeName(name), publishBody(w.t, name, version),
		"Authorization", authorization, "Content-Type", "application/json")
}

// published returns a world in which alice has published @acme/lib 1.0.0, and
// her Authorization.
func published(t testing.TB, opts ...func(*Config)) (w *world, alice string) {
	t.Helper()
	w = newWorld(t, opts...)
	alice = w.user("alice")
	w.publish(alice, "@acme/lib", "1.0.0").want(t, http.StatusCreated)
	return w, alice
}

// TestPublishedPackageIsServed follows a package from the publish to every way
// of reading it.
func TestPublishedPackageIsServed(t *testing.T) {
	w, alice := published(t)
	for _, accept := range []string{"application/json", corgi} {
		r := w.get("/@acme%2flib", "Accept", accept).want(t, 200)
		r.wantHeader(t, "X-Larder-Cache", "hosted")
		r.wantHeader(t, "Cache-Control", "no-cache")
		if want := `"tarball":"` + w.URL + `/@acme/lib/-/lib-1.0.0.tgz"`; !strings.Contains(string(r.body), want) {
			t.Errorf("the document lacks %s: %s", want, r.body)
		}
		again := w.get("/@acme%2flib", "Accept", accept, "If-None-Match", r.Header.Get("ETag")).want(t, 304)
		again.wantHeader(t, "Cache-Control", "no-cache")
	}
	tgz := w.get("/@acme/lib/-/lib-1.0.0.tgz").want(t, 200)
	if !bytes.Equal(tgz.body, packed(t, "@acme/lib", "1.0.0")) {
		t.Error("the tarball has other bytes than were published")
	}
	tgz.wantHeader(t, "Cache-Control", "public, immutable, max-age=31557600")
	tgz.wantHeader(t, "X-Larder-Cache", "hosted")
	part := w.get("/@acme/lib/-/lib-1.0.0.tgz", "Range", "bytes=0-9").want(t, 206)
	if !bytes.Equal(part.body, tgz.body[:10]) {
		t.Error("the range has other bytes")
	}
	w.get("/@acme/lib/-/lib-1.0.1.tgz").wantError(t, 404)
	w.get("/@acme/lib/latest").want(t, 200)
	w.get("/@acme/lib/2.0.0").wantError(t, 404)
	if tags := w.get("/-/package/@acme%2flib/dist-tags").want(t, 200); string(tags.body) != `{"latest":"1.0.0"}` {
		t.Errorf("dist-tags %s", tags.body)
	}
	if found := w.get("/-/v1/search?text=lib").want(t, 200); !strings.Contains(string(found.body), `"@acme/lib"`) {
		t.Errorf("search finds %s", found.body)
	}

	// The next publish is visible to the next request.
	w.publish(alice, "@acme/lib", "1.1.0").want(t, http.StatusCreated)
	if r := w.get("/@acme%2flib").want(t, 200); !strings.Contains(string(r.body), `"1.1.0"`) {
		t.Errorf("a new version is not to be seen: %s", r.body)
	}
	if asked := w.up.seen("/@acme/lib"); len(asked) != 1 {
		t.Errorf("upstream was asked %d times for the package: once, before the first publish, is right", len(asked))
	}
}

// TestGuardedPackageIsPrivateToCaches: what not everybody may read, no shared
// cache may keep and no other website may read.
func TestGuardedPackageIsPrivateToCaches(t *testing.T) {
	rules := []auth.Rule{{Match: "**", Read: []string{"authenticated"}, Publish: []string{"authenticated"}}}
	w, alice := published(t, func(c *Config) { c.Auth = newAuth(t, auth.Config{Rules: rules}) })
	for path, want := range map[string]string{
		"/@acme%2flib":                         "private, no-cache",
		"/@acme/lib/1.0.0":                     "private, no-cache",
		"/-/package/@acme%2flib/dist-tags":     "private, no-cache",
		"/@acme/lib/-/lib-1.0.0.tgz":           "private, immutable, max-age=31557600",
		"/-/v1/search?text=lib":                "private, no-cache",
		"/-/package/@acme%2flib/visibility":    "no-store",
		"/-/package/@acme%2flib/collaborators": "no-store",
	} {
		r := w.get(path, "Authorization", alice).want(t, 200)
		r.wantHeader(t, "Cache-Control", want)
		if strings.HasPrefix(want, "private") {
			r.wantHeader(t, "Access-Control-Allow-Origin", "")
		}
	}
	w.get("/@acme%2flib").wantError(t, 401)
	if r := w.get("/-/v1/search?text=lib").want(t, 200); strings.Contains(string(r.body), "@acme/lib") {
		t.Errorf("a stranger's search finds %s", r.body)
	}
}

// TestNameOfUpstreamIsNotPublishedOver holds checklist row 59: a package never
// hides one that exists upstream unless somebody has decided so.
func TestNameOfUpstreamIsNotPublishedOver(t *testing.T) {
	tests := []struct {
		name       string
		configure  func(*Config)
		upstream   int // its status; 200 has the package
		want       int
		wantReason string
	}{
		{"it exists there", func(*Config) {}, 200, 403, "allow_shadow"},
		{"it exists there, and that is allowed", func(c *Config) { c.AllowShadow = []string{"lod*"} }, 200, 201, ""},
		{"it exists there, and the name is reserved", func(c *Config) { c.Reserved = []string{"lodash"} }, 200, 201, ""},
		{"it does not", func(*Config) {}, 404, 201, ""},
		{"nobody can tell", func(*Config) {}, 500, 503, "hosted.reserved"},
		{"nobody needs to ask", func(c *Config) { c.Upstreams = nil }, 500, 201, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.configure)
			switch tt.upstream {
			case 200:
				w.up.publish("lodash", "4.17.21", []byte("theirs"))
			case 500:
				w.up.handle("/lodash", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
			}
			r := w.publish(w.user("alice"), "lodash", "9.9.9")
			if tt.want == 201 {
				r.want(t, 201)
				return
			}
			if reason := r.wantError(t, tt.want); !strings.Contains(reason, tt.wantReason) {
				t.Errorf("reason %q does not name %s", reason, tt.wantReason)
			}
		})
	}
}

// TestRecalledAbsenceFreesNoName: that upstream did not have a package when it
// was last asked lets installs go on while it is away, and nobody publish.
func TestRecalledAbsenceFreesNoName(t *testing.T) {
	w := newWorld(t)
	alice := w.user("alice")
	w.up.handle("/theirs", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(404)
		_, _ = w.Write([]byte(`{"error":"Not found"}`))
	})
	w.get("/theirs").wantError(t, 404)
	w.proxy.cfg.Upstreams[0].SetOffline(true)
	w.get("/theirs").wantError(t, 404)
	if reason := w.publish(alice, "theirs", "9.9.9").wantError(t, 503); !strings.Contains(reason, "hosted.reserved") {
		t.Errorf("reason %q", reason)
	}
	w.proxy.cfg.Upstreams[0].SetOffline(false)
	w.publish(alice, "theirs", "9.9.9").want(t, 201)
}
