package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/planwarm/planwarm/manifest"
	"github.com/spf13/cobra"
)

func newRmCmd(c *cli) *cobra.Command {
	var f bucketFlags
	cmd := &cobra.Command{
		Use:   "rm <graph> <operation|id|plan key>...",
		Short: "Take pushed operations off the stack",
		Long: `Take pushed operations off the stack: by name, by id or its first 8 or more
digits, or by plan key. All that are named go, or none. What telemetry finds
worth warming stays in the manifest all the same; planwarm deny keeps it out.`,
		Example: `  planwarm rm storefront Checkout
  planwarm rm storefront 3525218e7e31 OrderStatus`,
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: c.completeGraph,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withGraph(cmd.Context(), f, args[0], writing, func(ctx context.Context, d *desk) error {
				return c.rm(ctx, f, d, args[1:])
			})
		},
	}
	f.addWriting(cmd)
	return cmd
}

func (c *cli) rm(ctx context.Context, f bucketFlags, d *desk, names []string) error {
	if err := d.known(ctx); err != nil {
		return err
	}
	var removed []manifest.Pin
	after, err := d.store.UpdatePins(ctx, d.graph, func(p *manifest.Pins) error {
		removed = removed[:0] // it may be called again
		var faults []error
		for _, name := range names {
			pin, err := p.Remove(name)
			if err != nil {
				faults = append(faults, err)
				continue
			}
			removed = append(removed, pin)
		}
		return errors.Join(faults...)
	})
	if errors.Is(err, manifest.ErrAmbiguous) {
		return withCode(exitRefused, fmt.Errorf("nothing was changed, name it by its id: %w", err))
	}
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(struct {
			Graph    manifest.Graph `json:"graph"`
			Sequence uint64         `json:"sequence"`
			Removed  []manifest.Pin `json:"removed"`
		}{d.graph, after.Sequence, removed})
	}
	for _, p := range removed {
		if err := c.say(f, "removed %s", pinText(p)); err != nil {
			return err
		}
	}
	return nil
}
