package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"larder/auth"
	"larder/npm"
)

// workplace is what the commands on a data directory have in common: a server
// may be running on it.
type workplace struct {
	settings *settings
	data     string // the data directory, absolute
	info     build
	log      *slog.Logger
	journal  *auth.Journal
	actor    string // who runs the command, for the journal
}

// openWorkplace reads the configuration as serve would, but for the secrets
// that only a server needs, and opens the audit log: what cannot be recorded
// is not done. The caller closes it.
func openWorkplace(cmd *cobra.Command, flags *configFlags, environ []string, info build) (*workplace, error) {
	src := flags.sources(environ)
	src.withoutFiles = true
	s, err := load(src)
	if err != nil {
		return nil, err
	}
	w := &workplace{settings: s, info: info, actor: "cli:" + systemUser()}
	if w.data, err = filepath.Abs(s.Data); err != nil {
		return nil, failing(err)
	}
	w.log = newLogger(LogConfig{Format: s.Log.Format, Level: "warn"}, cmd.ErrOrStderr())
	if err := becomeOwner(w.data); err != nil {
		return nil, failing(err)
	}
	if w.journal, err = openJournal(w.data, s.Audit); err != nil {
		return nil, failing(explained(err))
	}
	return w, nil
}

func (w *workplace) Close() error { return w.journal.Close() }

// accounts opens the accounts. The caller closes them, before w.
func (w *workplace) accounts() (*auth.Auth, error) {
	return openAuth(w.data, w.settings, w.info, w.journal, nil, w.log)
}

// record writes down a change that was made, or that failed for the reason
// err. It returns err and its own failure.
func (w *workplace) record(e auth.Event, err error) error { return record(w.journal, w.actor, e, err) }

// record writes down what actor has changed, or could not for the reason err. It
// returns err and its own failure.
func record(journal *auth.Journal, actor string, e auth.Event, err error) error {
	e.Time, e.Actor, e.Result = time.Now().UTC(), actor, "ok"
	if err != nil {
		e.Result, e.Reason = "failed", explained(err).Error()
	}
	if failed := journal.Record(e); failed != nil {
		return errors.Join(explained(err), fmt.Errorf("the audit log could not be written: %w", failed))
	}
	return err
}

// explained returns err as a person at a terminal wants it: without the name
// of the function that made it, and with what to do about a missing right.
func explained(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w; run this as the user that the server runs as, or as root", err)
	}
	var e *npm.Error
	switch {
	case !errors.As(err, &e) || e.Msg == "":
		return err
	case e.Err == nil:
		return errors.New(e.Msg)
	}
	return fmt.Errorf("%s: %w", e.Msg, e.Err)
}

// systemUser returns the name of the user that runs this process, or its
// number where the system has none.
func systemUser() string {
	u, err := user.Current()
	if err != nil {
		return strconv.Itoa(os.Getuid())
	}
	return cmp.Or(u.Username, u.Uid)
}

// accountsTask is what a command does with the accounts. Its errors are
// failures: what can be told from the command line alone is checked before, in
// the command's Args and PreRunE.
type accountsTask func(cmd *cobra.Command, w *workplace, accounts *auth.Auth, args []string) error

// onAccounts completes a command that works on accounts.
func onAccounts(cmd *cobra.Command, environ []string, info build, task accountsTask) *cobra.Command {
	flags := addDataFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		w, err := openWorkplace(cmd, flags, environ, info)
		if err != nil {
			return err
		}
		accounts, err := w.accounts()
		if err == nil {
			err = errors.Join(task(cmd, w, accounts, args), accounts.Close())
		}
		return failing(errors.Join(explained(err), w.Close()))
	}
	return cmd
}
