package cache

import (
	"os"
	"syscall"
	"testing"
	"time"
)

func accessTime(t *testing.T, path string) (time.Time, bool) {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	at := fi.Sys().(*syscall.Stat_t).Atim
	return time.Unix(at.Unix()), true
}
