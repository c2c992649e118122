package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"larder/auth"
)

// shownKey is how many characters of a token's key a list shows, enough to
// tell a million tokens apart.
const shownKey = 12

func tokenCommand(environ []string, info build) *cobra.Command {
	ls := listing(&cobra.Command{Use: "ls", Short: "List the tokens", Args: cobra.NoArgs})
	ls.Flags().String("user", "", "only those of `USER`")
	return family("token", "Manage the tokens, whether or not the server runs",
		tokenCreateCommand(environ, info),
		onAccounts(ls, environ, info, listTokens),
		onAccounts(&cobra.Command{
			Use:   "revoke KEY",
			Short: "Revoke a token",
			Long: "Revoke the token whose key, as \"larder token ls\" shows it, begins with KEY. " +
				"With - for KEY the token itself is read from standard input.",
			Args: cobra.ExactArgs(1),
		}, environ, info, revokeToken),
	)
}

// tokenEntry is one token as "token ls --json" shows it.
type tokenEntry struct {
	Key      string         `json:"key"`
	Name     string         `json:"name"`
	User     string         `json:"user,omitempty"`
	Service  string         `json:"service,omitempty"`
	Groups   []string       `json:"groups,omitempty"`
	ReadOnly bool           `json:"read_only"`
	CIDR     []netip.Prefix `json:"cidr,omitempty"`
	Packages []string       `json:"packages,omitempty"`
	Created  time.Time      `json:"created"`
	Expires  time.Time      `json:"expires,omitzero"`
}

func listTokens(cmd *cobra.Command, w *workplace, accounts *auth.Auth, _ []string) error {
	user, err := cmd.Flags().GetString("user")
	if err != nil {
		return err
	}
	if user != "" {
		if err := w.mustExist(accounts, user); err != nil {
			return err
		}
	}
	tokens, err := accounts.Tokens(cmd.Context(), user)
	if err != nil {
		return err
	}
	entries := make([]tokenEntry, len(tokens))
	for i, t := range tokens {
		entries[i] = tokenEntry{t.Key, t.Name, t.User, t.Service, t.Groups, t.ReadOnly, t.CIDR, t.Packages, t.Created, t.Expires}
	}
	return printList(cmd, entries, "KEY\tOWNER\tNAME\tLIMITS\tCREATED\tEXPIRES", func(out io.Writer, e tokenEntry) {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", e.Key[:min(shownKey, len(e.Key))],
			shown(owner(e.User, e.Service)), shown(e.Name), shown(e.limits()), day(e.Created, "-"), day(e.Expires, "never"))
	})
}

// owner names whose a token is, as the audit log does.
func owner(user, service string) string {
	if service != "" {
		return "service:" + service
	}
	return user
}

// limits says what a token may not do, and for a service what it may.
func (e tokenEntry) limits() string {
	var limits []string
	if e.ReadOnly {
		limits = append(limits, "read-only")
	}
	for _, prefix := range e.CIDR {
		limits = append(limits, prefix.String())
	}
	limits = append(limits, e.Packages...)
	for _, group := range e.Groups {
		limits = append(limits, "group:"+group)
	}
	return strings.Join(limits, ",")
}

func revokeToken(cmd *cobra.Command, w *workplace, accounts *auth.Auth, args []string) error {
	t, err := findToken(cmd, accounts, args[0])
	if err != nil {
		return err
	}
	err = accounts.RevokeToken(cmd.Context(), t)
	if err := w.record(auth.Event{Action: "token.revoke", Subject: describeToken(t)}, err); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.ErrOrStderr(), "Revoked the token %s.\n", describeToken(t))
	return err
}

// findToken finds the token that a key's beginning, or the secret itself on
// standard input, stands for. A secret is never an argument: other processes
// see those.
func findToken(cmd *cobra.Command, accounts *auth.Auth, key string) (auth.Token, error) {
	if key == "-" {
		secret, err := readLine(cmd.InOrStdin())
		if err != nil {
			return auth.Token{}, fmt.Errorf("read the token from standard input: %w", err)
		}
		t, err := accounts.TokenOf(cmd.Context(), secret)
		if errors.Is(err, fs.ErrNotExist) {
			return t, errors.New("there is no such token")
		}
		return t, err
	}
	tokens, err := accounts.Tokens(cmd.Context(), "")
	if err != nil {
		return auth.Token{}, err
	}
	key = strings.ToLower(key)
	tokens = slices.DeleteFunc(tokens, func(t auth.Token) bool { return key == "" || !strings.HasPrefix(t.Key, key) })
	switch len(tokens) {
	case 0:
		return auth.Token{}, fmt.Errorf("no token has a key that begins with %.80q; see \"larder token ls\"", key)
	case 1:
		return tokens[0], nil
	}
	var which strings.Builder
	for _, t := range tokens {
		fmt.Fprintf(&which, "\n  %s", describeToken(t))
	}
	return auth.Token{}, fmt.Errorf("%d tokens have keys that begin with %s:%s", len(tokens), key, &which)
}

// describeToken names a token for people, and for the audit log.
func describeToken(t auth.Token) string {
	return fmt.Sprintf("%s of %s (key %s)", shown(t.Name), shown(owner(t.User, t.Service)), t.Key[:min(shownKey, len(t.Key))])
}
