package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/telemetry"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.uber.org/goleak"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpcgzip "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func packed(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// answer of a server.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func post(t testing.TB, url string, body []byte, header ...string) answer {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, b}
}

func serveHTTP(t testing.TB, r *Receiver) string {
	t.Helper()
	s := httptest.NewServer(r.Handler())
	t.Cleanup(func() {
		s.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return s.URL
}

const (
	contentType = "Content-Type"
	protobufs   = "application/x-protobuf"
)

func TestHTTPTakesCaptures(t *testing.T) {
	var rec recorder
	url := serveHTTP(t, receiver(t, &rec))
	for _, c := range load(t, "small/traces-http") {
		if a := post(t, url+"/v1/traces", packed(t, c.body), contentType, protobufs, "Content-Encoding", "gzip"); a.status != http.StatusOK || len(a.body) != 0 || a.header.Get(contentType) != protobufs {
			t.Fatalf("%s: %d %q", c.name, a.status, a.body)
		}
	}
	for _, c := range load(t, "small/metrics-http-cumulative") {
		if a := post(t, url+"/cumulative/v1/metrics", c.body, contentType, protobufs+"; charset=utf-8"); a.status != http.StatusOK {
			t.Fatalf("%s: %d %q", c.name, a.status, a.body)
		}
	}
	if a := post(t, url+"/v1/metrics", read(t, "small/metrics-http-delta/planning-time.json"), contentType, "application/json"); a.status != http.StatusOK || string(a.body) != "{}" || a.header.Get(contentType) != "application/json" {
		t.Fatalf("JSON: %d %q", a.status, a.body)
	}
	if a := post(t, url+"/v1/traces", read(t, "small/traces-http/two-traces.json"), contentType, "application/json"); a.status != http.StatusOK {
		t.Fatalf("JSON: %d %q", a.status, a.body)
	}
	transports := map[string]int{}
	for _, p := range rec.points {
		transports[p.Transport]++
	}
	if len(rec.spans) < 60 || transports["http"] == 0 || transports["http /cumulative/v1/metrics"] == 0 || len(transports) != 2 {
		t.Errorf("%d spans, points by transport %v", len(rec.spans), transports)
	}
}

func TestHTTPRefuses(t *testing.T) {
	const secret = "s3cret"
	traces := load(t, "small/traces-http")[0].body
	reg := prometheus.NewRegistry()
	var rec recorder
	url := serveHTTP(t, receiver(t, &rec, func(o *Options) {
		o.Token, o.MaxBytes, o.Registerer = secret, 1<<20, reg
	}))
	cases := []struct {
		name, path, auth, media, encoding string
		body                              []byte
		status                            int
		code                              codes.Code
	}{
		{"no token", "/v1/traces", "", protobufs, "", traces, 401, codes.Unauthenticated},
		{"wrong token", "/v1/metrics", "Bearer wrong", protobufs, "", traces, 401, codes.Unauthenticated},
		{"wrong token for logs", "/v1/logs", "Bearer wrong", protobufs, "", traces, 401, codes.Unauthenticated},
		{"text", "/v1/traces", "Bearer " + secret, "text/plain", "", traces, 415, codes.InvalidArgument},
		{"no content type", "/v1/traces", "Bearer " + secret, "", "", traces, 415, codes.InvalidArgument},
		{"brotli", "/v1/traces", "Bearer " + secret, protobufs, "br", traces, 415, codes.InvalidArgument},
		{"truncated", "/v1/traces", "Bearer " + secret, protobufs, "", traces[:len(traces)/2], 400, codes.InvalidArgument},
		{"no gzip", "/v1/traces", "Bearer " + secret, protobufs, "gzip", traces, 400, codes.InvalidArgument},
		{"gzip cut short", "/v1/traces", "Bearer " + secret, protobufs, "gzip", packed(t, traces)[:1000], 400, codes.InvalidArgument},
		{"too large", "/v1/traces", "Bearer " + secret, protobufs, "", make([]byte, 1<<20+1), 413, codes.ResourceExhausted},
		{"gzip bomb", "/v1/metrics", "Bearer " + secret, protobufs, "gzip", packed(t, make([]byte, 8<<20)), 413, codes.ResourceExhausted},
		{"malformed JSON", "/v1/traces", "Bearer " + secret, "application/json", "", []byte(`{"resourceSpans":`), 400, codes.InvalidArgument},
	}
	for _, c := range cases {
		header := []string{contentType, c.media, "Content-Encoding", c.encoding}
		if c.auth != "" {
			header = append(header, "Authorization", c.auth)
		}
		a := post(t, url+c.path, c.body, header...)
		var s spb.Status
		var err error
		if a.header.Get(contentType) == protobufs {
			err = proto.Unmarshal(a.body, &s)
		} else {
			err = protojson.Unmarshal(a.body, &s)
		}
		if a.status != c.status || err != nil || codes.Code(s.GetCode()) != c.code || s.GetMessage() == "" {
			t.Errorf("%s: %d %v %q (%v), want %d %v", c.name, a.status, codes.Code(s.GetCode()), s.GetMessage(), err, c.status, c.code)
		}
		if wantProto := c.media == protobufs; wantProto != (a.header.Get(contentType) == protobufs) {
			t.Errorf("%s: answered as %q", c.name, a.header.Get(contentType))
		}
		if strings.Contains(string(a.body), secret) {
			t.Errorf("%s: the answer tells the token", c.name)
		}
	}
	if len(rec.spans)+len(rec.points) != 0 {
		t.Errorf("recorded %d spans and %d points of refused requests", len(rec.spans), len(rec.points))
	}
	if n := testutil.CollectAndCount(reg, "planwarm_otlp_requests_total"); n != 6+7 {
		t.Errorf("%d series of requests, want 6 of successes and 7 of refusals", n)
	}
	for _, path := range []string{"/", "/v1/profiles", "/v1/traces/", strings.Repeat("/x", 200) + "/v1/traces"} {
		if a := post(t, url+path, nil); a.status != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, a.status)
		}
	}
	res, err := http.Get(url + "/v1/traces")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != http.MethodPost {
		t.Errorf("GET: %d", res.StatusCode)
	}
}

