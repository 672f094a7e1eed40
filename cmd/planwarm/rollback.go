package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/manifest"
	"github.com/spf13/cobra"
)

func newRollbackCmd(c *cli) *cobra.Command {
	var f bucketFlags
	cmd := &cobra.Command{
		Use:   "rollback <graph> <version>",
		Short: "Publish an older version again and hold it",
		Long: `Publish the operations of an older version as a new one, and hold the graph
there: no recompute replaces it until planwarm hold --off lifts that. Pushes are
kept, and come into force then.`,
		Example: `  planwarm history storefront
  planwarm rollback storefront 41`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: c.completeGraph,
		RunE: func(cmd *cobra.Command, args []string) error {
			sequence, err := parseSequence(args[1])
			if err != nil {
				return err
			}
			return c.withGraph(cmd.Context(), f, args[0], writing, func(ctx context.Context, d *desk) error {
				return c.rollback(ctx, f, d, sequence)
			})
		},
	}
	f.addWriting(cmd)
	return cmd
}

func (c *cli) rollback(ctx context.Context, f bucketFlags, d *desk, sequence uint64) error {
	if err := d.known(ctx); err != nil {
		return err
	}
	m, err := d.store.Rollback(ctx, d.graph, sequence)
	if errors.Is(err, cdnsource.ErrNotFound) {
		return withCode(exitNotFound, fmt.Errorf("%s has no version %d, or it is no longer kept: %w", d.graph, sequence, err))
	}
	if err != nil {
		return err
	}
	if err := d.copyToCosmo(ctx, m); err != nil {
		return fmt.Errorf("version %d is in force, but not copied to the path of the router's cdn: %w", m.Sequence, err)
	}
	if c.json {
		return c.printJSON(struct {
			Graph      manifest.Graph `json:"graph"`
			From       uint64         `json:"from"`
			Sequence   uint64         `json:"sequence"`
			Operations int            `json:"operations"`
			Hold       bool           `json:"hold"`
		}{d.graph, sequence, m.Sequence, len(m.Operations), true})
	}
	return c.say(f, "%s: version %d, with the %s of version %d, is in force and held: no recompute replaces it until planwarm hold %s -n %s --off",
		d.graph, m.Sequence, some(len(m.Operations), "operation"), sequence, d.graph.Name, d.graph.Namespace)
}

// copyToCosmo renews the copy for routers that read the bucket themselves: a
// recompute, which does so otherwise, is on hold now.
func (d *desk) copyToCosmo(ctx context.Context, m manifest.Manifest) error {
	if d.configured == nil || d.configured.Cosmo.OrganizationID == "" {
		return nil
	}
	return d.store.CopyTo(ctx, d.configured.Cosmo.OrganizationID, d.configured.Cosmo.FederatedGraphID, m)
}
