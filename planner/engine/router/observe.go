package router

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
)

// Scopes of a Cosmo router, by which receivers tell its spans apart.
const (
	scopeServer  = "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	scopePre     = "wundergraph/cosmo/router/pre_handler"
	scopeHandler = "wundergraph/cosmo/router/graphql_handler"
	scopeMetrics = "cosmo.router"

	routerVersion = "engine" // wg.router.version

	spanQueue     = 1 << 16
	exportTimeout = 5 * time.Second
	maxExportWait = 10 * time.Second // for an export with all its retries
)

// planningBounds are the buckets of Cosmo's planning-time histogram, milliseconds.
var planningBounds = []float64{0, 5, 7, 10, 15, 25, 50, 75, 100, 125, 150, 175, 200, 225, 250, 275, 300, 350, 400, 450, 500,
	600, 700, 800, 900, 1000, 1250, 1500, 1750, 2000, 2250, 2500, 2750, 3000, 3500, 4000, 5000, 10000}

// operation is what telemetry says of an operation.
type operation struct {
	name, kind string // kind: query, mutation or subscription
	hash, key  string
	document   string // normalised, without literals
}

// client is who sent an operation.
type client struct{ name, version string }

// stages are the times of one request.
type stages struct{ parse, normalize, validate, plan, execute time.Duration }

// observation is one request, or one planned item of the warm-up, seen from its end.
type observation struct {
	op       operation
	client   client
	graph    string // version of the supergraph
	start    time.Time
	end      time.Time
	stages   stages
	hit      bool
	planned  bool // it came as far as the plan cache
	executed bool
	planOnly bool
	status   int
}

// observer exports spans and metrics as a Cosmo router does. A nil observer exports nothing.
type observer struct {
	graphID  string
	content  bool
	traces   *sdktrace.TracerProvider
	metrics  *sdkmetric.MeterProvider
	server   trace.Tracer
	pre      trace.Tracer
	handler  trace.Tracer
	planning metric.Float64Histogram
	failures *failures
}

// newObserver starts the exporters; nothing is sent before the first export.
func newObserver(ctx context.Context, t Telemetry, graphID string, log *zap.Logger) (*observer, error) {
	base := strings.TrimSuffix(t.OTLP, "/")
	headers := map[string]string{}
	if t.Token != "" {
		headers["Authorization"] = "Bearer " + t.Token
	}
	spans, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(base+"/v1/traces"), otlptracehttp.WithHeaders(headers),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression), otlptracehttp.WithTimeout(exportTimeout),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: 500 * time.Millisecond, MaxInterval: 2 * time.Second, MaxElapsedTime: maxExportWait}))
	if err != nil {
		return nil, fmt.Errorf("create span exporter: %w", err)
	}
	points, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(base+"/v1/metrics"), otlpmetrichttp.WithHeaders(headers),
		otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression), otlpmetrichttp.WithTimeout(exportTimeout),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: true, InitialInterval: 500 * time.Millisecond, MaxInterval: 2 * time.Second, MaxElapsedTime: maxExportWait}),
		otlpmetrichttp.WithTemporalitySelector(func(sdkmetric.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality }))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create metric exporter: %w", err), spans.Shutdown(ctx))
	}
	if t.Instance == "" {
		t.Instance = rand.Text()
	}
	res := resource.NewSchemaless(attribute.String("service.name", t.ServiceName),
		attribute.String("service.instance.id", t.Instance), attribute.String("service.version", routerVersion))
	f := &failures{log: log}
	o := &observer{graphID: graphID, content: t.Content, failures: f}
	o.traces = sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithSampler(sdktrace.AlwaysSample()),
		sdktrace.WithBatcher(quietSpans{spans, f}, sdktrace.WithMaxQueueSize(spanQueue), sdktrace.WithBatchTimeout(time.Duration(t.Interval))))
	o.metrics = sdkmetric.NewMeterProvider(sdkmetric.WithResource(res),
		sdkmetric.WithReader(sdkmetric.NewPeriodicReader(quietPoints{points, f}, sdkmetric.WithInterval(time.Duration(t.Interval)))))
	o.server, o.pre, o.handler = o.traces.Tracer(scopeServer), o.traces.Tracer(scopePre), o.traces.Tracer(scopeHandler)
	o.planning, err = o.metrics.Meter(scopeMetrics, metric.WithInstrumentationVersion("0.0.1")).Float64Histogram("router.graphql.operation.planning_time",
		metric.WithUnit("ms"), metric.WithDescription("Operation planning time in milliseconds"), metric.WithExplicitBucketBoundaries(planningBounds...))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create planning time metric: %w", err), o.close(ctx))
	}
	return o, nil
}

// request exports one live request.
func (o *observer) request(r observation) {
	if o == nil {
		return
	}
	o.spans(r)
	if r.planned {
		attrs := append(o.common(r), attribute.Bool("wg.engine.plan_cache_hit", r.hit), attribute.String("wg.operation.protocol", "http"),
			attribute.String("wg.operation.plan_key", r.op.key))
		o.planning.Record(context.Background(), milliseconds(r.stages.plan), metric.WithAttributes(append(attrs, identity(r.op)...)...))
	}
}

