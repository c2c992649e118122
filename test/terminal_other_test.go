//go:build !linux

package test

import (
	"errors"
	"os"
	"os/exec"
)

func openTerminal() (screen, device *os.File, err error) { return nil, nil, errors.ErrUnsupported }

func atTerminal(*exec.Cmd, *os.File) {}

func echoes(*os.File) (bool, error) { return false, errors.ErrUnsupported }
