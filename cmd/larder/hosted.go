package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"larder/hosted"
)

func hostedCommand(environ []string, info build) *cobra.Command {
	return family("hosted", "Look after the packages published here",
		hostedListCommand(environ, info), hostedForgetCommand(environ, info))
}

func hostedListCommand(environ []string, info build) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the names that are this server's own",
		Long:  "List the names that are this server's own, those that were unpublished, and stay its own, marked so.",
		Args:  cobra.NoArgs,
	}
	flags := addDataFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		w, err := openWorkplace(cmd, flags, environ, info)
		if err != nil {
			return err
		}
		err = w.onHosted(true, func(packages *hosted.Packages) error { return listHosted(cmd, packages) })
		return failing(errors.Join(explained(err), w.Close()))
	}
	return cmd
}

// onHosted opens the packages for the time of task.
func (w *workplace) onHosted(shared bool, task func(*hosted.Packages) error) error {
	packages, store, err := openHosted(w.data, hosted.Config{Log: w.log}, w.info, shared)
	if err != nil {
		return err
	}
	return errors.Join(task(packages), packages.Close(), store.Close())
}

func listHosted(cmd *cobra.Command, packages *hosted.Packages) error {
	names, err := packages.Names(cmd.Context())
	if err != nil {
		return err
	}
	for _, name := range names {
		p, err := packages.Get(cmd.Context(), name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // forgotten meanwhile
		}
		if err != nil {
			return err
		}
		if p.Unpublished() {
			name += "\tunpublished"
		}
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), name); err != nil {
			return err
		}
	}
	return nil
}
