package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/planwarm/planwarm/manifest"
)

// buildSummary says what planwarm build did.
type buildSummary struct {
	Graph      manifest.Graph     `json:"graph"`
	Now        time.Time          `json:"now"`
	Input      captureCounts      `json:"input"`
	Pushed     int                `json:"pushed"` // operations of --operations
	Operations int                `json:"operations"`
	PlanKeys   int                `json:"planKeys"`
	Reasons    []leftOutCount     `json:"reasons"`
	LeftOut    []manifest.LeftOut `json:"leftOut"`
}

type leftOutCount struct {
	Reason     manifest.Reason `json:"reason"`
	Operations int             `json:"operations"`
}

func newBuildSummary(in *buildInput, r manifest.Result) buildSummary {
	s := buildSummary{
		Graph: r.Manifest.Graph, Now: in.now, Input: in.taken, Pushed: len(in.pins), Operations: len(r.Manifest.Operations),
		Reasons: []leftOutCount{}, LeftOut: []manifest.LeftOut{},
	}
	keys := map[string]bool{}
	for _, e := range r.Manifest.Operations {
		for _, x := range e.Expand() {
			if k := x.Planwarm.PlanKey; k != "" {
				keys[k] = true
			}
		}
	}
	s.PlanKeys = len(keys)
	counts := map[manifest.Reason]int{}
	for _, l := range r.LeftOut {
		if l.Reason == manifest.ReasonDuplicate {
			continue // it is in the manifest, in the slot of its plan
		}
		counts[l.Reason]++
		s.LeftOut = append(s.LeftOut, l)
	}
	for reason, n := range counts {
		s.Reasons = append(s.Reasons, leftOutCount{reason, n})
	}
	slices.SortFunc(s.Reasons, func(a, b leftOutCount) int {
		return cmp.Or(cmp.Compare(b.Operations, a.Operations), cmp.Compare(a.Reason, b.Reason))
	})
	return s
}

// printBuild tells the summary on standard error, where it is not in the way of
// the manifest, or as JSON on standard output.
func (c *cli) printBuild(s buildSummary) error {
	if c.json {
		return c.printJSON(s)
	}
	w := c.stderr
	fmt.Fprintf(w, "%s at %s: %d operations, %d plans; --operations gave %d\n",
		s.Graph, s.Now.Format(time.RFC3339), s.Operations, s.PlanKeys, s.Pushed)
	in := s.Input
	for _, n := range []struct {
		count int
		what  string
	}{
		{in.Rejected, "malformed items were left out"},
		{in.Unattributed, "items name no operation: the router lacks the attributes that the documentation asks for"},
		{in.Overflowed, "points were merged by a router that ran out of attribute sets: ask it for delta temporality"},
		{in.WarmUp, "points are of the router's own warm-up and do not count"},
		{in.Repeated, "bodies of schema usage were equal to others and did not count again"},
	} {
		if n.count > 0 {
			fmt.Fprintf(w, "note: %d %s\n", n.count, n.what)
		}
	}
	for _, r := range s.Reasons {
		fmt.Fprintf(w, "left out: %d %s\n", r.Operations, r.Reason)
	}
	return nil
}
