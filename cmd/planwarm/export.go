package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/apollo"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/warmer"
	"github.com/spf13/cobra"
)

// The formats of planwarm export.
const (
	formatPlanwarm = "planwarm"
	formatApollo   = "apollo-persisted-queries"
	formatCosmo    = "cosmo"
)

var exportFormats = []string{formatApollo, formatPlanwarm, formatCosmo}

// exportFlags are the command line of planwarm export.
type exportFlags struct {
	bucketFlags
	manifest, format, out string
	schema, verifyKey     string
}

func newExportCmd(c *cli) *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export [graph]",
		Short: "Write the published manifest as another tool's file",
		Long: `Write the manifest that is in force, or the one in --manifest, in one of these
formats:

  apollo-persisted-queries  a local persisted-query manifest, from which an
                            Apollo Router can warm itself at its start; documents
                            with several operations are left out, and texts that
                            clients send with literals
  planwarm                  the manifest as it is, with its signature
  cosmo                     operations.json as the CDN of a Cosmo Router has it:
                            each set of values of @skip and @include is an
                            operation of its own, for which the schema is needed,
                            that of --schema or of the configured graph

What is left out is told. A file is replaced in one step.`,
		Example: `  planwarm export storefront --format apollo-persisted-queries -o persisted.json
  planwarm export storefront -n default --format cosmo -o operations.json --json
  planwarm export --manifest manifest.json --schema supergraph.graphql --format cosmo`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeGraph,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(args, c.json); err != nil {
				return err
			}
			if f.manifest != "" {
				return c.exportFile(f)
			}
			return c.withGraph(cmd.Context(), f.bucketFlags, args[0], reading, func(ctx context.Context, d *desk) error {
				return c.exportGraph(ctx, f, d)
			})
		},
	}
	f.addWriting(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.manifest, "manifest", "", "export the manifest in this file, - for standard input, instead of a graph's")
	fl.StringVar(&f.format, "format", "", strings.Join(exportFormats, ", "))
	fl.StringVarP(&f.out, "output", "o", "", "file to write (default: standard output)")
	fl.StringVar(&f.schema, "schema", "", "resolve conditions with the schema in this file (default: that of the configured graph)")
	fl.StringVar(&f.verifyKey, "verify-key", "", "check the signature with the Ed25519 public key in this PEM file")
	return cmd
}

// check finds faults of the command line before anything is read.
func (f *exportFlags) check(args []string, json bool) error {
	var errs []error
	if !slices.Contains(exportFormats, f.format) {
		errs = append(errs, fmt.Errorf("--format %q is none of %s", f.format, strings.Join(exportFormats, ", ")))
	}
	if (len(args) == 0) == (f.manifest == "") {
		errs = append(errs, errors.New("name a graph, or a file with --manifest, and not both"))
	}
	if json && f.out == "" {
		errs = append(errs, errors.New("--json prints the summary to standard output: give a file for the export with -o"))
	}
	return withCode(exitUsage, errors.Join(errs...))
}

func (c *cli) exportFile(f exportFlags) error {
	m, err := c.readManifest(f.manifest)
	if err != nil {
		return err
	}
	if _, err := signatureText(m, f.verifyKey); err != nil {
		return err
	}
	var sc *schema.Schema
	if f.format == formatCosmo && f.schema != "" {
		if sc, err = readSchemaFile(f.schema); err != nil {
			return err
		}
	}
	return c.export(f, m, sc)
}

func (c *cli) exportGraph(ctx context.Context, f exportFlags, d *desk) error {
	m, _, ok, err := d.fetch(ctx)
	switch {
	case err != nil:
		return err
	case !ok:
		return withCode(exitNotFound, fmt.Errorf("%s: nothing was published yet", d.graph))
	}
	key := f.verifyKey
	if key == "" && d.configured != nil {
		key = d.configured.Manifest.VerifyKeyFile
	}
	if _, err := signatureText(m, key); err != nil {
		return err
	}
	r := &rules{}
	if f.format == formatCosmo {
		if r, err = loadRules(ctx, d.configured, f.schema); err != nil {
			return err
		}
	}
	return c.export(f, m, r.schema)
}

// exported says what planwarm export wrote.
type exported struct {
	Graph    manifest.Graph `json:"graph"`
	Sequence uint64         `json:"sequence"`
	Format   string         `json:"format"`
	File     string         `json:"file"`
	Written  int            `json:"written"` // operations in the file
	LeftOut  int            `json:"leftOut"` // those that the format cannot have
	Reason   string         `json:"reason,omitempty"`
	Bytes    int            `json:"bytes"`
}

// export renders all of m before anything is written. sc may be nil.
func (c *cli) export(f exportFlags, m manifest.Manifest, sc *schema.Schema) error {
	e := exported{Graph: m.Graph, Sequence: m.Sequence, Format: f.format, File: f.out}
	body, err := e.render(m, sc)
	if errors.Is(err, planner.ErrInvalid) {
		err = withCode(exitRefused, err)
	}
	if err != nil {
		return fmt.Errorf("export %s: %w", m.Graph, err)
	}
	e.Bytes = len(body)
	if f.out == "" {
		_, err = c.stdout.Write(body)
	} else {
		err = replaceFile(f.out, body)
	}
	if err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	if c.json {
		return c.printJSON(e)
	}
	if e.LeftOut > 0 {
		c.warn("%s left out: %s", some(e.LeftOut, "operation"), e.Reason)
	}
	if f.out == "" {
		return nil // standard output has the export
	}
	return c.say(f.bucketFlags, "%s: version %d, %s written to %s", m.Graph, m.Sequence, some(e.Written, "operation"), f.out)
}

// render is m in the format of e, which is told what became of its operations.
func (e *exported) render(m manifest.Manifest, sc *schema.Schema) (body []byte, err error) {
	switch e.Format {
	case formatApollo:
		var b bytes.Buffer
		if e.Written, e.LeftOut, err = apollo.WritePersistedQueries(&b, m.Operations); err != nil {
			return nil, err
		}
		if e.LeftOut > 0 {
			e.Reason = "their documents have several operations, none of which the router can plan from this file, or literals, without which no client sends them"
		}
		return b.Bytes(), nil
	case formatCosmo:
		m.Operations, e.LeftOut = warmer.Unconditional(m.Operations, sc)
		m.Signature = nil // it was of the manifest before
		switch {
		case e.LeftOut > 0 && sc == nil:
			e.Reason = "their @skip and @include cannot be resolved without a schema (--schema), or they are for a header profile"
		case e.LeftOut > 0:
			e.Reason = "the schema does not resolve their @skip and @include, or they are for a header profile"
		}
	}
	e.Written = len(m.Operations)
	return manifest.Encode(m)
}

// replaceFile writes a file for others to read, in one step: a router that
// starts meanwhile must not find half of it.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
