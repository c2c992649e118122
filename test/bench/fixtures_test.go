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
	stock := func(shapes ...Shape) func(s Shape, accept string) []byte {
		r, err := registry.New(registry.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		if err := Stock(r, shapes...); err != nil {
			t.Fatal(err)
		}
		return func(s Shape, accept string) []byte {
			t.Helper()
			got, err := ask(t.Context(), hit{shape: s, accept: accept}.request(r.URL(), ""))
			if err != nil || got.status != http.StatusOK {
				t.Fatal(got.status, err)
			}
			return got.body
		}
	}
	get := stock(isNumber, express, tarball4K, tarball300K)
	for _, tt := range []struct {
		shape  Shape
		accept string
		want   int // bytes
	}{
		{isNumber, acceptFull, isNumber.Full},
		{isNumber, acceptAbbreviated, isNumber.Abbreviated},
		{express, acceptFull, express.Full},
		{express, acceptAbbreviated, express.Abbreviated},
		{tarball4K, "", 4_096},
		{tarball300K, "", 300_000},
	} {
		got := len(get(tt.shape, tt.accept))
		if off := math.Abs(float64(got-tt.want)) / float64(tt.want); off > 0.1 {
			t.Errorf("%s (%q) has %d bytes, want about %d", tt.shape.Name, tt.accept, got, tt.want)
		}
	}
	if !bytes.Equal(get(tarball300K, ""), stock(tarball300K)(tarball300K, "")) {
		t.Error("a tarball has other bytes the second time")
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
