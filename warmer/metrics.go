package warmer

import (
	"errors"
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the counters of one Warmer.
type metrics struct {
	runs          *prometheus.CounterVec
	rebuilds      *prometheus.CounterVec
	plans         *prometheus.CounterVec
	share         *prometheus.GaugeVec
	runSeconds    *prometheus.HistogramVec
	publishes     *prometheus.CounterVec
	operations    *prometheus.GaugeVec
	sequence      *prometheus.GaugeVec
	fetchFailures *prometheus.CounterVec
	buildSeconds  *prometheus.HistogramVec

	mu      sync.Mutex
	routers map[string]int // how many graphs know a router of that name
}

var seconds = prometheus.ExponentialBuckets(0.005, 2, 14) // 5 ms to 41 s

func newMetrics(reg prometheus.Registerer, graphs []GraphOptions) (*metrics, error) {
	m := &metrics{
		routers: map[string]int{},
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "planwarm_warm_runs_total", Help: "Warm-up runs by router and outcome.",
		}, []string{"router", "outcome"}),
		rebuilds: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "planwarm_router_rebuilds_total", Help: "Rebuilds of a router's graph that were seen.",
		}, []string{"router"}),
		plans: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "planwarm_warm_operations_total", Help: "Operations of warm-up runs by router and outcome.",
		}, []string{"router", "outcome"}),
		share: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "planwarm_warm_verified_share", Help: "Share of first checks of the last run that found the plan in the router's cache.",
		}, []string{"router"}),
		runSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "planwarm_warm_run_seconds", Help: "Duration of warm-up runs.", Buckets: seconds,
		}, []string{"router"}),
		publishes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "planwarm_recomputes_total", Help: "Recomputes of a graph's manifest by outcome.",
		}, []string{"graph", "outcome"}),
		operations: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "planwarm_manifest_operations", Help: "Operations in the manifest that was built last.",
		}, []string{"graph"}),
		sequence: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "planwarm_manifest_sequence", Help: "Sequence of the manifest that is published.",
		}, []string{"graph"}),
		fetchFailures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "planwarm_manifest_fetch_failures_total", Help: "Fetches that gave no manifest.",
		}, []string{"graph"}),
		buildSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "planwarm_recompute_seconds", Help: "Duration of recomputes.", Buckets: seconds,
		}, []string{"graph"}),
	}
	for _, c := range []prometheus.Collector{
		m.runs, m.rebuilds, m.plans, m.share, m.runSeconds, m.publishes, m.operations, m.sequence, m.fetchFailures, m.buildSeconds,
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	m.known(graphs)
	return m, nil
}

// The outcomes, created at start so that a rate over them is never missing.
var (
	runOutcomes     = []string{"warm", "stopped", "degraded", "interrupted"}
	planOutcomes    = []string{"planned", "already_warm", "failed", "skipped", "executed", "by_execution"}
	publishOutcomes = []string{"published", "unchanged", "waiting", "held", "no_schema", "failed"}
)

func (m *metrics) known(graphs []GraphOptions) {
	for _, g := range graphs {
		graph := g.Graph.String()
		m.fetchFailures.WithLabelValues(graph)
		m.operations.WithLabelValues(graph)
		m.sequence.WithLabelValues(graph)
		m.buildSeconds.WithLabelValues(graph)
		for _, o := range publishOutcomes {
			m.publishes.WithLabelValues(graph, o)
		}
	}
}

func (m *metrics) observeRun(router string, rec RunRecord, phase Phase) {
	outcome := string(phase)
	if phase == PhaseWarming { // another run follows
		outcome = "interrupted"
	}
	m.runs.WithLabelValues(router, outcome).Inc()
	for o, n := range map[string]int{
		"planned": rec.Planned, "already_warm": rec.AlreadyWarm, "failed": rec.Failed, "skipped": rec.Skipped, "executed": rec.Executed, "by_execution": rec.ByExecution,
	} {
		m.plans.WithLabelValues(router, o).Add(float64(n))
	}
	if rec.Share != nil {
		m.share.WithLabelValues(router).Set(*rec.Share)
	}
	m.runSeconds.WithLabelValues(router).Observe(rec.TookMs / 1e3)
}

func (m *metrics) observePublish(graph string, rep PublishReport, err error) {
	outcome := "unchanged"
	var soon tooSoonError
	switch {
	case errors.As(err, &soon):
		outcome = "waiting"
	case errors.Is(err, ErrHeld):
		outcome = "held"
	case errors.Is(err, ErrNoSchema):
		outcome = "no_schema"
	case err != nil:
		outcome = "failed"
	case rep.Published:
		outcome = "published"
	}
	m.publishes.WithLabelValues(graph, outcome).Inc()
	m.buildSeconds.WithLabelValues(graph).Observe(rep.TookMs / 1e3)
	if err == nil || outcome == "waiting" {
		m.operations.WithLabelValues(graph).Set(float64(rep.Operations))
		m.sequence.WithLabelValues(graph).Set(float64(rep.Sequence))
	}
}
