package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/manifest"
	"github.com/spf13/cobra"
)

func newDiffCmd(c *cli) *cobra.Command {
	var f bucketFlags
	cmd := &cobra.Command{
		Use:   "diff <graph> [from [to]] | <file> <file>",
		Short: "Say what changed from one manifest to another",
		Long: `Say which operations came, went, moved or changed from one version of a graph's
manifest to another, or from one file to another. Without numbers: from the
version before the one in force to that one. Figures do not count.`,
		Example: `  planwarm diff storefront
  planwarm diff storefront 41 42
  planwarm diff before.json after.json`,
		Args:              cobra.RangeArgs(1, 3),
		ValidArgsFunction: c.completeGraph,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 && !isNumber(args[1]) {
				return c.diffFiles(args[0], args[1])
			}
			between, err := parseSequences(args[1:])
			if err != nil {
				return err
			}
			return c.withGraph(cmd.Context(), f, args[0], reading, func(ctx context.Context, d *desk) error {
				return c.diffVersions(ctx, d, between)
			})
		},
	}
	f.add(cmd)
	return cmd
}

func parseSequences(args []string) ([]uint64, error) {
	var out []uint64
	for _, s := range args {
		n, err := parseSequence(s)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

func parseSequence(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n == 0 {
		return 0, withCode(exitUsage, fmt.Errorf("%q is no version: planwarm history lists them", s))
	}
	return n, nil
}

func (c *cli) diffFiles(a, b string) error {
	from, err := c.readManifest(a)
	if err != nil {
		return err
	}
	to, err := c.readManifest(b)
	if err != nil {
		return err
	}
	return c.printDiff(from, to, a, b)
}

func (c *cli) diffVersions(ctx context.Context, d *desk, between []uint64) error {
	versions, p, err := d.versions(ctx, 0)
	if err != nil {
		return err
	}
	if p.Sequence == 0 {
		return withCode(exitNotFound, fmt.Errorf("%s: nothing was published yet", d.graph))
	}
	to := p.Sequence
	if len(between) == 2 {
		to = between[1]
	}
	var from uint64 // 0: before the first version there was nothing
	if len(between) > 0 {
		from = between[0]
	} else if from, err = before(versions, to); err != nil {
		return err
	}
	older, err := d.version(ctx, from)
	if err != nil {
		return err
	}
	newer, err := d.version(ctx, to)
	if err != nil {
		return err
	}
	return c.printDiff(older, newer, fmt.Sprintf("version %d", from), fmt.Sprintf("version %d", to))
}

// before finds the version before sequence; 0 when it is the first one ever.
func before(versions []cdnsource.VersionInfo, sequence uint64) (uint64, error) {
	for _, v := range versions { // newest first
		if v.Sequence < sequence {
			return v.Sequence, nil
		}
	}
	if sequence == 1 {
		return 0, nil
	}
	return 0, withCode(exitNotFound, fmt.Errorf("no version before %d is kept", sequence))
}

// version reads one version; that of sequence 0 is empty.
func (d *desk) version(ctx context.Context, sequence uint64) (manifest.Manifest, error) {
	if sequence == 0 {
		return manifest.Manifest{}, nil
	}
	m, err := d.store.Version(ctx, d.graph, sequence)
	if errors.Is(err, cdnsource.ErrNotFound) {
		return m, withCode(exitNotFound, fmt.Errorf("%s has no version %d, or it is no longer kept: %w", d.graph, sequence, err))
	}
	return m, err
}

func (c *cli) printDiff(from, to manifest.Manifest, a, b string) error {
	diff := manifest.Diff(from, to)
	if c.json {
		return c.printJSON(struct {
			From string `json:"from"`
			To   string `json:"to"`
			manifest.Difference
		}{a, b, withoutNull(diff)})
	}
	if err := c.line("from %s to %s: %d added, %d removed, %d moved, %d changed",
		a, b, len(diff.Added), len(diff.Removed), len(diff.Moved), len(diff.Changed)); err != nil {
		return err
	}
	if diff.Empty() {
		return nil
	}
	return c.line("%s", printableLines(diff.String()))
}

// withoutNull has empty lists for whoever reads them as JSON.
func withoutNull(d manifest.Difference) manifest.Difference {
	for _, list := range []*[]manifest.Change{&d.Added, &d.Removed, &d.Moved, &d.Changed} {
		if *list == nil {
			*list = []manifest.Change{}
		}
	}
	return d
}
