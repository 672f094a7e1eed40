package doctor

import (
	"net"
	"regexp"
	"slices"
	"strings"
)

// What a Hive Router and the parse cache of a Hive Gateway keep; planwarm knows
// of no setting for either.
const (
	hivePlans     = 1000
	hiveDocuments = 1024
)

// hiveExporters are the exporters of a kind that are on.
func (l *look) hiveExporters(kind string, keys ...string) (out []value) {
	for _, e := range l.at(keys...).items() {
		if e.at("kind").str("") == kind && e.at("enabled").boolean(true) {
			out = append(out, e)
		}
	}
	return out
}

func (l *look) hiveTraces() []value {
	return l.hiveExporters("otlp", "telemetry", "tracing", "exporters")
}

const hiveTracesFix = `telemetry:
  tracing:
    exporters:
      - { kind: otlp, enabled: true, protocol: http, endpoint: "{otlp}/v1/traces" }`

var hiveRouter = []Check{
	{
		ID: "hive-router-otlp-off", Subject: HiveRouter, Topic: Telemetry, Severity: Error, In: RouterFile,
		Good:  "traces are exported",
		Means: "No traces are exported over OTLP: planwarm learns neither operations nor planning times.",
		Fix:   hiveTracesFix,
		run:   func(l *look) verdict { return when(len(l.hiveTraces()) == 0, "telemetry.tracing.exporters") },
	},
	{
		ID: "hive-router-otlp-elsewhere", Subject: HiveRouter, Topic: Telemetry, Severity: Warning, In: RouterFile,
		Good:  "traces are sent to planwarm",
		Means: "Traces go to another address than planwarm's: right only when what is there, such as a collector, passes them on. Such exporters leave out the text of operations, which planwarm then finds by its hash among what was pushed.",
		Fix:   hiveTracesFix,
		run: func(l *look) verdict {
			es := l.hiveTraces()
			if len(es) == 0 {
				return nothing() // hive-router-otlp-off says so
			}
			for _, e := range es {
				if l.reachesOTLP(e.at("endpoint").str("")) {
					return good()
				}
			}
			return bad("telemetry.tracing.exporters")
		},
	},
	{
		ID: "hive-router-tracing-sampled", Subject: HiveRouter, Topic: Telemetry, Severity: Info, In: RouterFile,
		Good:  "every request is traced",
		Means: "Only a share of the requests is traced: frequencies and planning times come in for that share.",
		Fix:   "telemetry: { tracing: { collect: { sampling: 1 } } }",
		run: func(l *look) verdict {
			at := l.at("telemetry", "tracing", "collect", "sampling")
			return when(at.number(1) < 1, at.path)
		},
	},
	{
		ID: "hive-router-expose-off", Subject: HiveRouter, Topic: PlanOnly, Severity: Error, In: RouterFile,
		Good:  "dry runs are allowed",
		Means: "Dry runs are not allowed, as is the default, so the router ignores their header and executes. planwarm sends one canary, sees it, and warms nothing.",
		Fix:   "query_planner: { allow_expose: true }",
		run: func(l *look) verdict {
			at := l.at("query_planner", "allow_expose")
			return when(!at.boolean(false), at.path)
		},
	},
	{
		ID: "hive-router-expose-open", Subject: HiveRouter, Topic: PlanOnly, Severity: Warning, In: RouterFile,
		Good:  "plans are not shown to other machines",
		Means: "Query plans are shown to every client that asks, and the router listens to other machines, as is its default: strip the header hive-expose-query-plan at the edge, or listen to this machine alone.",
		Fix:   "http: { host: 127.0.0.1 }",
		run: func(l *look) verdict {
			at := l.at("http", "host")
			return when(l.at("query_planner", "allow_expose").boolean(false) && !listensOnLoopback(net.JoinHostPort(at.str("0.0.0.0"), "0")), at.path)
		},
	},
	{
		ID: "hive-router-override-labels", Subject: HiveRouter, Topic: PlanOnly, Severity: Info, In: Elsewhere,
		Good:  "plans do not depend on override labels",
		Means: "Progressive overrides are in use: each set of labels has plans of its own, and planwarm warms those of the labels that its own requests get.",
		Fix:   "nothing to add; labels that are true for all requests do no harm",
		run:   func(l *look) verdict { return when(len(l.at("override_labels").keys()) > 0, "override_labels") },
	},
	{
		ID: "hive-router-manifest-above-cache", Subject: HiveRouter, Topic: PlanOnly, Severity: Warning, In: PlanwarmFile,
		Good:  "the list fits into the plan cache",
		Means: "The list may have more operations than 0.9 of the 1,000 plans that the router keeps: its tail pushes out its own head.",
		Fix:   "graphs:\n  - routers:\n      - plan_cache_size: 1000",
		run: func(l *look) verdict {
			return when(!l.fits(hivePlans), "graphs[].routers[].plan_cache_size").because(l.sizes(hivePlans))
		},
	},
	{
		ID: "hive-router-metrics-off", Subject: HiveRouter, Topic: Reloads, Severity: Warning, In: RouterFile,
		Good:  "the metrics page tells of new supergraphs",
		Means: "There is no metrics page, so planwarm does not see that a new supergraph was loaded (hive.router.supergraph.poll.total) and that all plans are gone.",
		Fix:   "telemetry: { metrics: { exporters: [ { kind: prometheus, path: /metrics } ] } }",
		run: func(l *look) verdict {
			return when(len(l.hiveExporters("prometheus", "telemetry", "metrics", "exporters")) == 0, "telemetry.metrics.exporters")
		},
	},
}

