package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/telemetry"
	"github.com/planwarm/planwarm/warmer"
	"github.com/spf13/cobra"
)

// buildFlags are the command line of planwarm build.
type buildFlags struct {
	otlp, usage, operations []string
	schema, out, now        string
	graph                   manifest.Graph
	window                  time.Duration
	settings                manifest.Settings
	rank                    string
}

func newBuildCmd(c *cli) *cobra.Command {
	f := buildFlags{settings: manifest.DefaultSettings()}
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build a manifest from files, with no server",
		Long: `Build a manifest from captured telemetry and GraphQL documents, as the sidecar
would build it from the same requests. Each of the three kinds of input may be
given several times, as a file, a folder, or a pattern in quotes.

Telemetry is taken as captured: protobuf or JSON, gzipped or not. OTLP bodies
arrive at the newest time that they tell, and the newest of all is now. Bodies
of one folder are those of one exporter: put what several readers of a router
exported into several folders, or its requests count several times. Schema
usage (graphqlmetrics) tells no time and arrives now; of equal bodies one counts.

Operations are GraphQL documents or manifests. They stand at the top, in the
order given, as if they had been pushed, and tell the text of what telemetry
knows by its hash only.`,
		Example: `  planwarm build --schema supergraph.graphql --otlp traces/ --graphqlmetrics usage.pb -o manifest.json
  planwarm build --schema schema.graphql --otlp metrics.json.gz --operations operations/ --max 200 --rank saved`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unexpected argument %q: give the flag once for each file, a folder, or a pattern in quotes", args[0])
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error { return c.build(f) },
	}
	f.add(cmd)
	return cmd
}

func (f *buildFlags) add(cmd *cobra.Command) {
	fs, s := cmd.Flags(), &f.settings
	fs.StringArrayVar(&f.otlp, "otlp", nil, "OTLP traces or metrics, a file, folder or pattern; repeats")
	fs.StringArrayVar(&f.usage, "graphqlmetrics", nil, "schema usage of a Cosmo router, a file, folder or pattern; repeats")
	fs.StringArrayVar(&f.operations, "operations", nil, "GraphQL documents or manifests, a file, folder or pattern; repeats")
	fs.StringVar(&f.schema, "schema", "", "SDL, supergraph, or Cosmo execution config")
	fs.StringVarP(&f.out, "output", "o", "", "file to write (default: standard output)")
	fs.StringVarP(&f.graph.Namespace, "namespace", "n", "default", "namespace of the graph")
	fs.StringVar(&f.graph.Name, "graph", "graph", "name of the graph")
	fs.StringVar(&f.now, "now", "", "end of the window, in RFC 3339 (default: the newest time in the input)")
	fs.DurationVar(&f.window, "window", telemetry.DefaultWindow, "how far back telemetry counts")
	fs.StringVar(&f.rank, "rank", string(s.Rank), "order of what telemetry saw: p90, saved, budget")
	fs.IntVar(&s.MaxOperations, "max", s.MaxOperations, "operations in the manifest")
	fs.Float64Var(&s.ManualShare, "manual-share", s.ManualShare, "share that --operations may take")
	fs.DurationVar(&s.Horizon, "horizon", s.Horizon, "rank saved: how long after a reload a cold plan hurts")
	fs.DurationVar(&s.Budget, "budget", s.Budget, "rank budget: planning time of all operations")
	fs.DurationVar(&s.MinPlanningTime, "min-planning-time", s.MinPlanningTime, "least P90 planning time")
	fs.DurationVar(&s.MaxPlanningTime, "max-planning-time", s.MaxPlanningTime, "greatest P90 planning time, 0 for none")
	fs.Uint64Var(&s.MinExecutions, "min-executions", s.MinExecutions, "least executions in the window")
	fs.Float64Var(&s.MaxSharePerClient, "max-share-per-client", s.MaxSharePerClient, "share of telemetry's slots that one client may take")
}

// check finds faults of the command line before any file is read.
func (f *buildFlags) check(json bool) error {
	f.settings.Rank = manifest.Rank(f.rank)
	var errs []error
	if f.schema == "" {
		errs = append(errs, errors.New("--schema is required"))
	}
	if len(f.otlp)+len(f.usage)+len(f.operations) == 0 {
		errs = append(errs, errors.New("nothing to build from: give --otlp, --graphqlmetrics or --operations"))
	}
	if json && f.out == "" {
		errs = append(errs, errors.New("--json prints the summary to standard output: give a file for the manifest with -o"))
	}
	if f.window < time.Hour || f.window > 31*24*time.Hour {
		errs = append(errs, fmt.Errorf("--window %s: not from 1h to 744h", f.window))
	}
	if f.now != "" {
		if _, err := time.Parse(time.RFC3339, f.now); err != nil {
			errs = append(errs, fmt.Errorf("--now %s: not a time such as 2026-01-02T15:04:05Z", f.now))
		}
	}
	return withCode(exitUsage, errors.Join(append(errs, f.settings.Validate())...))
}

// build reads everything, builds, writes, and tells.
func (c *cli) build(f buildFlags) error {
	if err := f.check(c.json); err != nil {
		return err
	}
	sc, err := readSchemaFile(f.schema)
	if err != nil {
		return err
	}
	in, err := readBuildInput(&f)
	if err != nil {
		return err
	}
	canon := &canonicaliser{}
	canon.use(sc)
	table, err := in.fill(canon, f.window)
	if err != nil {
		return err
	}
	engineKeyer, err := canon.state.Load().keyer()
	if err != nil {
		return fmt.Errorf("build manifest: %w", err)
	}
	cs := warmer.NewCandidates(sc, keyer{engineKeyer})
	cs.AddPins(in.pins)
	cs.AddUsages(telemetry.Combine(in.now, f.window, cs.Key, table))
	result, err := manifest.Build(manifest.Input{
		Graph: f.graph, Schema: sc.ID(), Window: f.window, Settings: f.settings, Candidates: cs.List(), Now: in.now,
	})
	if err != nil {
		return err
	}
	body, err := manifest.Encode(result.Manifest)
	if err != nil {
		return err
	}
	if f.out == "" {
		_, err = c.stdout.Write(body)
	} else {
		err = os.WriteFile(f.out, body, 0o644)
	}
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return c.printBuild(newBuildSummary(in, result))
}
