package test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// openTerminal returns a new terminal, 200 columns wide, so that no question is
// broken: what a person sees and types at, and the device that a program gets.
func openTerminal() (screen, device *os.File, err error) {
	screen, err = os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open a terminal: %w", err)
	}
	raw, err := screen.SyscallConn() // Fd would make its reads such that Close cannot end them
	if err == nil {
		var inner error
		err = raw.Control(func(fd uintptr) { device, inner = prepareTerminal(int(fd)) })
		err = errors.Join(err, inner)
	}
	if err != nil {
		screen.Close()
		return nil, nil, fmt.Errorf("open a terminal: %w", err)
	}
	return screen, device, nil
}

// prepareTerminal unlocks a new terminal and opens its device.
func prepareTerminal(fd int) (*os.File, error) {
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, err
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, err
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 200}); err != nil {
		return nil, err
	}
	return os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
}

// echoes reports whether a terminal shows what is typed, by itself: whoever asks
// a question and is ready for the answer has switched that off.
func echoes(screen *os.File) (bool, error) {
	raw, err := screen.SyscallConn()
	if err != nil {
		return false, err
	}
	var mode *unix.Termios
	var inner error
	if err := raw.Control(func(fd uintptr) { mode, inner = unix.IoctlGetTermios(int(fd), unix.TCGETS) }); err != nil {
		return false, err
	}
	if inner != nil {
		return false, fmt.Errorf("mode of the terminal: %w", inner)
	}
	return mode.Lflag&unix.ECHO != 0, nil
}

// atTerminal makes device all that cmd reads and writes, and its controlling
// terminal.
func atTerminal(cmd *exec.Cmd, device *os.File) {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = device, device, device
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
}
