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
	"syscall"
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
		dir, err := root()
		if err != nil {
			return err
		}
		return installPeers(ctx, filepath.Join(dir, "test", peersDir), progress)
	case "crowd", "probe":
		return play(ctx, name, args, out)
	default:
		return fmt.Errorf("no command is called %q\n%s", name, usage)
	}
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
