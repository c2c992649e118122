package main

import (
	"fmt"
	"io"
	"slices"
)

// significant is the chance below which a difference counts.
const significant = 0.05

// compareReports prints what became of each figure that both reports have: the
// ratio of the medians, new to old, its range over all pairs of rounds, and the
// probability of that difference between two runs of the same thing.
func compareReports(out io.Writer, old, new *Report) error {
	t := table{header: []string{"case", "server", "figure", "old", "new", "new/old", "range", "p", ""}}
	compared, weakest := 0, 0.0
	section := ""
	for _, n := range new.Figures {
		o := old.Find(n.Section, n.Name, n.Case, n.Server)
		if o == nil {
			continue
		}
		if n.Section != section {
			section = n.Section
			t.add("— " + section)
		}
		compared++
		weakest = max(weakest, leastChance(len(o.Values), len(n.Values)))
		ratio, p := median(n.Values)/median(o.Values), chance(o.Values, n.Values)
		t.add(n.Case, n.Server, n.Name+" "+n.Unit, number(median(o.Values)), number(median(n.Values)),
			fmt.Sprintf("%.2f", ratio), ratioRange(o.Values, n.Values), fmt.Sprintf("%.3f", p), verdict(ratio, p, n.Higher))
	}
	if compared == 0 {
		return fmt.Errorf("the reports have no figure in common")
	}
	fmt.Fprint(out, t.text())
	fmt.Fprintf(out, "\np is the probability of so great a difference between two runs of the same program (Mann-Whitney U, exact).\n"+
		"better and worse stand where it is below %.2f.\n", significant)
	if weakest > significant {
		fmt.Fprintf(out, "Some figures have so few rounds that p cannot be less than %.2f: for a verdict on them, run both with -rounds 5.\n", weakest)
	}
	if old.Machine != new.Machine {
		fmt.Fprintf(out, "The machines differ: %+v and %+v.\n", old.Machine, new.Machine)
	}
	return nil
}

func ratioRange(old, new []float64) string {
	return fmt.Sprintf("%.2f–%.2f", slices.Min(new)/slices.Max(old), slices.Max(new)/slices.Min(old))
}

func verdict(ratio, p float64, higher bool) string {
	switch {
	case p >= significant:
		return "~"
	case ratio > 1 == higher:
		return "better"
	default:
		return "worse"
	}
}
