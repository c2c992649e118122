package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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

// app is a project, and the package managers that install it.
type app struct {
	packages  int // about
	histories func(i int) Shape
	clients   []string // of test/clients
}

// apps are what is measured: a large application with packages like most, and
// one that depends on those with the longest histories.
var apps = []app{
	{1230, commonHistory, []string{"bun-1", "pnpm-12"}},
	{148, hugeHistory, []string{"npm-11"}},
}

// quickApps are for a short run.
var quickApps = []app{{40, commonHistory, []string{"bun-1"}}}

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
	all := apps
	if b.Quick {
		all = quickApps
	}
	for _, a := range all {
		if !slices.ContainsFunc(a.clients, b.wanted) {
			continue
		}
		if err := a.measure(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// wanted tells whether a client is among those that were asked for.
func (b *Bench) wanted(client string) bool { return strings.Contains(client, b.Match) }

func (a app) measure(ctx context.Context, b *Bench) error {
	b.progress("installs: generating %d packages", a.packages)
	up, err := b.Upstream()
	if err != nil {
		return err
	}
	defer up.Close()
	project := registry.NewProject(Seed, a.packages)
	addFiles(project)
	if err := errors.Join(project.Add(up), addHistories(up, project, a.histories)); err != nil {
		return err
	}
	for _, client := range a.clients {
		if !b.wanted(client) {
			continue
		}
		up.ClearFaults()
		in := installing{Bench: b, client: client, project: project, up: up}
		if err := in.measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", client, err)
		}
	}
	return nil
}

// installing is what one client does with a project.
type installing struct {
	*Bench
	client  string
	project registry.Project
	up      *registry.Server
	name    string // of the case
	dir     string // for all that is left behind
}

func (in installing) measure(ctx context.Context) (err error) {
	// Nothing is removed until all is measured: for minutes after many files were
	// deleted ext4 takes several times as long to make one.
	if in.dir, err = os.MkdirTemp(in.Dir, "installs-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rig.RemoveAll(in.dir)) }()
	// The first install makes the registry's documents, and brings the client's
	// files into memory. It counts for nothing.
	n, _, err := in.once(ctx, in.up.URL())
	if err != nil {
		return err
	}
	in.name = fmt.Sprintf("%s, %d packages", in.client, n)
	in.up.SetFault("*", registry.Fault{Latency: installLatency})
	failed := map[string]bool{}
	for round := range in.Rounds {
		_, alone, err := in.once(ctx, in.up.URL())
		if err != nil {
			return err
		}
		in.add(direct, "cold", alone, alone)
		in.add(direct, "warm", alone, alone)
		for _, s := range in.order(round) {
			if failed[s.Name()] || !due(s, round) || s.Name() == (Nginx{}).Name() { // its documents send clients to upstream for tarballs
				continue
			}
			if err := in.through(ctx, s, alone); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				failed[s.Name()] = true
				in.Report.Note("installs: %s from %s: failed: %v", in.name, s.Name(), err)
				in.progress("installs: %s from %s: failed: %v", in.name, s.Name(), err)
			}
		}
	}
	return nil
}

const (
	// maxFiles and maxFile make packages as large as those of real applications
	// are on the average: 25 files, 200 KB, and a third of that packed.
	maxFiles = 50
	maxFile  = 16_000 // bytes
)

// addFiles gives the packages of a project as many files as real ones have, those
// versions apart that no range of a project picks.
func addFiles(project registry.Project) {
	dice := rand.New(rand.NewPCG(Seed, uint64(len(project.Packages))))
	text := words(dice, 1_000_000)
	for _, p := range project.Packages {
		if strings.HasSuffix(p.Version, ".0.0") || strings.HasSuffix(p.Version, ".1.0") {
			continue
		}
		for n := range dice.IntN(maxFiles) {
			at := dice.IntN(len(text) - maxFile)
			p.Files[fmt.Sprintf("lib/module-%d.js", n)] = text[at : at+dice.IntN(maxFile)]
		}
	}
}

// words is text that compresses as programs do.
func words(dice *rand.Rand, size int) string {
	vocabulary := make([]string, 2_000)
	for i := range vocabulary {
		vocabulary[i] = strconv.FormatUint(dice.Uint64()>>(20+dice.IntN(40)), 36)
	}
	var b strings.Builder
	for b.Len() < size {
		b.WriteString(vocabulary[min(dice.IntN(len(vocabulary)), dice.IntN(len(vocabulary)))])
		b.WriteByte(" \n(.;"[dice.IntN(5)])
	}
	return b.String()
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

// through measures a server that starts with nothing.
func (in installing) through(ctx context.Context, s Server, alone time.Duration) error {
	dir, err := os.MkdirTemp(in.dir, s.Name()+"-")
	if err != nil {
		return err
	}
	server, err := Launch(ctx, s, dir, in.up.URL())
	if err != nil {
		return err
	}
	defer server.Stop()
	for _, state := range []string{"cold", "warm"} {
		before, err := server.CPU()
		if err != nil {
			return err
		}
		_, took, err := in.once(ctx, server.URL())
		if err != nil {
			return fmt.Errorf("%s: %w", state, err)
		}
		after, err := server.CPU()
		if err != nil {
			return err
		}
		in.add(s.Name(), state, took, alone)
		f := Figure{Section: "installs", Case: in.name, Server: s.Name()}
		in.Report.Add(f.named(state+", cpu", "s", false), (after - before).Seconds())
		in.progress("installs: %s from %s, %s: the server took %v of CPU time", in.name, s.Name(), state, after-before)
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
	work, err := os.MkdirTemp(in.dir, "client-")
	if err != nil {
		return 0, 0, err
	}
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
