package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const usage = `usage: go run ./test/bench COMMAND

  run [-rounds N] [-window D] [-settle D] [-quick] [-match TEXT] [-only SECTIONS] [-servers NAMES] [-json FILE]
        measure, and print tables
  render FILE
        print the page docs/BENCHMARKS.md of a report
  compare OLD NEW
        print what differs between two reports, and how surely
  peers
        install pnpr and Verdaccio, pinned, below test/.peers; nginx and wrk by apt-get, as root

COMMAND -h lists its flags.
`

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := command(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		cancel()
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string, out, progress io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(progress, usage)
		return flag.ErrHelp
	}
	switch name, args := args[0], args[1:]; name {
	case "run":
		return runCommand(ctx, args, out, progress)
	case "render":
		reports, err := loadReports(args, 1)
		if err != nil {
			return err
		}
		_, err = io.WriteString(out, reports[0].markdown())
		return err
	case "compare":
		reports, err := loadReports(args, 2)
		if err != nil {
			return err
		}
		return compareReports(out, reports[0], reports[1])
	case "peers":
		dir, err := peersDir()
		if err != nil {
			return err
		}
		return installPeers(ctx, dir, progress)
	case "crowd", "probe":
		return play(ctx, name, args, out)
	default:
		return fmt.Errorf("no command is called %q\n%s", name, usage)
	}
}

func sectionNames() []string {
	var names []string
	for _, s := range sections() {
		names = append(names, s.Name)
	}
	return names
}

func loadReports(files []string, want int) ([]*Report, error) {
	if len(files) != want {
		return nil, fmt.Errorf("%d files wanted\n%s", want, usage)
	}
	var reports []*Report
	for _, file := range files {
		r, err := LoadReport(file)
		if err != nil {
			return nil, err
		}
		reports = append(reports, r)
	}
	return reports, nil
}

func peersDir() (string, error) {
	dir, err := root()
	return filepath.Join(dir, "test", ".peers"), err
}

func runCommand(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.SetOutput(progress)
	var p Profile
	flags.IntVar(&p.Rounds, "rounds", 3, "rounds, each over all cases and servers")
	flags.DurationVar(&p.Window, "window", 2*time.Second, "of load for one case on one server in one round, in whole seconds")
	flags.DurationVar(&p.Settle, "settle", 2*time.Second, "how long a server is left alone before its idle memory is read")
	flags.BoolVar(&p.Quick, "quick", false, "a few cases only")
	flags.StringVar(&p.Match, "match", "", "only the cases with `TEXT` in their names, at each of their numbers of connections")
	flags.BoolVar(&p.Millions, "millions", false, "make a million cached files for the section millions, which takes minutes and 4 GB")
	only := flags.String("only", "", "sections of "+strings.Join(sectionNames(), ", ")+", with commas between; empty: all")
	names := flags.String("servers", "", "servers, with commas between; empty: all")
	file := flags.String("json", "", "write the report to `FILE`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := root()
	if err != nil {
		return err
	}
	peers, err := peersDir()
	if err != nil {
		return err
	}
	var chosen []Server
	for _, s := range servers(filepath.Join(dir, "bin", "larder"), peers) {
		if *names == "" || contains(strings.Split(*names, ","), s.Name()) {
			chosen = append(chosen, s)
		}
	}
	work, err := os.MkdirTemp("", "larder-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	b, err := newBench(ctx, p, work, chosen, progress)
	if err != nil {
		return err
	}
	b.Report.Commands = []string{"make build bench-peers", "go run ./test/bench run " + strings.Join(args, " ")}
	var sections []string
	if *only != "" {
		sections = strings.Split(*only, ",")
	}
	failed := b.Run(ctx, sections)
	fmt.Fprint(out, b.Report.text())
	if *file != "" {
		failed = errors.Join(failed, b.Report.Save(*file))
	}
	return failed
}
