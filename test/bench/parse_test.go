package main

import (
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	got, err := parseStat("42 (a) b (c) S 7 42 42 0 -1 4194560 100 0 0 0 150 25 3 2 20 0 1 0 9 0 0")
	if want := (process{pid: 42, parent: 7, cpu: 1800 * time.Millisecond}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "42 (a", "42 (a) S 1"} {
		if p, err := parseStat(bad); err == nil {
			t.Errorf("%q is %+v", bad, p)
		}
	}
}

func TestParseWrk(t *testing.T) {
	const head = "Running 1s test @ http://127.0.0.1:1/\nRequests/sec: 3\n"
	got, err := parseWrk(head + "\nfigures 1000 2000000 500000 250 900 0 0 0 0 0\n")
	want := Load{Requests: 1000, Bytes: 500000, Took: 2 * time.Second, P50: 250 * time.Microsecond, P99: 900 * time.Microsecond}
	if err != nil || got != want || got.Rate() != 500 {
		t.Errorf("%+v, %v", got, err)
	}
	for name, bad := range map[string]string{
		"no figures":     head,
		"too few":        head + "\nfigures 1 2 3\n",
		"no number":      head + "\nfigures 1 2 3 4 nan 0 0 0 0 0\n",
		"a bad status":   head + "\nfigures 1000 2000000 500000 250 900 0 0 0 1 0\n",
		"a broken read":  head + "\nfigures 1000 2000000 500000 250 900 0 1 0 0 0\n",
		"a timeout":      head + "\nfigures 1000 2000000 500000 250 900 0 0 0 0 2\n",
		"no connections": head + "\nfigures 1000 2000000 500000 250 900 5 0 0 0 0\n",
	} {
		if l, err := parseWrk(bad); err == nil {
			t.Errorf("%s: %+v", name, l)
		}
	}
}
