package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/planwarm/planwarm/manifest"
)

const (
	capturesDir = "../../testdata/cosmo/"
	supergraph  = "../../testdata/storefront/supergraph.graphql"
)

// figures are what is compared of a plan.
type figures struct {
	P90                 float64
	Samples, Executions uint64
}

// truthPlan is one plan of truth.json: operations that share a plan key, since
// a router plans them once.
type truthPlan struct {
	hashes, names []string
	miss          []float64 // every planning time, ascending
	requests      uint64
	introspection bool
}

// p90 is the nearest rank.
func (p *truthPlan) p90() float64 {
	if len(p.miss) == 0 {
		return 0
	}
	return p.miss[(9*len(p.miss)+9)/10-1]
}

// truthPlans reads what the router really did in the run main, by plan key.
func truthPlans(t testing.TB) map[string]*truthPlan {
	t.Helper()
	data, err := os.ReadFile(capturesDir + "truth.json")
	if err != nil {
		t.Fatal(err)
	}
	var truth struct {
		Operations map[string]struct {
			PlanKey  string    `json:"plan_key"`
			MissMs   []float64 `json:"miss_ms"`
			Requests uint64    `json:"requests"`
			Names    map[string]int
		}
	}
	if err := json.Unmarshal(data, &truth); err != nil {
		t.Fatal(err)
	}
	out := map[string]*truthPlan{}
	for _, hash := range slices.Sorted(maps.Keys(truth.Operations)) {
		o := truth.Operations[hash]
		p := out[o.PlanKey]
		if p == nil {
			p = &truthPlan{}
			out[o.PlanKey] = p
		}
		p.hashes, p.miss, p.requests = append(p.hashes, hash), append(p.miss, o.MissMs...), p.requests+o.Requests
		for name := range o.Names {
			p.names = append(p.names, name)
			p.introspection = p.introspection || name == "IntrospectionQuery" || name == "Ping"
		}
		slices.Sort(p.miss)
	}
	if len(truth.Operations) != 84 || len(out) != 81 {
		t.Fatalf("%d operations and %d plans in truth.json", len(truth.Operations), len(out))
	}
	return out
}

// measure says what of the figures a set of sources knows.
type measure struct{ spans, metric bool }

// differences compares figures with truth.json, all plans of it: counts
// exactly, the P90 as closely as the source allows.
func (m measure) differences(got map[string]figures, want map[string]*truthPlan) (out []string) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		w := want[key]
		g, ok := got[key]
		switch {
		case !ok:
			out = append(out, fmt.Sprintf("plan %s %q is missing", key, w.names))
		case g.Executions != w.requests:
			out = append(out, fmt.Sprintf("plan %s %q: %d executions, want %d", key, w.names, g.Executions, w.requests))
		case !m.spans && !m.metric:
			if g.Samples != 0 || g.P90 != 0 {
				out = append(out, fmt.Sprintf("plan %s %q: %+v without a source of planning times", key, w.names, g))
			}
		case g.Samples != uint64(len(w.miss)):
			out = append(out, fmt.Sprintf("plan %s %q: %d samples, want %d", key, w.names, g.Samples, len(w.miss)))
		case m.spans && math.Abs(g.P90-w.p90()) > p90Error(w.p90()):
			out = append(out, fmt.Sprintf("plan %s %q: P90 %v, want %v within 1.1 %%", key, w.names, g.P90, w.p90()))
		case !m.spans && !inBucket(g.P90, w.p90()):
			out = append(out, fmt.Sprintf("plan %s %q: P90 %v, want it in the bucket of %v", key, w.names, g.P90, w.p90()))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if want[key] == nil {
			out = append(out, fmt.Sprintf("plan %s is not in truth.json", key))
		}
	}
	return out
}

// p90Error is how far a P90 from spans may be off: the histogram's worst case,
// and the last digit that a manifest has.
func p90Error(want float64) float64 { return 0.011*want + 0.00005 }

// inBucket says whether a P90 of the metric lies in the router's bucket of the
// exact one.
func inBucket(got, exact float64) bool {
	bounds := []float64{
		0, 5, 7, 10, 15, 25, 50, 75, 100, 125, 150, 175, 200, 225, 250, 275, 300, 350, 400, 450, 500, 600, 700, 800, 900,
		1000, 1250, 1500, 1750, 2000, 2250, 2500, 2750, 3000, 3500, 4000, 5000, 10000, math.Inf(1),
	}
	i, _ := slices.BinarySearch(bounds, exact)
	i = max(i, 1)
	return bounds[i-1] <= got && got <= bounds[i]
}

// bodies lists the captured bodies of a folder such as main/traces.
func bodies(t testing.TB, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(capturesDir + folder + "/*.pb*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures in %s: %v", folder, err)
	}
	return files
}

// entryFigures are the figures of a manifest's entries, by plan key.
func entryFigures(m manifest.Manifest) map[string]figures {
	out := map[string]figures{}
	for _, e := range m.Operations {
		d := e.Planwarm
		out[d.PlanKey] = figures{d.P90Ms, d.Samples, d.Executions}
	}
	return out
}
