//go:build !linux

package faults

import (
	"syscall"
	"testing"
)

func mountSmall(*testing.T, string, int64) error { return syscall.EPERM }

type ext4 struct{}

func mountExt4(*testing.T, string, int64) (*ext4, error) { return nil, syscall.EPERM }

func (*ext4) again(*testing.T)     {}
func (*ext4) findError(*testing.T) {}
func (*ext4) breakDown(*testing.T) {}

func readOnly(*testing.T, string) func() { return func() {} }

func fillUp(*testing.T, string) {}
