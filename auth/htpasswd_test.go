package auth

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// odd is a file that has been through many hands.
const odd = "# made by hand\r\n" +
	"alice:$2y$10$aaaa\n" +
	"\n" +
	"bob:{SHA}bbbb:autocreated 2023-01-01T00:00:00.000Z\r\n" +
	"no colon here\n" +
	":nameless\n" +
	"#carol:commented out\n" +
	"alice:second line\n" +
	"dave:\n" +
	"jörg müller:ab\n" +
	"erin:last line"

func TestHtpasswdReads(t *testing.T) {
	h := parseHtpasswd(odd)
	got := map[string]string{}
	for name := range h.accounts {
		got[name], _ = h.hash(name)
	}
	want := map[string]string{
		"alice": "$2y$10$aaaa", "bob": "{SHA}bbbb", "dave": "", "jörg müller": "ab", "erin": "last line",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got := h.String(); got != odd {
		t.Errorf("it comes back as %q", got)
	}
	if hash, ok := h.hash("carol"); ok {
		t.Errorf("carol has hash %q", hash)
	}
	if got := h.similar("ALICE"); got != "alice" {
		t.Errorf("similar to ALICE is %q", got)
	}
	for _, line := range []string{"a\x00b:x", "a\tb:x", strings.Repeat("a", maxUserName+1) + ":x", "\xff:x", "\r:x"} {
		if h := parseHtpasswd(line); len(h.accounts) != 0 {
			t.Errorf("%q makes an account", line)
		}
	}
}

func TestHtpasswdEdits(t *testing.T) {
	h := parseHtpasswd(odd)
	tests := []struct {
		name string
		got  *htpasswd
		want string
	}{
		{"replace", h.with("alice", "NEW"), strings.Replace(odd, "$2y$10$aaaa", "NEW", 1)},
		{"what follows a hash stays", h.with("bob", "NEW"), strings.Replace(odd, "{SHA}bbbb", "NEW", 1)},
		{"the last line", h.with("erin", "NEW"), strings.Replace(odd, "last line", "NEW", 1)},
		{"append behind a line without end", h.with("frank", "NEW"), odd + "\nfrank:NEW\n"},
		{"append to nothing", parseHtpasswd("").with("frank", "NEW"), "frank:NEW\n"},
		{"remove", h.without("bob"), strings.Replace(odd, "bob:{SHA}bbbb:autocreated 2023-01-01T00:00:00.000Z\r\n", "", 1)},
		{"remove both lines of a name", h.without("alice"),
			strings.NewReplacer("alice:$2y$10$aaaa\n", "", "alice:second line\n", "").Replace(odd)},
		{"remove nobody", h.without("carol"), odd},
		{"the original is untouched", h, odd},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, tt.got.String()); d != "" {
				t.Error(d)
			}
		})
	}
}

// FuzzHtpasswd holds what an edit must never do: lose or change a line that it
// is not about, or make or change another account.
func FuzzHtpasswd(f *testing.F) {
	f.Add(odd, "alice")
	f.Add("a:b", "a")
	f.Add("\n\n:\r\n#", "x")
	f.Fuzz(func(t *testing.T, raw, user string) {
		h := parseHtpasswd(raw)
		if h.String() != raw {
			t.Fatalf("%q comes back as %q", raw, h.String())
		}
		if CheckUserName(user) != nil {
			t.Skip()
		}
		added, removed := h.with(user, "HASH"), h.without(user)
		if hash, ok := added.hash(user); !ok || hash != "HASH" {
			t.Errorf("after with, the hash is %q", hash)
		}
		if hash, ok := removed.hash(user); ok {
			t.Errorf("after without, the hash is %q", hash)
		}
		for name := range h.accounts {
			before, _ := h.hash(name)
			for _, edited := range []*htpasswd{added, removed} {
				if after, _ := edited.hash(name); name != user && after != before {
					t.Errorf("%q's hash was %q and is %q", name, before, after)
				}
			}
		}
		if extra := len(added.accounts) - len(removed.accounts); extra != 1 {
			t.Errorf("%d accounts more with %q than without", extra, user)
		}
	})
}
