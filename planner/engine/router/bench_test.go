package router

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
)

// BenchmarkPlanOnlyHit is a plan-only request whose plan is cached, without
// the network: what a warmer that finds everything warm costs the router.
func BenchmarkPlanOnlyHit(b *testing.B) {
	r := startReady(b, func(o *Options) { o.PlanOnly = PlanOnlyAllowed })
	const body = `{"query":"query($id: ID!) { product(id: $id) { id title price { amount currency } brand { name } } }"}`
	for b.Loop() {
		req := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body))
		req.Header.Set(headerSkipLoader, "true")
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		if w.Body.String() != nullData {
			b.Fatal(w.Body.String())
		}
	}
}

// BenchmarkWarmup plans the sample operations from a list in a fresh graph and
// compares the time with the least possible: all plan times ÷ cores, the plan
// times taken from a run with one worker, since workers slow one another down.
func BenchmarkWarmup(b *testing.B) {
	unlimited := 0.0
	o, err := Options{Supergraph: readFixture(b, "supergraph.graphql"), Warmup: Warmup{ItemsPerSecond: &unlimited}}.withDefaults()
	if err != nil {
		b.Fatal(err)
	}
	items, err := decodeList([]byte(list(b, light(unconditional(valid(calls(b, false)))))))
	if err != nil {
		b.Fatal(err)
	}
	run := func(workers int) (wall, planning time.Duration) {
		g, err := newGraph(b.Context(), o.Supergraph, o)
		if err != nil {
			b.Fatal(err)
		}
		defer g.close()
		r := &Router{opts: o, log: o.Log}
		r.opts.Warmup.Workers = workers
		start := time.Now()
		if s := r.planItems(b.Context(), g, items); s.Planned != len(items) {
			b.Fatalf("%+v", s)
		}
		return time.Since(start), g.engine.Stats().Planning
	}
	_, alone := run(1)
	var total time.Duration
	for b.Loop() {
		wall, _ := run(o.Warmup.Workers)
		total += wall
	}
	least := alone / time.Duration(runtime.GOMAXPROCS(0))
	b.ReportMetric(float64(total)/float64(b.N)/float64(least), "×least")
	b.ReportMetric(milliseconds(alone), "plan-ms")
}
