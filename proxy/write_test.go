package proxy

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"larder/auth"
	"larder/cache"
	"larder/hosted"
)

// write sends a body as whoever authorization stands for.
func (w *world) write(authorization, method, path, body string) response {
	w.t.Helper()
	return w.do(method, path, body, "Authorization", authorization, "Content-Type", "application/json")
}

// document returns a member of @acme/lib's full document.
func (w *world) document(path string) string {
	w.t.Helper()
	return gjson.GetBytes(w.get("/@acme%2flib").want(w.t, 200).body, path).String()
}

// TestWhatKindOfWrite: one path takes several kinds, which only the body tells.
func TestWhatKindOfWrite(t *testing.T) {
	w, alice := published(t)
	w.write(alice, "PUT", "/@acme%2flib", `{"name":"@acme/lib","versions":{"1.0.0":{"deprecated":"old"}}}`).want(t, 201)
	if got := w.document(`versions.1\.0\.0.deprecated`); got != "old" {
		t.Errorf("deprecated: %q", got)
	}
	w.write(alice, "PUT", "/@acme%2flib", `{"_id":"@acme/lib","users":{"alice":true,"bob":true}}`).want(t, 201)
	if got := w.document("users"); got != `{"alice":true}` {
		t.Errorf("users %s: alice speaks for herself alone", got)
	}
	w.write(alice, "PUT", "/@acme%2flib/-rev/"+w.document("_rev"), `{"maintainers":[{"name":"bob","email":"bob@example.com"}]}`).want(t, 201)
	if got := w.document("maintainers.0.name"); got != "bob" {
		t.Errorf("maintainers: %q", got)
	}
	for _, body := range []string{`{}`, `{"name":"@acme/lib"}`, `[]`, `{"_attachments":{"x.txt":{"data":"aGk="}}}`, ``, `{"versions":`} {
		w.write(alice, "PUT", "/@acme%2flib", body).wantError(t, 400)
	}
	if got := w.document("versions.#"); w.document("dist-tags.latest") != "1.0.0" {
		t.Errorf("after calls that mean nothing: %s versions", got)
	}
	r := w.write(alice, "PUT", "/@acme%2flib/next", `1.0.0`).want(t, 201) // an old client, and without quotes
	if w.document("dist-tags.next") != "1.0.0" || !gjson.GetBytes(r.body, "ok").Bool() || gjson.GetBytes(r.body, "error").Exists() {
		t.Errorf("tag %q, answer %s", w.document("dist-tags.next"), r.body)
	}
	w.write(alice, "DELETE", "/-/package/@acme%2flib/dist-tags/latest", "").wantError(t, 400)
}

// TestOwnersByPathsOfTheirOwn is how pnpm 12 manages owners and asks for stars.
func TestOwnersByPathsOfTheirOwn(t *testing.T) {
	w, alice := published(t)
	w.user("bob")
	const path = "/-/package/@acme%2flib/owners"
	wantOwners := func(want string) {
		t.Helper()
		if got := string(w.get(path).want(t, 200).body); got != want {
			t.Errorf("owners %s, want %s", got, want)
		}
	}
	const aliceHerself, bobHimself = `{"username":"alice","email":"alice@example.com"}`, `{"username":"bob","email":"bob@example.com"}`
	wantOwners("[" + aliceHerself + "]")
	for range 2 { // an owner is one only once
		w.write(alice, "PUT", path, `{"user":"bob"}`).want(t, 200)
	}
	wantOwners("[" + aliceHerself + "," + bobHimself + "]")
	w.write(alice, "PUT", path, `{"user":"nobody"}`).wantError(t, 404)
	w.write(alice, "DELETE", path+"/alice", "").want(t, 200)
	wantOwners("[" + bobHimself + "]")
	w.write(alice, "DELETE", path+"/alice", "").wantError(t, 404)
	w.write(alice, "DELETE", path+"/bob", "").wantError(t, 400) // the last one
	w.get(path+"/bob").wantError(t, 404)

	w.write(alice, "PUT", "/-/user/v1/star", `{"package":"@acme/lib"}`).want(t, 200)
	if got := string(w.get("/-/user/alice/stars").want(t, 200).body); got != `["@acme/lib"]` {
		t.Errorf("stars %s", got)
	}
	if got := string(w.get("/-/user/bob/stars").want(t, 200).body); got != `[]` {
		t.Errorf("stars %s", got)
	}
}

// TestWriteOfAnUpstreamPackage: what comes from upstream cannot be changed
// here, and upstream never hears of the attempt.
func TestWriteOfAnUpstreamPackage(t *testing.T) {
	w := newWorld(t)
	w.up.publish("lodash", "4.17.21", []byte("theirs"))
	alice := w.user("alice")
	for _, row := range []struct{ method, path, body string }{
		{"PUT", "/lodash", `{"name":"lodash","versions":{"4.17.21":{"deprecated":"old"}}}`},
		{"PUT", "/lodash", `{"_id":"lodash","users":{"alice":true}}`},
		{"PUT", "/lodash/-rev/1-abc", `{"maintainers":[{"name":"alice"}]}`},
		{"PUT", "/-/package/lodash/dist-tags/next", `"4.17.21"`},
		{"DELETE", "/-/package/lodash/dist-tags/latest", ""},
		{"DELETE", "/lodash/-rev/1-abc", ""},
		{"DELETE", "/lodash/-/lodash-4.17.21.tgz/-rev/1-abc", ""},
	} {
		if reason := w.write(alice, row.method, row.path, row.body).wantError(t, 403); !strings.Contains(reason, "upstream npm") {
			t.Errorf("%s %s: %q does not say where it comes from", row.method, row.path, reason)
		}
	}
	for _, r := range w.up.seen("") {
		if r.Method != http.MethodGet {
			t.Errorf("upstream heard %s %s", r.Method, r.URL)
		}
	}
}

