// Package faults breaks everything around Larder, and Larder itself: an
// upstream in every way that test/registry knows, the process by SIGKILL, the
// disk, the clock. No install may fail for it, and nothing wrong may be served
// or stored.
//
// The long forms run where LARDER_TEST_LONG is set. LARDER_TEST_SEED repeats a
// run, as far as scheduling lets it.
package faults

import (
	"testing"

	"larder/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