// supergraphText finds the setting, and its text when it is one.
var supergraphText = regexp.MustCompile("\\bsupergraph\\s*:\\s*(?:[\"'`]([^\"'`]*))?")

var hiveGateway = []Check{
	{
		ID: "hive-gateway-plugin-missing", Subject: HiveGateway, Topic: PlanOnly, Severity: Warning, In: SourceFile,
		Good:  "planwarm's plugin is in",
		Means: "planwarm's plugin is not in the gateway. planwarm then warms only operations with a required variable, which it leaves out; all others would be executed and are not sent.",
		Fix:   "import { planwarm } from '@planwarm/hive-gateway';\nplugins: () => [planwarm({ token: () => process.env.PLANWARM_TOKEN }) /* first */]",
		run:   func(l *look) verdict { return when(!l.gatewayPlugin("@planwarm/hive-gateway"), "plugins") },
	},
	{
		ID: "hive-gateway-token-missing", Subject: HiveGateway, Topic: PlanOnly, Severity: Error, In: SourceFile,
		Good:  "planwarm's plugin has a token",
		Means: "planwarm's plugin has no token: it answers each plan-only request with 403.",
		Fix:   "planwarm({ token: () => process.env.PLANWARM_TOKEN })",
		run: func(l *look) verdict {
			if !l.gatewayPlugin("@planwarm/hive-gateway") {
				return nothing()
			}
			return when(!l.gatewayToken(), "plugins")
		},
	},
	{
		ID: "hive-gateway-other-planner", Subject: HiveGateway, Topic: PlanOnly, Severity: Warning, In: SourceFile,
		Good:  "the gateway plans with router-runtime",
		Means: "The gateway does not plan with router-runtime: what planwarm knows of its plans and of when they end was seen with that.",
		Fix:   "import { unifiedGraphHandler } from '@graphql-hive/router-runtime';\nunifiedGraphHandler,",
		run: func(l *look) verdict {
			return when(!l.hasWord("@graphql-hive/router-runtime") || !l.hasWord("unifiedGraphHandler"), "unifiedGraphHandler")
		},
	},
	{
		ID: "hive-gateway-plugin-order", Subject: HiveGateway, Topic: PlanOnly, Severity: Warning, In: SourceFile,
		Good:  "planwarm's plugin comes first",
		Means: "Another plugin stands before planwarm's: it can answer a plan-only request in its place, or have it executed.",
		Fix:   "plugins: () => [planwarm({ token: () => process.env.PLANWARM_TOKEN }), /* all others */]",
		run:   func(l *look) verdict { return l.first("@planwarm/hive-gateway", "planwarm(") },
	},
	{
		ID: "hive-gateway-manifest-above-cache", Subject: HiveGateway, Topic: PlanOnly, Severity: Warning, In: PlanwarmFile,
		Good:  "the list fits into the parse cache",
		Means: "The list may have more than 0.9 of the 1,024 documents that the gateway's parse cache keeps, and plans end with their document: the tail of the list pushes out its head.",
		Fix:   "graphs:\n  - routers:\n      - plan_cache_size: 1024",
		run: func(l *look) verdict {
			return when(!l.fits(hiveDocuments), "graphs[].routers[].plan_cache_size").because(l.sizes(hiveDocuments))
		},
	},
	{
		ID: "hive-gateway-supergraph-path", Subject: HiveGateway, Topic: Reloads, Severity: Warning, In: SourceFile,
		Good:  "the supergraph is not watched as a file",
		Means: "The supergraph is given as a path, which the gateway watches: it can end when it reads the file while that is written, and sees no further change once another file was renamed onto it.",
		Fix:   "supergraph: () => readFileSync('supergraph.graphql', 'utf8'),\npollingInterval: 10_000,",
		run: func(l *look) verdict {
			given := supergraphText.FindStringSubmatch(l.doc.source)
			if given == nil {
				return nothing() // the command line may have it
			}
			url := strings.HasPrefix(given[1], "http://") || strings.HasPrefix(given[1], "https://")
			return when(given[1] != "" && !url, "supergraph")
		},
	},
	{
		ID: "hive-gateway-telemetry-off", Subject: HiveGateway, Topic: Telemetry, Severity: Info, In: Elsewhere,
		Good:  "telemetry is set up in the source",
		Means: "Telemetry is not set up in the source. The flag does the same and cannot be seen from here; it takes the full URL, path included.",
		Fix:   "hive-gateway supergraph ... --opentelemetry {otlp}/v1/traces",
		run:   func(l *look) verdict { return when(!l.hasWord("openTelemetry", "opentelemetry"), "") },
	},
}

