package doctor

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
)

// Why it cannot be told whose configuration a file is.
var (
	ErrUnknownRouter = errors.New("cannot tell which router this configuration is for: say it with --kind")
	ErrOwn           = errors.New("this is planwarm's own configuration: give it with --config, and the router's with --router-config")
)

// marks are keys that only one router has, or that weigh for it.
var marks = map[Subject][]string{
	Cosmo: {
		"listen_addr", "execution_config", "cdn", "cache_warmup", "engine", "router_registration", "controlplane_url", "graph.token",
		"graphql_metrics", "dev_mode", "storage_providers", "telemetry.metrics.otlp", "telemetry.tracing.sampling_rate", "telemetry.attributes", "headers.router",
	},
	ApolloRouter: {
		"plugins", "supergraph.listen", "supergraph.path", "supergraph.query_planning", "supergraph.introspection", "telemetry.exporters",
		"telemetry.instrumentation", "health_check", "include_subgraph_errors", "homepage", "sandbox", "override_subgraph_url", "expose_query_plan",
		"coprocessor", "apq", "persisted_queries", "authentication.router", "traffic_shaping.router.global_rate_limit",
	},
	HiveRouter: {
		"query_planner", "supergraph.source", "http.host", "http.port", "telemetry.hive", "telemetry.tracing.exporters", "telemetry.tracing.collect",
		"telemetry.metrics.exporters", "override_labels", "override_subgraph_urls", "traffic_shaping.all", "telemetry.client_identification",
	},
}

// Detect tells whose configuration a document is.
func Detect(d *Document) (Subject, error) {
	if d.root == nil {
		return detectSource(d.source)
	}
	r := &reading{doc: d}
	if r.at("graphs").set() && !r.at("listen_addr").set() {
		return "", ErrOwn
	}
	best, most, tie := Subject(""), 0, false
	for _, s := range []Subject{Cosmo, ApolloRouter, HiveRouter} {
		n := 0
		for _, m := range marks[s] {
			if r.at(strings.Split(m, ".")...).set() {
				n++
			}
		}
		if s == Cosmo && slices.Contains([]string{"1", "v1"}, r.at("version").str("")) {
			n++
		}
		tie = tie && n < most || n == most
		if n > most {
			best, most = s, n
		}
	}
	if most == 0 || tie {
		return "", ErrUnknownRouter
	}
	return best, nil
}

func detectSource(source string) (Subject, error) {
	switch {
	case strings.Contains(source, "@graphql-hive/gateway") || strings.Contains(source, "@planwarm/hive-gateway"):
		return HiveGateway, nil
	case strings.Contains(source, "@apollo/gateway") || strings.Contains(source, "@planwarm/apollo-gateway"):
		return ApolloGateway, nil
	case tomlHeader.MatchString(source):
		return Grafbase, nil
	}
	return "", ErrUnknownRouter
}

// IsSource says by its name whether a file is source code, or TOML, which is
// read in the same way.
func IsSource(path string) bool {
	return slices.Contains([]string{".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".toml"}, strings.ToLower(filepath.Ext(path)))
}

// Kind is the subject as planwarm's configuration names it, "" for something
// that runs.
func (s Subject) Kind() config.RouterKind {
	for kind, subject := range subjects {
		if subject == s {
			return kind
		}
	}
	return ""
}

var subjects = map[config.RouterKind]Subject{
	config.RouterCosmo: Cosmo, config.RouterApollo: ApolloRouter, config.RouterHiveRouter: HiveRouter,
	config.RouterHiveGateway: HiveGateway, config.RouterApolloGateway: ApolloGateway, config.RouterGrafbase: Grafbase,
}

// SubjectOf is the subject of a kind of router, "" for none that is known.
func SubjectOf(k config.RouterKind) Subject { return subjects[k] }

// Title is the subject's name in a sentence.
func (s Subject) Title() string {
	return map[Subject]string{
		Cosmo: "Cosmo Router", ApolloRouter: "Apollo Router", HiveRouter: "Hive Router", HiveGateway: "Hive Gateway", ApolloGateway: "Apollo Gateway",
		Grafbase: "Grafbase gateway",
	}[s]
}
