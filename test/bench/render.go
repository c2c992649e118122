package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// collect returns what of makes of the figures that want accepts, each once, in
// the report's order.
func (r *Report) collect(want func(Figure) bool, of func(Figure) string) []string {
	var list []string
	for _, f := range r.Figures {
		if v := of(f); want(f) && !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

func (r *Report) sections() []string {
	return r.collect(func(Figure) bool { return true }, func(f Figure) string { return f.Section })
}

func (r *Report) names(section string) []string {
	return r.collect(func(f Figure) bool { return f.Section == section }, func(f Figure) string { return f.Name })
}

func (r *Report) servers(section string) []string {
	return r.collect(func(f Figure) bool { return f.Section == section }, func(f Figure) string { return f.Server })
}

func (r *Report) cases(section, name string) []string {
	return r.collect(func(f Figure) bool { return f.Section == section && f.Name == name }, func(f Figure) string { return f.Case })
}

// text is the report for a terminal.
func (r *Report) text() string {
	var b strings.Builder
	for _, s := range r.sections() {
		for _, t := range figureTables(r, s) {
			fmt.Fprintf(&b, "\n%s", t.text())
		}
	}
	if t := r.outcomeTable(); len(t.rows) > 0 {
		fmt.Fprintf(&b, "\n%s", t.text())
	}
	for _, name := range slices.Sorted(maps.Keys(r.Missing)) {
		fmt.Fprintf(&b, "\nmissing: %s: %s", name, r.Missing[name])
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "\nnote: %s", note)
	}
	return b.String() + "\n"
}

// markdown is docs/BENCHMARKS.md.
func (r *Report) markdown() string {
	var b strings.Builder
	b.WriteString(pageHead)
	fmt.Fprintf(&b, "## This run\n\nStarted %s, took %s. Medians of the rounds; ± is half the distance between the least and the most.\n\n", r.Started.Format("2006-01-02 15:04 MST"), r.Took)
	m := table{header: []string{"machine", ""}}
	m.add("CPU", fmt.Sprintf("%s, %d cores", r.Machine.CPU, r.Machine.Cores))
	m.add("memory", fmt.Sprintf("%d GB", (r.Machine.Memory+1<<29)>>30))
	m.add("kernel", r.Machine.Kernel)
	m.add("Go", r.Machine.Go)
	for _, name := range slices.SortedFunc(maps.Keys(r.Versions), func(a, b string) int { return columnOf(a) - columnOf(b) }) {
		m.add(name, r.Versions[name])
	}
	for _, name := range slices.Sorted(maps.Keys(r.Missing)) {
		m.add(name, "not measured: "+r.Missing[name])
	}
	b.WriteString(m.markdown())
	fmt.Fprintf(&b, "\n```sh\n%s\n```\n", strings.Join(r.Commands, "\n"))

	if t := r.outcomeTable(); len(t.rows) > 0 {
		fmt.Fprintf(&b, "\n## Targets\n\nWhat Larder wants to reach. Ratios are of medians in this run.\n\n%s", t.markdown())
	}
	for _, s := range r.sections() {
		title, about := s, ""
		for _, known := range sections() {
			if known.Name == s {
				title, about = known.Title, known.About
			}
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", title, about)
		for _, t := range figureTables(r, s) {
			fmt.Fprintf(&b, "\n%s", t.markdown())
		}
	}
	if len(r.Notes) > 0 {
		b.WriteString("\n## Notes\n\n")
		for _, note := range r.Notes {
			fmt.Fprintf(&b, "- %s\n", strings.ReplaceAll(note, "\n", " "))
		}
	}
	return b.String()
}

const pageHead = `# Benchmarks

Larder beside what people would use in its place: nginx's ` + "`proxy_cache`" + `, pnpr and Verdaccio. This page is made by a program from
one run; do not believe it, rerun it:

` + "```sh" + `
make bench-peers   # installs nginx and wrk (apt-get, as root), pnpr and Verdaccio (test/.peers), pinned
make bench         # measures, prints tables, writes bench.json
make bench-page    # makes this page of bench.json
go run ./test/bench compare OLD.json NEW.json
` + "```" + `

All servers stand before the same upstream, a fake registry (` + "`test/registry`" + `) with packages of the sizes and shapes of real ones, generated
from a seed. Each case runs on one server after the other, in rounds, so that whatever else the machine does meets all of them. Every
answer's bytes are compared with upstream's before the load. Everything runs on one machine, the load generator (wrk; for HEAD our own, which wrk cannot send) included:
rates are for comparing, not for sizing. CPU time is the kernel's, user and system, of all the server's processes.

What to know of the servers:

- **larder** has its default settings, its log in a file.
- **nginx** is tuned (` + "`test/bench/nginx.conf.tmpl`" + `): open files cached, log buffered, documents keyed by form and encoding alone. It serves what upstream
  sent, byte for byte: the tarballs' URLs in documents still lead upstream, nothing is checked against its hash, and it follows no policy. It is
  the yardstick, not an alternative.
- **pnpr** and **verdaccio** have their default settings but for the upstream. What they compress, they compress for each answer; ` + "`body`" + ` tells
  what was sent.

Memory is the sum of what the server's processes have resident; what they share counts in each (nginx's processes share its table of keys).

`
