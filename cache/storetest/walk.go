package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"larder/cache"
)

// keys walks and returns the keys in order.
func keys(t *testing.T, s cache.Store, prefix string) []string {
	t.Helper()
	var got []string
	err := s.Walk(t.Context(), prefix, func(i cache.Info) error {
		got = append(got, i.Key)
		return nil
	})
	if err != nil {
		t.Fatalf("Walk %q: %v", prefix, err)
	}
	slices.Sort(got)
	return got
}

func walk(t *testing.T, s cache.Store) {
	if got := keys(t, s, ""); len(got) != 0 {
		t.Fatalf("an empty store lists %v", got)
	}
	// Three owners: two that differ early and one that another begins with.
	longer := "0123456789abcdef01/blob-1"
	infos := make(map[string]cache.Info)
	for _, k := range []string{key, sibling, stranger, longer} {
		rev := put(t, s, k, k)
		infos[k] = cache.Info{Key: k, Size: int64(len(k)), Rev: rev}
	}
	for _, test := range []struct {
		prefix string
		want   []string
	}{
		{"", []string{key, sibling, longer, stranger}},
		{"0123456789abcdef/", []string{key, sibling}},
		{"0123456789abcdef01/", []string{longer}},
		{"fedcba9876543210/", []string{stranger}},
		{"00000000/", nil},
	} {
		if got := keys(t, s, test.prefix); !slices.Equal(got, test.want) {
			t.Errorf("Walk %q = %v, want %v", test.prefix, got, test.want)
		}
	}
	err := s.Walk(t.Context(), "", func(got cache.Info) error {
		if got.ModTime.IsZero() {
			t.Errorf("%s has no time", got.Key)
		}
		got.ModTime = infos[got.Key].ModTime
		if got != infos[got.Key] {
			t.Errorf("Info = %+v, want %+v", got, infos[got.Key])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func walkStops(t *testing.T, s cache.Store) {
	put(t, s, key, "1")
	put(t, s, sibling, "2")
	put(t, s, stranger, "3")
	for _, prefix := range []string{"", "0123456789abcdef/"} {
		enough := errors.New("enough")
		calls := 0
		err := s.Walk(t.Context(), prefix, func(cache.Info) error { calls++; return enough })
		if !errors.Is(err, enough) || calls != 1 {
			t.Errorf("Walk %q = %v after %d calls; want fn's error after one", prefix, err, calls)
		}
		ctx, cancel := context.WithCancel(t.Context())
		calls = 0
		err = s.Walk(ctx, prefix, func(cache.Info) error { calls++; cancel(); return nil })
		if !errors.Is(err, context.Canceled) || calls != 1 {
			t.Errorf("Walk %q = %v after %d calls; want canceled after one", prefix, err, calls)
		}
	}
}

func walkChanges(t *testing.T, s cache.Store) {
	const n = 20
	for i := range n {
		put(t, s, fmt.Sprintf("%08x/blob", i<<20), "x")
		put(t, s, fmt.Sprintf("0123456789abcdef/blob-%d", i), "x")
	}
	for _, prefix := range []string{"", "0123456789abcdef/"} {
		seen := make(map[string]bool)
		err := s.Walk(t.Context(), prefix, func(i cache.Info) error {
			if seen[i.Key] {
				t.Errorf("Walk %q saw %s twice", prefix, i.Key)
			}
			seen[i.Key] = true
			if err := s.Delete(t.Context(), i.Key, cache.IfRev(i.Rev)); err != nil {
				t.Errorf("Delete within Walk: %v", err)
			}
			return nil
		})
		if err != nil {
			t.Errorf("Walk %q: %v", prefix, err)
		}
		if got := keys(t, s, prefix); len(got) != 0 {
			t.Errorf("Walk %q did not reach %v", prefix, got)
		}
	}
}
