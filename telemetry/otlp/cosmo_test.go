package otlp

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/telemetry"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

var arrival = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func take(t testing.TB, r *Receiver, transport string, signal Signal, cs ...capture) (all Summary) {
	t.Helper()
	for _, c := range cs {
		s, err := r.Take(arrival, transport, signal, Protobuf, c.body)
		if err != nil || s.Rejected != 0 {
			t.Fatalf("%s: %v, %+v", c.name, err, s)
		}
		all.Items += s.Items
		all.Unrouted += s.Unrouted
		for o := range outcomes {
			all.Outcomes[o] += s.Outcomes[o]
		}
	}
	return all
}

// truthOp is what truth.json says of an operation.
type truthOp struct {
	Requests int            `json:"requests"`
	Misses   int            `json:"misses"`
	MissMs   []float64      `json:"miss_ms"`
	PlanKey  string         `json:"plan_key"`
	Type     string         `json:"type"`
	Names    map[string]int `json:"names"`
	Clients  map[string]int `json:"clients"`
	Delta    struct {
		Count   uint64  `json:"count"`
		Misses  uint64  `json:"misses"`
		MissSum float64 `json:"miss_sum_ms"`
		MissMin float64 `json:"miss_min_ms"`
		MissMax float64 `json:"miss_max_ms"`
	} `json:"delta_histogram"`
}

func truth(t testing.TB) map[string]truthOp {
	t.Helper()
	var doc struct {
		Operations map[string]truthOp `json:"operations"`
	}
	if err := json.Unmarshal(read(t, "truth.json"), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Operations) != 84 {
		t.Fatalf("truth.json has %d operations", len(doc.Operations))
	}
	return doc.Operations
}

func TestCosmoSpansEqualTruth(t *testing.T) {
	var rec recorder
	take(t, receiver(t, &rec), "http", Traces, load(t, "main/traces")...)
	got := map[string]*truthOp{}
	for _, s := range rec.spans {
		o := got[s.Op.Hash]
		if o == nil {
			o = &truthOp{PlanKey: s.Op.PlanKey, Type: s.Op.Type, Names: map[string]int{}, Clients: map[string]int{}}
			got[s.Op.Hash] = o
		}
		o.Requests++
		o.Names[s.Op.Name]++
		o.Clients[s.Op.Client.Name+"@"+s.Op.Client.Version]++
		if !s.Hit {
			o.Misses++
			o.MissMs = append(o.MissMs, float64(s.Duration)/1e6)
		}
	}
	want := truth(t)
	if len(got) != len(want) {
		t.Fatalf("%d operations, want %d", len(got), len(want))
	}
	for hash, w := range want {
		g := got[hash]
		if g == nil {
			t.Fatalf("operation %s is missing", hash)
		}
		slices.Sort(g.MissMs)
		if g.Requests != w.Requests || g.Misses != w.Misses || g.PlanKey != w.PlanKey || g.Type != w.Type || !slices.Equal(g.MissMs, w.MissMs) {
			t.Errorf("operation %s:\n got %+v\nwant %+v", hash, g, w)
		}
		for n, c := range w.Names {
			if g.Names[n] != c {
				t.Errorf("operation %s: name %q %d times, want %d", hash, n, g.Names[n], c)
			}
		}
		for n, c := range w.Clients {
			if g.Clients[n] != c {
				t.Errorf("operation %s: client %q %d times, want %d", hash, n, g.Clients[n], c)
			}
		}
	}
	for _, at := range rec.at {
		if !at.Equal(arrival) {
			t.Fatalf("recorded at %s, want the arrival %s", at, arrival)
		}
	}
}

func TestCosmoDeltaPointsEqualTruth(t *testing.T) {
	var rec recorder
	take(t, receiver(t, &rec), "http", Metrics, load(t, "main/metrics-http-delta")...)
	got := map[string]*truthOp{}
	for _, p := range rec.points {
		if p.Temporality != telemetry.Delta || p.Transport != "http" || p.Instance == "" {
			t.Fatalf("point of %d over %q from %q", p.Temporality, p.Transport, p.Instance)
		}
		o := got[p.Op.Hash]
		if o == nil {
			o = &truthOp{}
			o.Delta.MissMin = math.Inf(1)
			got[p.Op.Hash] = o
		}
		o.Delta.Count += p.Count
		if !p.Hit {
			o.Delta.Misses += p.Count
			o.Delta.MissSum += p.Sum
			o.Delta.MissMin, o.Delta.MissMax = min(o.Delta.MissMin, p.Min), max(o.Delta.MissMax, p.Max)
		}
	}
	for hash, w := range truth(t) {
		g := got[hash]
		if g == nil {
			t.Fatalf("operation %s is missing", hash)
		}
		sum := g.Delta.MissSum
		g.Delta.MissSum = w.Delta.MissSum
		if w.Delta.Misses == 0 {
			g.Delta.MissMin = w.Delta.MissMin
		}
		if g.Delta != w.Delta || math.Abs(sum-w.Delta.MissSum) > 1e-6 {
			t.Errorf("operation %s:\n got %+v, sum %v\nwant %+v", hash, g.Delta, sum, w.Delta)
		}
	}
}

