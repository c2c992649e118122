package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// becomeOwner makes a command that root runs be the data directory's owner from
// here on. What root wrote there, a server that runs as somebody else could
// not read: its accounts would be gone.
func becomeOwner(data string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	fi, err := os.Stat(data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it will be root's own
	}
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	owner, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	err = errors.Join(
		syscall.Setgroups([]int{int(owner.Gid)}),
		syscall.Setgid(int(owner.Gid)),
		syscall.Setuid(int(owner.Uid)),
	)
	if err != nil {
		return fmt.Errorf("become the owner of the data directory (user %d): %w", owner.Uid, err)
	}
	return nil
}
