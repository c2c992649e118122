package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"larder/cache"
	"larder/metrics"
)

// dirOf returns a Dir with n files of size bytes, whose keys it returns in order.
func dirOf(t *testing.T, n, size int) (*cache.Dir, []string) {
	t.Helper()
	dir, err := cache.OpenDir(cache.DirConfig{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	var keys []string
	for i := range n {
		key := cache.FileKey(cache.OwnerKey("npm", fmt.Sprint(i/3)), "blob", fmt.Sprint(i))
		putIn(t, dir, key, randomBytes(uint64(i), size))
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return dir, keys
}

func putIn(t *testing.T, store cache.Store, key string, data []byte) {
	t.Helper()
	bench{store: &faultyStore{Store: store}}.put(t, key, data)
}

// readAll is a Look that reads everything.
func readAll(ctx context.Context, reads cache.Store, o cache.Info) error {
	obj, err := reads.Open(ctx, o.Key)
	if err != nil {
		return err
	}
	defer obj.Close()
	_, err = io.Copy(io.Discard, obj)
	return err
}

func TestAPassGoesOnWhereItWasCutOff(t *testing.T) {
	dir, want := dirOf(t, 20, kb)
	cursor := filepath.Join(t.TempDir(), "cursor")
	var seen []string
	errCrash := errors.New("crash")
	for try := 0; ; try++ {
		if try > 20 {
			t.Fatal("it never ends")
		}
		ctx, cut := context.WithCancelCause(t.Context())
		looked := 0
		m := metrics.New("1", "a")
		pass := cache.NewPass(cache.PassConfig{
			Store: dir, Cursor: cursor, Pace: cache.NewPace(0), Name: "cache", Metrics: m,
			Look: func(ctx context.Context, reads cache.Store, o cache.Info) error {
				if looked++; looked > 3 {
					cut(errCrash)
					return ctx.Err()
				}
				seen = append(seen, o.Key)
				return readAll(ctx, reads, o)
			},
		})
		err := pass.Run(ctx)
		cut(nil)
		if err == nil {
			c := pass.Cursor()
			if c.Files != 20 || c.Bytes != 20*kb || c.Ended.IsZero() {
				t.Errorf("at the end: %+v", c)
			}
			counted(t, m, fmt.Sprintf(`scrub_last_pass_timestamp_seconds{store="cache"} %g`, float64(c.Ended.Unix())))
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if !slices.Equal(seen, want) {
		t.Errorf("%d files were looked at, want each of %d once, in order", len(seen), len(want))
	}
}

func TestAPassBeginsAnew(t *testing.T) {
	dir, want := dirOf(t, 5, kb)
	cursor := filepath.Join(t.TempDir(), "cursor")
	seen := 0
	look := func(context.Context, cache.Store, cache.Info) error { seen++; return nil }
	pass := func() *cache.Pass {
		return cache.NewPass(cache.PassConfig{Store: dir, Cursor: cursor, Pace: cache.NewPace(0), Name: "cache", Look: look})
	}
	tests := []struct {
		name    string
		prepare func() *cache.Pass
	}{
		{"the first time", pass},
		{"after its end, in the same process", func() *cache.Pass { p := pass(); p.Restart(); return p }},
		{"after its end, in the next", pass},
		{"with a damaged cursor", func() *cache.Pass {
			if err := os.WriteFile(cursor, []byte("larder pass-1 00000000 3\nabc"), 0o600); err != nil {
				t.Fatal(err)
			}
			return pass()
		}},
	}
	for _, tt := range tests {
		seen = 0
		if err := tt.prepare().Run(t.Context()); err != nil || seen != len(want) {
			t.Errorf("%s: %d of %d files were looked at, %v", tt.name, seen, len(want), err)
		}
	}
}

func TestAPassKeepsItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := cache.NewMem()
		for i := range 10 {
			putIn(t, mem, fmt.Sprintf("%08x/blob", i), make([]byte, 1<<20))
		}
		pass := cache.NewPass(cache.PassConfig{
			Store: mem, Cursor: filepath.Join(t.TempDir(), "c"), Pace: cache.NewPace(1 << 20), Name: "cache", Look: readAll,
		})
		start := time.Now()
		if err := pass.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 9*time.Second || took > 11*time.Second {
			t.Errorf("10 MB at 1 MB/s took %v", took)
		}
	})
}

func TestAScrubReadsASmallStoreOnceADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := cache.NewMem()
		putIn(t, mem, blobKey, make([]byte, kb))
		looks := 0
		pass := cache.NewPass(cache.PassConfig{
			Store: mem, Cursor: filepath.Join(t.TempDir(), "c"), Pace: cache.NewPace(1 << 20), Name: "cache",
			Look: func(context.Context, cache.Store, cache.Info) error { looks++; return nil },
		})
		ctx, cancel := context.WithTimeout(t.Context(), 73*time.Hour)
		defer cancel()
		cache.Scrub(ctx, pass)
		if looks != 4 {
			t.Errorf("in three days and an hour it was read %d times, want 4", looks)
		}
	})
}

