package hosted

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/cache"
	"larder/npm"
	"larder/test/netguard"
)

func TestMain(m *testing.M) {
	netguard.Guard()
	os.Exit(m.Run())
}

var (
	alice = Actor{"alice", "alice@example.com"}
	bob   = Actor{"bob", "bob@example.com"}
)

// clock is a clock that stands still until it is moved.
type clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 123_456_789, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// stores are the kinds of store that a test runs on.
func stores(t *testing.T, test func(t *testing.T, s cache.Store)) {
	t.Run("mem", func(t *testing.T) { test(t, cache.NewMem()) })
	t.Run("dir", func(t *testing.T) { test(t, openDir(t)) })
}

func openDir(t testing.TB) *cache.Dir {
	t.Helper()
	d, err := cache.OpenDir(cache.DirConfig{Path: t.TempDir(), Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func newPackages(t testing.TB, cfg Config) *Packages {
	t.Helper()
	if cfg.Store == nil {
		cfg.Store = cache.NewMem()
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// pkg is a package to be published. Its zero fields have sensible values.
type pkg struct {
	name, version string
	tags          []string          // none: latest
	manifest      map[string]any    // further members
	dist          map[string]any    // members of dist, in place of the right ones; nil removes
	inside        map[string]any    // package.json of the tarball, in place of the right one
	files         map[string]string // further files in the tarball
	doc           map[string]any    // further members of the body
	provenance    string
	text          string // makes the tarball's bytes differ
}

// tgz packs files with a package.json.
func tgz(t testing.TB, packageJSON map[string]any, files map[string]string) []byte {
	t.Helper()
	raw, err := json.Marshal(packageJSON)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"package.json": string(raw)}
	maps.Copy(all, files)
	var out bytes.Buffer
	zw, err := gzip.NewWriterLevel(&out, gzip.NoCompression) // of bytes that no release of Go changes
	if err != nil {
		t.Fatal(err)
	}
	tw := tar.NewWriter(zw)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		h := &tar.Header{Name: "package/" + name, Mode: 0o644, Size: int64(len(all[name])), Typeflag: tar.TypeReg}
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, all[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (k pkg) tarball(t testing.TB) []byte {
	inside := k.inside
	if inside == nil {
		inside = map[string]any{"name": k.name, "version": k.version}
	}
	files := map[string]string{"index.js": "module.exports = 1 // " + k.text}
	maps.Copy(files, k.files)
	return tgz(t, inside, files)
}

// body is what npm sends.
func (k pkg) body(t testing.TB) []byte {
	t.Helper()
	tarball := k.tarball(t)
	sha1sum := sha1.Sum(tarball)
	dist := map[string]any{
		"integrity": integrityOf(tarball),
		"shasum":    hex.EncodeToString(sha1sum[:]),
		"tarball":   "http://elsewhere.example/" + k.name + "/-/" + k.name + "-" + k.version + ".tgz",
	}
	for key, value := range k.dist {
		if dist[key] = value; value == nil {
			delete(dist, key)
		}
	}
	manifest := map[string]any{"name": k.name, "version": k.version, "dist": dist, "readme": "# " + k.version}
	maps.Copy(manifest, k.manifest)
	tags := map[string]string{}
	for _, tag := range k.tags {
		tags[tag] = k.version
	}
	if len(tags) == 0 {
		tags["latest"] = k.version
	}
	attachments := map[string]any{k.name + "-" + k.version + ".tgz": map[string]any{
		"content_type": "application/octet-stream", "data": base64.StdEncoding.EncodeToString(tarball), "length": len(tarball),
	}}
	if k.provenance != "" {
		attachments[k.name+"-"+k.version+".sigstore"] = map[string]any{
			"content_type": "application/vnd.dev.sigstore.bundle.v0.3+json", "data": k.provenance, "length": len(k.provenance),
		}
	}
	doc := map[string]any{
		"_id": k.name, "name": k.name, "dist-tags": tags,
		"versions": map[string]any{k.version: manifest}, "access": nil, "_attachments": attachments,
	}
	maps.Copy(doc, k.doc)
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func integrityOf(b []byte) string {
	sum := sha512.Sum512(b)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

// send publishes k as a client's request would.
func send(ctx context.Context, t testing.TB, p *Packages, k pkg, by Actor) (Change, error) {
	t.Helper()
	return sendBody(ctx, p, k.name, k.body(t), by)
}

func sendBody(ctx context.Context, p *Packages, name string, body []byte, by Actor) (Change, error) {
	u, err := p.Receive(ctx, name, bytes.NewReader(body))
	if err != nil {
		return Change{}, err
	}
	c, err := p.Publish(ctx, u, by)
	return c, errors.Join(err, u.Close())
}

func publish(t testing.TB, p *Packages, k pkg) Change {
	t.Helper()
	c, err := send(t.Context(), t, p, k, alice)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// publishAll publishes versions of one package, as latest each.
func publishAll(t testing.TB, p *Packages, name string, versions ...string) {
	t.Helper()
	for _, v := range versions {
		publish(t, p, pkg{name: name, version: v})
	}
}

func get(t testing.TB, p *Packages, name string) *Package {
	t.Helper()
	k, err := p.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// packument returns the document of name, decoded.
func packument(t testing.TB, p *Packages, name string) map[string]any {
	t.Helper()
	k := get(t, p, name)
	raw := k.Packument()
	if _, err := npm.Inspect(raw, name); err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// object parses a body for the writes that take one.
func object(t testing.TB, raw string) npm.Object {
	t.Helper()
	o, err := npm.ParseObject([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// at returns the member of a decoded document that lies at a path.
func at(doc any, path ...string) any {
	for _, key := range path {
		o, _ := doc.(map[string]any)
		doc = o[key]
	}
	return doc
}

// wantError checks an error's kind and that its sentence has a part in it.
// Only what is not ours may be fs.ErrNotExist: it is what sends a name upstream.
func wantError(t testing.TB, err error, kind npm.Kind, sentence string) {
	t.Helper()
	if err == nil || npm.KindOf(err) != kind || !strings.Contains(npm.Message(err), sentence) {
		t.Errorf("error is %v (%v), want %v with %q", err, npm.KindOf(err), kind, sentence)
	}
	if ours := !errors.Is(err, fs.ErrNotExist); !ours && kind != npm.NotFound {
		t.Errorf("%v is fs.ErrNotExist", err)
	}
}

func wantNotOurs(t testing.TB, err error) {
	t.Helper()
	if !errors.Is(err, fs.ErrNotExist) || npm.KindOf(err) != npm.NotFound {
		t.Errorf("error is %v (%v), want fs.ErrNotExist of kind not found", err, npm.KindOf(err))
	}
}

// keys lists what a store holds of a package: "package.json" and the
// first digits of its blobs.
func keys(t testing.TB, s cache.Store, name string) []string {
	t.Helper()
	var files []string
	err := s.Walk(t.Context(), owner(name)+"/", func(i cache.Info) error {
		_, file, _ := strings.Cut(i.Key, "/")
		files = append(files, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files
}

// blobs counts the tarballs of a package in a store.
func blobs(t testing.TB, s cache.Store, name string) int {
	t.Helper()
	n := 0
	for _, file := range keys(t, s, name) {
		if strings.HasPrefix(file, "tgz-") {
			n++
		}
	}
	return n
}

// wantWhole checks that every tarball that the document names is there and has
// the bytes that the document says.
func wantWhole(t testing.TB, p *Packages, name string) {
	t.Helper()
	for _, v := range get(t, p, name).Versions() {
		tarball, err := p.Tarball(t.Context(), name, npm.TarballFile(name, v))
		if err != nil {
			t.Error(err)
			continue
		}
		data, err := io.ReadAll(tarball)
		tarball.Close()
		want := at(packument(t, p, name), "versions", v, "dist", "integrity")
		if err != nil || integrityOf(data) != want {
			t.Errorf("%s@%s: %v, integrity %s, want %v", name, v, err, integrityOf(data), want)
		}
	}
}

func versionsText(k *Package) string { return fmt.Sprint(k.Versions()) }

// decoded decodes JSON.
func decoded(t testing.TB, raw []byte) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return o
}

// noise is a file of n bytes that do not compress.
func noise(n int) map[string]string {
	out := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(out)
	return map[string]string{"noise": string(out)}
}
