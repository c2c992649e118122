// Package test drives the larder binary from outside: real package managers
// against a registry of our own (scripts), and a look at the import graph.
package test

import (
	"testing"

	"larder/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
