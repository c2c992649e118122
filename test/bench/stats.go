package main

import (
	"math"
	"slices"
)

// median of values that are not none.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// spread is half the distance between the least and the most, as a part of the
// median.
func spread(values []float64) float64 {
	if m := median(values); m != 0 {
		return (slices.Max(values) - slices.Min(values)) / 2 / m
	}
	return 0
}

// chance is the probability of two samples that differ at least so much if both
// were drawn from one distribution: Mann and Whitney's U test, two-sided and
// exact, ties included. It assumes nothing about the distribution.
func chance(a, b []float64) float64 {
	ranks := doubleRanks(append(slices.Clone(a), b...))
	observed, total := 0, 0
	for i, r := range ranks {
		total += r
		if i < len(a) {
			observed += r
		}
	}
	// ways[n][s] is the number of choices of n ranks whose sum is s.
	ways := make([][]float64, len(a)+1)
	for n := range ways {
		ways[n] = make([]float64, total+1)
	}
	ways[0][0] = 1
	for _, r := range ranks {
		for n := len(a); n > 0; n-- {
			for s := total; s >= r; s-- {
				ways[n][s] += ways[n-1][s-r]
			}
		}
	}
	mean := float64(total) * float64(len(a)) / float64(len(ranks))
	far, all := 0.0, 0.0
	for s, w := range ways[len(a)] {
		all += w
		if math.Abs(float64(s)-mean) >= math.Abs(float64(observed)-mean)-1e-9 {
			far += w
		}
	}
	return far / all
}

// doubleRanks are twice the ranks of values, equal ones sharing theirs: whole
// numbers, whatever is shared.
func doubleRanks(values []float64) []int {
	sorted := slices.Sorted(slices.Values(values))
	ranks := make([]int, len(values))
	for i, v := range values {
		first, _ := slices.BinarySearch(sorted, v)
		last := first
		for last+1 < len(sorted) && sorted[last+1] == v {
			last++
		}
		ranks[i] = first + last + 2
	}
	return ranks
}

// leastChance is the least that chance can be of samples of these sizes,
// however far apart they are.
func leastChance(a, b int) float64 {
	ways := 1.0
	for i := 1; i <= a; i++ {
		ways = ways * float64(b+i) / float64(i)
	}
	return min(1, 2/ways)
}
