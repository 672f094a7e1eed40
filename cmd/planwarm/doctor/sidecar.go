package doctor

import (
	"fmt"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner/planhttp"
	"github.com/planwarm/planwarm/warmer"
)

// Running is what a running sidecar told of a graph.
type Running struct {
	Where   string // its control endpoint
	Err     error  // it could not be asked
	Graph   manifest.Graph
	Status  *warmer.GraphStatus // nil: it does not have the graph
	Metrics Metrics             // nil: they could not be read
	Pulls   bool                // the graph has routers that pull
}

// Metrics are the series of a sidecar's metrics page. Those of a table are of
// one graph, those of the receivers and the CDN endpoint of the whole process.
type Metrics []planhttp.Series

// The series that the checks read.
const (
	metricSpans        = "planwarm_telemetry_spans_total"
	metricPoints       = "planwarm_telemetry_points_total"
	metricOperations   = "planwarm_telemetry_operations"
	metricTexts        = "planwarm_telemetry_text_bytes"
	metricTextsRefused = "planwarm_telemetry_texts_refused_total"
	metricOverflow     = "planwarm_telemetry_overflow_total"
	metricItems        = "planwarm_otlp_items_total"
	metricUnrouted     = "planwarm_otlp_unrouted_total"
	metricOTLP         = "planwarm_otlp_requests_total"
	metricUsage        = "planwarm_graphqlmetrics_requests_total"
	metricCDN          = "planwarm_cdn_requests_total"
	metricWarmed       = "planwarm_warm_operations_total"
)

// MetricNames are the series that Metrics is made of.
func MetricNames() []string {
	return []string{
		metricSpans, metricPoints, metricOperations, metricTexts, metricTextsRefused, metricOverflow,
		metricItems, metricUnrouted, metricOTLP, metricUsage, metricCDN, metricWarmed,
	}
}

// sum adds the series of a name that is accepts; nil accepts all.
func (m Metrics) sum(name string, is func(labels map[string]string) bool) (sum float64) {
	for _, s := range m {
		if s.Name == name && (is == nil || is(s.Labels)) {
			sum += s.Value
		}
	}
	return sum
}

func with(label, value string) func(map[string]string) bool {
	return func(labels map[string]string) bool { return labels[label] == value }
}

func (r *Running) ofGraph(name string) float64 {
	return r.Metrics.sum(name, with("graph", r.Graph.String()))
}

// metrics is a check of the sidecar's metrics.
func metrics(run func(r *Running) verdict) func(*look) verdict {
	return func(l *look) verdict {
		if l.Sidecar.Err != nil || l.Sidecar.Status == nil {
			return nothing() // sidecar-unreachable or sidecar-graph-unknown says so
		}
		if l.Sidecar.Metrics == nil {
			return cannotTell("the sidecar's metrics cannot be read")
		}
		return run(l.Sidecar)
	}
}

// status is a check of the sidecar's status.
func status(run func(s *warmer.GraphStatus) verdict) func(*look) verdict {
	return func(l *look) verdict {
		if l.Sidecar.Err != nil || l.Sidecar.Status == nil {
			return nothing()
		}
		return run(l.Sidecar.Status)
	}
}

func times(n float64, where string) verdict {
	return when(n > 0, where).because(fmt.Sprintf("%.0f so far", n))
}

