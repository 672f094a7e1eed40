package otlp

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/planwarm/planwarm/telemetry"
	"github.com/planwarm/planwarm/telemetry/graphqlmetrics"
)

// source is a way in of the captures of main, with the transport it came by.
type source struct{ transport, folder string }

var (
	fromTraces     = source{"http", "main/traces"}
	fromDelta      = source{"http", "main/metrics-http-delta"}
	fromGRPC       = source{"grpc", "main/metrics-grpc-delta"}
	fromCumulative = source{"http /cumulative/v1/metrics", "main/metrics-http-cumulative"}
	fromUsage      = source{"", "main/graphqlmetrics"}
)

// feed gives one body to the table.
type feed func(at time.Time)

func feeds(t *testing.T, table *telemetry.Table, sources ...source) (out []feed) {
	t.Helper()
	r := receiver(t, table)
	for _, s := range sources {
		for _, c := range load(t, s.folder) {
			out = append(out, func(at time.Time) {
				var err error
				var rejected int
				switch s {
				case fromUsage:
					var sum graphqlmetrics.Summary
					sum, err = graphqlmetrics.Record(at, c.body, graphqlmetrics.Protobuf, table)
					rejected = sum.Rejected
				case fromTraces:
					var sum Summary
					sum, err = r.Take(at, s.transport, Traces, Protobuf, c.body)
					rejected = sum.Rejected
				default:
					var sum Summary
					sum, err = r.Take(at, s.transport, Metrics, Protobuf, c.body)
					rejected = sum.Rejected
				}
				if err != nil || rejected != 0 {
					t.Fatalf("%s: %v, %d rejected", c.name, err, rejected)
				}
			})
		}
	}
	return out
}

// bucketOf is the router's bucket that a planning time falls into.
func bucketOf(ms float64) (low, high float64) {
	bounds := []float64{
		0, 5, 7, 10, 15, 25, 50, 75, 100, 125, 150, 175, 200, 225, 250, 275, 300, 350, 400, 450, 500, 600, 700, 800, 900,
		1000, 1250, 1500, 1750, 2000, 2250, 2500, 2750, 3000, 3500, 4000, 5000, 10000, math.Inf(1),
	}
	i := max(slices.IndexFunc(bounds, func(b float64) bool { return ms <= b }), 1)
	return bounds[i-1], bounds[i]
}

// p90 is the nearest rank.
func p90(sorted []float64) float64 { return sorted[(9*len(sorted)+9)/10-1] }

// compare holds the table to truth.json. Without any planning samples the
// executions alone are compared.
func compare(table *telemetry.Table, truth map[string]truthOp, spans, metric bool) error {
	usages := table.Usages(arrival.Add(time.Minute), telemetry.DefaultWindow)
	if len(usages) != len(truth) {
		return fmt.Errorf("%d operations, want %d", len(usages), len(truth))
	}
	for _, u := range usages {
		w, ok := truth[u.Hash]
		if !ok {
			return fmt.Errorf("operation %s is not in truth.json", u.Hash)
		}
		if u.Executions != uint64(w.Requests) {
			return fmt.Errorf("operation %s: %d executions, want %d", u.Hash, u.Executions, w.Requests)
		}
		if !spans && !metric {
			continue
		}
		if u.Samples != uint64(w.Misses) {
			return fmt.Errorf("operation %s: %d samples, want %d", u.Hash, u.Samples, w.Misses)
		}
		if w.Misses == 0 {
			continue
		}
		want := p90(w.MissMs)
		if spans {
			if math.Abs(u.P90-want) > 0.011*want {
				return fmt.Errorf("operation %s: P90 %v, want %v within 1.1 %%", u.Hash, u.P90, want)
			}
			continue
		}
		if low, high := bucketOf(want); u.P90 < low || u.P90 > high {
			return fmt.Errorf("operation %s: P90 %v, want it from %v to %v", u.Hash, u.P90, low, high)
		}
	}
	return nil
}

// TestTableEqualsTruth feeds the real table with the captures of one router:
// whichever of its sources are there, each body once, twice, and shuffled, the
// operations are those of truth.json.
func TestTableEqualsTruth(t *testing.T) {
	want := truth(t)
	cases := []struct {
		name          string
		sources       []source
		spans, metric bool
	}{
		{"traces", []source{fromTraces}, true, false},
		{"one metric stream", []source{fromDelta}, false, true},
		{"one that is cumulative", []source{fromCumulative}, false, true},
		{"three metric streams", []source{fromDelta, fromGRPC, fromCumulative}, false, true},
		{"graphqlmetrics", []source{fromUsage}, false, false},
		{"all", []source{fromTraces, fromDelta, fromGRPC, fromCumulative, fromUsage}, true, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, order := range []string{"once", "twice", "twice and shuffled"} {
				table, err := telemetry.NewTable(telemetry.Options{Canonical: func(text, name string) (telemetry.Canonical, error) {
					return telemetry.Canonical{Text: text, Name: name, Key: text, Type: "query"}, nil
				}})
				if err != nil {
					t.Fatal(err)
				}
				bodies := feeds(t, table, c.sources...)
				if order != "once" {
					bodies = append(bodies, bodies...)
				}
				if order == "twice and shuffled" {
					rand.New(rand.NewPCG(3, 4)).Shuffle(len(bodies), func(i, j int) { bodies[i], bodies[j] = bodies[j], bodies[i] })
				}
				for i, f := range bodies {
					f(arrival.Add(time.Duration(i) * 100 * time.Millisecond))
				}
				if err := compare(table, want, c.spans, c.metric); err != nil {
					t.Errorf("%s: %v", order, err)
				}
			}
		})
	}
}
