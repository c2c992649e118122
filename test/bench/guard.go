package main

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lowMemory is the part of the machine's memory that must stay available: one
// byte in so many.
const lowMemory = 10

// guard ends the server if the machine is about to run out of memory, which
// would end who knows what: one rival was seen to take 15 GB. low is lowMemory.
// release ends the guard, and returns an error if it had to act.
func (i *Instance) guard(low int64) (release func() error) {
	done, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		look := time.NewTicker(100 * time.Millisecond)
		defer look.Stop()
		for {
			select {
			case <-done:
				ended <- nil
				return
			case <-look.C:
			}
			total, available := memInfo("MemTotal"), memInfo("MemAvailable")
			if available >= total/low { // both are 0 where nothing is known
				continue
			}
			held, _ := i.Resident()                    // it may just have ended
			_ = syscall.Kill(-i.Root, syscall.SIGKILL) // its process group
			ended <- fmt.Errorf("ended when it held %.0f MB, and the machine had %.0f MB left", megabytes(held), megabytes(available))
			return
		}
	}()
	return func() error {
		close(done)
		return <-ended
	}
}

// memInfo is a value of /proc/meminfo in bytes, or 0.
func memInfo(key string) int64 {
	kb, _ := strconv.ParseInt(strings.TrimSuffix(procField("/proc/meminfo", key), " kB"), 10, 64) // 0 is for not known
	return kb << 10
}
