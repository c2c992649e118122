//go:build !linux

package main

import "syscall"

// ownGroup puts a server in a process group of its own, as an interrupt is for us.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
