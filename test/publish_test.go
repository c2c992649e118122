package test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// The tests of packages that are published here send what real clients send,
// as recorded from them, byte for byte where clients differ. The
// clients themselves are driven by scripts/.

// release is a version of a package on its author's disk.
type release struct {
	name, version string
	manifest      object            // the rest of package.json
	files         map[string]string // beside package.json
	tag           string            // that it is published under; "" is latest
}

// members are those of package.json.
func (r release) members() object {
	return append(object{{"name", r.name}, {"version", r.version}}, r.manifest...)
}

// key is what clients call the tarball among a body's attachments: with the
// scope and its slash.
func (r release) key() string { return r.name + "-" + r.version + ".tgz" }

// path is where the tarball is found once it is published.
func (r release) path() string {
	return "/" + r.name + "/-/" + r.name[strings.LastIndexByte(r.name, '/')+1:] + "-" + r.version + ".tgz"
}

func (r release) distTag() string {
	if r.tag == "" {
		return "latest"
	}
	return r.tag
}

// pack makes r's tarball.
func (r release) pack(t *testing.T) archive {
	t.Helper()
	files := maps.Clone(r.files)
	if files == nil {
		files = map[string]string{"index.js": "module.exports = 1\n"}
	}
	files["package.json"] = mustJSON(t, r.members())
	return pack(t, files)
}

// archive is a tarball.
type archive struct {
	bytes             []byte
	integrity, shasum string
}

func archiveOf(b []byte) archive {
	sha2, sha1 := sha512.Sum512(b), sha1.Sum(b)
	return archive{b, "sha512-" + base64.StdEncoding.EncodeToString(sha2[:]), hex.EncodeToString(sha1[:])}
}

// pack makes a tarball as npm pack does of files, by path below package/.
func pack(t *testing.T, files map[string]string) archive {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h := tar.Header{Name: "package/" + name, Mode: 0o644, Size: int64(len(files[name])), ModTime: time.Unix(499162500, 0)}
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return archiveOf(b.Bytes())
}

// attachment is a as a body carries it.
func (a archive) attachment() object {
	return object{
		{"content_type", "application/octet-stream"},
		{"data", base64.StdEncoding.EncodeToString(a.bytes)},
		{"length", len(a.bytes)},
	}
}

// dist is what clients claim of a. The URL is bogus: it is http whatever the
// registry speaks, and a scope stands in it twice.
func (a archive) dist(base string, r release) object {
	return object{
		{"integrity", a.integrity},
		{"shasum", a.shasum},
		{"tarball", base + "/" + r.name + "/-/" + r.key()},
	}
}

// passphrase is everybody's.
const passphrase = "correct horse battery staple"

// account is somebody who has logged in.
type account struct{ name, token string }

// auth is the header by which Larder knows them.
func (a account) auth() string { return "Authorization: Bearer " + a.token }

// couchLogin puts what npm login --auth-type=legacy puts, or with a mail
// address npm adduser.
func (p *pair) couchLogin(t *testing.T, user, password, email string) reply {
	t.Helper()
	body := object{{"_id", "org.couchdb.user:" + user}, {"name", user}, {"password", password}}
	if email != "" {
		body = body.with("email", email)
	}
	body = append(body, object{{"type", "user"}, {"roles", []string{}}, {"date", "2026-01-31T12:00:00.000Z"}}...)
	return p.json(t, http.MethodPut, "/-/user/org.couchdb.user:"+user, body)
}

// adduser makes an account, where strangers may.
func (p *pair) adduser(t *testing.T, name string) account {
	t.Helper()
	return p.loggedIn(t, p.couchLogin(t, name, passphrase, name+"@acme.example"), name)
}

// appoint is adduser for somebody whom the configuration gives rights: nobody can
// take that name for themselves.
func (p *pair) appoint(t *testing.T, name string) account {
	t.Helper()
	if r := p.couchLogin(t, name, passphrase, name+"@evil.example"); r.status != http.StatusForbidden {
		t.Fatalf("%s made an account with rights: %d %s", name, r.status, r.body)
	}
	p.command(t, passphrase+"\n", "user", "add", name, "--email", name+"@acme.example")
	return p.adduser(t, name)
}

// loggedIn is the account that an answer to couchLogin is about.
func (p *pair) loggedIn(t *testing.T, r reply, name string) account {
	t.Helper()
	token := gjson.GetBytes(r.body, "token")
	if r.status != http.StatusCreated || token.Type != gjson.String || token.String() == "" {
		t.Fatalf("login of %s: %d %s", name, r.status, r.body)
	}
	return account{name, token.String()}
}

// json sends a body, which is JSON already if it is a string.
func (p *pair) json(t *testing.T, method, path string, body any, headers ...string) reply {
	t.Helper()
	text, ok := body.(string)
	if !ok {
		text = mustJSON(t, body)
	}
	r, err := p.send(method, p.url()+path, strings.NewReader(text), append(headers, "Content-Type: application/json"))
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// escaped is a package's path as npm spells it.
func escaped(name string) string { return "/" + strings.Replace(name, "/", "%2f", 1) }

// put publishes what a body says, under the name that is given.
func (p *pair) put(t *testing.T, a account, name string, body any) reply {
	t.Helper()
	return p.json(t, http.MethodPut, escaped(name), body, a.auth(), "npm-command: publish", "npm-auth-type: web")
}

// publish publishes r as npm does, which must do, and returns its tarball.
func (p *pair) publish(t *testing.T, a account, r release) archive {
	t.Helper()
	tgz := r.pack(t)
	p.put(t, a, r.name, npmBody(p.url(), r, tgz)).wantWritten(t)
	return tgz
}

// wantWritten fails the test at once unless r says that something was written,
// in a way that yarn 1 takes for it, too.
func (r reply) wantWritten(t *testing.T) {
	t.Helper()
	doc := gjson.ParseBytes(r.body)
	if r.status/100 != 2 || !gjson.ValidBytes(r.body) || !doc.IsObject() || doc.Get("error").Exists() {
		t.Fatalf("%d %.300s", r.status, r.body)
	}
}

// document is a package's full packument as whoever writes next asks for it.
func (p *pair) document(t *testing.T, name string, headers ...string) gjson.Result {
	t.Helper()
	r := p.ok(t, escaped(name)+"?write=true", append(headers, "Accept: */*", "Cache-Control: no-cache")...)
	doc := gjson.ParseBytes(r.body)
	if !regexp.MustCompile(`^[0-9]+-[0-9a-f]+$`).MatchString(doc.Get("_rev").String()) {
		t.Fatalf("%s: _rev is %s", name, doc.Get("_rev"))
	}
	return doc
}

// revOf is a package's revision.
func (p *pair) revOf(t *testing.T, name string, headers ...string) string {
	t.Helper()
	return p.document(t, name, headers...).Get("_rev").String()
}

// lib is a package in a few words.
func lib(name, version string) release {
	return release{name: name, version: version, manifest: object{{"description", fmt.Sprintf("%s in its version %s", name, version)}}}
}
