package doctor

import (
	"net"
	"slices"
	"strings"
)

// exporter is one exporter of a router's signal.
type exporter struct {
	value
	ours bool // it leads to planwarm
}

// cosmoExporters are the exporters of a signal that are on.
func (l *look) cosmoExporters(keys ...string) (out []exporter) {
	for _, e := range l.at(keys...).items() {
		if e.at("disabled").boolean(false) {
			continue
		}
		out = append(out, exporter{e, l.reachesOTLP(e.at("endpoint").str(""))})
	}
	return out
}

func (l *look) cosmoTraces() []exporter {
	if !l.at("telemetry", "tracing", "enabled").boolean(true) {
		return nil
	}
	return l.cosmoExporters("telemetry", "tracing", "exporters")
}

func (l *look) cosmoMetrics() []exporter {
	if !l.at("telemetry", "metrics", "otlp", "enabled").boolean(true) {
		return nil
	}
	return l.cosmoExporters("telemetry", "metrics", "otlp", "exporters")
}

func ours(es []exporter) bool {
	return slices.ContainsFunc(es, func(e exporter) bool { return e.ours })
}

// hasAttribute says whether a list of attributes has this key from this source.
func (l *look) hasAttribute(key, source, from string, keys ...string) bool {
	return slices.ContainsFunc(l.at(keys...).items(), func(a value) bool {
		return (key == "" || a.at("key").str("") == key) && a.at("value_from", source).str("") == from
	})
}

