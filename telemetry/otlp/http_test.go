package otlp

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/telemetry"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
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

// TestOwnerIsTold once that the router lacks a setting, and nothing of what it sent.
func TestOwnerIsTold(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	var rec recorder
	r := receiver(t, &rec, func(o *Options) { o.Log = zap.New(core) })
	merged := metricBytes(t, planningTime("ms", func(p pmetric.ExponentialHistogramDataPoint) {
		p.Attributes().Clear()
		p.Attributes().PutBool("otel.metric.overflow", true)
	}))
	for range 2 {
		take(t, r, "http", Metrics, load(t, "defaults/metrics-http-cumulative")...)
		take(t, r, "http", Metrics, capture{"merged", merged})
	}
	all := logs.All()
	if len(all) != 2 || all[0].ContextMap()["outcome"] != "unattributed" || all[1].ContextMap()["outcome"] != "overflow" {
		t.Errorf("%d warnings: %v", len(all), all)
	}
}
