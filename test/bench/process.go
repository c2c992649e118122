package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc/PID/stat: USER_HZ is 100 on every
// architecture that Go runs on.
const tick = time.Second / 100

// Tree is a process with all its descendants, as the kernel accounts for them:
// nginx has workers, a shell has what it runs.
type Tree struct{ Root int }

// CPU is the time, user and system, that the tree has spent so far, with that
// of children that have ended.
func (t Tree) CPU() (time.Duration, error) {
	var sum time.Duration
	members, err := t.members()
	for _, p := range members {
		sum += p.cpu
	}
	return sum, err
}

// Usage is what a tree took while something was done to it.
type Usage struct {
	CPU  time.Duration // user and system
	Peak int64         // bytes resident
}

// Measure runs fn and returns what the tree took meanwhile.
func (t Tree) Measure(fn func() error) (Usage, error) {
	if err := t.ResetPeak(); err != nil {
		return Usage{}, err
	}
	before, err := t.CPU()
	if err != nil {
		return Usage{}, err
	}
	if err := fn(); err != nil {
		return Usage{}, err
	}
	after, err := t.CPU()
	if err != nil {
		return Usage{}, err
	}
	peak, err := t.Peak()
	return Usage{CPU: after - before, Peak: peak}, err
}

// calm waits until the tree does next to nothing: some servers go on for long
// with answers that nobody waits for any more, and would disturb what is
// measured next.
func (t Tree) calm(ctx context.Context) error {
	const (
		look  = 50 * time.Millisecond // between two looks
		looks = 2 * patience / look
	)
	last, err := t.CPU()
	for range looks {
		if err != nil {
			return err
		}
		time.Sleep(look)
		var now time.Duration
		if now, err = t.CPU(); now-last <= tick || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		last = now
	}
	return fmt.Errorf("process %d does not come to rest", t.Root)
}

// Resident is the memory that the tree has resident, in bytes. What processes
// share is counted in each.
func (t Tree) Resident() (int64, error) { return t.memory("VmRSS") }

// Peak is the sum of the members' highest residence since ResetPeak, in bytes.
func (t Tree) Peak() (int64, error) { return t.memory("VmHWM") }

// ResetPeak makes the peak what is resident now.
func (t Tree) ResetPeak() error {
	members, err := t.members()
	for _, p := range members {
		const resetPeak = "5" // proc(5), /proc/PID/clear_refs
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.pid), []byte(resetPeak), 0); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return err
}

func (t Tree) memory(key string) (int64, error) {
	members, err := t.members()
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, p := range members {
		v := procField(fmt.Sprintf("/proc/%d/status", p.pid), key)
		if kb, err := strconv.ParseInt(strings.TrimSuffix(v, " kB"), 10, 64); err == nil { // it may have ended since
			sum += kb << 10
		}
	}
	return sum, nil
}

type process struct {
	pid, parent int
	cpu         time.Duration // of its own and of its ended children
}

// members are the root and everything below it.
func (t Tree) members() ([]process, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := map[int][]process{}
	var members []process
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil { // it has ended
			continue
		}
		p, err := parseStat(string(data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if p.pid == t.Root {
			members = append(members, p)
		}
		children[p.parent] = append(children[p.parent], p)
	}
	if len(members) == 0 {
		return nil, fmt.Errorf("process %d has ended", t.Root)
	}
	for i := 0; i < len(members); i++ {
		members = append(members, children[members[i].pid]...)
	}
	return members, nil
}

// parseStat reads /proc/PID/stat. The second field is the command in brackets,
// which may hold anything.
func parseStat(s string) (process, error) {
	open, end := strings.IndexByte(s, '('), strings.LastIndexByte(s, ')')
	fields := strings.Fields(s[end+1:])
	if open < 0 || end < open || len(fields) < 15 {
		return process{}, fmt.Errorf("not understood: %q", s)
	}
	number := func(text string) int {
		n, _ := strconv.Atoi(text) // the kernel prints numbers
		return n
	}
	p := process{pid: number(strings.TrimSpace(s[:open])), parent: number(fields[1])}
	const utime, cstime = 11, 14 // fields 14 to 17 of proc(5): utime, stime, cutime, cstime
	for _, f := range fields[utime : cstime+1] {
		p.cpu += time.Duration(number(f)) * tick
	}
	return p, nil
}
