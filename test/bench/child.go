package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// Load that is more than wrk's comes from a process of its own, this program
// once more, so that the kernel shares the machine between a server and its
// clients, whatever this process is busy with.

// roles are what a child can be, by the first argument.
var roles = map[string]func(ctx context.Context, order []byte) (any, error){
	"crowd": func(ctx context.Context, order []byte) (any, error) {
		var o crowdOrder
		err := json.Unmarshal(order, &o)
		return crowd(ctx, o), err
	},
	"probe": func(ctx context.Context, order []byte) (any, error) {
		var o probeOrder
		err := json.Unmarshal(order, &o)
		return probe(ctx, o), err
	},
}

// play is the child's part: it prints what came of the order in args, which ends
// when its standard input does.
func play(ctx context.Context, role string, args []string, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("%s is for this program alone", role)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with the process
		_, _ = io.Copy(io.Discard, os.Stdin) // however it ends, nobody wants more
		cancel()
	}()
	result, err := roles[role](ctx, []byte(args[0]))
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

// child runs this program for a role, until that is played or enough is closed,
// and reads what it prints.
func child(ctx context.Context, role string, order, result any, enough <-chan struct{}) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := json.Marshal(order)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, role, string(text))
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-enough:
		case <-ended:
		}
		input.Close() // it ends by itself, too
	}()
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", role, err)
	}
	return json.Unmarshal(out, result)
}
