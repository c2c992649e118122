package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"larder/test/registry"
	"larder/test/rig"
)

const (
	// installLatency passes before upstream answers anything.
	installLatency = 20 * time.Millisecond
	// installLimit bounds one install.
	installLimit = 5 * time.Minute
	// direct is the name that stands for no server at all: the client asks
	// upstream itself.
	direct = "direct"
)

// install is a project that one package manager installs, on a machine where it
// has never been.
type install struct {
	client    string // of test/clients
	packages  int    // of the project, about
	histories func(i int) Shape
}

// installs are what is measured: a large application with packages like most,
// and one that depends on those with the longest histories.
var installs = []install{
	{"bun-1", 1230, commonHistory},
	{"pnpm-12", 1230, commonHistory},
	{"npm-11", 148, hugeHistory},
}

// quickInstalls are for a short run.
var quickInstalls = []install{{"bun-1", 40, commonHistory}}

func commonHistory(int) Shape { return Shape{Versions: 20, Full: 40_000, Abbreviated: 20_000} }

// hugeHistory is that of the i-th package: 260 MB in all for 148 of them.
func hugeHistory(i int) Shape {
	switch {
	case i%31 == 0:
		return Shape{Versions: 2600, Full: 20_000_000, Abbreviated: 10_000_000}
	case i%10 == 1:
		return Shape{Versions: 800, Full: 6_000_000, Abbreviated: 3_000_000}
	case i%3 == 2:
		return Shape{Versions: 300, Full: 1_200_000, Abbreviated: 600_000}
	}
	return Shape{Versions: 60, Full: 150_000, Abbreviated: 80_000}
}

// measureInstalls installs each project in each round from upstream itself, and
// from each server: once where that starts cold, and once more when it has all.
func measureInstalls(ctx context.Context, b *Bench) error {
	all := installs
	if b.Quick {
		all = quickInstalls
	}
	for _, i := range all {
		if err := i.measure(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", i.client, err)
		}
	}
	return nil
}

func (i install) measure(ctx context.Context, b *Bench) error {
	b.progress("installs, %s: generating packages", i.client)
	up, err := b.Upstream()
	if err != nil {
		return err
	}
	defer up.Close()
	project := registry.NewProject(Seed, i.packages)
	if err := errors.Join(project.Add(up), addHistories(up, project, i.histories)); err != nil {
		return err
	}
	// The first install makes the registry's documents, and brings the client's
	// files into memory. It counts for nothing.
	in := installing{Bench: b, install: i, project: project, up: up}
	n, _, err := in.once(ctx, up.URL())
	if err != nil {
		return err
	}
	in.name = fmt.Sprintf("%s, %d packages", i.client, n)
	up.SetFault("*", registry.Fault{Latency: installLatency})
	failed := map[string]bool{}
	for round := range b.Rounds {
		_, alone, err := in.once(ctx, up.URL())
		if err != nil {
			return err
		}
		in.add(direct, "cold", alone, alone)
		in.add(direct, "warm", alone, alone)
		for _, s := range b.order(round) {
			if failed[s.Name()] || !due(s, round) || s.Name() == (Nginx{}).Name() { // its documents send clients to upstream for tarballs
				continue
			}
			if err := in.through(ctx, s, alone); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				failed[s.Name()] = true
				b.Report.Note("installs: %s from %s: failed: %v", in.name, s.Name(), err)
				b.progress("installs: %s from %s: failed: %v", in.name, s.Name(), err)
			}
		}
	}
	return nil
}

// addHistories gives the packages of a project versions that nobody wants any
// more.
func addHistories(up *registry.Server, project registry.Project, shapes func(i int) Shape) error {
	seen := map[string]bool{}
	for _, p := range project.Packages {
		if seen[p.Name] {
			continue
		}
		s := shapes(len(seen))
		s.Name = p.Name
		seen[p.Name] = true
		if err := stockOld(up, s); err != nil {
			return err
		}
	}
	return nil
}

// installing is an install that is being measured.
type installing struct {
	*Bench
	install
	project registry.Project
	up      *registry.Server
	name    string // of the case
}

// through measures a server that starts with nothing.
func (in installing) through(ctx context.Context, s Server, alone time.Duration) error {
	server, err := in.Launch(ctx, s, in.up.URL())
	if err != nil {
		return err
	}
	defer os.RemoveAll(server.Dir)
	defer server.Stop()
	for _, state := range []string{"cold", "warm"} {
		_, took, err := in.once(ctx, server.URL())
		if err != nil {
			return fmt.Errorf("%s: %w", state, err)
		}
		in.add(s.Name(), state, took, alone)
	}
	return nil
}

func (in installing) add(server, state string, took, alone time.Duration) {
	f := Figure{Section: "installs", Case: in.name, Server: server}
	in.Report.Add(f.named(state, "s", false), took.Seconds())
	in.Report.Add(f.named(state+" / direct", "×", false), took.Seconds()/alone.Seconds())
	in.progress("installs: %s from %s, %s: %.2f s, %.2f of direct", in.name, server, state, took.Seconds(), took.Seconds()/alone.Seconds())
}

// once installs the project from base, in a directory and with a HOME that are
// new, and looks at what is there then. It returns how many packages that is, and
// how long the client took.
func (in installing) once(ctx context.Context, base string) (packages int, took time.Duration, err error) {
	top, err := root()
	if err != nil {
		return 0, 0, err
	}
	work, err := os.MkdirTemp(in.Dir, "client-")
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, rig.RemoveAll(work)) }()
	c, err := rig.MakeClient(ctx, rig.ClientConfig{
		Name: in.client, Clients: filepath.Join(top, "test", ".clients"), Work: work, Base: base, Keys: in.up.Keys(), Manifest: in.project.Manifest,
	})
	if err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, installLimit)
	defer cancel()
	begin := time.Now()
	if _, err := c.Run(ctx, c.Install...); err != nil {
		return 0, 0, err
	}
	took = time.Since(begin)
	there, err := rig.CheckInstalled(in.project, c.Dir)
	if err == nil {
		err = there.CheckLocked(filepath.Join(c.Dir, c.Lockfile), in.up.Integrities())
	}
	if err != nil {
		return 0, 0, err
	}
	for _, versions := range there.Versions {
		packages += len(versions)
	}
	return packages, took, nil
}
