package rig

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// Metrics returns the values of several metrics, of one scrape: of a name, the
// sum of its series; of a series such as `larder_x_total{result="hit"}`, whose
// labels stand in the order of the scrape, its own.
func (r *Rig) Metrics(t testing.TB, names ...string) []int {
	t.Helper()
	resp, body, err := r.Fetch(t.Context(), r.Base+"-/metrics")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET /-/metrics: %v, %v", resp, err)
	}
	sums, err := sumSeries(body, names)
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

// Metric is Metrics for one.
func (r *Rig) Metric(t testing.TB, name string) int {
	t.Helper()
	return r.Metrics(t, name)[0]
}

// sumSeries reads a scrape.
func sumSeries(scrape []byte, names []string) ([]int, error) {
	sums, found := make([]int, len(names)), make([]bool, len(names))
	for lines := bufio.NewScanner(bytes.NewReader(scrape)); lines.Scan(); {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ') // a label's value may hold one
		if at < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		series, value := line[:at], line[at+1:]
		metric, _, _ := strings.Cut(series, "{")
		for i, name := range names {
			if name != metric && name != series {
				continue
			}
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return nil, fmt.Errorf("metric %s: %w", name, err)
			}
			sums[i] += int(n)
			found[i] = true
		}
	}
	for i, name := range names {
		if !found[i] {
			return nil, fmt.Errorf("there is no metric %s", name)
		}
	}
	return sums, nil
}
