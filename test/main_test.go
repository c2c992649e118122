// Package test drives the larder binary from outside: real package managers
// against a registry of our own (scripts), and a look at the import graph.
package test

import (
	"os"
	"testing"

	"larder/test/netguard"
)

func TestMain(m *testing.M) {
	netguard.Guard()
	code := m.Run()
	if err := removeBinary(); err != nil && code == 0 {
		code = 1
	}
	os.Exit(code)
}
