package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"larder/test/registry"
)

// Profile says how much is measured.
type Profile struct {
	Rounds int
	Window time.Duration // of load for one case on one server in one round
	Settle time.Duration // how long a server is left alone before its idle memory is read
	Quick  bool          // few cases
	Match  string        // only hits with this in their name

	Millions bool // the section of that name is asked for
}

// Bench is one run.
type Bench struct {
	Profile
	Dir     string   // for everything that the run leaves
	Servers []Server // those that are installed
	Report  *Report
	Out     io.Writer // progress, for people
}

// Section is a part of a run. It adds Figures of its name to the report.
type Section struct {
	Name         string // in the report
	Title, About string // on the page
	Run          func(context.Context, *Bench) error
}

// sections are all parts, in the order in which they run.
func sections() []Section {
	return []Section{
		{
			"start", "Start and idle memory",
			"From the start of the process to the end of its first answer, with a small cache, and what it holds in memory when nothing happens.",
			measureStarts,
		},
		{
			"hits", "Warm cache",
			"The number in brackets is that of connections. pnpr and Verdaccio are measured at one number of them, and not with the two hugest documents, of which they send one in seconds.",
			measureHits,
		},
		{
			"storm", "Cold storms",
			"Many clients at once want one big document that nobody has asked for before. pnpr and Verdaccio have one round of it.",
			measureStorms,
		},
		{
			"installs", "Installs",
			"Package managers on a machine where they have never been, behind an upstream that takes 20 ms to answer: from that itself, from a server that starts with an empty cache, and once more when it has all. pnpr and Verdaccio have one round. nginx would send them to upstream for the tarballs.",
			measureInstalls,
		},
		{
			"millions", "A million cached files",
			"Larder with a million files in its cache, half of them tarballs, with a thousand, and with none. Rates and CPU time are those of small tarballs: as many of the million as the thousand have, spread over all of them.",
			measureMillions,
		},
	}
}

// newBench finds out which servers are installed. dir is for everything that
// the run leaves.
func newBench(ctx context.Context, p Profile, dir string, all []Server, out io.Writer) (*Bench, error) {
	b := &Bench{Profile: p, Dir: dir, Out: out, Report: &Report{
		Machine: thisMachine(), Started: time.Now().UTC().Truncate(time.Second), Versions: map[string]string{}, Missing: map[string]string{},
	}}
	for _, s := range all {
		version, err := s.Version(ctx)
		if err != nil {
			b.Report.Missing[s.Name()] = err.Error()
			fmt.Fprintf(out, "%s is missing: %v\n", s.Name(), err)
			continue
		}
		b.Report.Versions[s.Name()] = version
		b.Servers = append(b.Servers, s)
	}
	b.Report.Versions["wrk"] = wrkVersion(ctx)
	if len(b.Servers) == 0 {
		return nil, fmt.Errorf("no server is installed: %v", b.Report.Missing)
	}
	return b, nil
}

// wrkVersion is what wrk says of itself; it exits with 1 when it does.
func wrkVersion(ctx context.Context) string {
	out, _ := exec.CommandContext(ctx, "wrk", "-v").CombinedOutput()
	if fields := strings.Fields(string(out)); len(fields) > 1 && fields[0] == "wrk" {
		return strings.TrimPrefix(fields[1], "debian/")
	}
	return "none: HEAD's load generator did it all"
}

// Run runs the sections of the given names.
func (b *Bench) Run(ctx context.Context, names []string) error {
	begin := time.Now()
	var failed []error
	for _, s := range sections() {
		if !slices.Contains(names, s.Name) {
			continue
		}
		if err := s.Run(ctx, b); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", s.Name, err))
		}
	}
	b.Report.Took = time.Since(begin).Round(time.Second)
	return errors.Join(failed...)
}

// Upstream starts a registry that has packages of the shapes. The caller closes
// it.
func (b *Bench) Upstream(shapes ...Shape) (*registry.Server, error) {
	r, err := registry.New(registry.Config{GzipLevel: gzip.DefaultCompression})
	if err != nil {
		return nil, err
	}
	if err := Stock(r, withReady(shapes)...); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Launch starts a server in a directory of its own below the run's.
func (b *Bench) Launch(ctx context.Context, s Server, upstream string) (*Instance, error) {
	dir, err := os.MkdirTemp(b.Dir, s.Name()+"-")
	if err != nil {
		return nil, err
	}
	return Launch(ctx, s, dir, upstream)
}

// spare deals with what went wrong on one server: a rival's failure is noted and
// the run goes on without it, the product's is the run's.
func (b *Bench) spare(ctx context.Context, what string, s Server, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	b.progress("%s: %s failed: %v", what, s.Name(), err)
	if s.Name() == product {
		return fmt.Errorf("%s: %w", what, err)
	}
	b.Report.Note("%s: %s failed: %v", what, s.Name(), err)
	return nil
}

// progress tells people what has been measured.
func (b *Bench) progress(format string, args ...any) { fmt.Fprintf(b.Out, format+"\n", args...) }

// root is the module's directory; commands run in it.
func root() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if exists(filepath.Join(dir, "go.mod")) {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("not within the module")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}
