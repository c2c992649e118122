package cache_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"larder/cache"
)

func TestPresent(t *testing.T) {
	ctx := t.Context()
	store := cache.NewMem()
	b := cache.NewBlobs(cache.BlobsConfig{Store: store})
	owner, other := cache.OwnerKey("npm", "lib"), cache.OwnerKey("npm", "other")
	put := func(key string) {
		t.Helper()
		w, err := store.Create(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Commit(cache.Precondition{}); err != nil {
			t.Fatal(err)
		}
	}
	blob := func(version string) string { return cache.FileKey(owner, "blob", "lib-"+version+".tgz") }
	present := func() cache.Present {
		t.Helper()
		p, err := b.Present(ctx, owner)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}

	empty := present()
	if empty.Has(blob("1.0.0")) || empty.Rev() == "" {
		t.Errorf("of an empty store: %+v", empty)
	}
	for _, key := range []string{
		blob("1.0.0"), blob("1.0.0") + ".meta", // whole
		blob("2.0.0"),           // not described, so not finished
		blob("3.0.0") + ".meta", // without its bytes
		cache.FileKey(owner, "rotten", "lib-4.0.0.tgz"), cache.FileKey(owner, "rotten", "lib-4.0.0.tgz") + ".meta",
		cache.FileKey(owner, "head", "full"), cache.FileKey(owner, "body", "full"),
		cache.FileKey(other, "blob", "lib-5.0.0.tgz"), cache.FileKey(other, "blob", "lib-5.0.0.tgz") + ".meta",
	} {
		put(key)
	}
	p := present()
	for version, want := range map[string]bool{"1.0.0": true, "2.0.0": false, "3.0.0": false, "4.0.0": false, "5.0.0": false} {
		if got := p.Has(blob(version)); got != want {
			t.Errorf("%s: %v, want %v", version, got, want)
		}
	}
	if p.Has(cache.FileKey(other, "blob", "lib-1.0.0.tgz")) || p.Has(cache.FileKey(other, "blob", "lib-5.0.0.tgz")) || p.Has("") {
		t.Error("it has what is not the owner's")
	}
	if p.Rev() == empty.Rev() {
		t.Error("the revision did not change with a blob")
	}
	if again := present(); again.Rev() != p.Rev() {
		t.Errorf("revisions %s and %s of the same set", p.Rev(), again.Rev())
	}
	put(blob("2.0.0") + ".meta")
	more := present()
	if !more.Has(blob("2.0.0")) || more.Rev() == p.Rev() {
		t.Errorf("one more: has it %v, revisions %s and %s", more.Has(blob("2.0.0")), p.Rev(), more.Rev())
	}
	if err := store.Delete(ctx, blob("2.0.0"), cache.Precondition{}); err != nil {
		t.Fatal(err)
	}
	if less := present(); less.Rev() != p.Rev() || less.Has(blob("2.0.0")) {
		t.Errorf("one less: revisions %s and %s", p.Rev(), less.Rev())
	}
}

// TestPresentAfterAFill: what a fill has stored is present, and cancelling a
// listing is an error and not an empty set.
func TestPresentAfterAFill(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		data := randomBytes(1, 1000)
		wantAll(t, b.get(t, &source{data: data}), data)
		b.wantStored(t, data)
		owner, _, _ := strings.Cut(blobKey, "/")
		p, err := b.Present(t.Context(), owner)
		if err != nil || !p.Has(blobKey) {
			t.Errorf("Has: %v, %v", p.Has(blobKey), err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if p, err := b.Present(ctx, owner); err == nil && !p.Has(blobKey) {
			t.Error("a cancelled listing looks like an empty one")
		}
		if _, err := b.Present(t.Context(), "../.."); !errors.Is(err, cache.ErrKey) {
			t.Errorf("got %v, want ErrKey", err)
		}
	})
}
