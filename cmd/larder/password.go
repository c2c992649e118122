package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// readPassword reads a new password: from a terminal twice and without echo,
// from anything else the first line. It never comes from an argument or the
// environment, which other processes can see.
func readPassword(in io.Reader, prompt io.Writer, user string) (string, error) {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return askTwice(f, prompt, user)
	}
	line, err := readLine(in)
	if err != nil {
		return "", fmt.Errorf("read the password from standard input: %w", err)
	}
	return line, nil
}

// askTwice asks a person. In raw mode an interrupt is a byte like any other, so
// that the terminal always gets its echo back.
func askTwice(tty *os.File, prompt io.Writer, user string) (string, error) {
	before, err := term.MakeRaw(int(tty.Fd()))
	if err != nil {
		return "", fmt.Errorf("switch off the terminal's echo: %w", err)
	}
	defer term.Restore(int(tty.Fd()), before)
	screen := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{tty, prompt}, "")
	first, err := screen.ReadPassword(fmt.Sprintf("Password for %s: ", user))
	if err == nil {
		var second string
		second, err = screen.ReadPassword("Once more: ")
		if err == nil && first != second {
			return "", errors.New("the two passwords differ; nothing was changed")
		}
	}
	if err != nil { // io.EOF: interrupted
		return "", errors.New("no password was given; nothing was changed")
	}
	return first, nil
}

// readLine reads up to the first line break, which is not part of what it
// returns.
func readLine(in io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(in, maxSecretBytes)).ReadString('\n')
	if err != nil && !(errors.Is(err, io.EOF) && line != "") {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
}
