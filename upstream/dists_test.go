package upstream

import (
	"fmt"
	"testing"

	"larder/npm"
)

// distsOf returns what is remembered of a document of name with n versions from
// 1.0.0 on.
func distsOf(t *testing.T, name string, n int) *npm.Dists {
	t.Helper()
	doc := `{"name":"` + name + `","versions":{`
	for i := range n {
		if i > 0 {
			doc += ","
		}
		doc += fmt.Sprintf(`"1.0.%[1]d":{"dist":{"tarball":"https://registry.example/%[2]s/-/%[2]s-1.0.%[1]d.tgz",`+
			`"integrity":"sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="}}`, i, name)
	}
	doc += "}}"
	s, err := npm.Inspect([]byte(doc), name)
	if err != nil {
		t.Fatal(err)
	}
	return s.Dists([]byte(doc), name)
}

func TestDistsAreBounded(t *testing.T) {
	one := distsOf(t, "a", 1)
	m := newDists(3 * one.Size())
	known := func(want string) {
		t.Helper()
		got := ""
		for _, name := range []string{"a", "b", "c", "d"} {
			if _, ok := m.lru.Peek(name); ok {
				got += name
			}
		}
		if got != want || m.bytes > m.max {
			t.Errorf("known are %q in %d bytes of %d, want %q", got, m.bytes, m.max, want)
		}
	}
	m.add("a", one)
	m.add("b", distsOf(t, "b", 1))
	m.add("c", distsOf(t, "c", 1))
	known("abc")
	m.find("a", "a-1.0.0.tgz")
	m.add("d", distsOf(t, "d", 1)) // the longest unused goes
	known("acd")
	m.add("d", distsOf(t, "d", 1)) // again: it is counted once
	known("acd")
	m.add("a", distsOf(t, "a", 1000)) // one that is too big
	known("")
	if m.bytes != 0 {
		t.Errorf("%d bytes of nothing", m.bytes)
	}
	m.add("a", nil)
	known("")
}
