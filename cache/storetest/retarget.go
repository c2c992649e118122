package storetest

import (
	"io/fs"
	"testing"

	"larder/cache"
)

// retargeter begins a write under key.
func retargeter(t *testing.T, s cache.Store) (cache.Writer, cache.Retargeter) {
	t.Helper()
	w := create(t, s, key)
	t.Cleanup(func() { w.Abort() })
	r, ok := w.(cache.Retargeter)
	if !ok {
		t.Skip("the store's Writers are no Retargeters")
	}
	return w, r
}

func retargetTo(t *testing.T, r cache.Retargeter, key string) {
	t.Helper()
	if err := r.Retarget(key); err != nil {
		t.Fatalf("Retarget %s: %v", key, err)
	}
}

func retarget(t *testing.T, s cache.Store) {
	for _, test := range []struct {
		name, final string
		keys        []string
	}{
		{"to another owner", stranger, []string{stranger}},
		{"to the same owner", sibling, []string{sibling}},
		{"twice", stranger, []string{sibling, stranger}},
		{"there and back", key, []string{stranger, key}},
	} {
		w, r := retargeter(t, s)
		write(t, w, "before, ")
		for _, k := range test.keys {
			retargetTo(t, r, k)
			write(t, w, "after ")
		}
		rev, err := w.Commit(cache.IfAbsent())
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if got := keys(t, s, ""); len(got) != 1 || got[0] != test.final {
			t.Errorf("%s: the store has %v, want %s alone", test.name, got, test.final)
		}
		if o := get(t, s, test.final); o.Key != test.final || o.Rev != rev {
			t.Errorf("%s: Info = %+v, want revision %s", test.name, o.Info, rev)
		}
		data := "before, after "
		for range test.keys[1:] {
			data += "after "
		}
		want(t, s, test.final, data)
		if err := s.Delete(t.Context(), test.final, cache.IfRev(rev)); err != nil {
			t.Errorf("%s: Delete: %v", test.name, err)
		}
	}
}

func retargetPreconditions(t *testing.T, s cache.Store) {
	old := put(t, s, key, "old key's")
	taken := put(t, s, stranger, "new key's")
	for _, test := range []struct {
		name  string
		p     cache.Precondition
		holds bool
	}{
		{"absent, and the new key is taken", cache.IfAbsent(), false},
		{"the old key's revision", cache.IfRev(old), false},
		{"the new key's revision", cache.IfRev(taken), true},
	} {
		w, r := retargeter(t, s)
		write(t, w, "changed")
		retargetTo(t, r, stranger)
		_, err := w.Commit(test.p)
		want(t, s, key, "old key's")
		if !test.holds {
			wantErr(t, test.name, err, cache.ErrPrecondition)
			want(t, s, stranger, "new key's")
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		want(t, s, stranger, "changed")
	}
}

func retargetMalformed(t *testing.T, s cache.Store) {
	w, r := retargeter(t, s)
	write(t, w, "good ")
	for _, bad := range []string{"", "../x", "0123456789abcdef", "0123456789abcdef/../x", "0123456789abcdef/A", "0123456789ABCDEF/a"} {
		wantErr(t, "Retarget "+bad, r.Retarget(bad), cache.ErrKey)
	}
	write(t, w, "bytes")
	if _, err := w.Commit(cache.Precondition{}); err != nil {
		t.Fatal(err)
	}
	want(t, s, key, "good bytes")
	if got := keys(t, s, ""); len(got) != 1 {
		t.Errorf("the store has %v", got)
	}
}

func retargetEnds(t *testing.T, s cache.Store) {
	committed, c := retargeter(t, s)
	if _, err := committed.Commit(cache.Precondition{}); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "Retarget after Commit", c.Retarget(stranger), fs.ErrClosed)
	aborted, a := retargeter(t, s)
	if err := aborted.Abort(); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "Retarget after Abort", a.Retarget(stranger), fs.ErrClosed)
	refused, f := retargeter(t, s)
	_, err := refused.Commit(cache.IfAbsent())
	wantErr(t, "Commit", err, cache.ErrPrecondition)
	wantErr(t, "Retarget after a refused Commit", f.Retarget(stranger), fs.ErrClosed)
	want(t, s, stranger, "")
}
