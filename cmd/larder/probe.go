package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// probeFor is how long the outcome of a write probe is believed.
const probeFor = 5 * time.Second

// writeProbe is the condition of health that a directory can be written.
type writeProbe struct {
	name string // what it is called to whoever asks for the server's health
	dir  string

	mu   sync.Mutex // guards the rest; not held during I/O
	when time.Time  // of the last probe
	err  error      // its outcome
}

// Run writes a small file, unless that was tried a moment ago.
func (p *writeProbe) Run(context.Context) error {
	p.mu.Lock()
	when, err := p.when, p.err
	p.mu.Unlock()
	if !when.IsZero() && time.Since(when) < probeFor {
		return err
	}
	if err = tryWrite(p.dir); err != nil {
		err = fmt.Errorf("the %s cannot be written: %w", p.name, err)
	}
	p.mu.Lock()
	p.when, p.err = time.Now(), err
	p.mu.Unlock()
	return err
}

// tryWrite writes and removes a file in dir. Its errors are shown to whoever
// asks, so they name no path.
func tryWrite(dir string) error {
	f, err := os.CreateTemp(dir, ".probe-")
	if err == nil {
		_, err = f.WriteString("ok\n")
		err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	var named *fs.PathError
	if errors.As(err, &named) {
		err = named.Err
	}
	return err
}