// What the inspector finds is counted, told and taken away, so that it is
// fetched or made anew; what is right stays.
func TestInspect(t *testing.T) {
	data := randomBytes(1, 200*kb)
	const docOwner = "0123456789"
	docKey := cache.FileKey(docOwner, "doc", "slot")
	headKey := cache.FileKey(cache.OwnerKey("npm", "left-pad"), "head", responseKey)
	flip := func(i int) func([]byte) []byte { return func(d []byte) []byte { return flipped(d, (i+len(d))%len(d)) } }
	tests := map[string]struct {
		key     string // "" : nothing is damaged
		damage  func([]byte) []byte
		refetch bool
		left    bool // something is still there under the key
		restart bool // the sidecar is not in memory
	}{
		"nothing":                   {},
		"a blob's first byte":       {key: blobKey, damage: flip(0), refetch: true},
		"a blob's last byte":        {key: blobKey, damage: flip(-1), refetch: true, restart: true},
		"a blob cut":                {key: blobKey, damage: func(d []byte) []byte { return d[:9] }, refetch: true},
		"a blob zeroed":             {key: blobKey, damage: func(d []byte) []byte { return make([]byte, len(d)) }, refetch: true},
		"a sidecar, known":          {key: blobKey + ".meta", damage: flip(40), left: true},
		"a sidecar, after a start":  {key: blobKey + ".meta", damage: flip(40), restart: true},
		"a sidecar emptied":         {key: blobKey + ".meta", damage: func([]byte) []byte { return nil }, restart: true},
		"a blob in quarantine":      {key: "00112233/gone-6677", damage: flip(7)},
		"a document's header":       {key: docKey, damage: flip(20)},
		"a document's bytes":        {key: docKey, damage: flip(-1)},
		"a document cut":            {key: docKey, damage: func(d []byte) []byte { return d[:len(d)-1] }},
		"a response's header":       {key: headKey, damage: flip(60)},
		"a response's header empty": {key: headKey, damage: func([]byte) []byte { return nil }},
		"a response's body":         {key: "body", damage: flip(3)},
		"a response's body cut":     {key: "body", damage: func(d []byte) []byte { return d[:1] }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			store := &faultyStore{Store: cache.NewMem()}
			m := metrics.New("1", "a")
			b := bench{store: store, Blobs: cache.NewBlobs(cache.BlobsConfig{Store: store, Metrics: m})}
			wantAll(t, b.get(t, &source{data: data}), data)
			gone, err := b.Get(t.Context(), "00112233/blob-6677", &source{data: data})
			if err != nil {
				t.Fatal(err)
			}
			wantAll(t, gone, data)
			if err := b.Quarantine(t.Context(), "00112233/blob-6677", cache.Gone); err != nil {
				t.Fatal(err)
			}
			documents := cache.NewDocuments(cache.DocumentsConfig{Store: store})
			defer documents.Close()
			doc, err := documents.Make(t.Context(), cache.DocumentKey{Owner: docOwner, Slot: "slot", ID: "1"}, func(_ context.Context, w io.Writer) error {
				_, err := w.Write(data[:kb])
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			doc.Close()
			cache.NewResponses(store, nil, nil).Set(responseKey, []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))

			if tt.restart {
				b.restart(t, cache.BlobsConfig{Metrics: m})
			}
			key := tt.key
			if key == "body" {
				key = findKey(t, store, "body")
			}
			if key != "" {
				b.put(t, key, tt.damage(b.raw(t, key)))
			}
			var refetched []string
			inspector := &cache.Inspector{
				Blobs: b.Blobs, Where: "scrub", Metrics: m, Log: discard,
				Refetch: func(_ context.Context, key, label string) { refetched = append(refetched, key+" "+label) },
			}
			var found []*cache.Rot
			pass := cache.NewPass(cache.PassConfig{
				Store: store, Cursor: filepath.Join(t.TempDir(), "c"), Pace: cache.NewPace(0), Name: "cache",
				Look: inspector.Look, Found: func(r *cache.Rot) { found = append(found, r) }, Metrics: m,
			})
			if err := pass.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if key == "" {
				counted(t, m, `rotten_files_total{store="cache",where="scrub"} 0`)
				if len(found) > 0 || pass.Cursor().Rotten > 0 || pass.Cursor().Unread > 0 {
					t.Errorf("found %v, %+v", found, pass.Cursor())
				}
				counted(t, m, `scrubbed_files_total{store="cache"} 7`)
				return
			}
			counted(t, m, `rotten_files_total{store="cache",where="scrub"} 1`)
			if len(found) != 1 || pass.Cursor().Rotten != 1 || pass.Cursor().Unread != 0 {
				t.Errorf("found %v, %+v", found, pass.Cursor())
			}
			if tt.refetch != slices.Contains(refetched, blobKey+" left-pad/left-pad-1.0.0.tgz") {
				t.Errorf("refetched %q", refetched)
			}
			if tt.left {
				b.raw(t, key)
			} else {
				b.without(t, key)
			}
			wantAll(t, b.get(t, &source{data: data}), data)
		})
	}
}

