package hosted

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"larder/cache"
	"larder/npm"
)

// TestBrokenPublish breaks the store at each step of a publish. Nothing may be
// seen of it then, and it must be possible to repeat it.
func TestBrokenPublish(t *testing.T) {
	isBlob := func(key string) bool { return strings.Contains(key, "/tgz") }
	isDocument := func(key string) bool { return strings.HasSuffix(key, documentFile) }
	steps := []struct {
		name, op string
		of       func(key string) bool
		leaves   int // unreferenced blobs
	}{
		{"the blob cannot be created", "create", isBlob, 0},
		{"the blob cannot be written", "write", isBlob, 0},
		{"the blob cannot be committed", "commit", isBlob, 0},
		{"the document cannot be created", "create", isDocument, 0},
		{"the document cannot be written", "write", isDocument, 0},
		{"the document cannot be flushed", "flush", isDocument, 1},
		{"the document cannot be committed", "commit", isDocument, 1},
		{"the document cannot be opened", "open", isDocument, 0},
	}
	causes := []struct {
		err      error
		kind     npm.Kind
		sentence string
	}{
		{syscall.ENOSPC, npm.NoSpace, "nothing was published"},
		{syscall.EDQUOT, npm.NoSpace, "nothing was published"},
		{syscall.EIO, npm.NoSpace, "cannot write to its disk: nothing was published"},
		{syscall.EROFS, npm.NoSpace, "it is read-only"},
		{syscall.EMFILE, npm.NoSpace, "too many files are open"},
		{syscall.ENOENT, npm.NoSpace, "its directory is gone"}, // the volume is
	}
	for _, step := range steps {
		for _, cause := range causes {
			if step.op == "open" && cause.err == syscall.ENOENT {
				continue // that is what a new name looks like
			}
			t.Run(fmt.Sprintf("%s, %v", step.name, cause.err), func(t *testing.T) {
				s := newBrittle(cache.NewMem())
				p := newPackages(t, Config{Store: s})
				publishAll(t, p, "lib", "1.0.0")
				before := string(get(t, p, "lib").Packument())
				s.breaks(func(op, key string) error {
					if op == step.op && step.of(key) {
						return &fs.PathError{Op: op, Path: key, Err: cause.err}
					}
					return nil
				})
				_, err := send(t.Context(), t, p, pkg{name: "lib", version: "2.0.0"}, alice)
				if kind := cause.kind; step.op == "open" {
					wantError(t, err, npm.Unavailable, "disk")
				} else {
					wantError(t, err, kind, cause.sentence)
				}
				s.breaks(nil)
				if after := string(get(t, p, "lib").Packument()); after != before {
					t.Errorf("the document was\n%s\nand is\n%s", before, after)
				}
				_, err = p.Tarball(t.Context(), "lib", "lib-2.0.0.tgz")
				wantOursButMissing(t, err)
				if n := blobs(t, s, "lib"); n != 1+step.leaves {
					t.Errorf("there are %d blobs", n)
				}
				publishAll(t, p, "lib", "2.0.0")
				wantWhole(t, p, "lib")
				if n := blobs(t, s, "lib"); n != 2 {
					t.Errorf("there are %d blobs after the repetition", n)
				}
			})
		}
	}
}

// TestAcknowledgedLate: the document became visible, but its commit was
// reported as failed (a Dir does so where the last fsync fails). The client
// repeats the publish, and the index knows the version.
func TestAcknowledgedLate(t *testing.T) {
	mem := cache.NewMem()
	s := newBrittle(mem)
	p, other := newPackages(t, Config{Store: s}), newPackages(t, Config{Store: mem})
	wantFound(t, p, "", nil...)
	s.breaks(func(op, key string) error {
		if op == "commit" && key == documentKey("lib") {
			publishAll(t, other, "lib", "1.0.0")
			return syscall.EIO
		}
		return nil
	})
	_, err := send(t.Context(), t, p, pkg{name: "lib", version: "1.0.0"}, alice)
	wantError(t, err, npm.NoSpace, "disk")
	wantFound(t, p, "", "lib")
	s.breaks(nil)
	if c := publish(t, p, pkg{name: "lib", version: "1.0.0"}); !c.Repeated {
		t.Errorf("change is %+v", c)
	}
}

