package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"larder/auth"
	"larder/hosted"
	"larder/npm"
)

func hostedForgetCommand(environ []string, info build) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "forget NAME",
		Short: "Give up a name that was unpublished",
		Long: "Give up a name that was wholly unpublished. It is then asked for upstream like any other, unless hosted.reserved covers it,\n" +
			"and its version numbers may be published anew. A server that runs on the data directory does it; without one it is done here.",
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.ExactArgs(1)(cmd, args); err != nil {
				return err
			}
			if err := npm.CheckName(args[0]); err != nil {
				return errors.New(npm.Message(err))
			}
			return nil
		},
	}
	yes := cmd.Flags().Bool("yes", false, "do not ask")
	flags := addDataFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		w, err := openWorkplace(cmd, flags, environ, info)
		if err != nil {
			return err
		}
		err = forget(cmd, w, args[0], *yes)
		return failing(errors.Join(explained(err), w.Close()))
	}
	return cmd
}

// forget lets the server do it that runs on the data directory, and takes the
// directory's lock where there is none: a server that somebody else changed
// under it would go on with what it knows of the name.
func forget(cmd *cobra.Command, w *workplace, name string, yes bool) error {
	c := newControlClient(w.data)
	defer c.Close()
	explanation, err := c.explainForget(cmd.Context(), name)
	switch {
	case errors.Is(err, errNoServer):
		err = w.forget(cmd, name, yes)
	case err == nil && agreed(cmd, yes, explanation):
		err = c.forget(cmd.Context(), forgetOrder{Name: name, Actor: w.actor})
	case err == nil:
		err = errNotAgreed
	}
	if err == nil {
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "Forgot %s.\n", name)
	}
	return err
}

var errNotAgreed = errors.New("nothing was changed; --yes does it without asking")

// forget forgets a name of a data directory on which no server runs.
func (w *workplace) forget(cmd *cobra.Command, name string, yes bool) (err error) {
	data, err := openData(w.data)
	if err != nil {
		return fmt.Errorf("%w; stop it first", err)
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	return w.onHosted(false, func(packages *hosted.Packages) error {
		if err := mustBeUnpublished(cmd.Context(), packages, name); err != nil {
			return err
		}
		if !agreed(cmd, yes, w.settings.afterForget(name)) {
			return errNotAgreed
		}
		return forgetName(cmd.Context(), packages, w.journal, w.actor, name)
	})
}

// forgetName forgets a name and notes it in the journal.
func forgetName(ctx context.Context, packages *hosted.Packages, journal *auth.Journal, actor, name string) error {
	change, err := packages.Forget(ctx, name)
	return record(journal, actor, auth.Event{Action: "hosted.forget", Package: name, OldRev: change.Old, NewRev: change.New}, err)
}

func mustBeUnpublished(ctx context.Context, packages *hosted.Packages, name string) error {
	p, err := packages.Get(ctx, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s was never published here", name)
	case err != nil:
		return err
	case !p.Unpublished():
		return fmt.Errorf("%s has versions; unpublish it first (npm unpublish --force %s)", name, name)
	}
	return nil
}

// afterForget says what forgetting name will lead to.
func (s *settings) afterForget(name string) string {
	next := "nobody will find it"
	if !matchesAny(s.Hosted.Reserved, name) {
		for _, u := range s.Upstreams {
			if matchesAny(u.Match, name) {
				next = fmt.Sprintf("installs will ask upstream %q for it, where it may be anybody's", u.Name)
				break
			}
		}
	}
	return fmt.Sprintf("Once %s is forgotten, %s, and version numbers that were used may be used again for other content.", name, next)
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return npm.MatchName(pattern, name) })
}

// agreed reports whether a person agrees, who gives a line that says y or yes,
// or has agreed already.
func agreed(cmd *cobra.Command, yes bool, explanation string) bool {
	if yes {
		return true
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s\nForget it? [y/N] ", explanation)
	line, err := readLine(cmd.InOrStdin())
	answer := strings.ToLower(strings.TrimSpace(line))
	return err == nil && (answer == "y" || answer == "yes")
}
