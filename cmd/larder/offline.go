package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"
)

const offlineHelp = `Take the running server on a data directory offline, or back online, at once: while it is offline
no upstream is asked for anything, and packages list only the versions whose tarball is in the cache.
What is being downloaded is not cut off. The switch is not kept: a server that is started again
does what its configuration says ("offline", or the flag --offline).`

func offlineCommand(environ []string) *cobra.Command {
	on := offlineMember("on", "Ask no upstream any more", environ, true)
	off := offlineMember("off", "Ask upstreams again", environ, false)
	status := &cobra.Command{Use: "status", Short: "Tell whether the running server asks its upstreams", Long: offlineHelp, Args: cobra.NoArgs}
	onControl(status, environ, func(cmd *cobra.Command, c *controlClient) error {
		s, err := c.status(cmd.Context())
		if err != nil {
			return err
		}
		return printStatus(cmd.OutOrStdout(), s)
	})
	cmd := family("offline", "Take a running server offline and back", on, off, status)
	cmd.Long = offlineHelp
	return cmd
}

func offlineMember(name, short string, environ []string, offline bool) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Long: offlineHelp, Args: cobra.NoArgs}
	onControl(cmd, environ, func(cmd *cobra.Command, c *controlClient) error {
		s, err := c.switchOffline(cmd.Context(), switchOrder{Offline: &offline, Actor: "cli:" + systemUser()})
		if err != nil {
			return err
		}
		return printStatus(cmd.OutOrStdout(), s)
	})
	return cmd
}

// onControl completes a command that talks to a running server.
func onControl(cmd *cobra.Command, environ []string, task func(*cobra.Command, *controlClient) error) {
	flags := addDataFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		src := flags.sources(environ)
		src.withoutFiles = true
		s, err := load(src)
		if err != nil {
			return err
		}
		data, err := filepath.Abs(s.Data)
		if err != nil {
			return failing(err)
		}
		c := newControlClient(data)
		defer c.Close()
		return failing(explained(task(cmd, c)))
	}
}

// printStatus prints what is in effect: a word for scripts, then a line for
// each upstream.
func printStatus(out io.Writer, s statusReport) error {
	word := "online"
	if s.Offline {
		word = "offline"
	}
	if _, err := fmt.Fprintln(out, word); err != nil {
		return err
	}
	for _, u := range s.Upstreams {
		line := "upstream " + u.Name + ": " + u.State
		if u.Reason != "" {
			line += " (" + u.Reason + ")"
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}
