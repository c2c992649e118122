// Command larder is a caching pull-through npm registry. This package reads
// the configuration, wires the other packages together and handles signals;
// it holds no logic of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
)

// The exit statuses.
const (
	exitOK      = 0
	exitFailure = 1 // something failed while running
	exitUsage   = 2 // the command line or the configuration is wrong
)

// gcPercent is Go's GOGC where the environment does not set it. Most of the heap
// is finished documents that stay, for which the usual 100 would set as much
// aside again; at 50 a full cache.memory of 64 MB peaks below 150 MB in all.
const gcPercent = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// run is the program: args are those after its name, environ is as os.Environ
// returns it. It returns the exit status. A server stops gracefully when ctx
// is done.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := rootCommand(environ)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var wrong problems
	var failed *failure
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &wrong):
		fmt.Fprintln(stderr, wrong)
		return exitUsage
	case errors.As(err, &failed):
		fmt.Fprintln(stderr, "larder:", failed.err)
		return exitFailure
	}
	fmt.Fprintf(stderr, "larder: %v\nSee \"larder help\".\n", err)
	return exitUsage
}

// failure is an error of a command that was understood. Every other error of a
// command is one of usage.
type failure struct{ err error }

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// failing marks an error as a failure.
func failing(err error) error {
	if err == nil {
		return nil
	}
	return &failure{err}
}
