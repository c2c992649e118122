package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"larder/auth"
	"larder/npm"
)

// tokenFlags are what "token create" is told.
type tokenFlags struct {
	user, service, name, expires string
	readOnly                     bool
	cidr, packages, groups       []string
}

func tokenCreateCommand(environ []string, info build) *cobra.Command {
	var flags tokenFlags
	var request auth.TokenRequest
	cmd := &cobra.Command{
		Use:   "create (--user USER | --service NAME)",
		Short: "Make a token and print it, once",
		Long: "Make a token and print it, alone, on standard output. It is kept only as a hash and cannot be shown again.\n\n" +
			"A user's token may do what the user may. A service's belongs to no person: access rules know it as one of its groups.",
		Args: cobra.NoArgs,
		PreRunE: func(*cobra.Command, []string) (err error) {
			request, err = flags.request(time.Now())
			return err
		},
	}
	set := cmd.Flags()
	set.SortFlags = false
	set.StringVar(&flags.user, "user", "", "`USER` that the token acts for")
	set.StringVar(&flags.service, "service", "", "or `NAME` of a service, like a build server")
	set.StringVar(&flags.name, "name", "cli", "what the token is for, as lists show it")
	set.BoolVar(&flags.readOnly, "read-only", false, "it may install and nothing else")
	set.StringVar(&flags.expires, "expires", "", "`WHEN` it ends: 90d, 12h, 2027-01-31 or 2027-01-31T12:00:00Z (default never)")
	set.StringArrayVar(&flags.cidr, "cidr", nil, "address or `NETWORK` that it works from (repeatable; default any)")
	set.StringArrayVar(&flags.packages, "packages", nil, "`PATTERN` of names that it works for (repeatable; default all)")
	set.StringArrayVar(&flags.groups, "group", nil, "`GROUP` of the configuration that a service is in (repeatable)")
	return onAccounts(cmd, environ, info, func(cmd *cobra.Command, w *workplace, accounts *auth.Auth, _ []string) error {
		return createToken(cmd, w, accounts, request)
	})
}

// request translates the flags. Errors are ones of usage.
func (f tokenFlags) request(now time.Time) (auth.TokenRequest, error) {
	r := auth.TokenRequest{
		Name: f.name, User: f.user, Service: f.service, Groups: f.groups, ReadOnly: f.readOnly, Packages: f.packages,
	}
	switch {
	case (f.user == "") == (f.service == ""):
		return r, errors.New("say whose token it is: either --user or --service")
	case f.user != "" && len(f.groups) > 0:
		return r, errors.New("--group goes with --service; a user's groups are in the configuration")
	}
	if f.service != "" {
		if err := auth.CheckUserName(f.service); err != nil {
			return r, fmt.Errorf("--service: %s", npm.Message(err))
		}
	}
	for _, text := range f.cidr {
		prefix, err := parsePrefix(text)
		if err != nil {
			return r, fmt.Errorf("--cidr %w, not %q", err, text)
		}
		r.CIDR = append(r.CIDR, prefix)
	}
	for _, pattern := range f.packages {
		if err := npm.CheckPattern(pattern); err != nil {
			return r, fmt.Errorf("--packages: %s", npm.Message(err))
		}
	}
	var err error
	r.Expires, err = parseExpiry(f.expires, now)
	return r, err
}

const maxTokenDays = 100 * 366 // a slip of the finger beyond, and less than a time.Duration holds

// parseExpiry reads a number of days, a duration, a date (its first moment,
// UTC) or a moment. Nothing is the zero time: never.
func parseExpiry(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		moment, err = time.Parse(time.DateOnly, text)
	}
	if err != nil {
		var after time.Duration
		after, err = time.ParseDuration(text)
		if number, isDays := strings.CutSuffix(text, "d"); isDays {
			var days int
			if days, err = strconv.Atoi(number); err == nil && days <= maxTokenDays {
				after = time.Duration(days) * 24 * time.Hour
			} else {
				err = fmt.Errorf("more than %d days", maxTokenDays)
			}
		}
		moment = now.Add(after)
	}
	if err != nil || !moment.After(now) {
		return time.Time{}, fmt.Errorf("--expires must be in the future, like 90d, 12h, 2027-01-31 or 2027-01-31T12:00:00Z, not %q", text)
	}
	return moment.UTC(), nil
}

func createToken(cmd *cobra.Command, w *workplace, accounts *auth.Auth, r auth.TokenRequest) error {
	if r.User != "" {
		if err := w.mustExist(accounts, r.User); err != nil {
			return err
		}
	}
	secret, t, err := accounts.CreateToken(cmd.Context(), r)
	if err != nil {
		t = auth.Token{Name: r.Name, User: r.User, Service: r.Service}
	}
	if err := w.record(auth.Event{Action: "token.create", Subject: describeToken(t)}, err); err != nil {
		return err
	}
	lifetime := "never expires"
	if !t.Expires.IsZero() {
		lifetime = "expires at " + t.Expires.Format(time.RFC3339)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Made the token %s, which %s. It cannot be shown again:\n", describeToken(t), lifetime)
	_, err = fmt.Fprintln(cmd.OutOrStdout(), secret)
	return err
}
