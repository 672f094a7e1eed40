package main

import (
	"context"
	"strconv"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/spf13/cobra"
)

func newListCmd(c *cli) *cobra.Command {
	var f bucketFlags
	cmd := &cobra.Command{
		Use:   "list <graph>",
		Short: "Show the pushed operations and the deny list of a graph",
		Long: `Show the stack of pushed operations, newest first, and what becomes of each in
the next manifest: active, parked below the cap, not yet, expired, denied, or
refused by the schema. The deny list follows.`,
		Example: `  planwarm list storefront
  planwarm list storefront -n default --json`,
		Aliases:           []string{"ls"},
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeGraph,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withGraph(cmd.Context(), f, args[0], reading, c.list)
		},
	}
	f.add(cmd)
	return cmd
}

// listed is a pin with what becomes of it.
type listed struct {
	Place int `json:"place"`
	pinState
	manifest.Pin
}

// listing is the stack and the deny list of a graph.
type listing struct {
	Graph    manifest.Graph  `json:"graph"`
	Sequence uint64          `json:"sequence"`
	Limit    int             `json:"limit"`
	Schema   string          `json:"schema"` // that states were looked at under; "": none
	Pins     []listed        `json:"pins"`
	Deny     []manifest.Deny `json:"deny"`
}

func (c *cli) list(ctx context.Context, d *desk) error {
	pins, err := d.pins(ctx)
	if err != nil {
		return err
	}
	r := c.rulesOrNone(ctx, d)
	states, err := d.states(r, pins, time.Now())
	if err != nil {
		return err
	}
	l := listing{Graph: d.graph, Sequence: pins.Sequence, Limit: d.settings().PinRoom(), Schema: r.id(), Pins: []listed{}, Deny: pins.Deny}
	for i, p := range pins.Pins {
		l.Pins = append(l.Pins, listed{Place: i + 1, pinState: states[p.ID], Pin: p})
	}
	if l.Deny == nil {
		l.Deny = []manifest.Deny{} // an empty list, not null, for whoever reads it as JSON
	}
	if c.json {
		return c.printJSON(l)
	}
	return c.printListing(l)
}

// rulesOrNone is the graph's schema; a command that only shows goes on without one.
func (c *cli) rulesOrNone(ctx context.Context, d *desk) *rules {
	r, err := loadRules(ctx, d.configured, "")
	if err != nil {
		c.warn("%v; what the schema refuses is not shown", err)
		return &rules{}
	}
	return r
}

func (c *cli) printListing(l listing) error {
	if err := c.line("%s: %s pushed, room for %d", l.Graph, some(len(l.Pins), "operation"), l.Limit); err != nil {
		return err
	}
	if len(l.Pins) > 0 {
		t := newTable(c.stdout, "#", "OPERATION", "STATE", "CLIENT", "PLAN KEY", "PUSHED", "BY", "ID")
		for _, p := range l.Pins {
			t.row(strconv.Itoa(p.Place), pushedName(p.Pin), stateText(p.pinState), clientOf(p.Client),
				or(p.PlanKey, "-"), when(p.PushedAt), or(p.PushedBy, "-"), short(p.ID))
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	if len(l.Deny) == 0 {
		return nil
	}
	if err := c.line("\n%s", some(len(l.Deny), "denial")); err != nil {
		return err
	}
	t := newTable(c.stdout, "DENIED", "REASON", "SINCE", "BY")
	for _, d := range l.Deny {
		t.row(denyText(d), or(d.Reason, "-"), when(d.DeniedAt), or(d.DeniedBy, "-"))
	}
	return t.flush()
}

// denyText says what a denial matches.
func denyText(d manifest.Deny) string {
	switch {
	case d.OperationName != "":
		return "operation " + d.OperationName
	case d.ID != "":
		return "id " + short(d.ID)
	case d.PlanKey != "" && d.Hash != "":
		return "plan key or hash " + d.PlanKey
	case d.PlanKey != "":
		return "plan key " + d.PlanKey
	}
	return "hash " + d.Hash
}
