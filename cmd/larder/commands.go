package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func rootCommand(environ []string) *cobra.Command {
	info := readBuild()
	root := &cobra.Command{
		Use:           "larder",
		Short:         "A caching pull-through npm registry",
		Long:          "Larder is a caching pull-through npm registry: \"larder serve\" is a working server.",
		Version:       info.version,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate(info.String())
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		serveCommand(environ, info), configCommand(environ, info), userCommand(environ, info), tokenCommand(environ, info),
		hostedCommand(environ, info), cacheCommand(environ, info), offlineCommand(environ), versionCommand(info),
	)
	return root
}

func serveCommand(environ []string, info build) *cobra.Command {
	cmd := &cobra.Command{Use: "serve", Short: "Serve packages", Args: cobra.NoArgs}
	flags := addConfigFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := load(flags.sources(environ))
		if err != nil {
			return err
		}
		return failing(serve(cmd.Context(), s, info, cmd.ErrOrStderr()))
	}
	return cmd
}

func versionCommand(info build) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), info.String())
			return failing(err)
		},
	}
}

// family returns a command that only has others below it.
func family(name, short string, members ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(members...)
	return cmd
}

func configCommand(environ []string, info build) *cobra.Command {
	return family("config", "Check, print or begin a configuration",
		configCheckCommand(environ, info), configPrintCommand(environ), configInitCommand())
}

func configCheckCommand(environ []string, info build) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Print all that is wrong with a configuration, or \"ok\"",
		Long:  "Print all that is wrong with what \"serve\" would make of the same file, environment and flags, or \"ok\".",
		Args:  cobra.MaximumNArgs(1),
	}
	flags := addConfigFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			flags.file = args[0]
		}
		s, err := load(flags.sources(environ))
		if err != nil {
			return err
		}
		for _, name := range s.strays {
			fmt.Fprintln(cmd.ErrOrStderr(), "warning: no setting:", name)
		}
		for _, w := range append(s.warnings(), s.hostedWarnings(cmd.Context(), info)...) {
			fmt.Fprintln(cmd.ErrOrStderr(), "warning:", w)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "ok")
		return failing(err)
	}
	return cmd
}

func configPrintCommand(environ []string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Print the configuration in effect, and where each value comes from",
		Args:  cobra.NoArgs,
	}
	flags := addConfigFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := load(flags.sources(environ))
		if err != nil {
			return err
		}
		return failing(printConfig(cmd.OutOrStdout(), s))
	}
	return cmd
}

func configInitCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a commented example to FILE, which must not exist, or to standard output",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				_, err := cmd.OutOrStdout().Write(exampleConfig())
				return failing(err)
			}
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if err != nil {
				return failing(err)
			}
			_, err = f.Write(exampleConfig())
			if closeErr := f.Close(); err == nil {
				err = closeErr
			}
			return failing(err)
		},
	}
}

// configFlags are the flags of the commands that read a configuration.
type configFlags struct {
	file string
	set  *pflag.FlagSet
}

// flagPaths tells which key each flag sets.
var flagPaths = map[string]string{
	"listen":     "listen",
	"data":       "data",
	"upstream":   "upstreams",
	"public-url": "public_url",
	"offline":    "offline",
	"log-format": "log.format",
	"log-level":  "log.level",
}

func addConfigFlags(set *pflag.FlagSet) *configFlags {
	d := defaults()
	flags := addDataFlags(set)
	set.StringArray("listen", d.Listen, "`ADDRESS` to listen on, host:port (repeatable)")
	set.String("upstream", defaultUpstream, "`URL` of the one registry to fetch from")
	set.String("public-url", d.PublicURL, "`URL` that clients use, with its prefix (default: from each request)")
	set.Bool("offline", d.Offline, "never ask upstream (\"larder offline\" switches a running server)")
	set.String("log-format", d.Log.Format, "`FORMAT` of the log: text or json")
	set.String("log-level", d.Log.Level, "`LEVEL` of the log: debug, info, warn or error")
	return flags
}

// addDataFlags adds the flags that tell where the data directory is.
func addDataFlags(set *pflag.FlagSet) *configFlags {
	flags := &configFlags{set: set}
	set.SortFlags = false
	set.StringVar(&flags.file, "config", "", "configuration `FILE` (begin with \"larder config init\")")
	set.String("data", defaults().Data, "`DIR` for everything that is stored")
	return flags
}

// sources returns the sources that the parsed flags and environ make up.
func (c *configFlags) sources(environ []string) sources {
	src := sources{file: c.file, environ: environ}
	c.set.Visit(func(f *pflag.Flag) {
		path, ok := flagPaths[f.Name]
		if !ok {
			return
		}
		values := []string{f.Value.String()}
		if repeated, ok := f.Value.(pflag.SliceValue); ok {
			values = repeated.GetSlice()
		}
		src.flags = append(src.flags, flagValue{name: "--" + f.Name, path: path, values: values})
	})
	return src
}
