package main

import (
	"strings"
	"testing"
)

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.01234: "0.0123", 0.5: "0.500", 1.238: "1.24", 12.34: "12.3", 123.4: "123", 1234.4: "1,234", 51500: "51,500", 1234567: "1,234,567", -4321: "-4,321",
	} {
		if got := number(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}

func TestRender(t *testing.T) {
	r := &Report{
		Machine:  Machine{CPU: "a CPU", Cores: 2, Memory: 8 << 30},
		Versions: map[string]string{"larder": "v9.9.9", "nginx": "1.2.3"},
		Missing:  map[string]string{"pnpr": "not installed"},
		Commands: []string{"make bench"},
	}
	rate := Figure{Section: "hits", Case: "small (32)", Name: "rate", Unit: "1/s", Higher: true}
	for _, v := range []float64{900, 1000, 1100} {
		rate.Server = "nginx"
		r.Add(rate, v*2)
		rate.Server = "larder"
		r.Add(rate, v)
	}
	rate.Case, rate.Server = "large (16)", "larder"
	r.Add(rate, 7)
	for _, v := range []struct {
		name, server string
		rate         float64
	}{{"tarball 4 KB (32)", "nginx", 10}, {"tarball 4 KB (32)", "larder", 9}, {"tarball 300 KB (32)", "nginx", 10}, {"tarball 300 KB (32)", "larder", 8}} {
		rate.Case, rate.Server = v.name, v.server
		r.Add(rate, v.rate)
	}
	r.Add(Figure{Section: "start", Case: "first", Server: "larder", Name: "idle memory", Unit: "MB"}, 31)
	r.Add(Figure{Section: "start", Case: "first", Server: "larder", Name: "other"}, 1)
	r.Add(Figure{Section: "of another program", Case: "c", Server: "direct", Name: "time", Unit: "s"}, 3)
	r.Note("nothing %s", "much")
	r.Note("nothing %s", "much")

	page := r.markdown()
	for _, want := range []string{
		"| CPU | a CPU, 2 cores |", "| memory | 8 GB |", "| larder | v9.9.9 |", "| pnpr | not measured: not installed |", "```sh\nmake bench\n```",
		"## Warm cache\n",
		"| rate, 1/s (more is better) | larder | nginx | larder/nginx |\n| --- | --: | --: | --: |\n",
		"| small (32) | 1,000 ±10% | 2,000 ±10% | 0.500 |\n| large (16) | 7.00 | – | – |\n",
		"## of another program\n", "| time, s (less is better) | direct |\n",
		"## Targets\n", "| tarball 4 KB (32): rate, ratio to nginx | ≥ 0.85 | 0.900 | met |\n", "| tarball 300 KB (32): rate, ratio to nginx | ≥ 0.9 | 0.800 | missed |\n",
		"| first | larder |\n| --- | --: |\n| idle memory, MB (less is better) | 31.0 |\n| other (less is better) | 1.00 |\n",
		"| first: idle memory, MB | ≤ 30 | 31.0 | missed |\n",
		"- nothing much\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if strings.Count(page, "nothing much") != 1 {
		t.Error("a note stands there twice")
	}
	text := r.text()
	for _, want := range []string{"small (32)", "1,000 ±10%", "missing: pnpr: not installed", "note: nothing much"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
