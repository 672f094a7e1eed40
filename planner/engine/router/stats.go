package router

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Stats are the router's own counters since it started. Live requests and
// plan-only requests are counted apart, and the warm-up in neither.
type Stats struct {
	Requests   uint64  `json:"requests"` // live requests that came as far as the plan cache
	PlanHits   uint64  `json:"planHits"`
	PlanMisses uint64  `json:"planMisses"`
	PlanningMs float64 `json:"planningMs"` // of the misses
	Executed   uint64  `json:"executed"`   // operations that were executed over HTTP
	Mutations  uint64  `json:"mutations"`  // of them, mutations
	Invalid    uint64  `json:"invalid"`    // requests without a plan

	PlanOnly           uint64  `json:"planOnly"` // plan-only requests that were honoured
	PlanOnlyMisses     uint64  `json:"planOnlyMisses"`
	PlanOnlyPlanningMs float64 `json:"planOnlyPlanningMs"`
	PlanOnlyIgnored    uint64  `json:"planOnlyIgnored"` // executed although the header was there
	PlanOnlyRefused    uint64  `json:"planOnlyRefused"` // answered 400

	Warmup        WarmupStats `json:"warmup"` // of the graph that is served
	Ready         bool        `json:"ready"`
	ConfigVersion string      `json:"configVersion"`
	Reloads       uint64      `json:"reloads"`
	PlanCache     CacheStats  `json:"planCache"` // of the graph that is served
}

// WarmupStats tell of one warm-up.
type WarmupStats struct {
	Items   int     `json:"items"`
	Planned int     `json:"planned"`
	Failed  int     `json:"failed"`  // not plannable, or without a query
	Skipped int     `json:"skipped"` // the time was up
	TookMs  float64 `json:"tookMs"`
	Outcome string  `json:"outcome"` // "off", "warmed", "no list", "unavailable"
}

// CacheStats tell of the plan cache of one graph.
type CacheStats struct {
	Size    int    `json:"size"`
	Added   uint64 `json:"added"`
	Evicted uint64 `json:"evicted"`
}

// counters are the live side of Stats.
type counters struct {
	requests, hits, misses, executed, mutations, invalid atomic.Uint64
	planOnly, planOnlyMisses, ignored, refused, reloads  atomic.Uint64

	mu                     sync.Mutex
	planning, planOnlyTime time.Duration
}

// request counts one request that is over.
func (c *counters) request(o observation) {
	if !o.planned {
		c.invalid.Add(1)
		return
	}
	misses, planning := &c.misses, &c.planning
	if o.planOnly {
		misses, planning = &c.planOnlyMisses, &c.planOnlyTime
		c.planOnly.Add(1)
	} else {
		c.requests.Add(1)
		if o.hit {
			c.hits.Add(1)
		}
	}
	if !o.hit {
		misses.Add(1)
		c.mu.Lock()
		*planning += o.stages.plan
		c.mu.Unlock()
	}
	if o.executed {
		c.executed.Add(1)
		if o.op.kind == "mutation" {
			c.mutations.Add(1)
		}
	}
}

func (c *counters) times() (live, planOnly time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.planning, c.planOnlyTime
}

// Stats returns the counters as they are now.
func (r *Router) Stats() Stats {
	c := &r.counters
	live, planOnly := c.times()
	s := Stats{
		Requests: c.requests.Load(), PlanHits: c.hits.Load(), PlanMisses: c.misses.Load(), PlanningMs: milliseconds(live),
		Executed: c.executed.Load(), Mutations: c.mutations.Load(), Invalid: c.invalid.Load(),
		PlanOnly: c.planOnly.Load(), PlanOnlyMisses: c.planOnlyMisses.Load(), PlanOnlyPlanningMs: milliseconds(planOnly),
		PlanOnlyIgnored: c.ignored.Load(), PlanOnlyRefused: c.refused.Load(), Reloads: c.reloads.Load(),
	}
	if g := r.acquire(); g != nil {
		defer g.release()
		s.Ready, s.ConfigVersion, s.Warmup, s.PlanCache = true, g.version, g.warmup, g.cache()
	}
	return s
}

// promBounds are the buckets of Cosmo's Prometheus page, milliseconds.
var promBounds = []float64{10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000}

// promMetrics shows the counters on a Prometheus page, under the names that a
// Cosmo router has where there are such.
type promMetrics struct {
	router   *Router
	planning *prometheus.HistogramVec

	cacheKeys, requests, hits, misses, seconds, executed, warmed *prometheus.Desc
}

var _ prometheus.Collector = (*promMetrics)(nil)

func newPromMetrics(r *Router) *promMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &promMetrics{
		router: r,
		planning: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "router_graphql_operation_planning_time",
			Help: "Operation planning time in milliseconds.", Buckets: promBounds}, []string{"wg_engine_plan_cache_hit"}),
		cacheKeys: desc("router_graphql_cache_keys_stats_total", "Keys of the plan cache that were added or evicted; begins anew with each graph.", "cache_type", "operation"),
		requests:  desc("planwarm_engine_requests_total", "Live requests that reached the plan cache."),
		hits:      desc("planwarm_engine_plan_hits_total", "Live requests whose plan was cached."),
		misses:    desc("planwarm_engine_plan_misses_total", "Live requests whose plan had to be made."),
		seconds:   desc("planwarm_engine_planning_seconds_total", "Planning time of live misses."),
		executed:  desc("planwarm_engine_executed_total", "Operations executed over HTTP."),
		warmed:    desc("planwarm_engine_warmup_operations", "Operations of the last warm-up by outcome.", "outcome"),
	}
}

// observe takes the planning time of one operation.
func (m *promMetrics) observe(o observation) {
	m.planning.WithLabelValues(strconv.FormatBool(o.hit)).Observe(milliseconds(o.stages.plan))
}

// Describe implements prometheus.Collector.
func (m *promMetrics) Describe(ch chan<- *prometheus.Desc) {
	m.planning.Describe(ch)
	for _, d := range []*prometheus.Desc{m.cacheKeys, m.requests, m.hits, m.misses, m.seconds, m.executed, m.warmed} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *promMetrics) Collect(ch chan<- prometheus.Metric) {
	m.planning.Collect(ch)
	s := m.router.Stats()
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	counter(m.cacheKeys, float64(s.PlanCache.Added), "plan", "added")
	counter(m.cacheKeys, float64(s.PlanCache.Evicted), "plan", "evicted")
	counter(m.cacheKeys, 0, "plan", "updated")
	counter(m.requests, float64(s.Requests))
	counter(m.hits, float64(s.PlanHits))
	counter(m.misses, float64(s.PlanMisses))
	counter(m.seconds, s.PlanningMs/1000)
	counter(m.executed, float64(s.Executed))
	for outcome, n := range map[string]int{"planned": s.Warmup.Planned, "failed": s.Warmup.Failed, "skipped": s.Warmup.Skipped} {
		ch <- prometheus.MustNewConstMetric(m.warmed, prometheus.GaugeValue, float64(n), outcome)
	}
}
