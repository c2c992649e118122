package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// runCommand measures what args ask for, and prints tables.
func runCommand(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.SetOutput(progress)
	var p Profile
	flags.IntVar(&p.Rounds, "rounds", 3, "rounds, each over all cases and servers")
	flags.DurationVar(&p.Window, "window", 2*time.Second, "of load for one case on one server in one round, in whole seconds")
	flags.DurationVar(&p.Settle, "settle", 2*time.Second, "how long a server is left alone before its idle memory is read")
	flags.BoolVar(&p.Quick, "quick", false, "a few cases only")
	flags.StringVar(&p.Match, "match", "", "of the hits only the cases with `TEXT` in their names")
	flags.BoolVar(&p.Millions, "millions", false, "make a million cached files for the section millions, which takes minutes and 4 GB")
	all := sectionNames()
	only := flags.String("only", "", "`SECTIONS` with commas between, of "+strings.Join(all, ", ")+"; empty: all")
	names := flags.String("servers", "", "`NAMES` of servers with commas between; empty: all")
	file := flags.String("json", "", "write the report to `FILE`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := root()
	if err != nil {
		return err
	}
	known := servers(filepath.Join(dir, "bin", "larder"), filepath.Join(dir, "test", peersDir))
	var knownNames []string
	for _, s := range known {
		knownNames = append(knownNames, s.Name())
	}
	sections, err := choose("section", *only, all)
	if err != nil {
		return err
	}
	chosen, err := choose("server", *names, knownNames)
	if err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("%q is no flag", flags.Arg(0))
	case p.Rounds < 1:
		return errors.New("at least 1 for -rounds")
	case p.Window < time.Second || p.Window%time.Second != 0:
		return errors.New("-window takes whole seconds: wrk knows no others")
	}

	work, err := os.MkdirTemp("", "larder-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	known = slices.DeleteFunc(known, func(s Server) bool { return !slices.Contains(chosen, s.Name()) })
	b, err := newBench(ctx, p, work, known, progress)
	if err != nil {
		return err
	}
	b.Report.Commands = []string{"make build bench-peers", "go run ./test/bench run " + quoted(args)}
	failed := b.Run(ctx, sections)
	fmt.Fprint(out, b.Report.text())
	if *file != "" {
		failed = errors.Join(failed, b.Report.Save(*file))
	}
	return failed
}

func sectionNames() []string {
	var names []string
	for _, s := range sections() {
		names = append(names, s.Name)
	}
	return names
}

// choose reads a list with commas between; an empty one is all.
func choose(what, list string, all []string) ([]string, error) {
	if list == "" {
		return all, nil
	}
	chosen := strings.Split(list, ",")
	for _, name := range chosen {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("no %s is called %q: %s", what, name, strings.Join(all, ", "))
		}
	}
	return chosen, nil
}

// quoted is args as one would type them.
func quoted(args []string) string {
	var words []string
	for _, a := range args {
		if strings.ContainsAny(a, " '\"$*?") || a == "" {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}
