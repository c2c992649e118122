package web

import (
	"os"
	"testing"

	"larder/test/netguard"
)

func TestMain(m *testing.M) {
	netguard.Guard()
	os.Exit(m.Run())
}
