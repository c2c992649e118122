package cache

import (
	"bytes"
	"testing"
)

func TestNotes(t *testing.T) {
	store := NewMem()
	n := NewNotes(store, nil, nil)
	owner := OwnerKey("npm", "a")
	put := func(name string, text []byte) {
		t.Helper()
		if err := n.Put(t.Context(), owner, name, text); err != nil {
			t.Fatal(err)
		}
	}
	want := func(name, text string) {
		t.Helper()
		if got := string(n.Get(t.Context(), owner, name)); got != text {
			t.Errorf("note %s is %q, want %q", name, got, text)
		}
	}
	want("x", "")
	put("x", []byte("one"))
	put("y", []byte("other"))
	want("x", "one")
	put("x", []byte("two"))
	want("x", "two")
	put("x", nil)
	put("x", nil) // what is not there can be removed
	want("x", "")
	want("y", "other")
	if got := NewNotes(store, nil, nil).Get(t.Context(), OwnerKey("npm", "b"), "y"); got != nil {
		t.Errorf("another owner has it, too: %q", got)
	}
	var none *Notes
	if err := none.Put(t.Context(), owner, "x", []byte("x")); err != nil || none.Get(t.Context(), owner, "x") != nil {
		t.Error("nil Notes keep something, or fail")
	}
}

// TestNoteThatRotted: a changed note is none.
func TestNoteThatRotted(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func([]byte) []byte
	}{
		{"a wrong byte", func(b []byte) []byte { b[len(b)-1]++; return b }},
		{"cut", func(b []byte) []byte { return b[:len(b)-1] }},
		{"more", func(b []byte) []byte { return append(b, 'x') }},
		{"nothing", func([]byte) []byte { return nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := NewMem()
			n := NewNotes(store, nil, nil)
			owner := OwnerKey("npm", "a")
			w, err := store.Create(t.Context(), noteKey(owner, "x"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(tt.spoil(bytes.Clone(seal(noteSeal, []byte("text"))))); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Commit(Precondition{}); err != nil {
				t.Fatal(err)
			}
			if got := n.Get(t.Context(), owner, "x"); got != nil {
				t.Errorf("%q", got)
			}
		})
	}
}