// TestRepeatOfWhatNobodySaidIsDurable: a process that was killed, or failed, may
// have left a document that can be seen and does not outlive a power cut. That
// it is there already is no answer before it does.
func TestRepeatOfWhatNobodySaidIsDurable(t *testing.T) {
	lib := pkg{name: "lib", version: "1.0.0"}
	tests := []struct {
		name   string
		repeat func(t *testing.T, p *Packages) (Change, error)
	}{
		{"a publish", func(t *testing.T, p *Packages) (Change, error) { return send(t.Context(), t, p, lib, alice) }},
		{"a tag", func(t *testing.T, p *Packages) (Change, error) {
			return p.SetTag(t.Context(), "lib", "latest", "1.0.0", alice)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mem := cache.NewMem()
			publish(t, newPackages(t, Config{Store: mem}), lib)
			s := newBrittle(mem)
			p := newPackages(t, Config{Store: s})
			before := get(t, p, "lib").Packument()
			s.breaks(func(op, key string) error {
				if op == "commit" {
					return syscall.EIO
				}
				return nil
			})
			_, err := tt.repeat(t, p)
			wantError(t, err, npm.NoSpace, "disk")
			s.breaks(nil)
			s.called("commit")
			for _, commits := range []int{1, 0} {
				c, err := tt.repeat(t, p)
				if n := s.called("commit"); err != nil || c.Old != c.New || n != commits {
					t.Errorf("%+v, %v after %d commits, want %d", c, err, n, commits)
				}
			}
			if after := get(t, p, "lib").Packument(); !bytes.Equal(after, before) {
				t.Errorf("the document was\n%s\nand is\n%s", before, after)
			}
			wantWhole(t, p, "lib")
		})
	}
}

// TestIndexFollowsAfterTheClientLeft is TestAcknowledgedLate where whoever asked
// has hung up: what became of the document does not depend on that.
func TestIndexFollowsAfterTheClientLeft(t *testing.T) {
	for i := range 16 { // a select has the choice
		mem := cache.NewMem()
		s := newBrittle(mem)
		p, other := newPackages(t, Config{Store: s}), newPackages(t, Config{Store: mem})
		wantFound(t, p, "", nil...)
		ctx, hangUp := context.WithCancel(t.Context())
		s.breaks(func(op, key string) error {
			if op == "commit" && key == documentKey("lib") {
				publishAll(t, other, "lib", "1.0.0")
				hangUp()
				return syscall.EIO
			}
			return nil
		})
		if _, err := send(ctx, t, p, pkg{name: "lib", version: "1.0.0"}, alice); err == nil {
			t.Fatal("a publish succeeded")
		}
		if wantFound(t, p, "", "lib"); t.Failed() {
			t.Fatalf("that was in round %d", i)
		}
	}
}

// TestForgottenLate: the document has gone, but its deletion was reported as
// failed (a Dir does so where the last fsync fails).
func TestForgottenLate(t *testing.T) {
	mem := cache.NewMem()
	s := newBrittle(mem)
	p := newPackages(t, Config{Store: s})
	publishAll(t, p, "lib", "1.0.0")
	publishAll(t, p, "other", "1.0.0")
	if _, err := p.Unpublish(t.Context(), "lib", "", alice); err != nil {
		t.Fatal(err)
	}
	wantNames(t, p, "lib", "other")
	s.breaks(func(op, key string) error {
		if op == "delete" && key == documentKey("lib") {
			return errors.Join(mem.Delete(t.Context(), key, cache.Precondition{}), syscall.EIO)
		}
		return nil
	})
	_, err := p.Forget(t.Context(), "lib")
	wantError(t, err, npm.NoSpace, "disk")
	_, err = p.Get(t.Context(), "lib")
	wantNotOurs(t, err)
	wantNames(t, p, "other")
}

// TestUploadsShareOneBound: a document of megabytes is a few kilobytes packed, so
// all that are being received share a bound, and give back what they held.
func TestUploadsShareOneBound(t *testing.T) {
	p := newPackages(t, Config{})
	big := []byte(`{"versions":{},"pad":"` + strings.Repeat("x", 3*npmStep) + `"}`)
	if !p.uploads.TryAcquire(maxUploadMemory - 5*npmStep) {
		t.Fatal("something is held before the first upload")
	}
	first, err := p.Receive(t.Context(), "lib", bytes.NewReader(big))
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Receive(t.Context(), "lib", bytes.NewReader(big))
	wantError(t, err, npm.Unavailable, "too many large documents")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := p.Receive(t.Context(), "lib", bytes.NewReader(big))
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
	if !p.uploads.TryAcquire(5 * npmStep) {
		t.Error("something is held after the last upload")
	}
	p.uploads.Release(maxUploadMemory)

	// Ordinary publishes never meet the bound, however many there are.
	var all []*Upload
	for range 500 {
		u, err := p.Receive(t.Context(), "lib", bytes.NewReader([]byte(`{"versions":{}}`)))
		if err != nil {
			t.Fatalf("after %d: %v", len(all), err)
		}
		all = append(all, u)
	}
	for _, u := range all {
		u.Close()
	}
}

