package router

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/planwarm/planwarm/planner/cosmo"
)

// TestMainRuns a router as its own process would: announced, warmed, served,
// and ended in order with its telemetry sent.
func TestMainRuns(t *testing.T) {
	subs, s := startSubgraphs(t, "subgraphs"), startSink(t)
	c := find(t, "product-title")
	cdn := startCDN(t, 200, list(t, []call{c}))
	config, err := json.Marshal(Config{Options: Options{Supergraph: readFixture(t, "supergraph.graphql"), SubgraphURLs: subs.URLs(),
		Warmup: cdn.options(), Telemetry: s.options()}})
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := DecodeConfig(bytes.NewReader(config))
	if err != nil {
		t.Fatal(err)
	}
	out, in := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Main(ctx, decoded, in) }()
	defer cancel()
	var started Started
	if err := json.NewDecoder(out).Decode(&started); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	eventually(t, "readiness", func() bool {
		res, err := client.Get(started.URL + "/health/ready")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	res, err := client.Post(started.URL+"/graphql", "application/json", strings.NewReader(`{"query":"{ product(id: \"p-1\") { id title } }"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.Header.Get(headerPlanCache) != "HIT" {
		t.Errorf("first request: %s", res.Header.Get(headerPlanCache))
	}
	p, err := cosmo.New(cosmo.Options{URL: started.URL + "/graphql", MetricsURL: started.URL + "/metrics", Client: client})
	if err != nil {
		t.Fatal(err)
	}
	if n := p.Cores(t.Context()); n != runtime.GOMAXPROCS(0) {
		t.Errorf("the page tells of %d cores", n)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Main: %v", err)
	}
	if len(s.spans) != 6 || len(s.points) != 2 || len(s.usage) != 1 {
		t.Errorf("the end sent %d spans, %d points, %d usage", len(s.spans), len(s.points), len(s.usage))
	}
}

func TestMainFailures(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	sdl := readFixture(t, "supergraph.graphql")
	cdn := startCDN(t, 200, `{"operations":[{}]}`)
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"no supergraph":     {Config{}, "supergraph"},
		"absent file":       {Config{Options: Options{SupergraphFile: "absent.graphql"}}, "read supergraph"},
		"broken supergraph": {Config{Options: Options{Supergraph: "type"}}, "build graph"},
		"taken port":        {Config{Options: Options{Supergraph: sdl}, Listen: ln.Addr().String()}, "start router"},
		"deadly list":       {Config{Options: Options{Supergraph: sdl, Warmup: cdn.options()}}, ErrNoRequest.Error()},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if err := Main(ctx, c.config, io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}

// TestMetricsPage compares the page with the counters after known requests.
func TestMetricsPage(t *testing.T) {
	c := find(t, "product-title")
	cdn := startCDN(t, 200, list(t, []call{find(t, "me")}))
	r := startReady(t, func(o *Options) { o.Warmup = cdn.options() })
	r.post(t, c)
	r.post(t, c)
	const want = `
# HELP planwarm_engine_executed_total Operations executed over HTTP.
# TYPE planwarm_engine_executed_total counter
planwarm_engine_executed_total 2
# HELP planwarm_engine_plan_hits_total Live requests whose plan was cached.
# TYPE planwarm_engine_plan_hits_total counter
planwarm_engine_plan_hits_total 1
# HELP planwarm_engine_plan_misses_total Live requests whose plan had to be made.
# TYPE planwarm_engine_plan_misses_total counter
planwarm_engine_plan_misses_total 1
# HELP planwarm_engine_requests_total Live requests that reached the plan cache.
# TYPE planwarm_engine_requests_total counter
planwarm_engine_requests_total 2
# HELP planwarm_engine_warmup_operations Operations of the last warm-up by outcome.
# TYPE planwarm_engine_warmup_operations gauge
planwarm_engine_warmup_operations{outcome="failed"} 0
planwarm_engine_warmup_operations{outcome="planned"} 1
planwarm_engine_warmup_operations{outcome="skipped"} 0
# HELP router_graphql_cache_keys_stats_total Keys of the plan cache that were added or evicted; begins anew with each graph.
# TYPE router_graphql_cache_keys_stats_total counter
router_graphql_cache_keys_stats_total{cache_type="plan",operation="added"} 2
router_graphql_cache_keys_stats_total{cache_type="plan",operation="evicted"} 0
router_graphql_cache_keys_stats_total{cache_type="plan",operation="updated"} 0
`
	if err := testutil.GatherAndCompare(r.opts.Metrics, strings.NewReader(want), "planwarm_engine_executed_total", "planwarm_engine_plan_hits_total",
		"planwarm_engine_plan_misses_total", "planwarm_engine_requests_total", "planwarm_engine_warmup_operations", "router_graphql_cache_keys_stats_total"); err != nil {
		t.Error(err)
	}
	status, page := r.get(t, "/metrics")
	for _, line := range []string{`router_graphql_operation_planning_time_count{wg_engine_plan_cache_hit="false"} 1`,
		`router_graphql_operation_planning_time_count{wg_engine_plan_cache_hit="true"} 1`, "planwarm_engine_planning_seconds_total "} {
		if status != 200 || !strings.Contains(page, line) {
			t.Errorf("status %d, no %s on the page", status, line)
		}
	}
	_, body := r.get(t, "/stats")
	var page2 Stats
	if err := json.Unmarshal([]byte(body), &page2); err != nil || page2 != r.Stats() {
		t.Errorf("GET /stats %+v, Stats %+v, %v", page2, r.Stats(), err)
	}
	// A reload starts the cache's counters anew: the sign that a sidecar watches for.
	if err := r.Reload(t.Context(), readFixture(t, "supergraph-v2.graphql")); err != nil {
		t.Fatal(err)
	}
	if _, page := r.get(t, "/metrics"); !strings.Contains(page, `router_graphql_cache_keys_stats_total{cache_type="plan",operation="added"} 1`) {
		t.Error("the counter did not drop at the reload")
	}
}

// TestFlushEndpoint sends what is held back, so that a demo need not wait for an interval.
func TestFlushEndpoint(t *testing.T) {
	s := startSink(t)
	r := startReady(t, func(o *Options) { o.Telemetry = s.options() })
	r.post(t, find(t, "me"))
	for _, c := range []struct{ sink, want int }{{0, http.StatusNoContent}, {http.StatusBadRequest, http.StatusBadGateway}} {
		r.post(t, find(t, "me"))
		s.mu.Lock()
		s.status = c.sink
		s.mu.Unlock()
		req, err := http.NewRequest(http.MethodPost, r.url+"/flush", nil)
		if err != nil {
			t.Fatal(err)
		}
		if a := r.do(t, req); a.status != c.want {
			t.Errorf("sink answers %d: flush %d, want %d", c.sink, a.status, c.want)
		}
	}
	s.mu.Lock()
	s.status = 0
	s.mu.Unlock()
	if len(s.spans) != 12 || len(s.usage) == 0 {
		t.Errorf("%d spans, %d usage", len(s.spans), len(s.usage))
	}
}
