package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/manifest"
)

var update = flag.Bool("update", false, "write golden files instead of comparing with them")

const goldenManifest = "testdata/captures-main.json"

// buildMain is the command line that builds the manifest of the run main.
func buildMain() []string {
	return []string{
		"build", "--schema", supergraph, "--graph", "storefront",
		"--otlp", capturesDir + "main/traces", "--otlp", capturesDir + "main/metrics-http-delta",
		"--graphqlmetrics", capturesDir + "main/graphqlmetrics/*.pb.gz",
		"--max", "60",
	}
}

// runBuild runs a command line that has to succeed and returns both outputs.
func runBuild(t *testing.T, args ...string) (stdout []byte, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(args, strings.NewReader(""), &out, &errs); code != exitDone {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	return out.Bytes(), errs.String()
}

func TestBuildFromCapturesEqualsGolden(t *testing.T) {
	got, told := runBuild(t, buildMain()...)
	if *update {
		if err := os.MkdirAll(filepath.Dir(goldenManifest), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(goldenManifest, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenManifest)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the manifest of the captures differs from %s; look at the difference after go test -run %s -update", goldenManifest, t.Name())
	}
	for _, want := range []string{"default/storefront", "60 operations, 60 plans", "7 below-min-planning-time", "2 introspection", "12 over-cap"} {
		if !strings.Contains(told, want) {
			t.Errorf("the summary does not say %q:\n%s", want, told)
		}
	}
}

// The golden file is held to what the router really did: keys, order and P90s
// follow from truth.json and the documented rules alone.
func TestGoldenManifestFollowsFromTruth(t *testing.T) {
	data, err := os.ReadFile(goldenManifest)
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.DecodeBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	truth := truthPlans(t)
	var keys []string
	for key, p := range truth {
		if !p.introspection && p.p90() >= 1 && p.requests >= 2 {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Compare(truth[b].p90(), truth[a].p90()) })
	if len(keys) != 72 || len(m.Operations) != 60 {
		t.Fatalf("%d plans pass the gates, %d are in the manifest", len(keys), len(m.Operations))
	}
	lower := truth[keys[59]].p90()
	var above float64
	for i, e := range m.Operations {
		d := e.Planwarm
		w := truth[d.PlanKey]
		if w == nil || !slices.Contains(keys, d.PlanKey) {
			t.Errorf("operation %d %q has no business here", i, e.Request.OperationName)
			continue
		}
		if d.Samples != uint64(len(w.miss)) || d.Executions != w.requests || d.MaxMs != round4(w.miss[len(w.miss)-1]) {
			t.Errorf("%q: %d samples, %d executions, max %v; want %d, %d, %v",
				w.names, d.Samples, d.Executions, d.MaxMs, len(w.miss), w.requests, w.miss[len(w.miss)-1])
		}
		if diff := d.P90Ms - w.p90(); diff > p90Error(w.p90()) || -diff > p90Error(w.p90()) {
			t.Errorf("%q: P90 %v, want %v", w.names, d.P90Ms, w.p90())
		}
		if !slices.Contains(w.names, e.Request.OperationName) {
			t.Errorf("plan %s: named %q, want one of %q", d.PlanKey, e.Request.OperationName, w.names)
		}
		// Two neighbours may change places only when the error bound of both covers it.
		if i > 0 && w.p90()-p90Error(w.p90()) > above+p90Error(above) {
			t.Errorf("%q of %v stands behind %v", w.names, w.p90(), above)
		}
		if w.p90()+p90Error(w.p90()) < lower-p90Error(lower) {
			t.Errorf("%q of %v is in, though the 60th has %v", w.names, w.p90(), lower)
		}
		above = w.p90()
	}
	if got := len(entryFigures(m)); got != 60 {
		t.Errorf("%d different keys among 60 operations", got)
	}
}

// round4 is a time as a manifest writes it.
func round4(ms float64) float64 { return math.Round(ms*1e4) / 1e4 }

// What spans, metric and usage say of all 84 operations, through files.
func TestBuildCountsWhatTheRouterDid(t *testing.T) {
	folder := func(name string) string { return capturesDir + "main/" + name }
	usage := []string{"--graphqlmetrics", folder("graphqlmetrics/*.pb.gz")}
	traces := []string{"--otlp", folder("traces")}
	delta := []string{"--otlp", folder("metrics-http-delta")}
	three := slices.Concat(delta, []string{"--otlp", folder("metrics-grpc-delta"), "--otlp", folder("metrics-http-cumulative")})
	truth := truthPlans(t)
	for name, c := range map[string]struct {
		input []string
		measure
	}{
		"traces":                       {traces, measure{spans: true}},
		"one metric stream":            {delta, measure{metric: true}},
		"one that is cumulative":       {[]string{"--otlp", folder("metrics-http-cumulative")}, measure{metric: true}},
		"one metric stream, twice":     {slices.Concat(delta, delta), measure{metric: true}},
		"three metric streams":         {three, measure{metric: true}},
		"graphqlmetrics":               {usage, measure{}},
		"graphqlmetrics, twice":        {slices.Concat(usage, usage), measure{}},
		"all":                          {slices.Concat(traces, three, usage), measure{spans: true, metric: true}},
		"three metric streams and use": {slices.Concat(three, usage), measure{metric: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := buildFigures(t, c.input...)
			for _, d := range c.differences(got, truth) {
				t.Error(d)
			}
		})
	}
}

// buildFigures builds without gates and returns the figures of all plans, those
// that are left out included.
func buildFigures(t *testing.T, input ...string) map[string]figures {
	t.Helper()
	out := filepath.Join(t.TempDir(), "manifest.json")
	args := append([]string{"build", "--json", "--schema", supergraph, "-o", out, "--max", "1000", "--min-planning-time", "0s", "--min-executions", "0"}, input...)
	summary, _ := runBuild(t, args...)
	var told buildSummary
	if err := json.Unmarshal(summary, &told); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.DecodeBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	got := entryFigures(m)
	if told.Operations != len(got) {
		t.Errorf("the summary tells %d operations, the manifest has %d", told.Operations, len(got))
	}
	addLeftOut(t, got, told.LeftOut)
	return got
}

// addLeftOut adds the plans that are not in the manifest for want of a text, or
// because they ask for the schema. No other reason is expected.
func addLeftOut(t *testing.T, to map[string]figures, left []manifest.LeftOut) {
	t.Helper()
	for _, l := range left {
		switch {
		case l.Reason != manifest.ReasonNoText && l.Reason != manifest.ReasonIntrospection:
			t.Errorf("%q is left out: %s", l.OperationName, l.Reason)
		case l.PlanKey == "":
			t.Errorf("%q has no plan key", l.OperationName)
		default:
			to[l.PlanKey] = figures{round4(l.P90Ms), l.Samples, l.Executions}
		}
	}
}

// A metric knows operations by their hash. Documents that somebody pushes have
// the same hash, so their entries get the figures.
func TestBuildJoinsDocumentsByHash(t *testing.T) {
	out := filepath.Join(t.TempDir(), "manifest.json")
	runBuild(t, "build", "--schema", supergraph, "-o", out, "--max", "1000", "--otlp", capturesDir+"main/metrics-http-delta",
		"--operations", "../../testdata/storefront/operations")
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.DecodeBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	left := maps.Clone(truthPlans(t))
	for _, e := range m.Operations {
		// Conditions share an entry: its figures are those of all its plans.
		want, found := truthPlan{}, map[string]bool{}
		for _, x := range e.Expand() {
			key := x.Planwarm.PlanKey
			if p := left[key]; p != nil && !found[key] {
				found[key] = true
				want.requests += p.requests
				want.miss = append(want.miss, p.miss...)
			}
			if x.Request.Query == "" {
				t.Errorf("%q has a variant without a text", e.Request.OperationName)
			}
		}
		for key := range found {
			delete(left, key)
		}
		if d := e.Planwarm; d.Source != manifest.SourceManual || d.Executions != want.requests || d.Samples != uint64(len(want.miss)) {
			t.Errorf("%q (%s): %d executions, %d samples; want %d, %d", e.Request.OperationName, d.Source, d.Executions, d.Samples, want.requests, len(want.miss))
		}
	}
	for key, p := range left {
		if !p.introspection {
			t.Errorf("plan %s %q joined no document", key, p.names)
		}
	}
}

// A manifest is input too, and brings its time; --now moves the window.
func TestBuildTakesManifestsAndTimes(t *testing.T) {
	second, told := runBuild(t, "build", "--schema", supergraph, "--operations", goldenManifest, "--max", "30")
	m, err := manifest.DecodeBytes(second)
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile(goldenManifest)
	if err != nil {
		t.Fatal(err)
	}
	from, err := manifest.DecodeBytes(golden)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Operations) != 30 || !m.GeneratedAt.Equal(from.GeneratedAt) || !strings.Contains(told, "30 parked") {
		t.Errorf("%d operations at %s: %s", len(m.Operations), m.GeneratedAt, told)
	}
	for i, e := range m.Operations {
		if e.Request.Query != from.Operations[i].Request.Query || e.Planwarm.Source != manifest.SourceManual {
			t.Errorf("operation %d is %q, want %q", i, e.Request.OperationName, from.Operations[i].Request.OperationName)
		}
	}
	// A week after the captures nothing of them is left in the window.
	now := from.GeneratedAt.Add(9 * 24 * time.Hour).Format(time.RFC3339)
	late, _ := runBuild(t, "build", "--schema", supergraph, "--otlp", capturesDir+"main/metrics-http-delta", "--now", now)
	if m, err = manifest.DecodeBytes(late); err != nil || len(m.Operations) != 0 {
		t.Errorf("%d operations, error %v", len(m.Operations), err)
	}
}

// A router counts requests of several names, or of none, under one hash. The
// text is one of theirs, and is sent under its own name: under the most frequent
// one a router, and the schema, would not find the operation.
func TestBuildSendsATextUnderItsOwnName(t *testing.T) {
	const usage = `{"Aggregation": [
		{"SchemaUsage": {"RequestDocument": "%s", "OperationInfo": {"Hash": "7", "Name": "%s"}}, "RequestCount": 2},
		{"SchemaUsage": {"RequestDocument": "query B {me {id}}", "OperationInfo": {"Hash": "7", "Name": "B"}}, "RequestCount": 30}]}`
	for name, text := range map[string]string{"": "{me {id}}", "A": "query A {me {id}}"} {
		in := filepath.Join(t.TempDir(), "usage.json")
		if err := os.WriteFile(in, fmt.Appendf(nil, usage, text, name), 0o600); err != nil {
			t.Fatal(err)
		}
		out, told := runBuild(t, "build", "--schema", supergraph, "--graphqlmetrics", in, "--min-planning-time", "0s")
		m, err := manifest.DecodeBytes(out)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Operations) != 1 || m.Operations[0].Request.OperationName != name || m.Operations[0].Planwarm.Executions != 32 {
			t.Errorf("first %q: %+v\n%s", name, m.Operations, told)
		}
	}
}