// TestCosmoStreamsAgree: the three readers of one router name the same
// streams, so that they differ by transport and temporality alone.
func TestCosmoStreamsAgree(t *testing.T) {
	streams := func(transport, folder string) map[uint64]string {
		var rec recorder
		take(t, receiver(t, &rec), transport, Metrics, load(t, folder)[0])
		out := map[uint64]string{}
		for _, p := range rec.points {
			id := p.Op.Hash + " " + p.Op.Name + " " + p.Op.Client.Name
			if p.Hit {
				id += " hit"
			}
			if old, ok := out[p.Stream]; ok && old != id {
				t.Fatalf("streams of %s and %s collide", old, id)
			}
			out[p.Stream] = id
		}
		if len(out) != 227 {
			t.Fatalf("%s: %d streams, want 227", folder, len(out))
		}
		return out
	}
	a := streams("http", "main/metrics-http-delta")
	for transport, folder := range map[string]string{"grpc": "main/metrics-grpc-delta", "http /cumulative/v1/metrics": "main/metrics-http-cumulative"} {
		for id, what := range streams(transport, folder) {
			if a[id] != what {
				t.Errorf("%s: stream of %s is %q over http", folder, what, a[id])
			}
		}
	}
}

// TestCosmoLeavesOut what cannot or must not be counted.
func TestCosmoLeavesOut(t *testing.T) {
	var rec recorder
	sum := take(t, receiver(t, &rec), "http", Metrics, load(t, "defaults/metrics-http-cumulative")...)
	if len(rec.points) != 0 || sum.Outcomes[Unattributed] != 14 {
		t.Errorf("router without attributes: %d points, %+v", len(rec.points), sum)
	}
	rec = recorder{}
	sum = take(t, receiver(t, &rec), "http", Metrics, load(t, "warm/metrics-http-delta")...)
	if sum.Outcomes[WarmUp] == 0 || sum.Outcomes[Unattributed] != 0 {
		t.Errorf("warmed router: %+v", sum)
	}
	// What is left is the traffic: the same as the plan spans tell.
	var spans recorder
	take(t, receiver(t, &spans), "http", Traces, load(t, "warm/traces")...)
	want, got := map[string]uint64{}, map[string]uint64{}
	for _, s := range spans.spans {
		want[s.Op.Hash]++
	}
	for _, p := range rec.points {
		got[p.Op.Hash] += p.Count
	}
	if len(want) != len(got) {
		t.Errorf("%d operations in the metric, %d in the traces", len(got), len(want))
	}
	for hash, n := range want {
		if got[hash] != n {
			t.Errorf("operation %s: %d in the metric, %d in the traces", hash, got[hash], n)
		}
	}
}

// trace builds a request of one trace with the given spans.
type trace struct {
	td    ptrace.Traces
	spans ptrace.SpanSlice
}

func newTrace(instance string) *trace {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	if instance != "" {
		rs.Resource().Attributes().PutStr("service.instance.id", instance)
	}
	return &trace{td, rs.ScopeSpans().AppendEmpty().Spans()}
}

func (tr *trace) add(name string, id, parent byte, attributes map[string]any) ptrace.Span {
	s := tr.spans.AppendEmpty()
	s.SetName(name)
	s.SetTraceID(pcommon.TraceID{1, parent})
	s.SetSpanID(pcommon.SpanID{id})
	s.SetParentSpanID(pcommon.SpanID{parent})
	s.SetStartTimestamp(1_000_000_000)
	s.SetEndTimestamp(1_005_000_000)
	if err := s.Attributes().FromRaw(attributes); err != nil {
		panic(err)
	}
	return s
}

