package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"larder/auth"
	"larder/npm"
)

func userCommand(environ []string, info build) *cobra.Command {
	return family("user", "Manage the accounts, whether or not the server runs",
		onAccounts(userAddCommand(), environ, info, addUser),
		onAccounts(&cobra.Command{
			Use:   "passwd NAME",
			Short: "Change a password and revoke the account's tokens",
			Long:  "Change a password and revoke the account's tokens." + passwordHelp,
			Args:  cobra.ExactArgs(1),
		}, environ, info, changePassword),
		onAccounts(&cobra.Command{
			Use:   "rm NAME",
			Short: "Remove an account with its tokens",
			Long:  "Remove an account with its tokens. Packages that it has published stay.",
			Args:  cobra.ExactArgs(1),
		}, environ, info, removeUser),
		onAccounts(listing(&cobra.Command{Use: "ls", Short: "List the accounts", Args: cobra.NoArgs}), environ, info, listUsers),
	)
}

const passwordHelp = "\n\nThe password is asked for, or read from the first line of standard input where that is no terminal."

func userAddCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Make an account",
		Long:  "Make an account." + passwordHelp,
		Args:  newUserName,
	}
	cmd.Flags().String("email", "", "e-mail `ADDRESS`, shown as a maintainer's")
	return cmd
}

// newUserName accepts one argument that a new account can be called. Those that
// came with an htpasswd file may have other names.
func newUserName(cmd *cobra.Command, args []string) error {
	if err := cobra.ExactArgs(1)(cmd, args); err != nil {
		return err
	}
	if err := auth.CheckUserName(args[0]); err != nil {
		return errors.New(npm.Message(err))
	}
	return nil
}

func addUser(cmd *cobra.Command, w *workplace, accounts *auth.Auth, args []string) error {
	name := args[0]
	if accounts.Exists(name) {
		return fmt.Errorf("there is an account %s already; change its password with \"larder user passwd %s\"", name, name)
	}
	password, err := readPassword(cmd.InOrStdin(), cmd.ErrOrStderr(), name)
	if err != nil {
		return err
	}
	email, err := cmd.Flags().GetString("email")
	if err != nil {
		return err
	}
	err = accounts.AddUser(cmd.Context(), name, password, email)
	if err := w.record(auth.Event{Action: "user.add", Subject: name}, err); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.ErrOrStderr(), "Added %s to %s.\n", name, w.data)
	return err
}

func changePassword(cmd *cobra.Command, w *workplace, accounts *auth.Auth, args []string) error {
	name := args[0]
	if err := w.mustExist(accounts, name); err != nil {
		return err
	}
	password, err := readPassword(cmd.InOrStdin(), cmd.ErrOrStderr(), name)
	if err != nil {
		return err
	}
	err = accounts.SetPassword(cmd.Context(), name, password)
	if err := w.record(auth.Event{Action: "password.change", Subject: name}, err); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.ErrOrStderr(), "Changed the password of %s and revoked its tokens.\n", name)
	return err
}

func removeUser(cmd *cobra.Command, w *workplace, accounts *auth.Auth, args []string) error {
	name := args[0]
	if err := w.mustExist(accounts, name); err != nil {
		return err
	}
	err := accounts.RemoveUser(cmd.Context(), name)
	if err := w.record(auth.Event{Action: "user.rm", Subject: name}, err); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.ErrOrStderr(), "Removed %s and its tokens.\n", name)
	return err
}

// mustExist returns an error that names the data directory, which may be
// another than was meant.
func (w *workplace) mustExist(accounts *auth.Auth, name string) error {
	if accounts.Exists(name) {
		return nil
	}
	return fmt.Errorf("there is no account %s in %s; see \"larder user ls\"", name, w.data)
}

// userEntry is one account as "user ls --json" shows it.
type userEntry struct {
	Name    string    `json:"name"`
	Email   string    `json:"email"`
	Groups  []string  `json:"groups"`
	Created time.Time `json:"created,omitzero"`
}

func listUsers(cmd *cobra.Command, w *workplace, accounts *auth.Auth, _ []string) error {
	profiles, err := accounts.Users(cmd.Context())
	if err != nil {
		return err
	}
	entries := make([]userEntry, len(profiles))
	for i, p := range profiles {
		entries[i] = userEntry{p.Name, p.Email, groupsOf(w.settings.groups(), p.Name), p.Created}
	}
	return printList(cmd, entries, "NAME\tEMAIL\tGROUPS\tCREATED", func(out io.Writer, u userEntry) {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", shown(u.Name), shown(u.Email), shown(strings.Join(u.Groups, ",")), day(u.Created, "-"))
	})
}
