package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

// listing gives a command the flag that printList obeys.
func listing(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Bool("json", false, "print a JSON array")
	return cmd
}

// printList prints entries as a table below head, or as JSON where --json was given.
// row prints one entry with tabs between its columns.
func printList[E any](cmd *cobra.Command, entries []E, head string, row func(io.Writer, E)) error {
	asJSON, err := cmd.Flags().GetBool("json")
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(entries)
	}
	if len(entries) == 0 {
		return nil
	}
	out := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, head)
	for _, e := range entries {
		row(out, e)
	}
	return out.Flush()
}

// shown returns what a client chose, a name or an address, fit for a terminal.
func shown(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
	return cmp.Or(s, "-")
}

// day prints a date, or otherwise where there is none.
func day(t time.Time, otherwise string) string {
	if t.IsZero() {
		return otherwise
	}
	return t.UTC().Format(time.DateOnly)
}

// groupsOf returns the groups that a user is in, sorted.
func groupsOf(groups map[string][]string, user string) []string {
	in := []string{}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		if slices.Contains(groups[name], user) {
			in = append(in, name)
		}
	}
	return in
}