var liveSidecar = []Check{
	{
		ID: "sidecar-unreachable", Subject: LiveSidecar, Topic: Sidecar, Severity: Warning,
		Good:  "the sidecar answers",
		Means: "The sidecar does not answer at its control endpoint, or does not take the token: what it hears of the router cannot be told.",
		Fix:   "planwarm run, or --server URL and --token-file FILE",
		run:   func(l *look) verdict { return when(l.Sidecar.Err != nil, l.Sidecar.Where) },
	},
	{
		ID: "sidecar-graph-unknown", Subject: LiveSidecar, Topic: Sidecar, Severity: Error,
		Good:  "the sidecar has the graph",
		Means: "The sidecar that runs does not have this graph: it was started with another configuration.",
		Fix:   "kill -HUP <pid of planwarm run>      reads the configuration again",
		run: func(l *look) verdict {
			if l.Sidecar.Err != nil {
				return nothing()
			}
			return when(l.Sidecar.Status == nil, l.Sidecar.Where)
		},
	},
	{
		ID: "sidecar-schema-missing", Subject: LiveSidecar, Topic: Sidecar, Severity: Error,
		Good:  "the sidecar has the schema",
		Means: "The sidecar has no schema: no text is admitted and nothing is published.",
		Fix:   "graphs[].schema in planwarm.yaml: a file or url that can be read now",
		run:   status(func(s *warmer.GraphStatus) verdict { return when(s.Schema == "", "graphs[].schema") }),
	},
	{
		ID: "sidecar-manifest-missing", Subject: LiveSidecar, Topic: Sidecar, Severity: Warning,
		Good:  "the sidecar has a manifest",
		Means: "The sidecar could not fetch a manifest: routers are warmed from the snapshot of the most used operations. Before the first publication that is as it should be.",
		Fix:   "planwarm recompute {graph}      publishes now; planwarm status has the reason",
		run: status(func(s *warmer.GraphStatus) verdict {
			return when(s.Fetched.Error != "" || s.Fetched.At.IsZero(), "bucket")
		}),
	},
	{
		ID: "sidecar-telemetry-missing", Subject: LiveSidecar, Topic: Sidecar, Severity: Error,
		Good:  "planning times came in",
		Means: "Not one planning time has come in for this graph since the sidecar started.",
		Fix:   "send some requests to the router; --router-config FILE tells what its exporters lack",
		run: metrics(func(r *Running) verdict {
			return when(r.ofGraph(metricSpans)+r.ofGraph(metricPoints) == 0, "telemetry")
		}),
	},
	{
		ID: "sidecar-unattributed", Subject: LiveSidecar, Topic: Sidecar, Severity: Warning,
		Good:  "everything that came in names its operation",
		Means: "Spans or points came in that do not say which operation they are about, or whether its plan was cached: they count for nothing.",
		Fix:   "a Cosmo Router: telemetry.metrics.attributes; others: the attributes of spans; --router-config FILE has the lines",
		run: metrics(func(r *Running) verdict {
			return times(r.Metrics.sum(metricItems, with("outcome", "unattributed")), "telemetry")
		}),
	},
	{
		ID: "sidecar-overflow", Subject: LiveSidecar, Topic: Sidecar, Severity: Warning,
		Good:  "no attribute sets were merged",
		Means: "The router ran out of attribute sets and merged operations into one point (otel.metric.overflow): their planning times are lost.",
		Fix:   "telemetry: { metrics: { otlp: { exporters: [ { exporter: http, endpoint: \"{otlp}\", path: /v1/metrics, temporality: delta } ] } } }",
		run:   metrics(func(r *Running) verdict { return times(r.ofGraph(metricOverflow), "telemetry") }),
	},
	{
		ID: "sidecar-unrouted", Subject: LiveSidecar, Topic: Sidecar, Severity: Warning,
		Good:  "every sender belongs to a graph",
		Means: "Telemetry came in from senders that belong to no graph: telemetry_match does not fit their resource attributes.",
		Fix:   "graphs[].telemetry_match in planwarm.yaml, such as { service.name: storefront-router }",
		run:   metrics(func(r *Running) verdict { return times(r.Metrics.sum(metricUnrouted, nil), "graphs[].telemetry_match") }),
	},
	{
		ID: "sidecar-telemetry-refused", Subject: LiveSidecar, Topic: Sidecar, Severity: Warning,
		Good:  "no telemetry was refused",
		Means: "Requests with telemetry were refused: a missing or wrong token, a body above max_bytes, or something that is no OTLP.",
		Fix:   "headers: { Authorization: \"Bearer <content of telemetry.otlp.token_file>\" } on the exporter; telemetry.otlp.max_bytes in planwarm.yaml",
		run: metrics(func(r *Running) verdict {
			return times(r.Metrics.sum(metricOTLP, func(l map[string]string) bool { return l["result"] != "ok" }), "telemetry.otlp")
		}),
	},
	{
		ID: "sidecar-texts-missing", Subject: LiveSidecar, Topic: Sidecar, Severity: Error,
		Good:  "texts of operations came in",
		Means: "Operations are known by their hash alone: without a text none of them can be warmed.",
		Fix:   "a Cosmo Router: graphql_metrics: { enabled: true, collector_endpoint: \"{otlp}\" }; others: graphql.document on spans",
		run: metrics(func(r *Running) verdict {
			if r.ofGraph(metricOperations) == 0 {
				return nothing() // none can be missing yet
			}
			return when(r.ofGraph(metricTexts) == 0, "telemetry")
		}),
	},
	{
		ID: "sidecar-texts-refused", Subject: LiveSidecar, Topic: Sidecar, Severity: Info,
		Good:  "the schema takes every text",
		Means: "Texts came in that planwarm's schema refuses: invalid requests of clients, or a schema that is not the router's.",
		Fix:   "graphs[].schema in planwarm.yaml: the supergraph or execution config that the router runs with",
		run:   metrics(func(r *Running) verdict { return times(r.ofGraph(metricTextsRefused), "graphs[].schema") }),
	},
	{
		ID: "sidecar-pull-unseen", Subject: LiveSidecar, Topic: Sidecar, Severity: Warning,
		Good:  "a router has pulled its list",
		Means: "No router has asked planwarm's CDN endpoint for its list since the sidecar started. A router that was up before pulls at its next reload.",
		Fix:   "restart the router, or touch its execution config; --router-config FILE tells what keeps it from asking",
		run: metrics(func(r *Running) verdict {
			if !r.Pulls {
				return nothing()
			}
			return when(r.Metrics.sum(metricCDN, with("endpoint", "cosmo")) == 0, "cdn")
		}),
	},
	{
		ID: "sidecar-pull-refused", Subject: LiveSidecar, Topic: Sidecar, Severity: Error,
		Good:  "no pull was refused",
		Means: "Routers asked for their list and were refused: the graph token is wrong, or its claims are others than graphs[].cosmo.",
		Fix:   "planwarm token cosmo {graph} -o graph.token      and put its content into graph.token of the router (GRAPH_API_TOKEN)",
		run: metrics(func(r *Running) verdict {
			return times(r.Metrics.sum(metricCDN, func(l map[string]string) bool {
				return l["endpoint"] == "cosmo" && (l["code"] == "400" || l["code"] == "401" || l["code"] == "403")
			}), "cdn")
		}),
	},
	{
		ID: "sidecar-executed", Subject: LiveSidecar, Topic: Sidecar, Severity: Warning,
		Good:  "no plan-only request was executed",
		Means: "A router executed plan-only requests of this sidecar: canaries, after each of which nothing more was sent.",
		Fix:   "allow plan-only requests: --router-config FILE tells which lines that takes",
		run: metrics(func(r *Running) verdict {
			return times(r.Metrics.sum(metricWarmed, with("outcome", "executed")), "graphs[].routers[]")
		}),
	},
}
