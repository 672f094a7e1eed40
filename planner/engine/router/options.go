package router

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// PlanOnly says what the router does with a plan-only request.
type PlanOnly string

// The modes, as a Cosmo router has them.
const (
	// PlanOnlyIgnored: the header is not allowed. It is ignored without a sign and the operation executes.
	PlanOnlyIgnored PlanOnly = "ignored"
	// PlanOnlyAllowed: the operation is planned, the plan kept, and nothing executed.
	PlanOnlyAllowed PlanOnly = "allowed"
	// PlanOnlyFailClosed: as allowed with the right token, and a 400 without it.
	PlanOnlyFailClosed PlanOnly = "fail_closed"
)

// Duration is a time.Duration that is written as "30s" in JSON.
type Duration time.Duration

// MarshalText writes the duration as Go does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what MarshalText writes.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("parse duration: %w", err)
	}
	*d = Duration(v)
	return nil
}

// Options of a Router. The zero value of a field stands for its default.
type Options struct {
	// Supergraph is the SDL to start with; SupergraphFile is read, and watched, instead. One of them is required.
	Supergraph     string   `json:"supergraph,omitempty"`
	SupergraphFile string   `json:"supergraphFile,omitempty"`
	WatchInterval  Duration `json:"watchInterval,omitempty"` // how often the file's time is looked at; default 1s

	// SubgraphURLs replaces URLs of the supergraph, by subgraph name.
	SubgraphURLs  map[string]string `json:"subgraphUrls,omitempty"`
	PlanCacheSize int               `json:"planCacheSize,omitempty"` // default 1024

	PlanOnly      PlanOnly `json:"planOnly,omitempty"`      // default ignored, as on a router without tracing permission
	PlanOnlyToken string   `json:"planOnlyToken,omitempty"` // required by fail_closed

	Warmup    Warmup    `json:"warmup,omitzero"`
	Telemetry Telemetry `json:"telemetry,omitzero"`

	Log *zap.Logger `json:"-"` // default: none
	// Metrics is where the router registers, and what GET /metrics shows; default: a registry of its own.
	Metrics *prometheus.Registry `json:"-"`
	// CDN is the client for the warm-up list; default: one with its own connections.
	CDN *http.Client `json:"-"`
}

// Warmup configures the pull of the warm-up list before a graph is served.
type Warmup struct {
	CDN            string   `json:"cdn,omitempty"` // scheme and host; empty: no warm-up. A path is dropped, as Cosmo does.
	Organization   string   `json:"organization,omitempty"`
	Graph          string   `json:"graph,omitempty"`
	Token          string   `json:"token,omitempty"`
	Workers        int      `json:"workers,omitempty"`        // default 8
	ItemsPerSecond *float64 `json:"itemsPerSecond,omitempty"` // default 50; 0: unlimited
	Timeout        Duration `json:"timeout,omitempty"`        // of pull and planning together, default 30s
}

// Telemetry configures what the router tells of itself.
type Telemetry struct {
	OTLP        string   `json:"otlp,omitempty"`        // base URL of an OTLP/HTTP receiver; empty: off
	Usage       string   `json:"usage,omitempty"`       // base URL of a graphqlmetrics collector; empty: off
	Token       string   `json:"token,omitempty"`       // bearer token for both
	ServiceName string   `json:"serviceName,omitempty"` // default "planwarm-engine-router"
	Instance    string   `json:"instance,omitempty"`    // service.instance.id; default: random
	Content     bool     `json:"content,omitempty"`     // the normalised text on Normalize spans
	Interval    Duration `json:"interval,omitempty"`    // between exports, default 15s
}

// Limits of one request.
const (
	maxBody      = 5 << 20
	maxManifest  = 16 << 20
	maxItems     = 10_000
	maxUsageKeys = 10_000
)

// withDefaults returns o with defaults filled in, or every fault of it.
func (o Options) withDefaults() (Options, error) {
	setDefault(&o.WatchInterval, Duration(time.Second))
	setDefault(&o.PlanCacheSize, 1024)
	setDefault(&o.PlanOnly, PlanOnlyIgnored)
	setDefault(&o.Warmup.Workers, 8)
	setDefault(&o.Warmup.Timeout, Duration(30*time.Second))
	setDefault(&o.Telemetry.ServiceName, "planwarm-engine-router")
	setDefault(&o.Telemetry.Interval, Duration(15*time.Second))
	if o.Warmup.ItemsPerSecond == nil {
		perSecond := 50.0
		o.Warmup.ItemsPerSecond = &perSecond
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	return o, o.validate()
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (o Options) validate() error {
	var errs []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	fault((o.Supergraph == "") == (o.SupergraphFile == ""), "supergraph, supergraphFile: exactly one is required")
	fault(o.WatchInterval < 0, "watchInterval %s: negative", time.Duration(o.WatchInterval))
	fault(o.PlanCacheSize < 0, "planCacheSize %d: negative", o.PlanCacheSize)
	fault(o.PlanOnly != PlanOnlyIgnored && o.PlanOnly != PlanOnlyAllowed && o.PlanOnly != PlanOnlyFailClosed,
		"planOnly %q: not one of ignored, allowed, fail_closed", o.PlanOnly)
	fault(o.PlanOnly == PlanOnlyFailClosed && o.PlanOnlyToken == "", "planOnlyToken: required when planOnly is fail_closed")
	fault(o.Warmup.Workers < 0, "warmup.workers %d: negative", o.Warmup.Workers)
	fault(*o.Warmup.ItemsPerSecond < 0, "warmup.itemsPerSecond %g: negative", *o.Warmup.ItemsPerSecond)
	fault(o.Warmup.Timeout < 0, "warmup.timeout %s: negative", time.Duration(o.Warmup.Timeout))
	fault(o.Telemetry.Interval < 0, "telemetry.interval %s: negative", time.Duration(o.Telemetry.Interval))
	if o.Warmup.CDN != "" {
		fault(o.Warmup.Organization == "" || o.Warmup.Graph == "", "warmup.organization, warmup.graph: required with warmup.cdn")
		errs = append(errs, checkURL("warmup.cdn", o.Warmup.CDN))
	}
	for key, value := range map[string]string{"telemetry.otlp": o.Telemetry.OTLP, "telemetry.usage": o.Telemetry.Usage} {
		if value != "" {
			errs = append(errs, checkURL(key, value))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("configure router: %w", err)
	}
	return nil
}

func checkURL(key, value string) error {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%s: not an http or https URL", key)
	}
	return nil
}
