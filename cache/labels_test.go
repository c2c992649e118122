package cache

import (
	"slices"
	"testing"
)

func TestLabels(t *testing.T) {
	store := NewMem()
	b := NewBlobs(BlobsConfig{Store: store})
	owner, other := OwnerKey("npm", "a"), OwnerKey("npm", "b")
	put := func(owner, file string, described, bytes bool) string {
		t.Helper()
		key := FileKey(owner, blobKind, file)
		if bytes {
			w, err := store.Create(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(file)); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Commit(Precondition{}); err != nil {
				t.Fatal(err)
			}
		}
		if described {
			if err := b.sidecars.put(t.Context(), key, newBlobMeta(int64(len(file)), make([]byte, 64), file)); err != nil {
				t.Fatal(err)
			}
		}
		return key
	}
	want := func(kind string, labels ...string) {
		t.Helper()
		got, err := b.Labels(t.Context(), owner, kind)
		if err != nil || !slices.Equal(got, labels) {
			t.Errorf("%s: %q, %v, want %q", kind, got, err, labels)
		}
	}
	want(blobKind)
	put(owner, "a/two", true, true)
	gone := put(owner, "a/one", true, true)
	put(owner, "a/no-bytes", true, false)
	put(owner, "a/no-description", false, true)
	put(other, "b/one", true, true)
	want(blobKind, "a/one", "a/two")
	if err := b.Quarantine(t.Context(), gone, Gone); err != nil {
		t.Fatal(err)
	}
	want(blobKind, "a/two")
	want(Gone, "a/one")
}
