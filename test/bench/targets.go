package main

import (
	"fmt"
	"slices"
	"strings"
)

// target is what Larder wants to reach: a figure of its own, or its ratio to
// another server's, that is at least or at most so much.
type target struct {
	section, name, over string // over is the other server; empty: the figure itself
	least, most         float64
	cases               []string // that begin so; empty: all that the section has
}

// targets are kept by the page, met or missed.
var targets = []target{
	{section: "hits", name: "rate", over: "nginx", least: 0.8, cases: []string{"express full, gzip (32)", "tarball 50 KB (32)"}},
	{section: "hits", name: "rate", over: "nginx", least: 0.85, cases: []string{"is-number abbreviated, gzip (32)", "is-number abbreviated, 304 (32)", "typescript full, 304 (16)", "tarball 4 KB (32)"}},
	{section: "hits", name: "rate", over: "nginx", least: 0.9, cases: []string{"typescript full, gzip (16)", "typescript abbreviated, identity (16)", "tarball 300 KB (32)"}},
	{section: "hits", name: "rate", over: "nginx", least: 1, cases: []string{"tarball 5.8 MB (16)", "tarball 50 MB (16)"}},
	{section: "hits", name: "cpu", over: "nginx", most: 2, cases: []string{"is-number abbreviated, gzip (32)", "is-number abbreviated, 304 (32)", "typescript full, 304 (16)", "tarball 4 KB (32)", "tarball 50 KB (32)"}},
	{section: "hits", name: "cpu", over: "nginx", most: 1.5, cases: []string{"express full, gzip (32)", "typescript full, gzip (16)", "typescript abbreviated, identity (16)", "tarball 300 KB (32)", "tarball 5.8 MB (16)", "tarball 50 MB (16)"}},
	{section: "hits", name: "p99", over: "nginx", most: 2, cases: []string{"is-number abbreviated, gzip (32)", "is-number abbreviated, 304 (32)", "express full, gzip (32)", "tarball 4 KB (32)", "tarball 50 KB (32)", "tarball 300 KB (32)"}},
	{section: "hits", name: "rate", over: "pnpr", least: 5, cases: []string{"is-number abbreviated, gzip (32)", "express full, gzip (32)", "typescript full, gzip (16)", "typescript abbreviated, identity (16)"}},
	{section: "hits", name: "rate", over: "pnpr", least: 1.5, cases: []string{"tarball 4 KB (32)", "tarball 50 KB (32)", "tarball 300 KB (32)"}},
	{section: "hits", name: "rate", over: "verdaccio", least: 20, cases: []string{"is-number abbreviated, gzip (32)", "is-number abbreviated, 304 (32)", "express full, gzip (32)", "tarball 4 KB (32)", "tarball 50 KB (32)", "tarball 300 KB (32)"}},
	{section: "start", name: "idle memory", most: 30},
	{section: "storm", name: "asked upstream", most: 1},
	{section: "storm", name: "last / alone", most: 3},
	{section: "storm", name: "peak memory / document", most: 10},
	{section: "storm", name: "small p99 meanwhile / before", most: 10},
	{section: "installs", name: "cold / direct", most: 1.25, cases: []string{"bun"}},
	{section: "installs", name: "cold / direct", most: 1.1, cases: []string{"npm"}},
	{section: "installs", name: "warm / direct", most: 0.8, cases: []string{"bun"}},
	{section: "installs", name: "warm / direct", most: 1, cases: []string{"npm"}},
	{section: "millions", name: "idle memory", most: 30},
	{section: "millions", name: "cpu", most: 1.05, cases: []string{"1000000 files / "}},
}

func (t target) means(cas string) bool {
	return len(t.cases) == 0 || slices.ContainsFunc(t.cases, func(begin string) bool { return strings.HasPrefix(cas, begin) })
}

// outcome is what became of a target in one case.
type outcome struct {
	what, bound string
	value       float64
	met         bool
}

// outcomes are those of all targets that the report has figures for.
func (r *Report) outcomes() []outcome {
	var list []outcome
	for _, t := range targets {
		for _, c := range r.cases(t.section, t.name) {
			f := r.Find(t.section, t.name, c, product)
			if f == nil || !t.means(c) {
				continue
			}
			o := outcome{what: fmt.Sprintf("%s: %s", c, t.name), value: median(f.Values)}
			if t.over != "" {
				other := r.Find(t.section, t.name, c, t.over)
				if other == nil || median(other.Values) == 0 {
					continue
				}
				o.value /= median(other.Values)
				o.what += ", ratio to " + t.over
			} else if f.Unit != "" {
				o.what += ", " + f.Unit
			}
			if t.least > 0 {
				o.bound, o.met = fmt.Sprintf("≥ %g", t.least), o.value >= t.least
			} else {
				o.bound, o.met = fmt.Sprintf("≤ %g", t.most), o.value <= t.most
			}
			list = append(list, o)
		}
	}
	return list
}

// outcomeTable shows which targets are met.
func (r *Report) outcomeTable() table {
	t := table{header: []string{"target", "want", "is", ""}}
	for _, o := range r.outcomes() {
		verdict := "met"
		if !o.met {
			verdict = "missed"
		}
		t.add(o.what, o.bound, number(o.value), verdict)
	}
	return t
}