func TestHTTPPartialSuccess(t *testing.T) {
	good := planSpan(t)
	var rec recorder
	url := serveHTTP(t, receiver(t, &rec))
	a := post(t, url+"/v1/traces", inScope(good, good[:len(good)-3]), contentType, protobufs)
	res := ptraceotlp.NewExportResponse()
	if err := res.UnmarshalProto(a.body); err != nil || a.status != http.StatusOK || res.PartialSuccess().RejectedSpans() != 1 || res.PartialSuccess().ErrorMessage() == "" {
		t.Errorf("protobuf: %d, %v, %d rejected", a.status, err, res.PartialSuccess().RejectedSpans())
	}
	md := planningTime("ms", nil)
	md.ResourceMetrics().At(0).CopyTo(md.ResourceMetrics().AppendEmpty())
	md.ResourceMetrics().At(1).ScopeMetrics().At(0).Metrics().At(0).ExponentialHistogram().DataPoints().At(0).SetCount(99)
	b, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	a = post(t, url+"/v1/metrics", b, contentType, "application/json")
	mres := pmetricotlp.NewExportResponse()
	if err := mres.UnmarshalJSON(a.body); err != nil || a.status != http.StatusOK || mres.PartialSuccess().RejectedDataPoints() != 1 || mres.PartialSuccess().ErrorMessage() == "" {
		t.Errorf("JSON: %d, %v, %q", a.status, err, a.body)
	}
	if len(rec.spans) != 1 || len(rec.points) != 1 {
		t.Errorf("kept %d spans and %d points of the good parts, want one each", len(rec.spans), len(rec.points))
	}
}

func TestHTTPDropsLogs(t *testing.T) {
	url := serveHTTP(t, receiver(t, nil))
	if a := post(t, url+"/v1/logs", []byte("whatever"), contentType, protobufs); a.status != http.StatusOK || len(a.body) != 0 {
		t.Errorf("%d %q", a.status, a.body)
	}
}

