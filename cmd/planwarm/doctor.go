package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/cmd/planwarm/doctor"
	"github.com/planwarm/planwarm/schema"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// doctorFlags say what is examined.
type doctorFlags struct {
	namespace string
	router    string
	file      string
	kind      string
	remote    remoteFlags
}

func newDoctorCmd(c *cli) *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor [graph]",
		Short: "Say what a router or the sidecar lacks, with the lines to add",
		Long: `Look at the router's own configuration file, at a running router, and at the
sidecar that runs with this configuration, and say in plain words what is missing
for telemetry, plan-only requests, hit signals and reload signs.

The file is a Cosmo Router's, Apollo Router's or Hive Router's YAML, the source of
a Hive Gateway or Apollo Gateway, or a grafbase.toml. It is only read, and of what
is in it nothing but keys is printed. What the router is given by environment
variables is not seen, unless they are set here too.

A running router is sent its canary, which a router that ignores the plan-only
header executes: at most one for each router, and the output says so. Nothing
else is executed. Routers of the configuration are asked when neither --router
nor --router-config is given.

The exit code is 1 when there is an error among the findings, 0 for warnings.`,
		Example: `  planwarm doctor storefront --router-config config.yaml
  planwarm doctor --router http://127.0.0.1:3002/graphql
  planwarm doctor --json | jq '.checks[] | select(.ok | not)'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.doctor(cmd.Context(), f, args)
		},
	}
	cmd.Flags().StringVarP(&f.namespace, "namespace", "n", "default", "namespace of the graph")
	cmd.Flags().StringVar(&f.router, "router", "", "GraphQL endpoint of a running router")
	cmd.Flags().StringVar(&f.file, "router-config", "", "the router's own configuration file")
	cmd.Flags().StringVar(&f.kind, "kind", "", "cosmo, apollo, hive-router, hive-gateway, apollo-gateway or grafbase (default: told from the file or the configuration)")
	f.remote.add(cmd)
	return cmd
}

// examination is what is examined, and what it comes to.
type examination struct {
	input    doctor.Input
	config   config.Config
	subject  doctor.Subject // of the file
	routers  []config.Router
	canaries int
	executed int
	notes    []string
}

func (c *cli) doctor(ctx context.Context, f doctorFlags, args []string) error {
	e, err := c.examination(f, args)
	if err != nil {
		return err
	}
	findings := []doctor.Finding{}
	types := loadedOnce(ctx, e.input.Graph.Schema)
	e.countFlags(types)
	if e.input.Router != nil {
		findings = append(findings, doctor.Run(&e.input, e.subject)...)
	}
	for _, r := range e.routers {
		e.examineRouter(ctx, r, types)
		if e.input.Live != nil {
			findings = append(findings, doctor.Run(&e.input, doctor.LiveRouter)...)
		}
	}
	if err := c.examineSidecar(ctx, e, f.remote); err != nil {
		return err
	}
	if e.input.Sidecar != nil {
		findings = append(findings, doctor.Run(&e.input, doctor.LiveSidecar)...)
	}
	if len(findings) == 0 {
		for _, n := range e.notes {
			fmt.Fprintln(c.stderr, "planwarm:", n)
		}
		return withCode(exitUsage, errors.New("nothing to examine: give --router-config FILE or --router URL, or a configuration with routers"))
	}
	if c.json {
		err = c.printJSON(map[string]any{"checks": findings, "canaries": map[string]int{"sent": e.canaries, "executed": e.executed}, "notes": e.notes})
	} else {
		err = c.printFindings(e, f, findings)
	}
	if err == nil && doctor.Worst(findings) == doctor.Error {
		return &silentError{code: exitFailed}
	}
	return err
}

// examination reads both configurations. Faults of either are of the command
// line; a graph that is not there is not found, as everywhere.
func (c *cli) examination(f doctorFlags, args []string) (*examination, error) {
	e := &examination{notes: []string{}}
	var err error
	if e.config, err = c.config(); err != nil {
		return nil, err
	}
	given := c.configPath != "" || exists(defaultConfigPath)
	e.input.Graph = config.DefaultGraph()
	if given {
		e.input.Planwarm = &e.config
	}
	switch {
	case given && (len(args) > 0 || len(e.config.Graphs) > 0):
		if e.input.Graph, err = pickGraph(e.config, f.namespace, args); err != nil {
			return nil, err
		}
	case len(args) > 0:
		e.input.Graph.Name = args[0]
	}
	kind := config.RouterKind(f.kind)
	if f.kind != "" && doctor.SubjectOf(kind) == "" {
		return nil, withCode(exitUsage, errors.New("--kind is none of cosmo, apollo, hive-router, hive-gateway, apollo-gateway, grafbase"))
	}
	if f.file != "" {
		if e.input.Router, err = readRouterConfig(f.file); err != nil {
			return nil, withCode(exitUsage, fmt.Errorf("read %s: %w", f.file, err))
		}
		e.subject = doctor.SubjectOf(kind)
		if e.subject == "" {
			if e.subject, err = doctor.Detect(e.input.Router); err != nil {
				return nil, withCode(exitUsage, fmt.Errorf("read %s: %w", f.file, err))
			}
		}
		kind = e.subject.Kind()
	}
	e.input.Target = target(e.input.Graph, f.router, kind)
	switch {
	case f.router != "":
		e.routers = []config.Router{e.input.Target}
	case f.file == "":
		e.routers = e.input.Graph.Routers
	}
	return e, nil
}

// countFlags reads how many feature flags a Cosmo Router has. A file that cannot
// be read says nothing: planwarm validate is for that.
func (e *examination) countFlags(types schemaSource) {
	if e.subject != doctor.Cosmo || e.input.Graph.Schema.File == "" {
		return
	}
	if sc, err := types(); err == nil && sc.Kind() == schema.KindCosmo {
		flags := sc.FeatureFlags()
		e.input.Flags = &flags
	}
}

func readRouterConfig(path string) (*doctor.Document, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err) // the path is said by the caller
	}
	defer func() { _ = file.Close() }() // it was only read
	if doctor.IsSource(path) {
		return doctor.ReadSource(file)
	}
	return doctor.Read(file, os.LookupEnv)
}

// target is the configured router with this URL, or the first of this kind, or
// one with the defaults of the kind.
func target(g config.Graph, url string, kind config.RouterKind) config.Router {
	var first *config.Router
	for i, r := range g.Routers {
		if kind != "" && r.Kind != kind {
			continue
		}
		if r.URL == url {
			return r
		}
		if first == nil {
			first = &g.Routers[i]
		}
	}
	var r config.Router
	switch {
	case first != nil && url == "":
		return *first
	case first != nil:
		// Another replica, then. Its pages are elsewhere, and a token that was
		// meant for one address is not sent to another.
		r = *first
		r.ReadyURL, r.MetricsURL, r.TokenFile = "", "", ""
	case kind == "":
		r = config.DefaultRouter()
	default:
		// The defaults of a kind are put in where a router is decoded.
		if err := yaml.Unmarshal([]byte("kind: "+string(kind)), &r); err != nil {
			r = config.Router{Kind: kind}
		}
	}
	r.URL = url
	return r
}