// TestTooLargeIsRefusedUnread: the length that is announced is enough to refuse.
func TestTooLargeIsRefusedUnread(t *testing.T) {
	small := func(c *Config) {
		packages, err := hosted.New(hosted.Config{Store: cache.NewMem(), MaxPublish: 100})
		if err != nil {
			t.Fatal(err)
		}
		c.Hosted = packages
	}
	w := newWorld(t, small)
	alice := w.user("alice")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, w.URL+"/@acme%2flib", strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", alice)
	r.ContentLength = 1 << 30
	r.Body = unreadable{t}
	if got := w.serve(r); got != 413 {
		t.Errorf("status %d, want 413", got)
	}
	if reason := w.publish(alice, "@acme/lib", "1.0.0").wantError(t, 413); !strings.Contains(reason, "hosted.max_publish") {
		t.Errorf("reason %q does not say what to change", reason)
	}
}

// unreadable is a body that must not be read.
type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, http.ErrBodyReadAfterClose
}

func (unreadable) Close() error { return nil }

// TestPackedPublish: whoever packs a body says so.
func TestPackedPublish(t *testing.T) {
	w := newWorld(t)
	alice := w.user("alice")
	put := func(body, encoding string) response {
		return w.do("PUT", "/@acme%2flib", body, "Authorization", alice, "Content-Encoding", encoding)
	}
	put(gzipped(t, publishBody(t, "@acme/lib", "1.0.0")), "gzip").want(t, 201)
	put("not gzip", "gzip").wantError(t, 400)
	put("whatever", "br").wantError(t, 400)
}

// TestJournalOfWrites: each write, and each refused one, leaves one line that
// says who, from where, what, and what became of it.
func TestJournalOfWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	journal, err := auth.OpenJournal(auth.JournalConfig{Path: path, MaxSize: 1 << 20, Keep: 1})
	if err != nil {
		t.Fatal(err)
	}
	w, alice := published(t, func(c *Config) { c.Journal = journal })
	w.get("/@acme%2flib", "Authorization", alice).want(t, 200) // reads leave none
	w.publish(alice, "@acme/lib", "1.0.1").want(t, 201)
	w.publish(alice, "@acme/lib", "1.0.1").want(t, 201) // the same again is a success
	w.publish("", "@acme/lib", "1.0.2").wantError(t, 401)
	w.write(alice, "PUT", "/-/package/@acme%2flib/dist-tags/next", `"9.9.9"`).wantError(t, 404)
	w.write(alice, "POST", "/-/package/@acme%2flib/dist-tags", `{"next":"1.0.1","beta":"1.0.1"}`).want(t, 201)
	w.write(alice, "DELETE", "/@acme%2flib/-rev/undefined", "").want(t, 200)
	if err := journal.Close(); err != nil {
		t.Fatal(err)
	}

	type line struct{ Actor, Token, Client, Action, Version, Subject, Result, Reason string }
	var got []line
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var l line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatalf("%v in %s", err, s.Bytes())
		}
		e := gjson.ParseBytes(s.Bytes())
		if e.Get("package").String() != "@acme/lib" || e.Get("request").String() == "" || e.Get("time").Time().IsZero() {
			t.Errorf("incomplete: %s", s.Bytes())
		}
		if l.Result == "ok" && e.Get("new_rev").String() == "" {
			t.Errorf("no revision: %s", s.Bytes())
		}
		got = append(got, l)
	}
	const from = "127.0.0.1"
	want := []line{
		{"alice", "test", from, "publish", "1.0.0", "", "ok", ""},
		{"alice", "test", from, "publish", "1.0.1", "", "ok", ""},
		{"alice", "test", from, "publish", "1.0.1", "", "ok", ""},
		{"", "", from, "publish", "", "", "refused", "You must be logged in to publish packages."},
		{"alice", "test", from, "dist-tag.add", "", "next", "refused", "version not found: 9.9.9"},
		{"alice", "test", from, "dist-tag.add", "1.0.1", "beta next", "ok", ""},
		{"alice", "test", from, "unpublish", "", "", "ok", ""},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestWebPagesCannotWrite: a browser that has remembered a password sends it
// along with what a foreign page's form or script posts.
func TestWebPagesCannotWrite(t *testing.T) {
	w, alice := published(t)
	for _, header := range [][]string{{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}} {
		for _, row := range []struct{ method, path, body string }{
			{"POST", "/-/package/@acme%2flib/dist-tags", `{"evil":"1.0.0"}`},
			{"POST", "/-/package/@acme%2flib/access", `{"access":"public"}`},
			{"POST", "/-/v1/login", `{}`},
			{"POST", "/-/npm/v1/tokens", `{"password":"correct horse"}`},
			{"PUT", "/-/user/org.couchdb.user:alice", `{"name":"alice","password":"correct horse"}`},
			{"PUT", "/@acme%2flib", publishBody(t, "@acme/lib", "1.0.1")},
			{"DELETE", "/@acme%2flib/-rev/undefined", ""},
		} {
			r := w.do(row.method, row.path, row.body, append(header, "Authorization", alice)...)
			r.wantError(t, 403)
			r.wantHeader(t, "Access-Control-Allow-Origin", "")
		}
		w.get("/@acme%2flib", header...).want(t, 200) // reading is free
	}
	if w.document("dist-tags.evil") != "" || w.document("dist-tags.latest") != "1.0.0" {
		t.Error("something was written all the same")
	}
}
