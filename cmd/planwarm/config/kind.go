package config

// Routers that are asked for dry runs.
const (
	RouterApollo     RouterKind = "apollo"      // Apollo Router 2.x
	RouterHiveRouter RouterKind = "hive-router" // Hive Router, the one in Rust
)

// defaultsOf returns a router of a kind with the defaults of that kind: how many
// plans it keeps, and whether it pulls a warm-up of its own.
func defaultsOf(k RouterKind) Router {
	switch k {
	case RouterApollo:
		return Router{Kind: k, PlanCacheSize: 512}
	case RouterHiveRouter:
		return Router{Kind: k, PlanCacheSize: 1000}
	}
	return DefaultRouter()
}
