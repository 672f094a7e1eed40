package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/manifest"
	"github.com/spf13/cobra"
)

func newHoldCmd(c *cli) *cobra.Command {
	var f bucketFlags
	var off bool
	cmd := &cobra.Command{
		Use:   "hold <graph>",
		Short: "Keep a graph at the version in force, or lift that",
		Example: `  planwarm hold storefront
  planwarm hold storefront --off`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeGraph,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withGraph(cmd.Context(), f, args[0], writing, func(ctx context.Context, d *desk) error {
				return c.hold(ctx, f, d, !off)
			})
		},
	}
	f.addWriting(cmd)
	cmd.Flags().BoolVar(&off, "off", false, "let recomputes publish again")
	return cmd
}

func (c *cli) hold(ctx context.Context, f bucketFlags, d *desk, on bool) error {
	p, err := d.store.Hold(ctx, d.graph, on)
	if errors.Is(err, cdnsource.ErrNotFound) {
		if kerr := d.known(ctx); kerr != nil {
			return kerr
		}
		return withCode(exitNotFound, fmt.Errorf("%s: nothing was published yet", d.graph))
	}
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(struct {
			Graph    manifest.Graph `json:"graph"`
			Sequence uint64         `json:"sequence"`
			Hold     bool           `json:"hold"`
		}{d.graph, p.Sequence, p.Hold})
	}
	if !on {
		return c.say(f, "%s: not held at version %d any more, the next recompute may replace it", d.graph, p.Sequence)
	}
	return c.say(f, "%s: held at version %d, no recompute replaces it", d.graph, p.Sequence)
}
