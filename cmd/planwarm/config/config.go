// Package config is planwarm's configuration file: strict YAML in, every fault
// named in one go, defaults filled in.
package config

import (
	"time"

	"github.com/planwarm/planwarm/manifest"
)

// Config is the whole configuration.
type Config struct {
	DataDir   string    `yaml:"data_dir"`
	Instance  string    `yaml:"instance"` // names this process's checkpoint; default: the host name
	Roles     []Role    `yaml:"roles"`
	Graphs    []Graph   `yaml:"graphs"`
	Telemetry Telemetry `yaml:"telemetry"`
	Bucket    Bucket    `yaml:"bucket"`
	CDN       CDN       `yaml:"cdn"`
	Health    Health    `yaml:"health"`
	Admin     Admin     `yaml:"admin"`
	Webhooks  Webhooks  `yaml:"webhooks"`
	Log       Log       `yaml:"log"`
}

// Role is a half of planwarm's work.
type Role string

// The roles.
const (
	RolePublish Role = "publish" // telemetry in, manifests out
	RoleWarm    Role = "warm"    // manifests in, plans into routers
)

// Graph is one federated graph.
type Graph struct {
	Namespace      string            `yaml:"namespace"`
	Name           string            `yaml:"name"`
	Schema         Schema            `yaml:"schema"`
	TelemetryMatch map[string]string `yaml:"telemetry_match"`
	Cosmo          Cosmo             `yaml:"cosmo"`
	Routers        []Router          `yaml:"routers"`
	Manifest       Manifest          `yaml:"manifest"`
	Warm           Warm              `yaml:"warm"`
	Webhooks       WebhookNames      `yaml:"webhooks"`
	// Profiles are the header sets that pushed operations can name.
	Profiles map[string]Profile `yaml:"profiles"`
}

// Schema says where the graph's schema is: SDL, a supergraph, or a Cosmo execution config.
type Schema struct {
	File      string   `yaml:"file"`
	URL       string   `yaml:"url"`
	TokenFile string   `yaml:"token_file"`
	Poll      Duration `yaml:"poll"`
}

// Cosmo holds what the CDN endpoint needs to be a Cosmo router's CDN.
type Cosmo struct {
	OrganizationID   string `yaml:"organization_id"`
	FederatedGraphID string `yaml:"federated_graph_id"`
	JWTSecretFile    string `yaml:"jwt_secret_file"` // HS256 secret of the graph token
	TokenFile        string `yaml:"token_file"`      // or the graph token itself
	// SigningKeyFile is an EC P-256 private key (PKCS #8, PEM): tokens signed with
	// it, and the public key for routers that register here.
	SigningKeyFile    string            `yaml:"signing_key_file"`
	File              string            `yaml:"file"`              // file source of routers on this volume
	Touch             string            `yaml:"touch"`             // their execution config; a new mtime has them rebuild
	TouchOnManifest   bool              `yaml:"touch_on_manifest"` // touch it for each new manifest
	TouchInterval     Duration          `yaml:"touch_interval"`    // the least time between two touches
	PersistedManifest PersistedManifest `yaml:"persisted_manifest"`
}

// Router is one router replica.
type Router struct {
	Kind          RouterKind `yaml:"kind"`
	URL           string     `yaml:"url"`
	ReadyURL      string     `yaml:"ready_url"`
	MetricsURL    string     `yaml:"metrics_url"`
	TokenFile     string     `yaml:"token_file"` // X-WG-Token: the router fails closed without it; or the token of the plug-in
	PlanCacheSize int        `yaml:"plan_cache_size"`
	PlanLifetime  Duration   `yaml:"plan_lifetime"` // of a plan in a router whose plans end by themselves; 0: as the kind has it
	Canary        string     `yaml:"canary"`        // query with a real field; empty: found in the schema
	Pull          Pull       `yaml:"pull"`
	// AllowExecution lets a kind that cannot plan without it execute queries.
	AllowExecution  bool     `yaml:"allow_execution"`
	Resolve         bool     `yaml:"resolve"`          // every address of the name in URL is a replica
	ResolveInterval Duration `yaml:"resolve_interval"` // between look-ups

	cosmo Cosmo // of its graph
}