func (tr *trace) bytes(t testing.TB) []byte {
	t.Helper()
	b, err := ptraceotlp.NewExportRequestFromTraces(tr.td).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCosmoSpanCases(t *testing.T) {
	good := map[string]any{"wg.operation.hash": "7", "wg.engine.plan_cache_hit": false}
	without := func(key string) map[string]any {
		m := map[string]any{}
		for k, v := range good {
			if k != key {
				m[k] = v
			}
		}
		return m
	}
	with := func(key string, value any) map[string]any {
		m := without("")
		m[key] = value
		return m
	}
	cases := []struct {
		name       string
		attributes map[string]any
		outcome    Outcome
		hit        bool
	}{
		{"good", good, Taken, false},
		{"hit as text", with("wg.engine.plan_cache_hit", "true"), Taken, true},
		{"without hash", without("wg.operation.hash"), Unattributed, false},
		{"without hit", without("wg.engine.plan_cache_hit"), Unattributed, false},
		{"hit as number", with("wg.engine.plan_cache_hit", 1), Unattributed, false},
		{"hash beyond reason", with("wg.operation.hash", strings.Repeat("1", maxName+1)), Unattributed, false},
		{"hash that is no text", with("wg.operation.hash", "\xff"), Unattributed, false},
		{"own client", with("wg.client.name", "planwarm"), Taken, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tr := newTrace("a")
			tr.add(cosmoPlanSpan, 1, 1, c.attributes)
			var rec recorder
			sum := take(t, receiver(t, &rec), "http", Traces, capture{c.name, tr.bytes(t)})
			if sum.Outcomes[c.outcome] != 1 || sum.Items != 1 {
				t.Fatalf("%+v, want one %s", sum, c.outcome)
			}
			if c.outcome != Taken {
				return
			}
			s := rec.spans[0]
			if s.Duration != 5*time.Millisecond || s.Hit != c.hit || s.Op.Hash != "7" {
				t.Errorf("%+v", s)
			}
			if n, ok := c.attributes["wg.client.name"]; ok && s.Op.Client.Name != n {
				t.Errorf("client %q is not passed through", n)
			}
		})
	}
}

// planningTime is a metric with one exponential point of scale 5.
func planningTime(unit string, change func(pmetric.ExponentialHistogramDataPoint)) pmetric.Metrics {
	md := pmetric.NewMetrics()
	m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(cosmoPlanningTime)
	m.SetUnit(unit)
	h := m.SetEmptyExponentialHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	p := h.DataPoints().AppendEmpty()
	p.SetScale(5)
	p.SetZeroCount(1)
	p.SetCount(6)
	p.SetSum(2)
	p.SetMax(1.5)
	p.Positive().SetOffset(-32)
	p.Positive().BucketCounts().FromRaw([]uint64{2, 0, 3})
	as := p.Attributes()
	as.PutStr("wg.operation.hash", "7")
	as.PutStr("wg.operation.protocol", "http")
	as.PutBool("wg.engine.plan_cache_hit", false)
	if change != nil {
		change(p)
	}
	return md
}

func metricBytes(t testing.TB, md pmetric.Metrics) []byte {
	t.Helper()
	b, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCosmoUnits(t *testing.T) {
	var rec recorder
	take(t, receiver(t, &rec), "http", Metrics, capture{"ms", metricBytes(t, planningTime("ms", nil))}, capture{"s", metricBytes(t, planningTime("s", nil))})
	ms, s := rec.points[0], rec.points[1]
	if e := ms.Exponential; e == nil || e.Scale != 5 || e.Offset != -32 || e.ZeroCount != 1 || !slices.Equal(e.Counts, []uint64{2, 0, 3}) || ms.Sum != 2 || ms.Max != 1.5 || !math.IsNaN(ms.Min) {
		t.Errorf("in milliseconds: %+v", ms)
	}
	if s.Exponential != nil || s.Sum != 2000 || s.Max != 1500 || !slices.Equal(s.Counts, []uint64{1, 2, 0, 3, 0}) || len(s.Bounds) != 4 {
		t.Fatalf("in seconds: %+v", s)
	}
	for i, b := range s.Bounds {
		if want := 1000 * math.Pow(2, float64(i-32)/32); math.Abs(b-want) > want*1e-12 {
			t.Errorf("bound %d is %v, want %v", i, b, want)
		}
	}
	if sum, err := receiver(t, &rec).Take(arrival, "http", Metrics, Protobuf, metricBytes(t, planningTime("parsec", nil))); err != nil || sum.Rejected != 1 {
		t.Errorf("unknown unit: %v, %+v", err, sum)
	}
}

func TestCosmoPointCases(t *testing.T) {
	type point = pmetric.ExponentialHistogramDataPoint
	cases := []struct {
		name    string
		change  func(point)
		outcome Outcome
	}{
		{"good", func(point) {}, Taken},
		{"overflow", func(p point) { p.Attributes().Clear(); p.Attributes().PutBool("otel.metric.overflow", true) }, Overflowed},
		{"of the router's warm-up", func(p point) { p.Attributes().Remove("wg.operation.protocol") }, WarmUp},
		{"without hash", func(p point) { p.Attributes().Remove("wg.operation.hash") }, Unattributed},
		{"without hit", func(p point) { p.Attributes().Remove("wg.engine.plan_cache_hit") }, Unattributed},
		{"without samples", func(p point) { p.SetCount(0); p.SetZeroCount(0); p.Positive().BucketCounts().FromRaw(nil) }, Ignored},
	}
	for _, c := range cases {
		var rec recorder
		sum := take(t, receiver(t, &rec), "http", Metrics, capture{c.name, metricBytes(t, planningTime("ms", c.change))})
		if sum.Outcomes[c.outcome] != 1 || (len(rec.points) == 1) != (c.outcome == Taken) || (rec.merged == 1) != (c.outcome == Overflowed) {
			t.Errorf("%s: %+v, %d points", c.name, sum, len(rec.points))
		}
	}
}
