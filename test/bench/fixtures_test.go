package main

import (
	"bytes"
	"math"
	"net/http"
	"testing"

	"larder/test/registry"
)

// TestStock looks at packages of each kind that are quick to make: their sizes,
// and that they are the same each time.
func TestStock(t *testing.T) {
	var before []byte
	for range 2 {
		r, err := registry.New(registry.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if err := Stock(r, isNumber, express, tarball4K, tarball300K); err != nil {
			t.Fatal(err)
		}
		size := func(s Shape, accept string, want int) []byte {
			t.Helper()
			got, err := ask(t.Context(), hit{shape: s, accept: accept}.request(r.URL(), ""))
			if err != nil || got.status != http.StatusOK {
				t.Fatal(got.status, err)
			}
			if off := math.Abs(float64(len(got.body)-want)) / float64(want); off > 0.1 {
				t.Errorf("%s (%q) has %d bytes, want about %d", s.Name, accept, len(got.body), want)
			}
			return got.body
		}
		size(isNumber, acceptFull, isNumber.Full)
		size(isNumber, acceptAbbreviated, isNumber.Abbreviated)
		size(express, acceptFull, express.Full)
		size(express, acceptAbbreviated, express.Abbreviated)
		size(tarball4K, "", 4_096)
		tarball := size(tarball300K, "", 300_000)
		if before != nil && !bytes.Equal(before, tarball) {
			t.Error("a tarball has other bytes the second time")
		}
		before = tarball
	}
}

func TestSameDocument(t *testing.T) {
	const want = `{"dist-tags":{"latest":"2.0.0"},"versions":{` +
		`"1.0.0":{"dist":{"integrity":"sha512-a","tarball":"http://up/a-1.0.0.tgz"}},` +
		`"2.0.0":{"dependencies":{"b":"^1.0.0"},"dist":{"integrity":"sha512-b","tarball":"http://up/a-2.0.0.tgz"}}}}`
	tests := []struct {
		name, got string
		ok        bool
	}{
		{"the same", want, true},
		{"with spaces, and another host", `{ "dist-tags": {"latest": "2.0.0"}, "versions": {
			"2.0.0": {"dependencies": {"b": "^1.0.0"}, "dist": {"tarball": "http://us/a/-/a-2.0.0.tgz", "integrity": "sha512-b"}},
			"1.0.0": {"dist": {"integrity": "sha512-a", "tarball": "http://us/a/-/a-1.0.0.tgz"}}}}`, true},
		{"cut off", want[:len(want)-1], false},
		{"a version short", `{"dist-tags":{"latest":"2.0.0"},"versions":{"2.0.0":{"dependencies":{"b":"^1.0.0"},"dist":{"integrity":"sha512-b","tarball":"http://up/a-2.0.0.tgz"}}}}`, false},
		{"another hash", string(bytes.Replace([]byte(want), []byte("sha512-b"), []byte("sha512-c"), 1)), false},
		{"another range", string(bytes.Replace([]byte(want), []byte("^1.0.0"), []byte("^1.0.1"), 1)), false},
		{"another latest", string(bytes.Replace([]byte(want), []byte(`"latest":"2.0.0"`), []byte(`"latest":"1.0.0"`), 1)), false},
		{"no tarball", string(bytes.Replace([]byte(want), []byte("http://up/a-1.0.0.tgz"), nil, 1)), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := sameDocument([]byte(tt.got), []byte(want)); (err == nil) != tt.ok {
				t.Error(err)
			}
		})
	}
}
