package warmer

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/planner"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// Every label is there before anything happened, so that no rate misses its beginning.
func TestMetricsAtStart(t *testing.T) {
	h := newHarness(t, func(o *GraphOptions) { o.Routers = []RouterOptions{{Name: "r", Planner: &fakeRouter{}}} })
	want := `
# HELP planwarm_recomputes_total Recomputes of a graph's manifest by outcome.
# TYPE planwarm_recomputes_total counter
planwarm_recomputes_total{graph="default/shop",outcome="failed"} 0
planwarm_recomputes_total{graph="default/shop",outcome="held"} 0
planwarm_recomputes_total{graph="default/shop",outcome="no_schema"} 0
planwarm_recomputes_total{graph="default/shop",outcome="published"} 0
planwarm_recomputes_total{graph="default/shop",outcome="unchanged"} 0
planwarm_recomputes_total{graph="default/shop",outcome="waiting"} 0
# HELP planwarm_router_rebuilds_total Rebuilds of a router's graph that were seen.
# TYPE planwarm_router_rebuilds_total counter
planwarm_router_rebuilds_total{router="r"} 0
# HELP planwarm_warm_runs_total Warm-up runs by router and outcome.
# TYPE planwarm_warm_runs_total counter
planwarm_warm_runs_total{outcome="degraded",router="r"} 0
planwarm_warm_runs_total{outcome="interrupted",router="r"} 0
planwarm_warm_runs_total{outcome="stopped",router="r"} 0
planwarm_warm_runs_total{outcome="warm",router="r"} 0
`
	err := testutil.GatherAndCompare(h.registry, strings.NewReader(want), "planwarm_recomputes_total", "planwarm_router_rebuilds_total", "planwarm_warm_runs_total")
	if err != nil {
		t.Error(err)
	}
}

func TestMetricsCountRunsAndRecomputes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{}
		h := newHarness(t, func(o *GraphOptions) { o.Routers = []RouterOptions{{Name: "r", Planner: f}} })
		h.usages.set(usage("f1", 10), usage("f2", 20))
		h.start(t)
		time.Sleep(time.Second)
		f.mu.Lock()
		f.probe = func(int) error { return planner.ErrExecuted }
		f.mu.Unlock()
		if err := h.Trigger(t.Context(), shop, ReasonPerson); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		m := h.graph.metrics
		for name, c := range map[string]struct {
			got  prometheus.Collector
			want float64
		}{
			"planned":        {m.plans.WithLabelValues("r", "planned"), 2},
			"executed":       {m.plans.WithLabelValues("r", "executed"), 1},
			"stopped runs":   {m.runs.WithLabelValues("r", "stopped"), 1},
			"rebuilds":       {m.rebuilds.WithLabelValues("r"), 1},
			"verified share": {m.share.WithLabelValues("r"), 1},
			"published":      {m.publishes.WithLabelValues("default/shop", "published"), 1},
			"operations":     {m.operations.WithLabelValues("default/shop"), 2},
			"sequence":       {m.sequence.WithLabelValues("default/shop"), 1},
		} {
			if got := testutil.ToFloat64(c.got); got != c.want {
				t.Errorf("%s: %g, want %g", name, got, c.want)
			}
		}
	})
}

// Two warmers on one registry are an error, not a panic.
func TestNewTwiceOnOneRegistry(t *testing.T) {
	h := newHarness(t, nil)
	if _, err := New(Options{Registerer: h.registry}); err == nil {
		t.Error("no error")
	}
}

// Readiness comes with the first runs or the time-out, and stays.
func TestReadiness(t *testing.T) {
	for name, tc := range map[string]struct {
		probe func(int) error
		after time.Duration
	}{
		"first run":           {nil, time.Second},
		"router executes":     {func(int) error { return planner.ErrExecuted }, time.Second},
		"router never serves": {func(int) error { return planner.ErrUnavailable }, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeRouter{probe: tc.probe}
				h := newHarness(t, func(o *GraphOptions) { o.Routers = []RouterOptions{{Name: "r", Planner: f}} })
				h.usages.set(usage("f1", 10))
				if h.Ready() {
					t.Error("ready before the start")
				}
				h.start(t)
				if time.Sleep(tc.after - 500*time.Millisecond); tc.after > time.Second && h.Ready() {
					t.Error("ready too early")
				}
				time.Sleep(time.Second)
				if !h.Ready() {
					t.Fatal("not ready")
				}
				h.store.set(func(s *fakeStore) { s.fail = errDown })
				f.mu.Lock()
				f.probe = func(int) error { return planner.ErrUnavailable }
				f.mu.Unlock()
				_ = h.Trigger(t.Context(), shop, ReasonReload)
				time.Sleep(time.Hour)
				if !h.Ready() {
					t.Error("no longer ready")
				}
			})
		})
	}
}
