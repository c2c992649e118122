//go:build !linux

package faults

import (
	"syscall"
	"testing"
)

func mountSmall(*testing.T, string, string) error { return syscall.EPERM }

func readOnly(*testing.T, string) func() { return func() {} }

func fillUp(*testing.T, string) {}
