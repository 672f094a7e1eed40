//go:build demo

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/planwarm/planwarm/cmd/planwarm/demo"
)

// demoRuns is odd, so that a median is one of them.
const demoRuns = 5

// TestDemoBounds runs the demo as a person does and checks what it promises.
// Counts must hold in each run; times, which a busy machine can disturb, in the
// median.
func TestDemoBounds(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "planwarm")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	var planning, excess []float64
	for i := range demoRuns {
		r := runDemo(t, binary)
		checkCounts(t, r)
		cold, warmed, steady := r.Runs.Cold, r.Runs.Warmed, r.Runs.Steady
		planning = append(planning, warmed.PlanningMs/cold.PlanningMs)
		excess = append(excess, (warmed.FirstRequestP99Ms-steady.FirstRequestP99Ms)/cold.FirstRequestP99Ms)
		t.Logf("run %d: planning %.1f of %.1f ms; P99 cold %.1f, warmed %.1f, steady %.1f, fallback %.1f ms",
			i+1, warmed.PlanningMs, cold.PlanningMs, cold.FirstRequestP99Ms, warmed.FirstRequestP99Ms, steady.FirstRequestP99Ms, r.Runs.Fallback.FirstRequestP99Ms)
	}
	if m := median(planning); m > 0.05 {
		t.Errorf("planning after a warmed start is %.1f %% of cold's, want at most 5 %%", m*100)
	}
	if m := median(excess); m > 0.05 {
		t.Errorf("warmed P99 is above steady's by %.1f %% of cold's, want at most 5 %%", m*100)
	}
}

func runDemo(t *testing.T, binary string) demo.Result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(binary, "demo", "--json")
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &errs, os.Environ()
	if err := cmd.Run(); err != nil {
		t.Fatalf("demo: %v\n%s", err, errs.String())
	}
	var r demo.Result
	dec := json.NewDecoder(&out)
	if err := dec.Decode(&r); err != nil {
		t.Fatalf("demo printed no JSON: %v", err)
	}
	if dec.More() {
		t.Error("demo printed more than one document")
	}
	return r
}

func checkCounts(t *testing.T, r demo.Result) {
	t.Helper()
	runs := r.Runs
	for fault, holds := range map[string]bool{
		fmt.Sprintf("%d operations in the manifest, want at least 50", r.Manifest.Operations):                                                r.Manifest.Operations >= 50,
		fmt.Sprintf("%d misses of operations in the manifest", runs.Warmed.ManifestMisses):                                                   runs.Warmed.ManifestMisses == 0,
		fmt.Sprintf("warmed from %q", runs.Warmed.Source):                                                                                    runs.Warmed.Source == "manifest",
		fmt.Sprintf("fallback from %q", runs.Fallback.Source):                                                                                runs.Fallback.Source == "snapshot",
		fmt.Sprintf("%d misses in the fallback, cold had %d", runs.Fallback.PlanMisses, runs.Cold.PlanMisses):                                runs.Fallback.PlanMisses*10 <= runs.Cold.PlanMisses,
		fmt.Sprintf("%d broken operations, the new schema refuses 14", len(r.Broken)):                                                        len(r.Broken) == 14,
		fmt.Sprintf("webhook %q, manifest %d, router %q, from %q", r.Webhook.Answer, r.Webhook.Sequence, r.Webhook.Router, r.Webhook.Source): r.Webhook.Answer == "accepted" && r.Webhook.Sequence > r.Manifest.Sequence && r.Webhook.Router == "warm" && r.Webhook.Source == "manifest",
		fmt.Sprintf("%d operations broke by the publish", len(r.Webhook.Broken)):                                                             len(r.Webhook.Broken) > 0 && r.Webhook.Broken[0].Reason != "",
		fmt.Sprintf("%d misses of operations in the manifest for the new schema", r.Webhook.ManifestMisses):                                  r.Webhook.ManifestMisses == 0,
		fmt.Sprintf("%d requests executed by warming", r.ExecutedByWarming):                                                                  r.ExecutedByWarming == 0,
		fmt.Sprintf("verified share %v", r.Warm.VerifiedShare):                                                                               r.Warm.VerifiedShare != nil && *r.Warm.VerifiedShare == 1,
		fmt.Sprintf("%d operations of the warming refused by the router", r.RefusedOfWarming):                                                r.RefusedOfWarming == 0,
		fmt.Sprintf("%d mutations not sent over HTTP", r.Warm.Skipped):                                                                       r.Warm.Skipped > 0,
		fmt.Sprintf("%d failed to warm", r.Warm.Failed):                                                                                      r.Warm.Failed == 0,
	} {
		if !holds {
			t.Error(fault)
		}
	}
}

func median(xs []float64) float64 { return slices.Sorted(slices.Values(xs))[len(xs)/2] }