// warmed exports one planned item of the warm-up: a point without protocol and
// plan key, by which receivers can tell it from demand, and no span.
func (o *observer) warmed(r observation) {
	if o == nil {
		return
	}
	attrs := append(o.common(r), attribute.Bool("wg.engine.plan_cache_hit", r.hit), attribute.String("wg.feature_flag", ""))
	o.planning.Record(context.Background(), milliseconds(r.stages.plan), metric.WithAttributes(append(attrs, identity(r.op)...)...))
}

// common are the attributes of every span and point.
func (o *observer) common(r observation) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("wg.router.config.version", r.graph), attribute.String("wg.router.version", routerVersion),
		attribute.String("wg.router.cluster.name", ""), attribute.String("wg.federated_graph.id", o.graphID),
		attribute.String("wg.client.name", r.client.name), attribute.String("wg.client.version", r.client.version),
	}
}

// identity are the attributes that name an operation.
func identity(op operation) []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("wg.operation.name", op.name), attribute.String("wg.operation.type", op.kind),
		attribute.String("wg.operation.hash", op.hash)}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// spans writes the trace of a request that is over, with its own times: a
// span's duration is exactly what was measured.
func (o *observer) spans(r observation) {
	common := append(o.common(r), attribute.String("wg.operation.protocol", "http"))
	name := r.op.name
	if name == "" {
		name = "unnamed"
	}
	rootAttrs := append(append([]attribute.KeyValue{attribute.String("wg.component.name", "router-server"), attribute.Bool("wg.router.root_span", true),
		attribute.String("http.method", "POST"), attribute.String("http.target", "/graphql"), attribute.Int("http.status_code", r.status)}, common...), identity(r.op)...)
	ctx, root := o.server.Start(context.Background(), r.op.kind+" "+name, trace.WithTimestamp(r.start), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(rootAttrs...))
	at := r.start
	child := func(t trace.Tracer, name string, took time.Duration, attrs ...attribute.KeyValue) {
		_, s := t.Start(ctx, name, trace.WithTimestamp(at), trace.WithAttributes(common...), trace.WithAttributes(attrs...))
		at = at.Add(took)
		s.End(trace.WithTimestamp(at))
	}
	key := attribute.String("wg.operation.plan_key", r.op.key)
	child(o.pre, "Operation - Parse", r.stages.parse)
	if r.planned {
		normalize := []attribute.KeyValue{attribute.String("wg.operation.name", r.op.name), attribute.String("wg.operation.type", r.op.kind),
			attribute.Bool("wg.engine.normalization_cache_hit", false), attribute.Bool("wg.engine.variables_normalization_cache_hit", false),
			attribute.Bool("wg.engine.variables_remapping_cache_hit", false), key}
		if o.content {
			normalize = append(normalize, attribute.String("wg.operation.normalized_content", r.op.document))
		}
		child(o.pre, "Operation - Normalize", r.stages.normalize, normalize...)
		child(o.pre, "Operation - Validate", r.stages.validate, append(identity(r.op), key, attribute.Bool("wg.engine.validation_cache_hit", false))...)
		child(o.pre, "Operation - Plan", r.stages.plan, append(identity(r.op), key, attribute.Bool("wg.engine.plan_cache_hit", r.hit),
			attribute.Bool("wg.engine.request_tracing_enabled", r.planOnly))...)
	}
	if r.executed {
		child(o.handler, "Operation - Execute", r.stages.execute, append(identity(r.op), key, attribute.Int("wg.engine.resolver.wait_time_ms", 0),
			attribute.Bool("wg.engine.resolver.deduplicated_request", false))...)
	}
	root.End(trace.WithTimestamp(r.end))
}

// flush sends everything that is held back.
func (o *observer) flush(ctx context.Context) error {
	if o == nil {
		return nil
	}
	o.failures.take()
	return errors.Join(o.traces.ForceFlush(ctx), o.metrics.ForceFlush(ctx), o.failures.take())
}

// close sends what is left and stops the exporters.
func (o *observer) close(ctx context.Context) error {
	if o == nil {
		return nil
	}
	o.failures.take()
	return errors.Join(o.traces.Shutdown(ctx), o.metrics.Shutdown(ctx), o.failures.take())
}

// failures keeps export errors from the SDK, which would hand them to a global
// handler: they are logged here, and kept for whoever asked for the export.
type failures struct {
	log *zap.Logger
	mu  sync.Mutex
	err error
}

func (f *failures) add(err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	f.log.Warn("export failed", zap.Error(err))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *failures) take() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.err
	f.err = nil
	return err
}

// quietSpans and quietPoints are exporters that report to failures.
type quietSpans struct {
	sdktrace.SpanExporter
	failures *failures
}

func (q quietSpans) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	q.failures.add(q.SpanExporter.ExportSpans(ctx, spans))
	return nil
}

type quietPoints struct {
	sdkmetric.Exporter
	failures *failures
}

func (q quietPoints) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	q.failures.add(q.Exporter.Export(ctx, rm))
	return nil
}
