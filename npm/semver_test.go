package npm

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseVersion(t *testing.T) {
	tests := []struct {
		in   string
		want Version
	}{
		{"0.0.0", Version{}},
		{"1.2.3", Version{Major: 1, Minor: 2, Patch: 3}},
		{"v1.2.3", Version{Major: 1, Minor: 2, Patch: 3}},
		{" 10.20.30\n", Version{Major: 10, Minor: 20, Patch: 30}},
		{" v1.2.3 ", Version{Major: 1, Minor: 2, Patch: 3}},
		{"9007199254740991.0.0", Version{Major: maxComponent}},
		{"1.0.0-0", Version{Major: 1, Pre: []string{"0"}}},
		{"1.0.0-rc.1", Version{Major: 1, Pre: []string{"rc", "1"}}},
		{"1.0.0-0a", Version{Major: 1, Pre: []string{"0a"}}},
		{"1.0.0-alpha-.-b", Version{Major: 1, Pre: []string{"alpha-", "-b"}}},
		{"1.0.0--", Version{Major: 1, Pre: []string{"-"}}},
		{"1.0.0-99999999999999999999", Version{Major: 1, Pre: []string{"99999999999999999999"}}},
		{"1.0.0+001", Version{Major: 1, Build: []string{"001"}}},
		{"1.0.0+a-b.c", Version{Major: 1, Build: []string{"a-b", "c"}}},
		{"1.0.0-rc+b", Version{Major: 1, Pre: []string{"rc"}, Build: []string{"b"}}},
		{"1.0.0-" + strings.Repeat("a", maxVersion-6), Version{Major: 1, Pre: []string{strings.Repeat("a", maxVersion-6)}}},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			got, err := ParseVersion(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseVersionRefuses(t *testing.T) {
	tests := []struct{ what, in string }{
		{"empty", ""},
		{"a word", "latest"},
		{"one number", "1"},
		{"two numbers", "1.2"},
		{"four numbers", "1.2.3.4"},
		{"a wildcard", "1.2.x"},
		{"an equals sign", "=1.2.3"},
		{"two vs", "vv1.2.3"},
		{"a space after v", "v 1.2.3"},
		{"upper case V", "V1.2.3"},
		{"a sign", "-1.2.3"},
		{"a space inside", "1. 2.3"},
		{"an empty component", "1..3"},
		{"leading zero", "01.2.3"},
		{"leading zero in the patch", "1.2.03"},
		{"a component past 2^53-1", "9007199254740992.0.0"},
		{"a component past 2^64", "1.0.18446744073709551617"},
		{"a loose pre-release", "1.2.3beta"},
		{"an empty pre-release", "1.2.3-"},
		{"an empty identifier", "1.2.3-a..b"},
		{"a trailing dot", "1.2.3-a."},
		{"leading zero in a pre-release", "1.2.3-01"},
		{"leading zero in its second identifier", "1.2.3-a.01"},
		{"an underscore", "1.2.3-a_b"},
		{"empty build", "1.2.3+"},
		{"two builds", "1.2.3+a+b"},
		{"257 bytes", "1.0.0-" + strings.Repeat("a", maxVersion-5)},
		{"full-width digits", "１.0.0"},
		{"a NUL", "1.0.0\x00"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			if v, err := ParseVersion(tt.in); KindOf(err) != Invalid {
				t.Errorf("ParseVersion(%q) = %v, %v, want kind %v", tt.in, v, err, Invalid)
			}
		})
	}
}

// Each version is higher than the one before it.
var ascending = strings.Fields(`
	0.0.0-0 0.0.0-foo 0.0.0 0.0.1 0.9.0 0.9.9 0.10.0 0.99.0
	1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0
	1.2.3-4 1.2.3-5 1.2.3-10 1.2.3-9007199254740993 1.2.3-99999999999999999999 1.2.3-4-foo 1.2.3-5-Foo 1.2.3-5-foo
	1.2.3-R2 1.2.3-a 1.2.3-a.5 1.2.3-a.10 1.2.3-a.b 1.2.3-r100 1.2.3-r2 1.2.3
	2.0.0 2.7.2 3.0.0 9007199254740991.0.0
`)

func TestCompare(t *testing.T) {
	versions := make([]Version, len(ascending))
	for i, s := range ascending {
		v, err := ParseVersion(s)
		if err != nil {
			t.Fatal(err)
		}
		versions[i] = v
	}
	for i, a := range versions {
		for j, b := range versions {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := a.Compare(b); got != want {
				t.Errorf("%s to %s: %d, want %d", ascending[i], ascending[j], got, want)
			}
		}
	}
}

func TestCompareIgnoresBuild(t *testing.T) {
	for _, pair := range [][2]string{
		{"1.2.3+a", "1.2.3+b"},
		{"1.2.3+a", "1.2.3"},
		{"1.2.3-beta+a", "1.2.3-beta+b.c"},
		{"v1.2.3", "1.2.3"},
	} {
		a, aerr := ParseVersion(pair[0])
		b, berr := ParseVersion(pair[1])
		if aerr != nil || berr != nil || a.Compare(b) != 0 || b.Compare(a) != 0 {
			t.Errorf("%q and %q differ (%v, %v)", pair[0], pair[1], aerr, berr)
		}
	}
}

func BenchmarkParseVersion(b *testing.B) {
	for _, s := range []string{"18.2.0", "19.3.0-canary-1a2b3c4d-20250101"} {
		b.Run(s, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseVersion(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
