package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/manifest"
	"github.com/spf13/cobra"
)

func newHistoryCmd(c *cli) *cobra.Command {
	var f bucketFlags
	var limit int
	cmd := &cobra.Command{
		Use:   "history <graph>",
		Short: "Show the published versions of a graph's manifest",
		Example: `  planwarm history storefront
  planwarm history storefront --limit 3 --json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeGraph,
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 0 {
				return withCode(exitUsage, fmt.Errorf("--limit %d is negative", limit))
			}
			return c.withGraph(cmd.Context(), f, args[0], reading, func(ctx context.Context, d *desk) error {
				return c.history(ctx, d, limit)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().IntVar(&limit, "limit", 20, "show so many, newest first; 0: all that are kept")
	return cmd
}

// versionLine is one published version.
type versionLine struct {
	Sequence uint64    `json:"sequence"`
	State    string    `json:"state"` // in force, older, or pending
	Modified time.Time `json:"publishedAt"`
	Size     int64     `json:"bytes"`
}

func (c *cli) history(ctx context.Context, d *desk, limit int) error {
	versions, p, err := d.versions(ctx, limit)
	if err != nil {
		return err
	}
	out := struct {
		Graph    manifest.Graph `json:"graph"`
		Sequence uint64         `json:"sequence"` // in force
		Hold     bool           `json:"hold"`
		Versions []versionLine  `json:"versions"`
	}{Graph: d.graph, Sequence: p.Sequence, Hold: p.Hold, Versions: []versionLine{}}
	for _, v := range versions {
		out.Versions = append(out.Versions, versionLine{Sequence: v.Sequence, State: versionState(v), Modified: v.Modified.UTC(), Size: v.Size})
	}
	if c.json {
		return c.printJSON(out)
	}
	if len(out.Versions) == 0 {
		return c.line("%s: nothing was published yet", d.graph)
	}
	hold := ""
	if p.Hold {
		hold = ", held: no recompute replaces it (planwarm hold --off lifts that)"
	}
	if err := c.line("%s: version %d is in force%s", d.graph, p.Sequence, hold); err != nil {
		return err
	}
	t := newTable(c.stdout, "VERSION", "STATE", "PUBLISHED", "BYTES")
	for _, v := range out.Versions {
		t.row(strconv.FormatUint(v.Sequence, 10), v.State, when(v.Modified), strconv.FormatInt(v.Size, 10))
	}
	return t.flush()
}

func versionState(v cdnsource.VersionInfo) string {
	switch {
	case v.InForce:
		return "in force"
	case v.Pending:
		return "pending"
	}
	return "older"
}

// versions is the history of a graph; none when nothing was published.
func (d *desk) versions(ctx context.Context, limit int) ([]cdnsource.VersionInfo, cdnsource.Pointer, error) {
	versions, p, err := d.store.History(ctx, d.graph, limit)
	if errors.Is(err, cdnsource.ErrNotFound) {
		return nil, p, d.known(ctx)
	}
	return versions, p, err
}
