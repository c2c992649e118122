package main

import "syscall"

// ownGroup puts a server in a process group of its own, as an interrupt is for
// us, and has the kernel end it if we end without having stopped it.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