// npmStep is how much room npm.ReadPut asks for at once, in bytes.
const npmStep = 64 << 10

// An upload that is given up, or breaks off, leaves nothing.
func TestUploadThatIsGivenUp(t *testing.T) {
	dir := t.TempDir()
	s, err := cache.OpenDir(cache.DirConfig{Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p := newPackages(t, Config{Store: s})
	body := pkg{name: "lib", version: "1.0.0", files: noise(300_000)}.body(t)
	u, err := p.Receive(t.Context(), "lib", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if n := files(t, dir+"/tmp"); n != 1 {
		t.Errorf("%d files are being written, want 1", n)
	}
	if err := errors.Join(u.Close(), u.Close()); err != nil {
		t.Error(err)
	}
	for cut := 0; cut < len(body); cut += len(body)/7 + 1 {
		_, err := p.Receive(t.Context(), "lib", bytes.NewReader(body[:cut]))
		if err == nil {
			t.Errorf("a body of %d bytes was taken", cut)
		}
	}
	if n := files(t, dir+"/tmp"); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

func files(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestDamagedDocument: what cannot be read is never taken for a name that is
// not ours, and never written over.
func TestDamagedDocument(t *testing.T) {
	tests := []struct {
		name     string
		change   func(doc string) string
		sentence string
	}{
		{"empty", func(string) string { return "" }, "cannot be read"},
		{"cut", func(doc string) string { return doc[:len(doc)/2] }, "cannot be read"},
		{"zeros", func(doc string) string { return strings.Repeat("\x00", len(doc)) }, "cannot be read"},
		{"longer", func(doc string) string { return doc + "{}" }, "cannot be read"},
		{"newer format", func(doc string) string { return strings.Replace(doc, `"format":1`, `"format":2`, 1) }, "format 2, this release of Larder knows 1"},
		{"newer format with new members", func(doc string) string { return strings.Replace(doc, `"format":1`, `"format":2,"new":1`, 1) }, "format 2"},
		{"no format", func(doc string) string { return strings.Replace(doc, `"format":1,`, ``, 1) }, "format 0"},
		{"unknown member", func(doc string) string { return strings.Replace(doc, `"format":1`, `"format":1,"new":1`, 1) }, "newer release"},
		{"unknown member of a version", func(doc string) string { return strings.Replace(doc, `"putTags"`, `"new":1,"putTags"`, 1) }, "newer release"},
		{"another package's", func(doc string) string { return strings.Replace(doc, `"name":"lib"`, `"name":"bil"`, 1) }, "cannot be read"},
		{"a version that is null", func(doc string) string { return strings.Replace(doc, `"versions":[`, `"versions":[null,`, 1) }, "without a number"},
		{"a version that is none", func(doc string) string { return strings.Replace(doc, `[{"version":"1.0.0"`, `[{"version":"1\"x"`, 1) }, "without a number"},
		{"no manifest", func(doc string) string { return strings.Replace(doc, `"manifest":{`, `"provenance":{`, 1) }, "no manifest"},
		{"a manifest that is none", func(doc string) string { return strings.Replace(doc, `"manifest":{`, `"manifest":7,"provenance":{`, 1) }, "no manifest"},
		{"another package's tarball", func(doc string) string { return strings.Replace(doc, owner("lib"), owner("other"), 1) }, "another package"},
		{"a time of another form", func(doc string) string { return strings.Replace(doc, `Z"`, `+00:00"`, 1) }, "cannot be read"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := cache.NewMem()
			publishAll(t, newPackages(t, Config{Store: s}), "lib", "1.0.0")
			publishAll(t, newPackages(t, Config{Store: s}), "other", "1.0.0")
			doc, _, _ := strings.Cut(stored(t, s, documentKey("lib")), checksumWord) // or that alone would tell
			doc = tt.change(doc)
			store(t, s, documentKey("lib"), doc)

			p := newPackages(t, Config{Store: s})
			_, err := p.Get(t.Context(), "lib")
			wantError(t, err, npm.Unavailable, tt.sentence)
			wantError(t, err, npm.Unavailable, "lib")
			_, err = send(t.Context(), t, p, pkg{name: "lib", version: "2.0.0"}, alice)
			wantError(t, err, npm.Unavailable, tt.sentence)
			_, err = p.Forget(t.Context(), "lib")
			wantError(t, err, npm.Unavailable, tt.sentence)
			if got := stored(t, s, documentKey("lib")); got != doc {
				t.Errorf("it was overwritten with %s", got)
			}
			// The others are not affected, but a list says that it is not whole.
			wantFound(t, p, "", "other")
			_, err = p.Names(t.Context())
			wantError(t, err, npm.Unavailable, "cannot be read")
		})
	}
}

// FuzzDecodeDocument: what is not refused can be worked with.
func FuzzDecodeDocument(f *testing.F) {
	golden, err := os.ReadFile("testdata/document.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add(golden[:len(golden)-len(checksumLine)])
	f.Add(bytes.Replace(golden, []byte("alice"), []byte("malice"), 1))
	f.Add([]byte(`{"format":1,"name":"a","changes":1,"created":"2026-03-01T12:00:00.123Z","modified":"2026-03-01T12:00:00.123Z"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := decodeDocument(data)
		if err != nil {
			return
		}
		k := newPackage(d, data, "1")
		if _, err := npm.Inspect(k.Packument(), d.Name); err != nil {
			t.Errorf("%v\n%s", err, k.Packument())
		}
		newEntry(d)
		for _, v := range k.Versions() {
			k.Attestations(v)
		}
		again, err := d.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeDocument(again); err != nil {
			t.Error(err)
		}
	})
}

func stored(t *testing.T, s cache.Store, key string) string {
	t.Helper()
	o, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func store(t *testing.T, s cache.Store, key, data string) {
	t.Helper()
	w, err := s.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(cache.Precondition{}); err != nil {
		t.Fatal(err)
	}
}

// TestFormatIsStable holds what lies on disk: a release that reads another
// form cannot read what this one wrote.
func TestFormatIsStable(t *testing.T) {
	s := cache.NewMem()
	p := newPackages(t, Config{Store: s, Now: newClock().Now})
	publish(t, p, pkg{name: "lib", version: "1.0.0", tags: []string{"next"}, provenance: `{"a":1}`,
		manifest: map[string]any{"deprecated": "old"}, doc: map[string]any{"access": "public"}})
	publish(t, p, pkg{name: "lib", version: "2.0.0", tags: []string{"next"}})
	if _, err := p.SetVersions(t.Context(), "lib", "", object(t, `{"versions":{"1.0.0":{}}}`), alice); err != nil {
		t.Fatal(err)
	}
	if _, err := p.SetStar(t.Context(), "lib", "bob", true); err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile("testdata/document.json")
	if err != nil {
		t.Fatal(err)
	}
	if got := stored(t, s, documentKey("lib")); got != string(golden) {
		t.Errorf("the document is\n%s\nand was\n%s", got, golden)
	}
	if _, err := decodeDocument(golden); err != nil {
		t.Error(err)
	}
}

// A blob that is lost is our fault, and no reason to look upstream.
func TestLostBlob(t *testing.T) {
	s := cache.NewMem()
	p := newPackages(t, Config{Store: s})
	publishAll(t, p, "lib", "1.0.0")
	if err := s.Delete(t.Context(), get(t, p, "lib").doc.Versions[0].Tarball.Key, cache.Precondition{}); err != nil {
		t.Fatal(err)
	}
	_, err := p.Tarball(t.Context(), "lib", "lib-1.0.0.tgz")
	wantError(t, err, npm.Unavailable, "disk")
}

// The version is unpublished between the look at the document and the blob.
func TestTarballThatGoesMeanwhile(t *testing.T) {
	s := newBrittle(cache.NewMem())
	p := newPackages(t, Config{Store: s})
	publishAll(t, p, "lib", "1.0.0", "2.0.0")
	s.breaks(func(op, key string) error {
		if op == "open" && strings.Contains(key, "/tgz-") {
			s.breaks(nil)
			if _, err := p.DeleteTarball(t.Context(), "lib", "lib-2.0.0.tgz", "", alice); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	_, err := p.Tarball(t.Context(), "lib", "lib-2.0.0.tgz")
	wantOursButMissing(t, err)
}

// TestLimitOfDocument: a package whose document grew too big could not be
// deprecated any more, because clients send it back.
func TestLimitOfDocument(t *testing.T) {
	p := newPackages(t, Config{})
	p.maxDocument = 100_000
	publishAll(t, p, "lib", "1.0.0")
	big := strings.Repeat("x", 60_000)
	publish(t, p, pkg{name: "lib", version: "1.1.0", manifest: map[string]any{"big": big}})
	_, err := send(t.Context(), t, p, pkg{name: "lib", version: "1.2.0", manifest: map[string]any{"big": big}}, alice)
	wantError(t, err, npm.TooLarge, "the documents of all versions together")
	_, err = send(t.Context(), t, p, pkg{name: "lib", version: "1.3.0", manifest: map[string]any{"big": big + big}}, alice)
	wantError(t, err, npm.TooLarge, "100000")
	if got := versionsText(get(t, p, "lib")); got != "[1.0.0 1.1.0]" || blobs(t, p.store, "lib") != 2 {
		t.Errorf("versions are %s, and there are %d blobs", got, blobs(t, p.store, "lib"))
	}
}
