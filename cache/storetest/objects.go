package storetest

import (
	"bytes"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"

	"larder/cache"
)

func missing(t *testing.T, s cache.Store) {
	put(t, s, sibling, "its owner exists")
	for _, key := range []string{key, stranger} {
		want(t, s, key, "")
		wantErr(t, "Delete", s.Delete(t.Context(), key, cache.Precondition{}), fs.ErrNotExist)
	}
}

func malformed(t *testing.T, s cache.Store) {
	hex := strings.Repeat("a", 64)
	for _, bad := range []string{
		"", "/", "a", "0123456789abcdef", "0123456789abcdef/", "/blob", "0123456/blob",
		hex + "a/blob", hex + "/" + strings.Repeat("b", 129),
		"../x", "0123456789abcdef/../x", "0123456789abcdef/..", "0123456789abcdef/.", "../../etc/passwd",
		"0123456789abcdef/a/b", "0123456789abcdef//a", "/0123456789abcdef/a", `0123456789abcdef\a`,
		"0123456789ABCDEF/a", "0123456789abcdef/A", "0123456789abcdeg/a", "0123456789abcdef/.a",
		"0123456789abcdef/-a", "0123456789abcdef/a_b", "0123456789abcdef/a\x00", "0123456789abcdef/ä",
		"0123456789abcdef/a b", "0123456789abcdef/a%2fb", "0123456789abcdef/a\n",
	} {
		o, err := s.Open(t.Context(), bad)
		wantErr(t, "Open "+bad, err, cache.ErrKey)
		if o != nil {
			t.Fatalf("Open %q returned an object", bad)
		}
		w, err := s.Create(t.Context(), bad)
		wantErr(t, "Create "+bad, err, cache.ErrKey)
		if w != nil {
			t.Fatalf("Create %q returned a Writer", bad)
		}
		wantErr(t, "Delete "+bad, s.Delete(t.Context(), bad, cache.Precondition{}), cache.ErrKey)
	}
	for _, bad := range []string{"/", "..", "../", "0123456789abcdef", "0123456789abcdef/b", "0123456/", "*"} {
		err := s.Walk(t.Context(), bad, func(i cache.Info) error { t.Errorf("Walk %q saw %s", bad, i.Key); return nil })
		wantErr(t, "Walk "+bad, err, cache.ErrKey)
	}
	for _, good := range []string{hex + "/" + strings.Repeat("b", 128), hex[:8] + "/0", hex[:8] + "/a.-"} {
		put(t, s, good, good)
		want(t, s, good, good)
	}
}

func visibility(t *testing.T, s cache.Store) {
	put(t, s, key, "old")
	replace, first := create(t, s, key), create(t, s, sibling)
	write(t, replace, "ne")
	write(t, first, "first")
	want(t, s, key, "old")
	want(t, s, sibling, "")
	if got := keys(t, s, ""); len(got) != 1 {
		t.Errorf("Walk sees unfinished writes: %v", got)
	}
	write(t, replace, "w")
	for _, w := range []cache.Writer{replace, first} {
		if _, err := w.Commit(cache.Precondition{}); err != nil {
			t.Fatal(err)
		}
	}
	want(t, s, key, "new")
	want(t, s, sibling, "first")
}

func abort(t *testing.T, s cache.Store) {
	put(t, s, key, "old")
	for _, key := range []string{key, stranger} {
		w := create(t, s, key)
		write(t, w, "never to be seen")
		if err := w.Abort(); err != nil {
			t.Fatal(err)
		}
	}
	want(t, s, key, "old")
	want(t, s, stranger, "")
	if got := keys(t, s, ""); len(got) != 1 {
		t.Errorf("Walk sees aborted writes: %v", got)
	}
}

func ending(t *testing.T, s cache.Store) {
	committed := create(t, s, key)
	write(t, committed, "once")
	if _, err := committed.Commit(cache.Precondition{}); err != nil {
		t.Fatal(err)
	}
	refused := create(t, s, key)
	_, err := refused.Commit(cache.IfAbsent())
	wantErr(t, "Commit", err, cache.ErrPrecondition)
	aborted := create(t, s, key)
	if err := aborted.Abort(); err != nil {
		t.Fatal(err)
	}
	for name, w := range map[string]cache.Writer{"committed": committed, "refused": refused, "aborted": aborted} {
		if _, err := w.Write([]byte("more")); err == nil {
			t.Errorf("%s: another Write succeeded", name)
		}
		if _, err := w.Commit(cache.Precondition{}); err == nil {
			t.Errorf("%s: another Commit succeeded", name)
		}
		if err := w.Abort(); err != nil {
			t.Errorf("%s: Abort afterwards: %v", name, err)
		}
	}
	want(t, s, key, "once")
}

