package test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestReliabilityTable: the tests that docs/RELIABILITY.md names are there, in
// the package in brackets behind them or in test/faults. Other words in
// brackets are package managers.
func TestReliabilityTable(t *testing.T) {
	doc, err := os.ReadFile("../docs/RELIABILITY.md")
	if err != nil {
		t.Fatal(err)
	}
	rooms := map[string]string{
		"auth": "../auth", "cache": "../cache", "cmd/larder": "../cmd/larder", "hosted": "../hosted",
		"proxy": "../proxy", "test": ".", "upstream": "../upstream",
	}
	faults := testsIn(t, "faults")
	word := regexp.MustCompile("`(Test\\w+)`|\\(([^)]*)\\)")
	named := 0
	for line := range strings.Lines(string(doc)) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 {
			continue
		}
		var missing []string
		for _, m := range word.FindAllStringSubmatch(cells[4], -1) {
			switch dir, room := rooms[m[2]]; {
			case m[1] != "":
				named++
				if !slices.Contains(faults, m[1]) {
					missing = append(missing, m[1])
				}
			case room:
				there := testsIn(t, dir)
				missing = slices.DeleteFunc(missing, func(name string) bool { return slices.Contains(there, name) })
			}
		}
		if len(missing) > 0 {
			t.Errorf("no such tests: %v, in\n%s", missing, line)
		}
	}
	if named < 50 {
		t.Errorf("only %d tests are named", named)
	}
}

// testsIn returns the names of the tests of the package in dir.
func testsIn(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in %s: %v", dir, err)
	}
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`).FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
	}
	return names
}
