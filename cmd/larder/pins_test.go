package main

import (
	"slices"
	"testing"

	"larder/cache"
)

// A pin keeps the tarball of the upstream that the name belongs to.
func TestPinnedBlobs(t *testing.T) {
	s, err := load(sources{file: write(t, "larder.yaml", `cache: {pins: [left-pad@1.3.0, "@partner/x@2.0.0-rc.1", "@acme/none@1.0.0"]}
upstreams:
  - {name: partners, match: ["@partner/*"], urls: [https://partner.example/]}
  - {name: npm, match: ["*", "@partner/*"], urls: [https://npm.example/]}
`)})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		cache.FileKey(cache.OwnerKey("npm", "left-pad"), "blob", "left-pad-1.3.0.tgz"),
		cache.FileKey(cache.OwnerKey("partners", "@partner/x"), "blob", "x-2.0.0-rc.1.tgz"),
	}
	if got := pinnedBlobs(s); !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
}