var cosmoTelemetry = []Check{
	{
		ID: "cosmo-otlp-elsewhere", Subject: Cosmo, Topic: Telemetry, Severity: Error, In: RouterFile,
		Good:  "planning times are sent to planwarm",
		Means: "Neither traces nor metrics are exported to planwarm's OTLP address, so it hears of no planning time. Without exporters of its own the router sends them to Cosmo's cloud.",
		Fix: `telemetry:
  tracing:
    enabled: true
    exporters:
      - { exporter: http, endpoint: "{otlp}", path: /v1/traces, batch_timeout: 10s, export_timeout: 5s }
  metrics:
    otlp:
      enabled: true
      exporters:
        - { exporter: http, endpoint: "{otlp}", path: /v1/metrics, temporality: delta }`,
		run: func(l *look) verdict {
			traces, metrics := l.cosmoTraces(), l.cosmoMetrics()
			switch {
			case ours(traces) || ours(metrics):
				return good()
			case len(traces)+len(metrics) > 0:
				return bad("telemetry").because("they go elsewhere, which is right only when what is there, such as a collector, passes them on").as(Warning)
			}
			return bad("telemetry")
		},
	},
	{
		ID: "cosmo-tracing-off", Subject: Cosmo, Topic: Telemetry, Severity: Warning, In: RouterFile,
		Good:  "planning spans reach planwarm: exact times",
		Means: "No spans reach planwarm. The metric alone has everything under 5 ms in one bucket, so a P90 of it can be off by half and more.",
		Fix: `telemetry:
  tracing:
    enabled: true
    sampling_rate: 1
    exporters:
      - { exporter: http, endpoint: "{otlp}", path: /v1/traces, batch_timeout: 10s, export_timeout: 5s }`,
		run: func(l *look) verdict { return when(!ours(l.cosmoTraces()), "telemetry.tracing") },
	},
	{
		ID: "cosmo-tracing-sampled", Subject: Cosmo, Topic: Telemetry, Severity: Info, In: RouterFile,
		Good:  "every request is traced",
		Means: "Only a share of the requests is traced: exact planning times come in for that share, and rare operations may have none.",
		Fix:   "telemetry:\n  tracing:\n    sampling_rate: 1",
		run: func(l *look) verdict {
			return when(l.at("telemetry", "tracing", "sampling_rate").number(1) < 1, "telemetry.tracing.sampling_rate")
		},
	},
	{
		ID: "cosmo-metrics-otlp-off", Subject: Cosmo, Topic: Telemetry, Severity: Info, In: RouterFile,
		Good:  "the planning-time metric reaches planwarm",
		Means: "The planning-time metric does not reach planwarm. Spans are enough while every request is traced; the metric is what remains when tracing is sampled.",
		Fix: `telemetry:
  metrics:
    otlp:
      enabled: true
      exporters:
        - { exporter: http, endpoint: "{otlp}", path: /v1/metrics, temporality: delta }`,
		run: func(l *look) verdict { return when(!ours(l.cosmoMetrics()), "telemetry.metrics.otlp") },
	},
	{
		ID: "cosmo-cumulative-temporality", Subject: Cosmo, Topic: Telemetry, Severity: Warning, In: RouterFile,
		Good:  "metrics are sent as deltas",
		Means: "Metrics are cumulative, as is the default: the router stops at 2,000 attribute sets and merges all further operations into one point (otel.metric.overflow) that belongs to nobody.",
		Fix: `telemetry:
  metrics:
    otlp:
      exporters:
        - { exporter: http, endpoint: "{otlp}", path: /v1/metrics, temporality: delta }`,
		run: func(l *look) verdict {
			es := l.cosmoMetrics()
			if len(es) == 0 {
				return nothing() // cosmo-otlp-elsewhere says so
			}
			for _, e := range es {
				// What goes elsewhere may come here through a collector.
				if (e.ours || !ours(es)) && !strings.EqualFold(e.at("temporality").str("cumulative"), "delta") {
					return bad(e.path + ".temporality")
				}
			}
			return good()
		},
	},
	{
		ID: "cosmo-metrics-sent-twice", Subject: Cosmo, Topic: Telemetry, Severity: Info, In: RouterFile,
		Good:  "the metric is sent to planwarm once",
		Means: "Several exporters send the same metric to planwarm. It counts them once, but each body of 2,000 points has 6 MB.",
		Fix: `telemetry:
  metrics:
    otlp:
      exporters:   # this one alone
        - { exporter: http, endpoint: "{otlp}", path: /v1/metrics, temporality: delta }`,
		run: func(l *look) verdict {
			n := 0
			for _, e := range l.cosmoMetrics() {
				if e.ours {
					n++
				}
			}
			return when(n > 1, "telemetry.metrics.otlp.exporters")
		},
	},
	{
		ID: "cosmo-metric-attributes-off", Subject: Cosmo, Topic: Telemetry, Severity: Warning, In: RouterFile,
		Good:  "points of the metric name their operation",
		Means: "The metric does not say which operation a planning time belongs to, as is the default: its points cannot be attributed and count for nothing.",
		Fix: `telemetry:
  metrics:
    attributes:
      - { key: wg.operation.hash, value_from: { context_field: operation_hash } }
      - { key: wg.operation.name, value_from: { context_field: operation_name } }`,
		run: func(l *look) verdict {
			at := []string{"telemetry", "metrics", "attributes"}
			for _, want := range [][2]string{{"wg.operation.hash", "operation_hash"}, {"wg.operation.name", "operation_name"}} {
				if !l.hasAttribute(want[0], "context_field", want[1], at...) {
					return bad("telemetry.metrics.attributes").because(want[0] + " is not there")
				}
			}
			return good()
		},
	},
	{
		ID: "cosmo-plan-key-attribute-off", Subject: Cosmo, Topic: Telemetry, Severity: Info, In: RouterFile,
		Good:  "telemetry names the plan",
		Means: "Telemetry does not name the plan, only the operation. Several operations can share one plan; without a schema planwarm cannot tell, and gives each a slot.",
		Fix: `telemetry:
  attributes:
    - { key: wg.operation.plan_key, value_from: { expression: "request.operation.queryPlanHash" } }`,
		run: func(l *look) verdict {
			return when(!l.hasAttribute("wg.operation.plan_key", "expression", "request.operation.queryPlanHash", "telemetry", "attributes"), "telemetry.attributes")
		},
	},
	{
		ID: "cosmo-graphqlmetrics-off", Subject: Cosmo, Topic: Telemetry, Severity: Error, In: RouterFile,
		Good:  "operation texts are reported",
		Means: "The router does not report the texts of operations (schema usage), and without its text nothing can be warmed but what was pushed.",
		Fix:   "graphql_metrics: { enabled: true, collector_endpoint: \"{otlp}\" }",
		run: func(l *look) verdict {
			return when(!l.at("graphql_metrics", "enabled").boolean(true) && !l.cosmoContent(), "graphql_metrics.enabled")
		},
	},
	{
		ID: "cosmo-graphqlmetrics-elsewhere", Subject: Cosmo, Topic: Telemetry, Severity: Error, In: RouterFile,
		Good:  "operation texts are sent to planwarm",
		Means: "Schema usage, which has the texts of operations, goes elsewhere; without collector_endpoint it is Cosmo's cloud.",
		Fix:   "graphql_metrics: { enabled: true, collector_endpoint: \"{otlp}\" }",
		run: func(l *look) verdict {
			if !l.at("graphql_metrics", "enabled").boolean(true) {
				return nothing() // cosmo-graphqlmetrics-off says so
			}
			http := l.planwarm().Telemetry.OTLP.HTTP
			here := http != "" && reaches(l.at("graphql_metrics", "collector_endpoint").str("https://cosmo-metrics.wundergraph.com"), http)
			return when(!here && !l.cosmoContent(), "graphql_metrics.collector_endpoint")
		},
	},
	{
		ID: "cosmo-content-with-literals", Subject: Cosmo, Topic: Telemetry, Severity: Warning, In: RouterFile,
		Good:  "traces hold no values of users",
		Means: "Traces hold the texts of operations as clients sent them, literals included, or their variables: values of users, in every trace backend. planwarm keeps none of them; schema usage gives it the texts without.",
		Fix: `telemetry:
  tracing:
    operation_content_attributes: false
    export_graphql_variables: false`,
		run: func(l *look) verdict {
			t := l.at("telemetry", "tracing")
			for _, key := range []string{"operation_content_attributes", "export_graphql_variables"} {
				if t.at(key).boolean(false) {
					return bad("telemetry.tracing." + key)
				}
			}
			return good()
		},
	},
	{
		ID: "cosmo-prometheus-hash-dropped", Subject: Cosmo, Topic: Telemetry, Severity: Warning, In: RouterFile,
		Good:  "planning times can be told apart where they are read",
		Means: "Planning times can be had from the Prometheus page alone, and the router always drops wg.operation.hash from it: give the attribute another key too.",
		Fix: `telemetry:
  metrics:
    attributes:
      - { key: op_hash, value_from: { context_field: operation_hash } }`,
		run: func(l *look) verdict {
			if ours(l.cosmoTraces()) || ours(l.cosmoMetrics()) || !l.at("telemetry", "metrics", "prometheus", "enabled").boolean(true) {
				return good()
			}
			for _, a := range l.at("telemetry", "metrics", "attributes").items() {
				if a.at("value_from", "context_field").str("") == "operation_hash" && a.at("key").str("") != "wg.operation.hash" {
					return good()
				}
			}
			return bad("telemetry.metrics.attributes")
		},
	},
	{
		ID: "cosmo-client-header-renamed", Subject: Cosmo, Topic: Telemetry, Severity: Warning, In: RouterFile,
		Good:  "planwarm's own requests can be told from live ones",
		Means: "The router reads the client's name from another header than GraphQL-Client-Name. planwarm's plan-only requests then look like live ones, and the list would feed itself.",
		Fix:   "client_header: { name: GraphQL-Client-Name, version: GraphQL-Client-Version }",
		run: func(l *look) verdict {
			name := l.at("client_header", "name")
			return when(!strings.EqualFold(name.str("graphql-client-name"), "graphql-client-name"), name.path)
		},
	},
	{
		ID: "cosmo-otlp-token-missing", Subject: Cosmo, Topic: Telemetry, Severity: Error, In: RouterFile,
		Good:  "exporters show the token that planwarm asks for",
		Means: "planwarm.yaml asks senders of telemetry for a token, and an exporter of the router that leads to planwarm sends no Authorization header: everything is refused. Schema usage may show the graph token instead.",
		Fix: `telemetry:
  tracing:
    exporters:
      - { exporter: http, endpoint: "{otlp}", path: /v1/traces, batch_timeout: 10s, export_timeout: 5s, headers: { Authorization: "Bearer ${PLANWARM_TOKEN}" } }`,
		run: func(l *look) verdict {
			if l.planwarm().Telemetry.OTLP.TokenFile == "" {
				return good()
			}
			for _, e := range append(l.cosmoTraces(), l.cosmoMetrics()...) {
				shown := slices.ContainsFunc(e.at("headers").keys(), func(k string) bool { return strings.EqualFold(k, "Authorization") })
				if e.ours && !shown {
					return bad(e.path + ".headers")
				}
			}
			return good()
		},
	},
	{
		ID: "cosmo-grpc-batch-lost", Subject: Cosmo, Topic: Telemetry, Severity: Info, In: RouterFile,
		Good:  "no collector in between has to take large batches over gRPC",
		Means: "Metrics go to a collector over gRPC. 2,000 points have 6 MB; what is above the receiver's limit, 4 MiB by default, is lost without a sign. Raise its max_recv_msg_size_mib, or send over HTTP.",
		Fix: `telemetry:
  metrics:
    otlp:
      exporters:
        - { exporter: http, endpoint: "{otlp}", path: /v1/metrics, temporality: delta }`,
		run: func(l *look) verdict {
			for _, e := range l.cosmoMetrics() {
				if !e.ours && e.at("exporter").str("http") == "grpc" {
					return bad(e.path + ".exporter")
				}
			}
			return good()
		},
	},
	{
		ID: "cosmo-otlp-body-too-large", Subject: Cosmo, Topic: Telemetry, Severity: Warning, In: PlanwarmFile,
		Good:  "planwarm takes bodies of metrics of any usual size",
		Means: "planwarm's bound of one telemetry body is below 8 MiB; 2,000 points of the metric have 6 MB, and a refused batch is lost without a sign at the router.",
		Fix:   "telemetry: { otlp: { max_bytes: 64MiB } }",
		run: func(l *look) verdict {
			if l.Planwarm == nil {
				return cannotTell("no planwarm.yaml was given")
			}
			return when(l.Planwarm.Telemetry.OTLP.MaxBytes < 8<<20, "telemetry.otlp.max_bytes")
		},
	},
}

// cosmoContent says whether spans that reach planwarm have the texts.
func (l *look) cosmoContent() bool {
	return l.at("telemetry", "tracing", "operation_content_attributes").boolean(false) && ours(l.cosmoTraces())
}

// cosmoListen is where the router serves.
func (l *look) cosmoListen() string { return l.at("listen_addr").str("localhost:3002") }

// samePort says whether a URL has the port of a listener.
func samePort(raw, listen string) bool {
	_, port, ok := endpoint(raw)
	_, at, err := net.SplitHostPort(listen)
	return ok && err == nil && port == at
}
