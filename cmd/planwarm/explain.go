package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/warmer"
	"github.com/spf13/cobra"
)

// sidecarPatience bounds the question to a sidecar that may not be running.
const sidecarPatience = 3 * time.Second

func newExplainCmd(c *cli) *cobra.Command {
	var f bucketFlags
	var rf remoteFlags
	cmd := &cobra.Command{
		Use:   "explain <graph> [operation|plan key|hash|id]",
		Short: "Say why an operation is in the manifest, or why not",
		Long: `Say why an operation is in the manifest in force, or why it is left out: by
name, plan key, operation hash or id. Without one, everything that is left out.

The bucket tells what was published, pushed and denied. What telemetry saw and
was left out at the last recompute tells the sidecar, when one is running.`,
		Example: `  planwarm explain storefront Checkout
  planwarm explain storefront 11017789909616755873 --json
  planwarm explain storefront`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: c.completeGraph,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withGraph(cmd.Context(), f, args[0], reading, func(ctx context.Context, d *desk) error {
				e, err := c.explain(ctx, rf, d)
				if err != nil {
					return err
				}
				if len(args) == 1 {
					return c.printLeftOut(e)
				}
				return c.printExplanation(e.about(args[1]), args[1])
			})
		},
	}
	f.add(cmd)
	rf.add(cmd)
	return cmd
}

// explanation is what is known of a graph's operations, of all or of one.
type explanation struct {
	Graph    manifest.Graph     `json:"graph"`
	Verdict  string             `json:"verdict,omitempty"` // in, next, out, or unknown
	Sequence uint64             `json:"sequence"`          // in force; 0: nothing was published
	Size     int                `json:"operations"`
	Hold     bool               `json:"hold"`
	Rank     manifest.Rank      `json:"rank,omitempty"`
	Entries  []placed           `json:"entries"`
	Pins     []listed           `json:"pins"`
	Denied   []manifest.Deny    `json:"denied"`
	LeftOut  []manifest.LeftOut `json:"leftOut"`
	Sidecar  string             `json:"sidecar"` // whether one answered, and if not why

	rules *rules
}

// placed is an entry of the manifest with its place in it.
type placed struct {
	Place int `json:"place"`
	manifest.Entry
}

// The verdicts.
const (
	verdictIn      = "in"
	verdictNext    = "next" // pushed, and in the next manifest that is published
	verdictOut     = "out"
	verdictUnknown = "unknown"
)

// explain gathers everything there is to know.
func (c *cli) explain(ctx context.Context, rf remoteFlags, d *desk) (*explanation, error) {
	m, p, _, err := d.fetch(ctx)
	if err != nil {
		return nil, err
	}
	pins, err := d.pins(ctx)
	if err != nil {
		return nil, err
	}
	e := &explanation{
		Graph: d.graph, Sequence: m.Sequence, Size: len(m.Operations), Hold: p.Hold, Rank: m.Rank, rules: c.rulesOrNone(ctx, d),
		Entries: []placed{}, Pins: []listed{}, Denied: pins.Deny, LeftOut: []manifest.LeftOut{},
	}
	states, err := d.states(e.rules, pins, time.Now())
	if err != nil {
		return nil, err
	}
	for i, x := range m.Operations {
		e.Entries = append(e.Entries, placed{i + 1, x})
	}
	for i, x := range pins.Pins {
		e.Pins = append(e.Pins, listed{i + 1, states[x.ID], x})
	}
	return e, c.askSidecar(ctx, rf, e)
}

// askSidecar adds what a running sidecar left out. Only one that was named has to answer.
func (c *cli) askSidecar(ctx context.Context, rf remoteFlags, e *explanation) error {
	status, err := c.sidecarStatus(ctx, rf)
	if err != nil && rf.server != "" {
		return err
	}
	if err != nil {
		e.Sidecar = "not reached"
		return nil
	}
	e.Sidecar = "has no such graph"
	for _, g := range status.Graphs {
		if g.Graph != e.Graph {
			continue
		}
		e.Sidecar = "has not recomputed yet"
		if g.Published != nil {
			e.Sidecar = "recomputed " + g.Published.At.UTC().Format(time.RFC3339)
			e.LeftOut = append(e.LeftOut, g.Published.LeftOut...)
		}
	}
	return nil
}

func (c *cli) sidecarStatus(ctx context.Context, rf remoteFlags) (warmer.Status, error) {
	var s warmer.Status
	r, err := c.remote(rf)
	if err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeout(ctx, sidecarPatience)
	defer cancel()
	return s, r.call(ctx, http.MethodGet, "/status", nil, &s)
}

// about keeps what is about one operation, and comes to a verdict.
func (e *explanation) about(what string) *explanation {
	out := *e
	match := matcher{what: what, rules: e.rules}
	out.Entries = keep(e.Entries, match.entry)
	out.Pins = keep(e.Pins, match.pin)
	out.Denied = keep(e.Denied, match.denial)
	out.LeftOut = keep(e.LeftOut, match.leftOut)
	switch {
	case len(out.Entries) > 0:
		out.Verdict = verdictIn
	case len(out.Pins) > 0 && out.Pins[0].in():
		out.Verdict = verdictNext
	case len(out.Pins)+len(out.Denied)+len(out.LeftOut) > 0:
		out.Verdict = verdictOut
	default:
		out.Verdict = verdictUnknown
	}
	return &out
}

func keep[T any](all []T, match func(T) bool) []T {
	kept := []T{} // an empty list, not null, for whoever reads it as JSON
	for _, x := range all {
		if match(x) {
			kept = append(kept, x)
		}
	}
	return kept
}

// printExplanation says in words what came out. An unknown operation is not found.
func (c *cli) printExplanation(e *explanation, what string) error {
	if c.json {
		if err := c.printJSON(e); err != nil {
			return err
		}
		return c.unknown(e, what)
	}
	if err := c.unknown(e, what); err != nil {
		return err
	}
	for _, line := range e.lines() {
		if err := c.line("%s", printable(line)); err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) unknown(e *explanation, what string) error {
	if e.Verdict != verdictUnknown {
		return nil
	}
	hint := ""
	if e.Sidecar == "not reached" {
		hint = "; what telemetry saw and was left out only a running sidecar knows, and none was reached"
	}
	return withCode(exitNotFound, errors.New(printable(fmt.Sprintf("%s knows no operation %q: neither in the manifest (%s), nor pushed, nor denied%s", e.Graph, what, e.inForce(), hint))))
}
