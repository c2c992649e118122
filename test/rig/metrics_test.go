package rig

import (
	"slices"
	"testing"
)

func TestSumSeries(t *testing.T) {
	const scrape = "# HELP a_total things, of all kinds 7\n# TYPE a_total counter\n" +
		"a_total{kind=\"x y\",n=\"1\"} 3\na_total{kind=\"z\",n=\"1\"} 4\na_total_more 9\nb 1.5e+03\n"
	tests := []struct {
		name  string
		names []string
		want  []int
	}{
		{"the sum of a metric", []string{"a_total"}, []int{7}},
		{"one series", []string{`a_total{kind="x y",n="1"}`}, []int{3}},
		{"several", []string{"b", "a_total"}, []int{1500, 7}},
		{"one that is not there", []string{"b", "a"}, nil},
		{"a series that is not there", []string{`a_total{kind="x"}`}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := sumSeries([]byte(scrape), tt.names)
			if (err != nil) != (tt.want == nil) || !slices.Equal(got, tt.want) {
				t.Errorf("%v, %v, want %v", got, err, tt.want)
			}
		})
	}
}