func sizes(t *testing.T, s cache.Store) {
	const mb = 1 << 20
	random := make([]byte, 5*mb+1)
	rand.NewChaCha8([32]byte{}).Read(random)
	for _, size := range []int{0, 1, 4095, 4096, 64 << 10, mb, len(random)} {
		data := random[:size]
		w := create(t, s, key)
		for _, part := range [][]byte{data[:size/3], data[size/3 : size/3], data[size/3:]} {
			write(t, w, string(part))
		}
		rev, err := w.Commit(cache.Precondition{})
		if err != nil {
			t.Fatal(err)
		}
		o := get(t, s, key)
		if o.Key != key || o.Size != int64(size) || o.Rev != rev || o.ModTime.IsZero() {
			t.Errorf("Info = %+v; want key %s, size %d, revision %s, and a time", o.Info, key, size, rev)
		}
		wantBytes(t, o, string(data))
	}
}

func seeking(t *testing.T, s cache.Store) {
	put(t, s, key, "0123456789")
	o := get(t, s, key)
	for _, step := range []struct {
		offset int64
		whence int
		rest   string
	}{
		{4, io.SeekStart, "456789"},
		{-3, io.SeekEnd, "789"},
		{0, io.SeekStart, "0123456789"},
		{-10, io.SeekCurrent, "0123456789"},
		{0, io.SeekEnd, ""},
	} {
		if _, err := o.Seek(step.offset, step.whence); err != nil {
			t.Fatal(err)
		}
		wantBytes(t, o, step.rest)
	}
	if _, err := o.Seek(2, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 4)
	if n, err := o.ReadAt(p, 5); n != 4 || string(p) != "5678" {
		t.Errorf("ReadAt 5 = %d, %v, %q", n, err, p)
	}
	if n, err := o.ReadAt(p, 8); n != 2 || err != io.EOF {
		t.Errorf("ReadAt 8 = %d, %v; want 2, EOF", n, err)
	}
	wantBytes(t, o, "23456789") // ReadAt does not move the offset
}

func survival(t *testing.T, s cache.Store) {
	// Longer than any buffer, so that most of it is read after the change.
	first := strings.Repeat("first", 200_000)
	put(t, s, key, first)
	replaced := get(t, s, key)
	put(t, s, key, "second")
	deleted := get(t, s, key)
	if err := s.Delete(t.Context(), key, cache.Precondition{}); err != nil {
		t.Fatal(err)
	}
	want(t, s, key, "")
	wantBytes(t, replaced, first)
	wantBytes(t, deleted, "second")
	put(t, s, key, "third")
	want(t, s, key, "third")
}

func follow(t *testing.T, s cache.Store) {
	w := create(t, s, key)
	defer w.Abort()
	f, ok := w.(cache.Follower)
	if !ok {
		t.Skip("the store's Writers are no Followers")
	}
	early := follower(t, f)
	wantAt(t, early, 0, "", io.EOF)
	write(t, w, "0123")
	wantAt(t, early, 0, "0123", io.EOF)
	late := follower(t, f)
	write(t, w, "4567")
	for _, r := range []cache.FollowReader{early, late} {
		wantAt(t, r, 0, "01234567", io.EOF)
		wantAt(t, r, 6, "67", io.EOF)
		wantAt(t, r, 9, "", io.EOF)
		p := make([]byte, 3)
		if n, err := r.ReadAt(p, 2); n != 3 || string(p) != "234" {
			t.Errorf("ReadAt 2 = %d, %v, %q", n, err, p)
		}
	}
	want(t, s, key, "")
}

func followEnds(t *testing.T, s cache.Store) {
	for _, test := range []struct {
		name string
		end  func(w cache.Writer) error
	}{
		{"Abort", func(w cache.Writer) error { return w.Abort() }},
		{"Commit", func(w cache.Writer) error { _, err := w.Commit(cache.Precondition{}); return err }},
		{"Commit and Delete", func(w cache.Writer) error {
			if _, err := w.Commit(cache.Precondition{}); err != nil {
				return err
			}
			return s.Delete(t.Context(), key, cache.Precondition{})
		}},
	} {
		w := create(t, s, key)
		defer w.Abort()
		f, ok := w.(cache.Follower)
		if !ok {
			t.Skip("the store's Writers are no Followers")
		}
		r := follower(t, f)
		write(t, w, "bytes")
		if err := test.end(w); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		wantAt(t, r, 0, "bytes", io.EOF)
		if r, err := f.Follow(); err == nil {
			r.Close()
			t.Errorf("Follow after %s succeeded", test.name)
		}
	}
}

func follower(t *testing.T, f cache.Follower) cache.FollowReader {
	t.Helper()
	r, err := f.Follow()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// wantAt reads more than there is at an offset.
func wantAt(t *testing.T, r io.ReaderAt, off int64, data string, end error) {
	t.Helper()
	p := make([]byte, len(data)+10)
	n, err := r.ReadAt(p, off)
	if !bytes.Equal(p[:n], []byte(data)) || err != end {
		t.Fatalf("ReadAt %d = %q, %v; want %q, %v", off, p[:n], err, data, end)
	}
}