// TestRouting by resource, and what the metrics say of it.
func TestRouting(t *testing.T) {
	var mine recorder
	reg := prometheus.NewRegistry()
	r := receiver(t, nil, func(o *Options) {
		o.Registerer = reg
		o.Route = func(as Attributes) telemetry.Recorder {
			if as.Get("service.instance.id") == "mine" && as.Get("pid") == "" {
				return &mine
			}
			return nil
		}
	})
	for _, instance := range []string{"mine", "other", ""} {
		tr := newTrace(instance)
		tr.add(cosmoPlanSpan, 1, 1, map[string]any{"wg.operation.hash": "7", "wg.engine.plan_cache_hit": true})
		tr.add(cosmoPlanSpan, 2, 1, nil)
		take(t, r, "http", Traces, capture{instance, tr.bytes(t)})
	}
	if len(mine.spans) != 1 {
		t.Errorf("%d spans, want 1", len(mine.spans))
	}
	want := `
# HELP planwarm_otlp_unrouted_total Resources in OTLP bodies that match no graph.
# TYPE planwarm_otlp_unrouted_total counter
planwarm_otlp_unrouted_total{signal="metrics"} 0
planwarm_otlp_unrouted_total{signal="traces"} 2
# HELP planwarm_otlp_items_total Spans and points that a router's mapping wanted, by what became of them.
# TYPE planwarm_otlp_items_total counter
planwarm_otlp_items_total{outcome="ignored",signal="metrics"} 0
planwarm_otlp_items_total{outcome="ignored",signal="traces"} 0
planwarm_otlp_items_total{outcome="overflow",signal="metrics"} 0
planwarm_otlp_items_total{outcome="overflow",signal="traces"} 0
planwarm_otlp_items_total{outcome="taken",signal="metrics"} 0
planwarm_otlp_items_total{outcome="taken",signal="traces"} 1
planwarm_otlp_items_total{outcome="unattributed",signal="metrics"} 0
planwarm_otlp_items_total{outcome="unattributed",signal="traces"} 1
planwarm_otlp_items_total{outcome="warm_up",signal="metrics"} 0
planwarm_otlp_items_total{outcome="warm_up",signal="traces"} 0
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "planwarm_otlp_unrouted_total", "planwarm_otlp_items_total"); err != nil {
		t.Error(err)
	}
	if _, err := New(Options{Route: func(Attributes) telemetry.Recorder { return nil }, Registerer: reg}); err == nil {
		t.Error("two receivers share one registry in silence")
	}
	if _, err := New(Options{}); err == nil {
		t.Error("a receiver without Route is made")
	}
}

func TestInstanceWithoutID(t *testing.T) {
	a := instance(Attributes{{Key: "host.name", Kind: KindString, Text: "a"}})
	b := instance(Attributes{{Key: "host.name", Kind: KindString, Text: "b"}})
	if a == b || a == "" {
		t.Errorf("two hosts are %q and %q", a, b)
	}
}

func dial(t testing.TB, r *Receiver) *grpc.ClientConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := r.GRPC()
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	cc, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cc.Close()
		s.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return cc
}

func TestGRPCTakesCaptures(t *testing.T) {
	var rec, want recorder
	cc := dial(t, receiver(t, &rec))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	direct := receiver(t, &want)
	for i, c := range load(t, "small/traces-grpc") {
		req := ptraceotlp.NewExportRequest()
		if err := req.UnmarshalProto(c.body); err != nil {
			t.Fatal(err)
		}
		var opts []grpc.CallOption
		if i%2 == 1 {
			opts = append(opts, grpc.UseCompressor(grpcgzip.Name))
		}
		if _, err := ptraceotlp.NewGRPCClient(cc).Export(ctx, req, opts...); err != nil {
			t.Fatal(err)
		}
		take(t, direct, "grpc", Traces, c)
	}
	for _, c := range load(t, "small/metrics-grpc-delta") {
		req := pmetricotlp.NewExportRequest()
		if err := req.UnmarshalProto(c.body); err != nil {
			t.Fatal(err)
		}
		if _, err := pmetricotlp.NewGRPCClient(cc).Export(ctx, req, grpc.UseCompressor(grpcgzip.Name)); err != nil {
			t.Fatal(err)
		}
		take(t, direct, "grpc", Metrics, c)
	}
	if len(rec.spans) != len(want.spans) || len(rec.points) != len(want.points) || len(rec.spans) == 0 || len(rec.points) == 0 {
		t.Errorf("%d spans and %d points, want %d and %d", len(rec.spans), len(rec.points), len(want.spans), len(want.points))
	}
	for i, p := range rec.points {
		if w := want.points[i]; p.Transport != "grpc" || p.Stream != w.Stream || p.Count != w.Count {
			t.Fatalf("point %d is %+v, want %+v", i, p, w)
		}
	}
	if _, err := plogotlp.NewGRPCClient(cc).Export(ctx, plogotlp.NewExportRequest()); err != nil {
		t.Errorf("logs: %v", err)
	}
}

func TestGRPCRefuses(t *testing.T) {
	var rec recorder
	cc := dial(t, receiver(t, &rec, func(o *Options) { o.Token, o.MaxBytes = "s3cret", 8<<20 }))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	allowed := metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer s3cret")
	filled := func(size int) ptraceotlp.ExportRequest {
		tr := newTrace("a")
		s := tr.add("filler", 1, 1, nil)
		s.Attributes().PutStr("x", strings.Repeat("x", size))
		tr.add(cosmoPlanSpan, 2, 1, map[string]any{"wg.operation.hash": "7", "wg.engine.plan_cache_hit": false})
		return ptraceotlp.NewExportRequestFromTraces(tr.td)
	}
	client := ptraceotlp.NewGRPCClient(cc)
	cases := []struct {
		name string
		ctx  context.Context
		size int
		opts []grpc.CallOption
		want codes.Code
	}{
		{"no token", ctx, 10, nil, codes.Unauthenticated},
		{"wrong token", metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer nope"), 10, nil, codes.Unauthenticated},
		{"above the usual 4 MiB", allowed, 5_900_000, nil, codes.OK},
		{"above the usual 4 MiB, gzipped", allowed, 5_900_000, []grpc.CallOption{grpc.UseCompressor(grpcgzip.Name)}, codes.OK},
		{"too large", allowed, 9 << 20, nil, codes.ResourceExhausted},
		{"gzip bomb", allowed, 20 << 20, []grpc.CallOption{grpc.UseCompressor(grpcgzip.Name)}, codes.ResourceExhausted},
	}
	spans := 0
	for _, c := range cases {
		_, err := client.Export(c.ctx, filled(c.size), c.opts...)
		if status.Code(err) != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err == nil {
			spans++
		}
	}
	if len(rec.spans) != spans {
		t.Errorf("%d spans recorded, want %d", len(rec.spans), spans)
	}
	for name, c := range map[string]struct {
		body []byte
		want codes.Code
	}{
		"malformed": {planSpan(t)[:20], codes.InvalidArgument},
		"in part":   {inScope(planSpan(t), planSpan(t)[:20]), codes.OK},
	} {
		out := &frame{}
		err := cc.Invoke(allowed, "/opentelemetry.proto.collector.trace.v1.TraceService/Export", rawFrame(c.body), out, grpc.ForceCodecV2(rawCodec{}))
		if status.Code(err) != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if err != nil {
			continue
		}
		res := ptraceotlp.NewExportResponse()
		if err := res.UnmarshalProto(out.bytes()); err != nil || res.PartialSuccess().RejectedSpans() != 1 {
			t.Errorf("%s: %v, %d rejected", name, err, res.PartialSuccess().RejectedSpans())
		}
	}
}

func rawFrame(b []byte) *frame { return &frame{buf: mem.SliceBuffer(b)} }
