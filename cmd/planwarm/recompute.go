package main

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/planwarm/planwarm/warmer"
	"github.com/spf13/cobra"
)

func newRecomputeCmd(c *cli) *cobra.Command {
	var f remoteFlags
	var namespace string
	cmd := &cobra.Command{
		Use:   "recompute [graph]",
		Short: "Have a running sidecar build and publish the manifest now",
		Long: `Have a running sidecar build the manifest of a graph from what it has measured
and what was pushed, and publish it when it is a new one. Of a graph that is held
nothing is published: planwarm hold --off lifts that.`,
		Example: "  planwarm recompute storefront -n default",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := c.remote(f)
			if err != nil {
				return err
			}
			query := url.Values{}
			if len(args) == 1 {
				query.Set("graph", args[0])
				query.Set("namespace", namespace)
			}
			var rep warmer.PublishReport
			if err := r.call(cmd.Context(), http.MethodPost, "/recompute", query, &rep); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(rep)
			}
			_, err = fmt.Fprintf(c.stdout, "%s, %s, %s%s\n",
				some(rep.Operations, "operation"), some(rep.PlanKeys, "plan"), publishedText(rep), leftOutText(rep))
			return err
		},
	}
	f.add(cmd)
	cmd.Flags().StringVarP(&namespace, "namespace", "n", "default", "namespace of the graph")
	return cmd
}

func leftOutText(rep warmer.PublishReport) string {
	if rep.LeftOutCount == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d left out; planwarm explain says why)", rep.LeftOutCount)
}
