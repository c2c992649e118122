package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPasswordFromStandardInput(t *testing.T) {
	tests := []struct{ name, in, want, err string }{
		{"one line", "s3cret pass\n", "s3cret pass", ""},
		{"no line break", "s3cret", "s3cret", ""},
		{"more lines", "first\r\nsecond\n", "first", ""},
		{"nothing", "", "", "read the password from standard input: EOF"},
		{"an empty line", "\nsecond\n", "", ""}, // which is too short a password for package auth
		{"endless", strings.Repeat("x", 2*maxSecretBytes), strings.Repeat("x", maxSecretBytes), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var prompt bytes.Buffer
			got, err := readPassword(strings.NewReader(tt.in), &prompt, "alice")
			if got != tt.want || err != nil && err.Error() != tt.err || err == nil && tt.err != "" {
				t.Errorf("got %.20q, %v", got, err)
			}
			if prompt.Len() > 0 {
				t.Errorf("it prompts: %q", &prompt)
			}
		})
	}
}

// openTerminal returns both ends of a new terminal.
func openTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { person.Close() })
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

func TestPasswordFromTerminal(t *testing.T) {
	tests := []struct{ name, first, second, want, err string }{
		{"twice the same", "s3cret pass\r", "s3cret pass\r", "s3cret pass", ""},
		{"a slip", "s3cret pass\r", "s3cret puss\r", "", "the two passwords differ; nothing was changed"},
		{"corrected", "s3cres\x7ft\r", "s3cret\r", "s3cret", ""},
		{"interrupted", "s3cr\x03", "", "", "no password was given; nothing was changed"},
		{"interrupted later", "s3cret pass\r", "s3cret\x03", "", "no password was given; nothing was changed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			person, program := openTerminal(t)
			before, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
			if err != nil {
				t.Fatal(err)
			}
			type outcome struct {
				password string
				err      error
			}
			done := make(chan outcome, 1)
			prompts, prompt := io.Pipe()
			go func() {
				password, err := readPassword(program, prompt, "alice")
				prompt.Close()
				done <- outcome{password, err}
			}()
			var shown strings.Builder
			for _, typed := range []struct{ after, keys string }{{"Password for alice: ", tt.first}, {"Once more: ", tt.second}} {
				for buf := make([]byte, 1); typed.keys != "" && !strings.HasSuffix(shown.String(), typed.after); {
					if _, err := prompts.Read(buf); err != nil {
						t.Fatalf("%v after %q", err, &shown)
					}
					shown.Write(buf)
				}
				io.WriteString(person, typed.keys)
			}
			rest, _ := io.ReadAll(prompts)
			shown.Write(rest)
			got := <-done
			if got.password != tt.want || fmt.Sprint(got.err) != tt.err && (got.err != nil || tt.err != "") {
				t.Errorf("got %q, %v", got.password, got.err)
			}
			if strings.Contains(shown.String(), "s3c") {
				t.Errorf("the password is shown: %q", &shown)
			}
			after, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
			if err != nil || *after != *before {
				t.Errorf("the terminal is left in another state: %v", err)
			}
		})
	}
}
