package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// table is rows of cells; the first column holds words, the others mostly
// numbers.
type table struct {
	header []string
	rows   [][]string
}

// add adds a row, which may be shorter than the header.
func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// text is the table for a terminal.
func (t *table) text() string {
	widths := make([]int, len(t.header))
	for _, row := range append([][]string{t.header}, t.rows...) {
		for i, cell := range row {
			if len(row) > 1 {
				widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			}
		}
	}
	var b strings.Builder
	for _, row := range append([][]string{t.header}, t.rows...) {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(cell)))
			if i == 0 {
				line.WriteString(cell + pad)
			} else {
				line.WriteString("  " + pad + cell)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// markdown is the table for a page.
func (t *table) markdown() string {
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(t.header)
	line(append([]string{"---"}, slices.Repeat([]string{"--:"}, len(t.header)-1)...))
	for _, row := range t.rows {
		line(append(slices.Clone(row), slices.Repeat([]string{""}, len(t.header)-len(row))...))
	}
	return b.String()
}

// number writes a value with three significant digits, or whole and in groups
// of three.
func number(v float64) string {
	if v == 0 {
		return "0"
	}
	if digits := 2 - int(math.Floor(math.Log10(math.Abs(v)))); digits > 0 {
		return strconv.FormatFloat(v, 'f', digits, 64)
	}
	s := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// figureTables are the tables of a section. Most have one for each figure, with
// a row for each case; where there are more figures than cases, one table has
// all. The columns are the servers, then Larder's ratio to each other one.
func figureTables(r *Report, section string) []table {
	names := r.names(section)
	var cases []string
	for _, name := range names {
		for _, c := range r.cases(section, name) {
			if !slices.Contains(cases, c) {
				cases = append(cases, c)
			}
		}
	}
	var tables []table
	if len(cases) < len(names) {
		for _, c := range cases {
			t := newFigureTable(r, section, c)
			for _, name := range names {
				t.addFigure(r, section, name, c, label(r, section, name))
			}
			tables = append(tables, t.table)
		}
		return tables
	}
	for _, name := range names {
		t := newFigureTable(r, section, label(r, section, name))
		for _, c := range r.cases(section, name) {
			t.addFigure(r, section, name, c, c)
		}
		tables = append(tables, t.table)
	}
	return tables
}

// figureTable is a table with a column for each server.
type figureTable struct {
	table
	servers []string
	rivals  []string // those to which the product's ratio is shown
}

func newFigureTable(r *Report, section, title string) figureTable {
	t := figureTable{servers: inOrder(r.servers(section))}
	t.header = append([]string{title}, t.servers...)
	if slices.Contains(t.servers, product) {
		for _, s := range t.servers {
			if s != product {
				t.rivals = append(t.rivals, s)
				t.header = append(t.header, product+"/"+s)
			}
		}
	}
	return t
}

// addFigure adds the row of a figure in a case, if there is one.
func (t *figureTable) addFigure(r *Report, section, name, cas, label string) {
	row, found := []string{label}, false
	for _, s := range t.servers {
		f := r.Find(section, name, cas, s)
		found = found || f != nil
		row = append(row, cell(f))
	}
	own := r.Find(section, name, cas, product)
	for _, s := range t.rivals {
		row = append(row, ratio(own, r.Find(section, name, cas, s)))
	}
	if found {
		t.add(row...)
	}
}

// label is a figure's name with its unit, and which way is better.
func label(r *Report, section, name string) string {
	this := func(f Figure) bool { return f.Section == section && f.Name == name }
	text := name
	if units := r.collect(this, func(f Figure) string { return f.Unit }); units[0] != "" {
		text += ", " + strings.Join(units, " or ") // a ratio of two cases may stand among them
	}
	if i := slices.IndexFunc(r.Figures, this); r.Figures[i].Higher {
		return text + " (more is better)"
	}
	return text + " (less is better)"
}

// product is the server whose ratios are shown.
const product = "larder"

// inOrder puts the product first, and keeps the others as they come.
func inOrder(servers []string) []string {
	slices.SortStableFunc(servers, func(a, b string) int {
		return columnOf(a) - columnOf(b)
	})
	return servers
}

// columnOf is the place of a server in tables.
func columnOf(server string) int {
	order := []string{product, "nginx", "pnpr", "verdaccio"}
	if i := slices.Index(order, server); i >= 0 {
		return i
	}
	return len(order)
}

// cell is the median and, where there was more than one round, the spread.
func cell(f *Figure) string {
	if f == nil {
		return "–"
	}
	if len(f.Values) == 1 {
		return number(f.Values[0])
	}
	return fmt.Sprintf("%s ±%.0f%%", number(median(f.Values)), 100*spread(f.Values))
}

func ratio(own, other *Figure) string {
	if own == nil || other == nil || median(other.Values) == 0 {
		return "–"
	}
	return number(median(own.Values) / median(other.Values))
}
