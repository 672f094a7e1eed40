package main

import (
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/planwarm/planwarm/warmer"
	"github.com/spf13/cobra"
)

func newStatusCmd(c *cli) *cobra.Command {
	var f remoteFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what a running sidecar knows and does",
		Example: `  planwarm status
  planwarm status --server http://127.0.0.1:7660 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := c.remote(f)
			if err != nil {
				return err
			}
			var s warmer.Status
			if err := r.call(cmd.Context(), http.MethodGet, "/status", nil, &s); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(s)
			}
			return c.printStatus(s)
		},
	}
	f.add(cmd)
	return cmd
}

func (c *cli) printStatus(s warmer.Status) error {
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "ready\t%v\n", s.Ready)
	for _, g := range s.Graphs {
		fmt.Fprintf(w, "\ngraph\t%s\n", g.Graph)
		fmt.Fprintf(w, "schema\t%s\n", or(g.Schema, "not loaded"))
		fmt.Fprintf(w, "manifest\t%s\n", fetchedText(g.Fetched))
		if p := g.Published; p != nil {
			fmt.Fprintf(w, "recomputed\t%s, %d operations, %s\n", p.At.Local().Format(time.DateTime), p.Operations, publishedText(*p))
		}
		fmt.Fprintf(w, "snapshot\t%d operations\n", g.Snapshot)
		if n := len(g.Quarantined); n > 0 {
			fmt.Fprintf(w, "quarantined\t%d operations, on one of which a router seems to crash: plan keys %s\n", n, shortList(g.Quarantined))
		}
		for _, r := range g.Routers {
			fmt.Fprintf(w, "router\t%s: %s, generation %d, %d plans warm%s\n", r.Name, r.Phase, r.Generation, r.Warm, lastRunText(r.LastRun))
		}
	}
	return w.Flush()
}

func fetchedText(f warmer.FetchStatus) string {
	if f.Error != "" {
		return "cannot be had: " + f.Error
	}
	if f.At.IsZero() {
		return "not fetched"
	}
	return fmt.Sprintf("sequence %d, %d operations, fetched %s", f.Sequence, f.Operations, f.At.Local().Format(time.DateTime))
}

func publishedText(p warmer.PublishReport) string {
	switch {
	case p.Error != "":
		return "failed: " + p.Error
	case p.Published:
		return fmt.Sprintf("published as %d", p.Sequence)
	case p.Waiting != "":
		return "waiting: " + p.Waiting
	}
	return "nothing new"
}

func lastRunText(r *warmer.RunRecord) string {
	if r == nil {
		return ""
	}
	text := fmt.Sprintf("; last run from %s: %d planned, %d already warm, %d failed, %d skipped in %.0f ms",
		r.Origin, r.Planned, r.AlreadyWarm, r.Failed, r.Skipped, r.TookMs)
	if r.InexactCount > 0 {
		text += fmt.Sprintf(", %d not warmed: text had literals", r.InexactCount)
	}
	for _, x := range r.Profiles {
		text += fmt.Sprintf(", %d not sent under header profile %s: %s", x.Operations, x.Profile, x.Reason)
	}
	if r.Stopped != "" {
		text += ", stopped: " + r.Stopped
	}
	return text
}

// shortList is for people: the first few, and that there are more.
func shortList(all []string) string {
	const few = 10
	if len(all) <= few {
		return strings.Join(all, ", ")
	}
	return strings.Join(all[:few], ", ") + ", …"
}

// or returns a unless it is empty.
func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
