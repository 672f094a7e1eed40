package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/planwarm/planwarm/planner/engine"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/engine/resolve"
)

// planOutput is what planwarm plan prints.
type planOutput struct {
	File       string          `json:"file"`
	Operation  string          `json:"operation"`
	Type       string          `json:"type"`
	PlanKey    string          `json:"planKey"`
	Hash       string          `json:"hash"`
	Conditions map[string]bool `json:"conditions,omitempty"`
	// Undecided are variables of @skip and @include without a value.
	Undecided  []string  `json:"undecided,omitempty"`
	Normalized string    `json:"normalized"`
	Cost       *planCost `json:"cost,omitempty"`
	// Plan is the tree of fetches; null when nothing is fetched.
	Plan        *resolve.FetchTreeQueryPlanNode `json:"plan,omitempty"`
	NoPlan      string                          `json:"noPlan,omitempty"`      // why there is neither plan nor cost
	Unsupported []string                        `json:"unsupported,omitempty"` // places where routers plan differently

	tree string
}

// planCost is engine.Cost in milliseconds.
type planCost struct {
	ParseMs     float64 `json:"parseMs"`
	NormalizeMs float64 `json:"normalizeMs"`
	ValidateMs  float64 `json:"validateMs"`
	PlanMs      float64 `json:"planMs"`
	Fetches     int     `json:"fetches"`
	Depth       int     `json:"depth"`
	Shared      float64 `json:"shared"`
}

func newPlanCost(c engine.Cost) *planCost {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return &planCost{
		ParseMs: ms(c.Timings.Parse), NormalizeMs: ms(c.Timings.Normalize), ValidateMs: ms(c.Timings.Validate), PlanMs: ms(c.Timings.Plan),
		Fetches: c.Fetches, Depth: c.Depth, Shared: c.Shared,
	}
}

func (c *cli) printPlan(o planOutput, verbose bool) error {
	if c.json {
		return c.printJSON(o)
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "operation\t%s (%s)\n", cmp.Or(o.Operation, "anonymous"), o.Type)
	fmt.Fprintf(w, "plan key\t%s\n", o.PlanKey)
	fmt.Fprintf(w, "hash\t%s\n", o.Hash)
	if len(o.Conditions) > 0 {
		fmt.Fprint(w, "conditions\t")
		for i, name := range slices.Sorted(maps.Keys(o.Conditions)) {
			fmt.Fprintf(w, "%s%s=%t", []string{"", " "}[min(i, 1)], name, o.Conditions[name])
		}
		fmt.Fprintln(w)
	}
	if k := o.Cost; k != nil {
		fmt.Fprintf(w, "cost\t%.3f ms to plan; parse %.3f, normalise %.3f, validate %.3f\n", k.PlanMs, k.ParseMs, k.NormalizeMs, k.ValidateMs)
		fmt.Fprintf(w, "fetches\t%d, of which at most %d wait for one another\n", k.Fetches, k.Depth)
		fmt.Fprintf(w, "choices\t%.1f (log2 of the subgraphs that resolve a field, summed)\n", k.Shared)
	}
	if verbose {
		fmt.Fprintf(w, "normalised\t%s\n", o.Normalized)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print plan: %w", err)
	}
	if o.tree != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(o.tree))
	}
	if o.NoPlan != "" {
		fmt.Fprintf(&b, "\nno plan: %s\n", o.NoPlan)
	}
	for _, name := range o.Undecided {
		fmt.Fprintf(c.stderr, "note: $%s has no value, so the key is of no plan that traffic asks for; give --condition %s=true or =false\n", name, name)
	}
	for _, place := range o.Unsupported {
		fmt.Fprintf(c.stderr, "note: routers plan this differently: %s\n", place)
	}
	_, err := fmt.Fprint(c.stdout, b.String())
	return err
}