var apolloGateway = []Check{
	{
		ID: "apollo-gateway-hook-missing", Subject: ApolloGateway, Topic: PlanOnly, Severity: Error, In: SourceFile,
		Good:  "both halves of planwarm's hook are in",
		Means: "planwarm's hook is not in the gateway, or only one half of it: there are no plan-only requests over HTTP, and every one of them is refused.",
		Fix:   "import { planwarm } from '@planwarm/apollo-gateway';\nconst hook = planwarm({ token: () => process.env.PLANWARM_TOKEN });\nnew ApolloGateway({ experimental_didResolveQueryPlan: hook.didResolveQueryPlan })\nnew ApolloServer({ gateway, plugins: [hook.plugin(gateway) /* first */] })",
		run: func(l *look) verdict {
			both := l.hasWord("experimental_didResolveQueryPlan") && l.hasWord(".plugin(")
			return when(!l.gatewayPlugin("@planwarm/apollo-gateway") || !both, "experimental_didResolveQueryPlan")
		},
	},
	{
		ID: "apollo-gateway-token-missing", Subject: ApolloGateway, Topic: PlanOnly, Severity: Error, In: SourceFile,
		Good:  "planwarm's hook has a token",
		Means: "planwarm's hook has no token: it answers each plan-only request with 403.",
		Fix:   "planwarm({ token: () => process.env.PLANWARM_TOKEN })",
		run: func(l *look) verdict {
			if !l.gatewayPlugin("@planwarm/apollo-gateway") {
				return nothing()
			}
			return when(!l.gatewayToken(), "plugins")
		},
	},
	{
		ID: "apollo-gateway-plugin-order", Subject: ApolloGateway, Topic: PlanOnly, Severity: Warning, In: SourceFile,
		Good:  "planwarm's plugin comes first",
		Means: "Another plugin stands before planwarm's: it can answer a plan-only request in its place, or have it executed.",
		Fix:   "new ApolloServer({ gateway, plugins: [hook.plugin(gateway), /* all others */] })",
		run:   func(l *look) verdict { return l.first("@planwarm/apollo-gateway", ".plugin(") },
	},
	{
		ID: "apollo-gateway-telemetry-off", Subject: ApolloGateway, Topic: Telemetry, Severity: Info, In: SourceFile,
		Good:  "telemetry is set up in the source",
		Means: "No exporter of OpenTelemetry is set up in this source. The gateway makes spans only for a provider that is registered before it is imported; one that is set up elsewhere cannot be seen from here.",
		Fix:   "const exporter = new OTLPTraceExporter({ url: '{otlp}/v1/traces' });\nnew NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] }).register();",
		run:   func(l *look) verdict { return when(!l.hasWord("@opentelemetry/"), "") },
	},
	{
		ID: "apollo-gateway-document-off", Subject: ApolloGateway, Topic: Telemetry, Severity: Error, In: SourceFile,
		Good:  "spans hold the operation's text",
		Means: "Spans do not hold the text of operations, as is the default. The gateway finds plans by the exact text: without it nothing can be warmed but what was pushed.",
		Fix:   "new ApolloGateway({ telemetry: { includeDocument: true } })",
		run: func(l *look) verdict {
			_, after, found := strings.Cut(l.doc.source, "includeDocument")
			after = strings.TrimLeft(after, " \t\r\n:")
			return when(!found || strings.HasPrefix(after, "false"), "telemetry.includeDocument")
		},
	},
}

// gatewayPlugin says whether planwarm's package is imported and used.
func (l *look) gatewayPlugin(name string) bool { return l.hasWord(name) && l.hasWord("planwarm(") }

// first says whether nothing stands before planwarm's plugin in its list.
func (l *look) first(name, call string) verdict {
	if !l.gatewayPlugin(name) {
		return nothing() // another check says so
	}
	before, _, found := strings.Cut(l.doc.source, call)
	list := strings.LastIndex(before, "[")
	if !found || list < 0 {
		return cannotTell("planwarm's plugin is not put into a list here")
	}
	return when(strings.Contains(before[list:], ","), "plugins")
}

// gatewayToken says whether planwarm's plugin is given a token.
func (l *look) gatewayToken() bool {
	_, options, _ := strings.Cut(l.doc.source, "planwarm(")
	if end := strings.Index(options, "}"); end >= 0 {
		options = options[:end]
	}
	return strings.Contains(options, "token")
}

// hasWord says whether the source has one of the words.
func (l *look) hasWord(words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(l.doc.source, w) })
}
