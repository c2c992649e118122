package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Set by the linker: see the Makefile.
var version, commit string

// build says what was built from what.
type build struct{ version, commit string }

// readBuild returns what the linker was told, or else what the go command
// noted.
func readBuild() build {
	b := build{version: version, commit: commit}
	if info, ok := debug.ReadBuildInfo(); ok {
		if v := info.Main.Version; v != "(devel)" {
			b.version = cmp.Or(b.version, v)
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				b.commit = cmp.Or(b.commit, s.Value)
			}
		}
	}
	b.version = cmp.Or(b.version, "devel")
	b.commit = cmp.Or(b.commit, "unknown")
	return b
}

func (b build) String() string {
	return fmt.Sprintf("larder %s\ncommit %s\n%s %s/%s\n", b.version, b.commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
