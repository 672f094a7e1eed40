package main

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/manifest"
	"github.com/spf13/cobra"
)

func newGraphCmd(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "graph",
		Short:   "List graphs, or create one",
		Example: "  planwarm graph list\n  planwarm graph create storefront -n staging",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newGraphListCmd(c), newGraphCreateCmd(c))
	return cmd
}

func newGraphListCmd(c *cli) *cobra.Command {
	var f bucketFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the graphs that are configured or in the bucket",
		Long: `Show the graphs of a namespace that are configured or in the bucket; without -n
those of every namespace of the configuration, and of "default".`,
		Example: "  planwarm graph list\n  planwarm graph list -n staging --json",
		Aliases: []string{"ls"},
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all := !cmd.Flags().Changed("namespace")
			if err := cdnsource.CheckName(f.namespace); err != nil {
				return err
			}
			return c.withBucket(cmd.Context(), f, manifest.Graph{}, reading, func(ctx context.Context, d *desk) error {
				return c.graphs(ctx, d, f.namespace, all)
			})
		},
	}
	f.add(cmd)
	return cmd
}

// graphLine is what is shown of one graph.
type graphLine struct {
	manifest.Graph
	Configured bool   `json:"configured"`
	Sequence   uint64 `json:"sequence"` // 0: nothing was published
	Operations int    `json:"operations"`
	Hold       bool   `json:"hold"`
	Pins       int    `json:"pins"`
	Denied     int    `json:"denied"`
}

func (c *cli) graphs(ctx context.Context, d *desk, namespace string, all bool) error {
	namespaces := []string{namespace}
	var ids []manifest.Graph
	for _, g := range d.config.Graphs {
		if all || g.Namespace == namespace {
			ids = append(ids, manifest.Graph{Namespace: g.Namespace, Name: g.Name})
			namespaces = append(namespaces, g.Namespace)
		}
	}
	slices.Sort(namespaces)
	for _, ns := range slices.Compact(namespaces) {
		found, err := d.store.Graphs(ctx, ns)
		if err != nil {
			return err
		}
		for _, g := range found {
			if !slices.Contains(ids, g) {
				ids = append(ids, g)
			}
		}
	}
	lines := []graphLine{}
	for _, g := range ids {
		line, err := d.line(ctx, g)
		if err != nil {
			return err
		}
		lines = append(lines, line)
	}
	if c.json {
		return c.printJSON(struct {
			Bucket string      `json:"bucket"`
			Graphs []graphLine `json:"graphs"`
		}{d.storage.url, lines})
	}
	return c.printGraphs(lines)
}

// line gathers what is shown of a graph; nothing of it need be there.
func (d *desk) line(ctx context.Context, g manifest.Graph) (graphLine, error) {
	l := graphLine{Graph: g, Configured: configuredGraph(d.config, g) != nil}
	m, p, err := d.store.Fetch(ctx, g)
	if err != nil && !errors.Is(err, cdnsource.ErrNotFound) {
		return l, err
	}
	l.Sequence, l.Operations, l.Hold = p.Sequence, len(m.Operations), p.Hold
	pins, _, err := d.store.Pins(ctx, g)
	if err != nil && !errors.Is(err, cdnsource.ErrNotFound) {
		return l, err
	}
	l.Pins, l.Denied = len(pins.Pins), len(pins.Deny)
	return l, nil
}

func (c *cli) printGraphs(lines []graphLine) error {
	if len(lines) == 0 {
		return c.line("no graphs: none is configured, and the bucket has none in this namespace")
	}
	t := newTable(c.stdout, "NAMESPACE", "GRAPH", "CONFIGURED", "VERSION", "OPERATIONS", "HELD", "PUSHED", "DENIED")
	for _, l := range lines {
		t.row(l.Namespace, l.Name, yes(l.Configured), count(l.Sequence), strconv.Itoa(l.Operations), yes(l.Hold), strconv.Itoa(l.Pins), strconv.Itoa(l.Denied))
	}
	return t.flush()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func newGraphCreateCmd(c *cli) *cobra.Command {
	var f bucketFlags
	cmd := &cobra.Command{
		Use:     "create <graph>",
		Short:   "Create a graph in the bucket, without operations",
		Example: "  planwarm graph create storefront -n staging",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withGraph(cmd.Context(), f, args[0], writing, func(ctx context.Context, d *desk) error {
				return c.createGraph(ctx, f, d)
			})
		},
	}
	f.addWriting(cmd)
	return cmd
}

func (c *cli) createGraph(ctx context.Context, f bucketFlags, d *desk) error {
	there, err := d.store.Exists(ctx, d.graph)
	if err != nil {
		return err
	}
	if !there {
		if _, err := d.store.UpdatePins(ctx, d.graph, func(*manifest.Pins) error { return nil }); err != nil {
			return err
		}
	}
	if c.json {
		return c.printJSON(struct {
			Graph   manifest.Graph `json:"graph"`
			Created bool           `json:"created"`
		}{d.graph, !there})
	}
	if there {
		return c.say(f, "%s is there already", d.graph)
	}
	return c.say(f, "created %s in %s", d.graph, d.storage.url)
}
