package main

import (
	"context"
	"slices"
	"time"
)

// measureStarts starts each server on an empty directory, has it answer once,
// and starts it again: the time to the first answer, and what it holds in
// memory when nothing happens.
func measureStarts(ctx context.Context, b *Bench) error {
	up, err := b.Upstream()
	if err != nil {
		return err
	}
	defer up.Close()
	for round := range b.Rounds {
		for _, s := range b.order(round) {
			if err := b.measureStart(ctx, s, up.URL()); err != nil {
				if err := b.spare(ctx, "start", s, err); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (b *Bench) measureStart(ctx context.Context, s Server, upstream string) error {
	cold, err := b.Launch(ctx, s, upstream)
	if err != nil {
		return err
	}
	cold.Stop()
	warm, err := Relaunch(ctx, cold)
	if err != nil {
		return err
	}
	defer warm.Stop()
	time.Sleep(b.Settle)
	idle, err := warm.Resident()
	if err != nil {
		return err
	}
	f := Figure{Section: "start", Case: "small cache", Server: s.Name()}
	b.Report.Add(f.named("first answer", "ms", false), milliseconds(warm.FirstAnswer))
	b.Report.Add(f.named("idle memory", "MB", false), megabytes(idle))
	b.progress("start, %s: first answer after %v, %.1f MB idle", s.Name(), warm.FirstAnswer.Round(time.Millisecond), megabytes(idle))
	return nil
}

// order is the order of the servers in a round.
func (b *Bench) order(round int) []Server { return inTurn(b.Servers, round) }

// inTurn puts each in front in turn.
func inTurn[S any](servers []S, round int) []S {
	n := round % len(servers)
	return append(slices.Clone(servers[n:]), servers[:n]...)
}

// named is f with the name of what was measured.
func (f Figure) named(name, unit string, higher bool) Figure {
	f.Name, f.Unit, f.Higher = name, unit, higher
	return f
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func megabytes(n int64) float64            { return float64(n) / 1e6 }
