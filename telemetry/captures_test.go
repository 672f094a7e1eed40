package telemetry

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// TestCapturedTimes feeds every planning time that a real router had, in a
// random order, and compares with the exact figures.
func TestCapturedTimes(t *testing.T) {
	b, err := os.ReadFile("../testdata/cosmo/truth.json")
	if err != nil {
		t.Fatal(err)
	}
	var truth struct {
		Operations map[string]struct {
			MissMs      []float64 `json:"miss_ms"`
			P50         float64   `json:"p50_ms"`
			P90         float64   `json:"p90_ms"`
			P99         float64   `json:"p99_ms"`
			Max         float64   `json:"max_ms"`
			Sum         float64   `json:"sum_ms"`
			Requests    uint64
			PlanKey     string `json:"plan_key"`
			Names       map[string]uint64
			ClientCount map[string]uint64 `json:"clients"`
		}
	}
	if err := json.Unmarshal(b, &truth); err != nil {
		t.Fatal(err)
	}
	var spans []Span
	for hash, o := range truth.Operations {
		for i := range int(o.Requests) {
			s := spanOf(uint64(len(spans)+1), hash, 0)
			s.Op.PlanKey = o.PlanKey
			if s.Hit = i >= len(o.MissMs); !s.Hit {
				s.Duration = time.Duration(nanoseconds(o.MissMs[i]))
			}
			spans = append(spans, s)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	r.Shuffle(len(spans), func(i, j int) { spans[i], spans[j] = spans[j], spans[i] })
	table := newTable(t, nil)
	for i, s := range spans {
		table.Span(start.Add(time.Duration(i)*time.Minute), s)
	}
	usages := table.Usages(start.Add(time.Duration(len(spans))*time.Minute), DefaultWindow)
	if len(usages) != len(truth.Operations) {
		t.Errorf("%d operations, want %d", len(usages), len(truth.Operations))
	}
	for hash, o := range truth.Operations {
		u := usageOf(t, usages, hash)
		if u.Executions != o.Requests || u.Samples != uint64(len(o.MissMs)) || u.Max != o.Max || u.PlanKey != o.PlanKey {
			t.Errorf("%s: %d executions, %d samples, max %v; want %d, %d, %v", hash, u.Executions, u.Samples, u.Max, o.Requests, len(o.MissMs), o.Max)
		}
		within(t, hash+" P50", u.P50, o.P50)
		within(t, hash+" P90", u.P90, o.P90)
		within(t, hash+" P99", u.P99, o.P99)
		if d := u.Sum - o.Sum; d > 1e-3 || d < -1e-3 {
			t.Errorf("%s: sum %v, want %v", hash, u.Sum, o.Sum)
		}
	}
}
