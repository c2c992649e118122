package cache_test

import (
	"strings"
	"testing"

	"larder/cache"
	"larder/cache/storetest"
)

func TestMemIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) cache.Store { return cache.NewMem() })
}

func TestDirIsAStore(t *testing.T) {
	for name, durable := range map[string]bool{"plain": false, "durable": true} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) cache.Store {
				d, err := cache.OpenDir(cache.DirConfig{Path: t.TempDir(), Durable: durable})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { d.Close() })
				return d
			})
		})
	}
}

// Keys are the layout of the cache on disk: changing them empties every cache.
func TestKeysAreStable(t *testing.T) {
	got := cache.FileKey(cache.OwnerKey("npm", "@types/node"), "blob", "node-20.1.0.tgz")
	const want = "e31bb306981b1010d6599d6a5ed0f9a7f183082e/blob-83ab880ae636930012edfef94bfbb7902a37c337"
	if got != want {
		t.Errorf("key is %s, was %s", got, want)
	}
}

func TestKeysOfDifferentThingsDiffer(t *testing.T) {
	seen := make(map[string]string)
	for _, pair := range [][2]string{
		{"npm", "JSONStream"}, {"npm", "jsonstream"}, {"partners", "jsonstream"}, {"npmj", "sonstream"},
		{"", ""}, {"", "npm"}, {"npm", ""}, {"npm", "@a/b"}, {"npm", "@a%2fb"}, {"npm", strings.Repeat("a", 300)},
	} {
		owner := cache.OwnerKey(pair[0], pair[1])
		for _, kind := range []string{"blob", "doc"} {
			key := cache.FileKey(owner, kind, pair[1])
			if other, ok := seen[key]; ok {
				t.Errorf("%q and %s share %s", pair, other, key)
			}
			seen[key] = pair[0] + " " + pair[1] + " " + kind
			w, err := cache.NewMem().Create(t.Context(), key)
			if err != nil {
				t.Errorf("%q: %v", pair, err)
				continue
			}
			w.Abort()
		}
	}
}
