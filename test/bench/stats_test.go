package main

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestChance(t *testing.T) {
	tests := []struct {
		name string
		a, b []float64
		want float64
	}{
		{"three apart from three", []float64{1, 2, 3}, []float64{4, 5, 6}, 0.1},
		{"five apart from five", []float64{1, 2, 3, 4, 5}, []float64{6, 7, 8, 9, 10}, 2.0 / 252},
		{"the other way round", []float64{6, 7, 8, 9, 10}, []float64{1, 2, 3, 4, 5}, 2.0 / 252},
		{"mixed evenly", []float64{1, 4, 5}, []float64{2, 3, 6}, 1},
		{"all the same", []float64{7, 7, 7}, []float64{7, 7, 7}, 1},
		{"one against one", []float64{1}, []float64{2}, 1},
		{"ties", []float64{1, 1, 2}, []float64{2, 3, 3}, 0.2},                                               // 1.5 1.5 3.5 | 3.5 5.5 5.5: the two least and either of the 2s, and their mirrors, of 20
		{"one out of place", []float64{1.1, 2.2, 3.3, 4.4}, []float64{0.9, 5.5, 6.6, 7.7, 8.8}, 24.0 / 126}, // 12 of 126 choices have so low a sum of ranks
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := chance(tt.a, tt.b); math.Abs(got-tt.want) > 1e-6 {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
	if got := leastChance(5, 5); math.Abs(got-2.0/252) > 1e-9 {
		t.Errorf("five rounds against five: %v", got)
	}
}

func TestMedian(t *testing.T) {
	odd, even := []float64{9, 1, 5}, []float64{4, 1, 9, 6}
	if median(odd) != 5 || median(even) != 5 || spread(even) != 0.8 || !slices.Equal(odd, []float64{9, 1, 5}) {
		t.Errorf("%v, %v, %v", median(odd), median(even), spread(even))
	}
}

func TestCompare(t *testing.T) {
	report := func(rate, p99 float64) *Report {
		r := new(Report)
		for i := range 5 {
			jitter := 1 + float64(i)/100
			r.Add(Figure{Section: "hits", Case: "c (32)", Server: "larder", Name: "rate", Unit: "1/s", Higher: true}, rate*jitter)
			r.Add(Figure{Section: "hits", Case: "c (32)", Server: "larder", Name: "p99", Unit: "µs"}, p99*jitter)
		}
		r.Add(Figure{Section: "hits", Case: "c (32)", Server: "larder", Name: "cpu", Unit: "µs"}, 10)
		return r
	}
	tests := []struct {
		name           string
		rate, p99      float64
		wantRate, want string // last words of the lines
	}{
		{"faster", 2000, 50, "better", "better"},
		{"slower", 500, 200, "worse", "worse"},
		{"as it was", 1001, 100.1, "~", "~"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := compareReports(&out, report(1000, 100), report(tt.rate, tt.p99)); err != nil {
				t.Fatal(err)
			}
			for figure, want := range map[string]string{"rate 1/s": tt.wantRate, "p99 µs": tt.want, "cpu µs": "~"} {
				if line := lineWith(out.String(), figure); !strings.HasSuffix(line, " "+want) {
					t.Errorf("%q does not end in %q", line, want)
				}
			}
			if !strings.Contains(out.String(), "-rounds 5") {
				t.Error("nothing is said about the figure with one round")
			}
		})
	}
	if err := compareReports(new(bytes.Buffer), report(1, 1), new(Report)); err == nil {
		t.Error("reports with nothing in common are compared")
	}
}

func lineWith(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
