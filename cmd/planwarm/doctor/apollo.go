package doctor

import (
	"slices"
	"strings"
)

const apolloListen = "127.0.0.1:4000" // the router's default

// apolloExposes says whether dry runs are allowed; newer versions have the
// option at the top.
func (l *look) apolloExposes() bool {
	return l.at("plugins", "experimental.expose_query_plan").boolean(false) || l.at("expose_query_plan").boolean(false)
}

func (l *look) apolloOTLP() value { return l.at("telemetry", "exporters", "tracing", "otlp") }

func (l *look) apolloSpanAttribute(name string) verdict {
	at := l.at("telemetry", "instrumentation", "spans", "supergraph", "attributes", name)
	return when(!at.boolean(false), at.path)
}

var apolloRouter = []Check{
	{
		ID: "apollo-otlp-off", Subject: ApolloRouter, Topic: Telemetry, Severity: Error, In: RouterFile,
		Good:  "traces are exported",
		Means: "No traces are exported over OTLP: planwarm learns neither operations nor planning times.",
		Fix:   "telemetry: { exporters: { tracing: { otlp: { enabled: true, endpoint: \"{otlp}\", protocol: http } } } }",
		run: func(l *look) verdict {
			return when(!l.apolloOTLP().at("enabled").boolean(false), "telemetry.exporters.tracing.otlp.enabled")
		},
	},
	{
		ID: "apollo-otlp-elsewhere", Subject: ApolloRouter, Topic: Telemetry, Severity: Warning, In: RouterFile,
		Good:  "traces are sent to planwarm",
		Means: "Traces go to another address than planwarm's: right only when what is there, such as a collector, passes them on.",
		Fix:   "telemetry: { exporters: { tracing: { otlp: { enabled: true, endpoint: \"{otlp}\", protocol: http } } } }",
		run: func(l *look) verdict {
			o := l.apolloOTLP()
			if !o.at("enabled").boolean(false) {
				return nothing() // apollo-otlp-off says so
			}
			fallback := map[string]string{"http": "http://127.0.0.1:4318"}[o.at("protocol").str("grpc")]
			if fallback == "" {
				fallback = "http://127.0.0.1:4317"
			}
			to := o.at("endpoint").str("default")
			if to == "default" {
				to = fallback
			}
			return when(!l.reachesOTLP(to), "telemetry.exporters.tracing.otlp.endpoint")
		},
	},
	{
		ID: "apollo-document-attribute-off", Subject: ApolloRouter, Topic: Telemetry, Severity: Error, In: RouterFile,
		Good:  "spans hold the operation's text",
		Means: "Spans do not hold the text of operations, as is the default. This router finds plans by the exact text: without it nothing can be warmed but what was pushed.",
		Fix:   "telemetry: { instrumentation: { spans: { supergraph: { attributes: { graphql.document: true } } } } }",
		run:   func(l *look) verdict { return l.apolloSpanAttribute("graphql.document") },
	},
	{
		ID: "apollo-operation-name-attribute-off", Subject: ApolloRouter, Topic: Telemetry, Severity: Warning, In: RouterFile,
		Good:  "spans hold the operation's name",
		Means: "Spans do not hold the name of operations. The name is part of the key of a plan: operations are then warmed as if clients sent none.",
		Fix:   "telemetry: { instrumentation: { spans: { supergraph: { attributes: { graphql.operation.name: true } } } } }",
		run:   func(l *look) verdict { return l.apolloSpanAttribute("graphql.operation.name") },
	},
	{
		ID: "apollo-client-name-attribute-off", Subject: ApolloRouter, Topic: Telemetry, Severity: Warning, In: RouterFile,
		Good:  "planwarm's own requests can be told from live ones",
		Means: "Spans do not hold the client's name, as is the default. planwarm's dry runs then look like live requests, and the list would feed itself.",
		Fix:   "telemetry: { instrumentation: { spans: { supergraph: { attributes: { client.name: { request_header: apollographql-client-name } } } } } }",
		run: func(l *look) verdict {
			at := l.at("telemetry", "instrumentation", "spans", "supergraph", "attributes", "client.name")
			return when(!strings.EqualFold(at.at("request_header").str(""), "apollographql-client-name"), at.path)
		},
	},
	{
		ID: "apollo-tracing-sampled", Subject: ApolloRouter, Topic: Telemetry, Severity: Info, In: RouterFile,
		Good:  "every request is traced",
		Means: "Only a share of the requests is traced, or none: frequencies and planning times come in for that share.",
		Fix:   "telemetry: { exporters: { tracing: { common: { sampler: always_on } } } }",
		run: func(l *look) verdict {
			s := l.at("telemetry", "exporters", "tracing", "common", "sampler")
			return when(!slices.Contains([]string{"always_on", "1", "1.0"}, s.str("always_on")), s.path)
		},
	},
	{
		ID: "apollo-expose-query-plan-off", Subject: ApolloRouter, Topic: PlanOnly, Severity: Error, In: RouterFile,
		Good:  "dry runs are allowed",
		Means: "Dry runs are not allowed, so the router ignores their header and executes. planwarm sends one canary, sees it, and warms nothing.",
		Fix:   "plugins: { experimental.expose_query_plan: true }",
		run:   func(l *look) verdict { return when(!l.apolloExposes(), "plugins.experimental.expose_query_plan") },
	},
	{
		ID: "apollo-expose-query-plan-open", Subject: ApolloRouter, Topic: PlanOnly, Severity: Warning, In: RouterFile,
		Good:  "plans are not shown to other machines",
		Means: "Query plans are shown to every client that asks, and the router listens to other machines: strip the header Apollo-Expose-Query-Plan at the edge, or listen to this machine alone.",
		Fix:   "supergraph: { listen: 127.0.0.1:4000 }",
		run: func(l *look) verdict {
			return when(l.apolloExposes() && !listensOnLoopback(l.at("supergraph", "listen").str(apolloListen)), "supergraph.listen")
		},
	},
	{
		ID: "apollo-authorization-plans", Subject: ApolloRouter, Topic: PlanOnly, Severity: Info, In: Elsewhere,
		Good:  "plans do not depend on who asks",
		Means: "The router authenticates: on a graph with @authenticated, @requiresScopes or @policy each set of permissions has plans of its own. planwarm warms those of the token that it sends, and without one those of nobody.",
		Fix:   "graphs[].routers[].token_file in planwarm.yaml: a token with the permissions of most clients",
		run: func(l *look) verdict {
			return when(l.at("authentication", "router").set() && l.Target.TokenFile == "", "authentication.router")
		},
	},
	{
		ID: "apollo-rate-limit", Subject: ApolloRouter, Topic: PlanOnly, Severity: Info, In: Elsewhere,
		Good:  "no rate limit is in the way",
		Means: "The router limits the rate of requests, and dry runs count: warming at full speed takes from what clients may send.",
		Fix:   "graphs[].warm.operations_per_second in planwarm.yaml: well below the limit",
		run: func(l *look) verdict {
			limit := l.at("traffic_shaping", "router", "global_rate_limit")
			return when(limit.set() && l.Graph.Warm.OperationsPerSecond == 0, limit.path)
		},
	},
	{
		ID: "apollo-manifest-above-cache", Subject: ApolloRouter, Topic: PlanOnly, Severity: Warning, In: RouterFile,
		Good:  "the list fits into the plan cache",
		Means: "The list may have more than 0.9 of the plan cache; each operation is two plans: with its name sent, and without.",
		Fix:   "supergraph: { query_planning: { cache: { in_memory: { limit: {cache} } } } }",
		run: func(l *look) verdict {
			size := l.at("supergraph", "query_planning", "cache", "in_memory", "limit")
			n := size.number(512)
			return when(!l.fits(n), size.path).because(l.sizes(n))
		},
	},
	{
		ID: "apollo-pq-prewarm-nameless", Subject: ApolloRouter, Topic: Pull, Severity: Info, In: Elsewhere,
		Good:  "the router's own prewarming does not mislead",
		Means: "The router prewarms persisted queries without an operation name; requests that send one should miss all the same. planwarm warms both forms.",
		Fix:   "persisted_queries: { experimental_prewarm_query_plan_cache: { on_startup: false, on_reload: false } }      or leave it: it does no harm",
		run: func(l *look) verdict {
			p := l.at("persisted_queries")
			warm := p.at("experimental_prewarm_query_plan_cache")
			return when(p.at("enabled").boolean(false) && (warm.at("on_startup").boolean(false) || warm.at("on_reload").boolean(false)), warm.path)
		},
	},
	{
		ID: "apollo-metrics-off", Subject: ApolloRouter, Topic: Reloads, Severity: Warning, In: RouterFile,
		Good:  "the metrics page tells of schema updates",
		Means: "There is no metrics page, so planwarm does not see that a new schema was loaded (apollo.router.state.change.total) and that all plans are gone.",
		Fix:   "telemetry: { exporters: { metrics: { prometheus: { enabled: true, listen: \"127.0.0.1:9090\", path: /metrics } } } }",
		run: func(l *look) verdict {
			at := l.at("telemetry", "exporters", "metrics", "prometheus", "enabled")
			return when(!at.boolean(false), at.path)
		},
	},
	{
		ID: "apollo-health-check-off", Subject: ApolloRouter, Topic: Reloads, Severity: Info, In: RouterFile,
		Good:  "the router tells when it is ready",
		Means: "The health check is off: planwarm does not see a restart as such.",
		Fix:   "health_check: { enabled: true, listen: \"127.0.0.1:8088\" }",
		run: func(l *look) verdict {
			at := l.at("health_check", "enabled")
			return when(!at.boolean(true), at.path)
		},
	},
}
