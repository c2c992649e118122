package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// floors are the packages from the ground up: a package imports only what lies
// on a lower floor, so that siblings never know each other.
var floors = [][]string{
	{"npm", "metrics"},
	{"cache", "policy"},
	{"upstream", "hosted", "auth"},
	{"proxy", "web"},
	{"cmd/larder"},
}

// keepers are the only packages that may import a library whose traps they
// know. Packages below one of them belong to it.
var keepers = map[string][]string{
	"github.com/labstack/echo":                 {"proxy", "web"},
	"github.com/peterbourgon/diskv":            {"cache"},
	"github.com/gregjones/httpcache":           {"cache", "upstream"},
	"github.com/prometheus/client_golang":      {"metrics", "cmd/larder"},
	"github.com/prometheus/client_model":       {"metrics", "cmd/larder"},
	"github.com/rogpeppe/go-internal":          {"test"},
	"github.com/gregjones/httpcache/diskcache": nil, // it brings another diskv along
}

// TestFloors holds the import graph. Test files are exempt.
func TestFloors(t *testing.T) {
	list := exec.Command("go", "list", "-json=ImportPath,Imports", "larder/...")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen++
		for _, imported := range p.Imports {
			if err := checkImport(p.ImportPath, imported); err != nil {
				t.Error(err)
			}
		}
	}
	if seen < len(floors) {
		t.Errorf("go list shows %d packages", seen)
	}
}

// checkImport says what is wrong with an arrow of the import graph.
func checkImport(from, to string) error {
	room, ok := strings.CutPrefix(from, "larder/")
	if !ok {
		return fmt.Errorf("%s lies outside of every room", from)
	}
	for library, rooms := range keepers {
		if strings.HasPrefix(to, library) && !slices.ContainsFunc(rooms, func(r string) bool { return within(room, r) }) {
			return fmt.Errorf("%s imports %s, which is for %v", from, to, rooms)
		}
	}
	target, ours := strings.CutPrefix(to, "larder/")
	if !ours || within(room, "test") {
		return nil
	}
	low, high := floorOf(target), floorOf(room)
	switch {
	case within(target, "test"):
		return fmt.Errorf("%s imports %s, which is for tests", from, to)
	case high < 0:
		return fmt.Errorf("%s has no floor", from)
	case low < 0:
		return fmt.Errorf("%s imports %s, which has no floor", from, to)
	case low >= high && roomOf(target) != roomOf(room):
		return fmt.Errorf("%s (floor %d) imports %s (floor %d)", from, high, to, low)
	}
	return nil
}

func within(pkg, room string) bool { return pkg == room || strings.HasPrefix(pkg, room+"/") }

func roomOf(pkg string) string {
	for _, floor := range floors {
		for _, room := range floor {
			if within(pkg, room) {
				return room
			}
		}
	}
	return ""
}

func floorOf(pkg string) int {
	return slices.IndexFunc(floors, func(floor []string) bool { return slices.Contains(floor, roomOf(pkg)) })
}

func TestCheckImport(t *testing.T) {
	tests := []struct {
		name, from, to string
		ok             bool
	}{
		{"down", "larder/proxy", "larder/npm", true},
		{"down all floors", "larder/cmd/larder", "larder/metrics", true},
		{"up", "larder/npm", "larder/cache", false},
		{"sibling", "larder/upstream", "larder/hosted", false},
		{"within a room", "larder/cache/storetest", "larder/cache", true},
		{"below a room, down", "larder/upstream", "larder/cache/storetest", true},
		{"program into a test package", "larder/proxy", "larder/test/registry", false},
		{"a test package", "larder/test/registry", "larder/test/netguard", true},
		{"a room that nobody planned", "larder/utils", "larder/npm", false},
		{"into a room that nobody planned", "larder/proxy", "larder/utils", false},
		{"standard library", "larder/npm", "net/http", true},
		{"echo on its floor", "larder/proxy", "github.com/labstack/echo/v4", true},
		{"echo below", "larder/upstream", "github.com/labstack/echo/v4", false},
		{"echo above", "larder/cmd/larder", "github.com/labstack/echo/v4", false},
		{"diskv in cache", "larder/cache", "github.com/peterbourgon/diskv/v3", true},
		{"diskv elsewhere", "larder/hosted", "github.com/peterbourgon/diskv/v3", false},
		{"httpcache in upstream", "larder/upstream", "github.com/gregjones/httpcache", true},
		{"httpcache in proxy", "larder/proxy", "github.com/gregjones/httpcache", false},
		{"httpcache's own disk", "larder/cache", "github.com/gregjones/httpcache/diskcache", false},
		{"client_golang in metrics", "larder/metrics", "github.com/prometheus/client_golang/prometheus", true},
		{"client_golang in cmd", "larder/cmd/larder", "github.com/prometheus/client_golang/prometheus/promhttp", true},
		{"client_golang in proxy", "larder/proxy", "github.com/prometheus/client_golang/prometheus", false},
		{"testscript in a program", "larder/cmd/larder", "github.com/rogpeppe/go-internal/testscript", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := checkImport(tt.from, tt.to); (err == nil) != tt.ok {
				t.Errorf("%s to %s: %v", tt.from, tt.to, err)
			}
		})
	}
}
