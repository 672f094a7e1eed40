package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"github.com/spf13/cobra"
)

type validateFlags struct {
	namespace, graph  string
	schema, verifyKey string
	quiet             bool
}

func newValidateCmd(c *cli) *cobra.Command {
	var f validateFlags
	cmd := &cobra.Command{
		Use:   "validate [file|folder|-]...",
		Short: "Check manifests, pins, GraphQL documents or the configuration",
		Long: `Check files and tell every fault; the exit code is 5 when there is one. What a
file is tells its content: a manifest or pins of planwarm, the operations.json
of Cosmo, GraphQL documents, or (*.yaml) a configuration. Documents are checked
against --schema, or the schema of a configured graph: that of --graph, or the
only one there is. Without files the configuration is checked.`,
		Example: `  planwarm validate manifest.json --verify-key key.pub
  planwarm validate operations/ --schema supergraph.graphql
  planwarm validate --config planwarm.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error { return c.validate(cmd.Context(), f, args) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.namespace, "namespace", "n", defaultNamespace, "namespace of --graph")
	fl.StringVar(&f.graph, "graph", "", "check documents against the schema of this configured graph")
	fl.StringVar(&f.schema, "schema", "", "check documents against the schema in this file")
	fl.StringVar(&f.verifyKey, "verify-key", "", "check signatures of manifests with the Ed25519 public key in this PEM file")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "say nothing of files without a fault")
	return cmd
}

// checked is what came of one file.
type checked struct {
	File    string  `json:"file"`
	Kind    string  `json:"kind"`
	Valid   bool    `json:"valid"`
	Summary string  `json:"summary,omitempty"`
	Faults  []fault `json:"faults,omitempty"`
}

// validator checks files of every kind. The schema is loaded when the first
// document needs it.
type validator struct {
	cli   *cli
	flags validateFlags
	rules *rules
}

func (c *cli) validate(ctx context.Context, f validateFlags, paths []string) error {
	if len(paths) == 0 {
		path := or(c.configPath, defaultConfigPath)
		if !exists(path) {
			return withCode(exitUsage, fmt.Errorf("nothing to validate: name files, or a configuration with --config (%s is not here)", defaultConfigPath))
		}
		paths = []string{path}
	}
	v := &validator{cli: c, flags: f}
	var faults []error
	results := []checked{}
	for _, path := range paths {
		kind, summary, err := v.check(ctx, path)
		var coded *codeError
		if errors.As(err, &coded) && coded.code != exitRefused || errors.Is(err, context.Canceled) {
			return fmt.Errorf("validate %s: %w", path, err)
		}
		r := checked{File: path, Kind: kind, Valid: err == nil, Summary: summary}
		if err != nil {
			r.Faults = faultsOf(err)
			faults = append(faults, labelled(path, kind, err))
		} else if !f.quiet && !c.json {
			if err := c.line("%s: valid %s%s", printable(path), kind, printable(summary)); err != nil {
				return err
			}
		}
		results = append(results, r)
	}
	if c.json {
		if err := c.printJSON(results); err != nil {
			return err
		}
	}
	if len(faults) > 0 {
		return withCode(exitRefused, fmt.Errorf("not valid:\n%w", errors.Join(faults...)))
	}
	return nil
}

// Kinds of files. Those of operations name their file in each fault.
const (
	kindDocument = "GraphQL document"
	kindList     = "operation list"
	kindManifest = "manifest"
	kindPins     = "pins"
	kindConfig   = "configuration"
	kindFile     = "file"
)

// labelled puts the file before its faults, unless each of them names it.
func labelled(path, kind string, err error) error {
	if kind == kindDocument || kind == kindList {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// check finds out what a file is and checks it.
func (v *validator) check(ctx context.Context, path string) (kind, summary string, err error) {
	if ext := strings.ToLower(filepath.Ext(path)); ext == ".yaml" || ext == ".yml" {
		summary, err = checkConfig(path)
		return kindConfig, summary, err
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		summary, err = v.operations(ctx, path, nil)
		return kindDocument, summary, err
	}
	data, err := v.cli.readFile(path)
	if err != nil {
		return kindFile, "", err
	}
	if !isJSON(path, data) {
		summary, err = v.operations(ctx, path, data)
		return kindDocument, summary, err
	}
	var head struct {
		Format *string `json:"format"`
	}
	if json.Unmarshal(data, &head) != nil || head.Format == nil {
		summary, err = v.operations(ctx, path, data)
		return kindList, summary, err
	}
	if *head.Format == manifest.PinsFormat {
		summary, err = checkPins(data)
		return kindPins, summary, err
	}
	summary, err = v.manifest(data)
	return kindManifest, summary, err
}

func checkConfig(path string) (string, error) {
	c, err := config.Load(path)
	var faults config.Faults
	switch {
	case errors.As(err, &faults):
		return "", withCode(exitRefused, faults)
	case err != nil:
		return "", notThere(err)
	}
	return ": " + some(len(c.Graphs), "graph"), nil
}

func checkPins(data []byte) (string, error) {
	p, err := manifest.DecodePinsBytes(data)
	if err != nil {
		return "", withCode(exitRefused, err)
	}
	return fmt.Sprintf(" of %s: %d pushed, %d denied", p.Graph, len(p.Pins), len(p.Deny)), nil
}

func (v *validator) manifest(data []byte) (string, error) {
	m, err := manifest.DecodeBytes(data)
	if err != nil {
		return "", withCode(exitRefused, err)
	}
	signature, err := signatureText(m, v.flags.verifyKey)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(" of %s: version %d, %s, signature %s", m.Graph, m.Sequence, some(len(m.Operations), "operation"), signature), nil
}

// operations checks documents: a folder, or the content of a file.
func (v *validator) operations(ctx context.Context, path string, data []byte) (string, error) {
	if v.rules == nil {
		r, err := v.load(ctx)
		if err != nil {
			return "", err
		}
		v.rules = r
	}
	in := operationReader{}
	switch {
	case data == nil:
		in.read([]string{path})
	case path == stdinName:
		in.load(stdinLabel, bytes.NewReader(data), true)
	default:
		in.load(path, bytes.NewReader(data), true)
	}
	pins, err := in.pins(v.rules, manifest.Pin{})
	if err == nil {
		err = in.refusals()
	}
	if err != nil {
		return "", withCode(exitRefused, err)
	}
	return fmt.Sprintf(": %s (checked: %s)", some(len(pins), "operation"), v.rules), nil
}

func (v *validator) load(ctx context.Context) (*rules, error) {
	if v.flags.schema != "" {
		return asFailure(loadRules(ctx, nil, v.flags.schema))
	}
	cfg, err := v.cli.config()
	if err != nil {
		return nil, err
	}
	if v.flags.graph != "" {
		g := configuredGraph(cfg, manifest.Graph{Namespace: v.flags.namespace, Name: v.flags.graph})
		if g == nil {
			return nil, withCode(exitNotFound, fmt.Errorf("graph %s/%s is not configured", v.flags.namespace, v.flags.graph))
		}
		return asFailure(loadRules(ctx, g, ""))
	}
	if len(cfg.Graphs) == 1 {
		return asFailure(loadRules(ctx, &cfg.Graphs[0], ""))
	}
	return &rules{}, nil
}

// asFailure tells a schema that cannot be loaded from a fault of what is checked.
func asFailure(r *rules, err error) (*rules, error) { return r, withCode(exitFailed, err) }