var discard = slog.New(slog.DiscardHandler)

const responseKey = "http://npm.upstream.invalid/left-pad#full"

// findKey returns the one key of a kind.
func findKey(t *testing.T, store cache.Store, kind string) (key string) {
	t.Helper()
	err := store.Walk(t.Context(), "", func(o cache.Info) error {
		if bytes.Contains([]byte(o.Key), []byte("/"+kind+"-")) {
			key = o.Key
		}
		return nil
	})
	if err != nil || key == "" {
		t.Fatalf("no %s: %v", kind, err)
	}
	return key
}

// A disk that cannot be read is not rot: nothing is taken away.
func TestInspectOfABrokenDisk(t *testing.T) {
	store := &faultyStore{Store: cache.NewMem()}
	b := bench{store: store, Blobs: cache.NewBlobs(cache.BlobsConfig{Store: store})}
	src := &source{data: randomBytes(1, kb)}
	wantAll(t, b.get(t, src), src.data)
	store.fault = "open"
	store.broken.Store(true)
	pass := cache.NewPass(cache.PassConfig{
		Store: store, Cursor: filepath.Join(t.TempDir(), "c"), Pace: cache.NewPace(0), Name: "cache",
		Look: (&cache.Inspector{Blobs: b.Blobs, Where: "scrub", Log: discard}).Look,
	})
	if err := pass.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := pass.Cursor(); c.Rotten != 0 || c.Unread != 2 {
		t.Errorf("%+v", c)
	}
	store.broken.Store(false)
	b.wantStored(t, src.data)
	if _, err := b.store.Open(t.Context(), rottenKey); !errors.Is(err, fs.ErrNotExist) {
		t.Error("something was put aside")
	}
}

// A scrub goes through millions of small files: what it takes for each is what
// the collector has to clear away while others are served.
func TestInspectTakesLittleMemoryForSmallBlobs(t *testing.T) {
	const n, bound = 300, 32 << 10 // blobs, bytes for each of them with its sidecar
	dir, _ := dirOf(t, 0, 0)
	blobs := cache.NewBlobs(cache.BlobsConfig{Store: dir})
	for i := range n {
		key := cache.FileKey(cache.OwnerKey("npm", fmt.Sprint(i/3)), "blob", fmt.Sprint(i))
		data := randomBytes(uint64(i), kb)
		blob, err := blobs.Get(t.Context(), key, &source{data: data})
		if err != nil {
			t.Fatal(err)
		}
		wantAll(t, blob, data)
	}
	pass := cache.NewPass(cache.PassConfig{
		Store: dir, Cursor: filepath.Join(t.TempDir(), "c"), Pace: cache.NewPace(0), Name: "cache",
		Look: (&cache.Inspector{Blobs: blobs, Where: "scrub", Log: discard}).Look,
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := pass.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if c := pass.Cursor(); c.Files != 2*n || c.Rotten+c.Unread > 0 {
		t.Fatalf("%+v", c)
	}
	if got := (after.TotalAlloc - before.TotalAlloc) / n; got > bound {
		t.Errorf("%d bytes were allocated for a blob of %d, want at most %d", got, kb, bound)
	}
}
