package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

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
	t := newTable(c.stdout)
	t.row("ready", strconv.FormatBool(s.Ready))
	for _, g := range s.Graphs {
		t.row()
		t.row("graph", g.Graph.String())
		t.row("schema", or(g.Schema, "not loaded, the log of the sidecar says why"))
		t.row("manifest", fetchedText(g.Fetched))
		if p := g.Published; p != nil {
			t.row("recomputed", fmt.Sprintf("%s, %s, %s", when(p.At), some(p.Operations, "operation"), publishedText(*p)))
		}
		if p := g.Publication; p != nil {
			t.row("webhook", publicationText(*p))
		}
		t.row("snapshot", some(g.Snapshot, "operation"))
		if n := len(g.Quarantined); n > 0 {
			t.row("quarantined", fmt.Sprintf("%s, on one of which a router seems to crash: plan keys %s", some(n, "operation"), shortList(g.Quarantined)))
		}
		for _, r := range g.Routers {
			t.row("router", fmt.Sprintf("%s: %s, generation %d, %s warm%s", r.Name, r.Phase, r.Generation, some(r.Warm, "plan"), lastRunText(r.LastRun)))
		}
	}
	return t.flush()
}

// publicationText is what came of the last publish that a webhook told of.
func publicationText(p warmer.Publication) string {
	text := fmt.Sprintf("%s, %s, %s broken by the new schema", when(p.At), p.State, some(p.BrokenCount, "operation"))
	for _, r := range p.Routers {
		text += fmt.Sprintf("; %s: %s", r.Name, r.State)
	}
	if p.Error != "" {
		text += "; " + p.Error
	}
	return text
}

func fetchedText(f warmer.FetchStatus) string {
	if f.Missing {
		return "none is published yet"
	}
	if f.Error != "" {
		return "cannot be had: " + f.Error
	}
	if f.At.IsZero() {
		return "not fetched"
	}
	return fmt.Sprintf("sequence %d, %s, fetched %s", f.Sequence, some(f.Operations, "operation"), when(f.At))
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
	if r.Planned+r.AlreadyWarm+r.Failed+r.Skipped == 0 && r.Stopped == "" && r.InexactCount == 0 && len(r.Profiles) == 0 {
		return "; the last run had nothing to warm"
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
