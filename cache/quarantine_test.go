package cache_test

import (
	"bytes"
	"errors"
	"io/fs"
	"testing"

	"larder/cache"
)

func TestQuarantine(t *testing.T) {
	src := &source{data: randomBytes(1, 200*kb)}
	tests := map[string]struct {
		why, fault string
		want       error // of Quarantine
		stays      bool  // under its key
		aside      bool  // a copy lies in quarantine
		sidecar    bool  // the blob's own is still there
	}{
		"rotten":                    {why: cache.Rotten, aside: true, sidecar: true},
		"gone":                      {why: cache.Gone, aside: true},
		"rotten, no room":           {why: cache.Rotten, fault: "create", sidecar: true},
		"rotten, no room any more":  {why: cache.Rotten, fault: "write", sidecar: true},
		"gone, no room":             {why: cache.Gone, fault: "create", want: errDisk, stays: true, sidecar: true},
		"gone, no room any more":    {why: cache.Gone, fault: "write", want: errDisk, stays: true, sidecar: true},
		"gone, nothing can be made": {why: cache.Gone, fault: "commit", want: errDisk, stays: true, sidecar: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
				wantAll(t, b.get(t, src), src.data)
				b.store.fault, b.store.after = tt.fault, 150*kb
				open := b.get(t, src)
				err := b.Quarantine(t.Context(), blobKey, tt.why)
				if !errors.Is(err, tt.want) {
					t.Errorf("Quarantine: %v, want %v", err, tt.want)
				}
				wantAll(t, open, src.data) // who has it open reads on
				key := map[string]string{cache.Rotten: rottenKey, cache.Gone: goneKey}[tt.why]
				if tt.aside {
					if got := b.raw(t, key); !bytes.Equal(got, src.data) {
						t.Errorf("%d other bytes lie in quarantine", len(got))
					}
				} else {
					b.without(t, key)
				}
				if !tt.sidecar {
					b.without(t, blobKey+".meta")
				} else {
					b.raw(t, blobKey+".meta")
				}
				if tt.stays {
					b.wantStored(t, src.data)
					return
				}
				b.without(t, blobKey)
				if _, err := b.Open(t.Context(), blobKey); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("Open: %v", err)
				}
			})
		})
	}
}

func TestQuarantineOfNothing(t *testing.T) {
	onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
		for _, why := range []string{cache.Rotten, cache.Gone} {
			if err := b.Quarantine(t.Context(), blobKey, why); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v", why, err)
			}
		}
		if err := b.Restore(t.Context(), blobKey); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Restore: %v", err)
		}
		if err := b.Quarantine(t.Context(), "00112233/doc-4455", cache.Gone); !errors.Is(err, cache.ErrKey) {
			t.Errorf("what is no blob: %v", err)
		}
		if err := b.Quarantine(t.Context(), blobKey, "elsewhere"); err == nil {
			t.Error("a quarantine of any name is there")
		}
	})
}

func TestRestore(t *testing.T) {
	src := &source{data: randomBytes(1, 200*kb)}
	tests := map[string]struct {
		meanwhile func(t *testing.T, b bench)
		want      error
	}{
		"as it was":      {meanwhile: func(*testing.T, bench) {}},
		"filled again":   {meanwhile: func(t *testing.T, b bench) { wantAll(t, b.get(t, src), src.data) }},
		"other bytes":    {meanwhile: func(t *testing.T, b bench) { b.get(t, &source{data: randomBytes(2, kb)}).Close() }},
		"rotten":         {meanwhile: func(t *testing.T, b bench) { b.put(t, goneKey, flipped(src.data, 3)) }, want: cache.ErrIntegrity},
		"cut":            {meanwhile: func(t *testing.T, b bench) { b.put(t, goneKey, src.data[:5]) }, want: cache.ErrIntegrity},
		"without words":  {meanwhile: func(t *testing.T, b bench) { b.delete(t, goneKey+".meta") }, want: fs.ErrNotExist},
		"disk full":      {meanwhile: func(_ *testing.T, b bench) { b.store.fault = "create" }, want: errDisk},
		"sidecar cannot": {meanwhile: func(_ *testing.T, b bench) { b.store.fault = "sidecar" }, want: errDisk},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			onStores(t, cache.BlobsConfig{}, func(t *testing.T, b bench) {
				wantAll(t, b.get(t, src), src.data)
				meta := b.get(t, src)
				want := meta.Meta()
				meta.Close()
				if err := b.Quarantine(t.Context(), blobKey, cache.Gone); err != nil {
					t.Fatal(err)
				}
				tt.meanwhile(t, b)
				err := b.Restore(t.Context(), blobKey)
				if !errors.Is(err, tt.want) {
					t.Fatalf("Restore: %v, want %v", err, tt.want)
				}
				if tt.want != nil {
					b.without(t, blobKey) // a fill would take it for one that lost its sidecar
					if _, err := b.Open(t.Context(), blobKey); !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("Open: %v", err)
					}
					return
				}
				b.wantStored(t, src.data)
				blob, err := b.Open(t.Context(), blobKey)
				if err != nil {
					t.Fatal(err)
				}
				defer blob.Close()
				if blob.Meta() != want {
					t.Errorf("it is described by %+v and was by %+v", blob.Meta(), want)
				}
				b.without(t, goneKey)
				b.without(t, goneKey+".meta")
			})
		})
	}
}