// RouterKind names a planner.
type RouterKind string

// RouterCosmo is a Cosmo router, or one that answers like it.
const RouterCosmo RouterKind = "cosmo"

// Gateways in Node with planwarm's plug-in in their process (deploy/).
const (
	RouterApolloGateway RouterKind = "apollo-gateway"
	RouterHiveGateway   RouterKind = "hive-gateway"
)

// Pull is the router's own warm-up, as its configuration has it.
type Pull struct {
	ItemsPerSecond float64  `yaml:"items_per_second"`
	Timeout        Duration `yaml:"timeout"`
	FeatureFlags   int      `yaml:"feature_flags"` // the router pulls once more for each
}

// Manifest bounds and orders a graph's manifest.
type Manifest struct {
	MaxOperations      int      `yaml:"max_operations"`
	ManualShare        float64  `yaml:"manual_share"`
	Rank               string   `yaml:"rank"`
	Window             Duration `yaml:"window"`
	Horizon            Duration `yaml:"horizon"` // of rank saved
	Budget             Duration `yaml:"budget"`  // of rank budget
	RecomputeInterval  Duration `yaml:"recompute_interval"`
	MinPublishInterval Duration `yaml:"min_publish_interval"`
	MinPlanningTime    Duration `yaml:"min_planning_time"`
	MaxPlanningTime    Duration `yaml:"max_planning_time"` // 0: off
	MinExecutions      uint64   `yaml:"min_executions"`
	MaxSharePerClient  float64  `yaml:"max_share_per_client"`
	SigningKeyFile     string   `yaml:"signing_key_file"` // Ed25519 private key, PEM; empty: unsigned
	VerifyKeyFile      string   `yaml:"verify_key_file"`  // Ed25519 public key, PEM; empty: signatures are not asked for
}

// Settings are m as the manifest is built with them.
func (m Manifest) Settings() manifest.Settings {
	return manifest.Settings{
		MaxOperations: m.MaxOperations, ManualShare: m.ManualShare, Rank: manifest.Rank(m.Rank), Horizon: m.Horizon.Std(),
		Budget: m.Budget.Std(), MinPlanningTime: m.MinPlanningTime.Std(), MaxPlanningTime: m.MaxPlanningTime.Std(),
		MinExecutions: m.MinExecutions, MaxSharePerClient: m.MaxSharePerClient,
	}
}

// Warm says how a graph's routers are warmed.
type Warm struct {
	Fallback            string   `yaml:"fallback"` // snapshot or off
	Merge               bool     `yaml:"merge"`
	Limit               int      `yaml:"limit"` // 0: from the routers' capacity
	Concurrency         int      `yaml:"concurrency"`
	OperationsPerSecond float64  `yaml:"operations_per_second"`
	Deadline            Duration `yaml:"deadline"`
	ReadyTimeout        Duration `yaml:"ready_timeout"`
	Interval            Duration `yaml:"interval"`
	Poll                Duration `yaml:"poll"`
	Jitter              Duration `yaml:"jitter"`
}

// Telemetry says what is listened for.
type Telemetry struct {
	OTLP          OTLP   `yaml:"otlp"`
	KeepText      string `yaml:"keep_text"` // lifted, or exact: see KeepExact
	MaxOperations int    `yaml:"max_operations"`
	MaxText       Bytes  `yaml:"max_text"`
}

// The values of Telemetry.KeepText, which is about operations with literals in
// their text. An operation without any is kept as it was sent wherever a router
// keys its plans on the exact text.
const (
	KeepLifted = "lifted" // literals are replaced by variables before anything is stored
	// KeepExact keeps texts with their literals, which are values of users:
	// they are then in memory, in checkpoints, in the bucket, and in manifests
	// that whoever may read those sees. Turning it off again does not erase
	// what was kept: that goes with the window, or with the checkpoints.
	KeepExact = "exact"
)

