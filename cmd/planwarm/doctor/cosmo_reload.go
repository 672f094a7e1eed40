package doctor

import "strings"

const cosmoPrometheus = "127.0.0.1:8088" // the router's default

func (l *look) cosmoPage() (listen string, on bool) {
	p := l.at("telemetry", "metrics", "prometheus")
	return p.at("listen_addr").str(cosmoPrometheus), p.at("enabled").boolean(true)
}

var cosmoReloads = []Check{
	{
		ID: "cosmo-graphql-cache-metrics-off", Subject: Cosmo, Topic: Reloads, Severity: Warning, In: RouterFile,
		Good:  "the metrics page tells of the plan cache",
		Means: "The router's metrics page does not count the plans in the cache, so that planwarm cannot see a reload as a drop of them.",
		Fix:   "telemetry: { metrics: { prometheus: { enabled: true, graphql_cache: true } } }",
		run: func(l *look) verdict {
			_, on := l.cosmoPage()
			return when(!on || !l.at("telemetry", "metrics", "prometheus", "graphql_cache").boolean(false), "telemetry.metrics.prometheus.graphql_cache")
		},
	},
	{
		ID: "cosmo-metrics-url-elsewhere", Subject: Cosmo, Topic: Reloads, Severity: Warning, In: PlanwarmFile,
		Good:  "planwarm reads the router's metrics page",
		Means: "routers[].metrics_url of planwarm.yaml is missing or has another port than the router's metrics page.",
		Fix:   "graphs:\n  - routers:\n      - metrics_url: http://127.0.0.1:8088/metrics   # telemetry.metrics.prometheus.listen_addr",
		run: func(l *look) verdict {
			listen, on := l.cosmoPage()
			switch {
			case l.Planwarm == nil:
				return cannotTell("no planwarm.yaml was given")
			case !on:
				return nothing()
			}
			return when(l.Target.MetricsURL == "" || !samePort(l.Target.MetricsURL, listen), "graphs[].routers[].metrics_url")
		},
	},
	{
		ID: "cosmo-router-url-elsewhere", Subject: Cosmo, Topic: PlanOnly, Severity: Warning, In: PlanwarmFile,
		Good:  "planwarm warms this router",
		Means: "routers[] of planwarm.yaml has no URL with the port of this router: it is another one, or a load balancer in front of it.",
		Fix:   "graphs:\n  - routers:\n      - url: http://127.0.0.1:3002/graphql   # listen_addr",
		run: func(l *look) verdict {
			if l.Planwarm == nil {
				return cannotTell("no planwarm.yaml was given")
			}
			return when(l.Target.URL == "" || !samePort(l.Target.URL, l.cosmoListen()), "graphs[].routers[].url")
		},
	},
	{
		ID: "cosmo-ready-url-missing", Subject: Cosmo, Topic: Reloads, Severity: Info, In: PlanwarmFile,
		Good:  "planwarm sees when the router becomes ready",
		Means: "routers[].ready_url of planwarm.yaml is missing: planwarm does not see a restart as such.",
		Fix:   "graphs:\n  - routers:\n      - ready_url: http://127.0.0.1:3002/health/ready",
		run: func(l *look) verdict {
			if l.Planwarm == nil {
				return cannotTell("no planwarm.yaml was given")
			}
			return when(!strings.Contains(l.Target.ReadyURL, "://"), "graphs[].routers[].ready_url")
		},
	},
	{
		ID: "cosmo-config-watch-off", Subject: Cosmo, Topic: Reloads, Severity: Warning, In: RouterFile,
		Good:  "the router takes a new execution config while it runs",
		Means: "The execution config is a file that is not watched: a new schema needs a restart, which refuses requests for a moment and is not ready until warm. A watched one is warmed before it is put in force.",
		Fix:   "execution_config: { file: { watch: true, watch_interval: 1s } }",
		run: func(l *look) verdict {
			f := l.at("execution_config", "file")
			return when(f.at("path").set() && !f.at("watch").boolean(false), "execution_config.file.watch")
		},
	},
}
