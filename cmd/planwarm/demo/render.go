package demo

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
)

// chartWidth is the longest bar.
const chartWidth = 40

// Print writes the result as a table, a chart and what to take from them.
func (r Result) Print(w io.Writer) error {
	rows := []struct {
		name string
		run  Run
	}{{"cold", r.Runs.Cold}, {"warmed", r.Runs.Warmed}, {"steady", r.Runs.Steady}, {"fallback", r.Runs.Fallback}, {"webhook", r.Webhook.Run}}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "run\trequests\twarmed from\tP50 ms\tP99 ms\tplan misses\tplanning ms\t")
	for _, x := range rows {
		source := x.run.Source
		if source == "" {
			source = "-"
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%.1f\t%.1f\t%d\t%.1f\t\n",
			x.name, x.run.Requests, source, x.run.FirstRequestP50Ms, x.run.FirstRequestP99Ms, x.run.PlanMisses, x.run.PlanningMs)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print result: %w", err)
	}
	top := 0.0
	for _, x := range rows {
		top = math.Max(top, x.run.FirstRequestP99Ms)
	}
	fmt.Fprintln(w, "\nP99 of first requests")
	for _, x := range rows {
		n := 0
		if top > 0 {
			n = max(1, int(math.Round(x.run.FirstRequestP99Ms/top*chartWidth)))
		}
		fmt.Fprintf(w, "%9s %-*s %.1f ms\n", x.name, chartWidth, strings.Repeat("█", n), x.run.FirstRequestP99Ms)
	}
	fmt.Fprintf(w, "\nmanifest   %d operations (%d plans) in %s, sequence %d\n", r.Manifest.Operations, r.Manifest.PlanKeys, r.Bucket, r.Manifest.Sequence)
	fmt.Fprintf(w, "warm-up    %d plans made by the router from what it pulled, mutations included; checked: %d warm, %d planned, %d failed, %d mutations not sent\n",
		r.Warm.Pulled, r.Warm.AlreadyWarm, r.Warm.Planned, r.Warm.Failed, r.Warm.Skipped)
	fmt.Fprintf(w, "broken     %d operations that the new schema refuses, listed and not sent (%d refused by the router): %s\n",
		len(r.Broken), r.RefusedOfWarming, strings.Join(r.Broken, ", "))
	fmt.Fprintf(w, "webhook    %s; manifest %d for the new schema, router %s, %d of the manifest before broke\n",
		r.Webhook.Answer, r.Webhook.Sequence, r.Webhook.Router, len(r.Webhook.Broken))
	for _, b := range r.Webhook.Broken {
		fmt.Fprintf(w, "           %s: %s\n", b.Name, b.Reason)
	}
	_, err := fmt.Fprintf(w, "executed   %d requests reached a subgraph while only warming went on\n", r.ExecutedByWarming)
	return err
}
