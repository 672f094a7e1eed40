package config

// Routers that are asked for dry runs.
const (
	RouterApollo     RouterKind = "apollo"      // Apollo Router 2.x
	RouterHiveRouter RouterKind = "hive-router" // Hive Router, the one in Rust
)

// Routers that keep nothing of a request that only plans.
const (
	RouterGrafbase RouterKind = "grafbase" // Grafbase gateway: by executing queries, when that is allowed
	RouterGqlgen   RouterKind = "gqlgen"   // a server built with gqlgen: parsed and validated, by a left-out variable
)

func routerKinds() []string {
	return []string{
		string(RouterCosmo), string(RouterApollo), string(RouterHiveRouter), string(RouterApolloGateway), string(RouterHiveGateway),
		string(RouterGrafbase), string(RouterGqlgen),
	}
}

// defaultsOf returns a router of a kind with the defaults of that kind: how many
// plans it keeps, and whether it pulls a warm-up of its own.
func defaultsOf(k RouterKind) Router {
	switch k {
	case RouterApollo:
		return Router{Kind: k, PlanCacheSize: 512, ResolveInterval: DefaultResolveInterval}
	case RouterHiveRouter, RouterGrafbase, RouterGqlgen:
		return Router{Kind: k, PlanCacheSize: 1000, ResolveInterval: DefaultResolveInterval}
	}
	return DefaultRouter()
}
