package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// cli is what every command is given.
type cli struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	started        bool // a command's own code has begun: flags and arguments were right
	printed        bool // a JSON document was written

	configPath string
	json       bool
}

func newRootCmd(c *cli) *cobra.Command {
	root := &cobra.Command{
		Use:   "planwarm",
		Short: "Keep a GraphQL router's query-plan cache warm",
		Long: `planwarm runs beside a federation router. It learns from the router's telemetry
which operations are slow to plan, keeps them and the operations that people push
in a manifest in S3-compatible storage, and gets every plan into the router
before users ask for it.`,
		Example: `  planwarm demo                                   see the whole job once
  planwarm run --config planwarm.yaml             run the sidecar
  planwarm push storefront -f checkout.graphql    keep an operation warm`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(*cobra.Command, []string) {
			c.started = true
		},
	}
	root.PersistentFlags().StringVarP(&c.configPath, "config", "c", "", "configuration file (default: planwarm.yaml when it is there)")
	root.PersistentFlags().BoolVar(&c.json, "json", false, "print one JSON document instead of text")
	root.SetIn(c.stdin)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	root.AddCommand(commands(c)...)
	makeStrict(root)
	return root
}

// makeStrict has the two commands that cobra brings refuse what they do not
// know, like all others: on their own they print help and succeed.
func makeStrict(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Args = func(_ *cobra.Command, args []string) error {
				found, rest, err := root.Find(args)
				if err == nil && len(rest) > 0 && found.HasSubCommands() {
					err = fmt.Errorf("unknown command %q for %q", rest[0], found.CommandPath())
				}
				return err
			}
		case "completion":
			// Without code of its own a command's arguments are not looked at.
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

// printJSON writes v as one indented document.
func (c *cli) printJSON(v any) error {
	c.printed = true
	enc := json.NewEncoder(c.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// terminal is standard error when that is a terminal: where progress is drawn.
func (c *cli) terminal() *os.File {
	if f, ok := c.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// config reads the configuration file; without one the defaults apply.
func (c *cli) config() (config.Config, error) {
	path := c.configPath
	if path == "" {
		if !exists(defaultConfigPath) {
			return config.Default(), nil
		}
		path = defaultConfigPath
	}
	cfg, err := config.Load(path)
	if err != nil { // of its content or of the file: what was given is wrong
		return cfg, withCode(exitUsage, err)
	}
	return cfg, nil
}

const defaultConfigPath = "planwarm.yaml"