// OTLP is the receiver, graphqlmetrics included.
type OTLP struct {
	HTTP      string `yaml:"http"` // address; empty: off
	GRPC      string `yaml:"grpc"`
	TokenFile string `yaml:"token_file"`
	MaxBytes  Bytes  `yaml:"max_bytes"` // of one decoded body
}

// Bucket is the object storage: embedded, or s3://bucket/prefix.
type Bucket struct {
	URL           string `yaml:"url"`
	Endpoint      string `yaml:"endpoint"`
	Region        string `yaml:"region"`
	AccessKeyFile string `yaml:"access_key_file"` // empty: the usual AWS chain
	SecretKeyFile string `yaml:"secret_key_file"`
	Retention     int    `yaml:"retention"` // versions kept
}

// CDN is the endpoint that routers pull from, and where manifests are fetched.
type CDN struct {
	Enabled   bool   `yaml:"enabled"`
	Listen    string `yaml:"listen"`
	URL       string `yaml:"url"`        // fetch from here; empty: the bucket
	TokenFile string `yaml:"token_file"` // bearer token for URL, and of /v1 on this endpoint
	Upstream  string `yaml:"upstream"`   // for paths that planwarm does not own
}

// Health is the listener without control.
type Health struct {
	Listen string `yaml:"listen"`
}

// Admin is the listener with control.
type Admin struct {
	Listen    string `yaml:"listen"`
	TokenFile string `yaml:"token_file"`
}

// Log is the process's log.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// EmbeddedBucket is the Bucket.URL of the bucket that planwarm runs itself.
const EmbeddedBucket = "embedded"

// Default returns the configuration without graphs.
func Default() Config {
	return Config{
		DataDir: "./planwarm-data",
		Roles:   []Role{RolePublish, RoleWarm},
		Telemetry: Telemetry{
			OTLP:     OTLP{HTTP: "127.0.0.1:4318", GRPC: "127.0.0.1:4317", MaxBytes: 64 << 20},
			KeepText: KeepLifted, MaxOperations: 20_000, MaxText: 64 << 20,
		},
		Bucket: Bucket{URL: EmbeddedBucket, Region: "us-east-1", Retention: 50},
		CDN:    CDN{Enabled: true, Listen: "127.0.0.1:7661"},
		Health: Health{Listen: ":7662"},
		Admin:  Admin{Listen: "127.0.0.1:7660"},
		Log:    Log{Level: "info", Format: "json"},

		Webhooks: DefaultWebhooks(),
	}
}

// DefaultGraph returns a graph without a name and with every default.
func DefaultGraph() Graph {
	return Graph{
		Namespace: "default",
		Schema:    Schema{Poll: Duration(5 * time.Second)},
		Cosmo:     Cosmo{TouchInterval: Duration(time.Minute)},
		Manifest: Manifest{
			MaxOperations: 100, ManualShare: 1, Rank: "p90", Window: Duration(168 * time.Hour),
			Horizon: Duration(5 * time.Minute), Budget: Duration(30 * time.Second),
			RecomputeInterval: Duration(10 * time.Minute), MinPublishInterval: Duration(5 * time.Minute),
			MinPlanningTime: Duration(time.Millisecond), MinExecutions: 2, MaxSharePerClient: 1,
		},
		Warm: Warm{
			Fallback: "snapshot", Merge: true, Deadline: Duration(time.Minute), ReadyTimeout: Duration(30 * time.Second),
			Poll: Duration(15 * time.Second), Jitter: Duration(2 * time.Second),
		},
	}
}

// DefaultRouter returns a router without a URL and with every default.
func DefaultRouter() Router {
	return Router{
		Kind: RouterCosmo, PlanCacheSize: 1024, Pull: Pull{ItemsPerSecond: 50, Timeout: Duration(30 * time.Second)},
		ResolveInterval: DefaultResolveInterval,
	}
}
