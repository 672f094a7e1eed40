package otlp

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"testing"

	"github.com/planwarm/planwarm/telemetry"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// everything visits all there is and keeps it as text, so that it can be
// compared with what the Collector's library makes of the same body.
type everything struct{ items []string }

func (e *everything) Resource(as Attributes) bool {
	e.items = append(e.items, "resource "+written(as))
	return true
}
func (e *everything) WantSpan(_, _ string) bool { return true }
func (e *everything) WantMetric(string) bool    { return true }
func (e *everything) Span(s *Span) error {
	e.items = append(e.items, fmt.Sprintf("span %x %x %x %q %d %d %s", s.TraceID, s.SpanID, s.ParentSpanID, s.Name, s.Start, s.End, written(s.Attributes)))
	return nil
}
func (e *everything) Point(p *HistogramPoint) error {
	buckets := fmt.Sprint(p.Bounds, p.Counts)
	if x := p.Exponential; x != nil {
		buckets = fmt.Sprint(x.Scale, x.Offset, x.Counts, x.ZeroCount)
	}
	e.items = append(e.items, fmt.Sprintf("point %q %q %d %d %d %d %v %v %v %s %s",
		p.Metric, p.Unit, p.Temporality, p.Start, p.Time, p.Count, p.Sum, p.Min, p.Max, buckets, written(p.Attributes)))
	return nil
}

// written is a set of attributes as text; lists, maps and bytes by their kind only.
func written(as Attributes) string {
	var b []byte
	for i := range as {
		b = strconv.AppendQuote(b, as[i].Key)
		b = append(b, '=', '0'+byte(as[i].Kind), ':')
		b = strconv.AppendQuote(b, as[i].String())
	}
	return string(b)
}

func writtenByOracle(m pcommon.Map) string {
	as := make(Attributes, 0, m.Len())
	for k, v := range m.All() {
		a := Attribute{Key: k}
		switch v.Type() {
		case pcommon.ValueTypeStr:
			a.Kind, a.Text = KindString, v.Str()
		case pcommon.ValueTypeBool:
			a.Kind = KindBool
			if v.Bool() {
				a.Num = 1
			}
		case pcommon.ValueTypeInt:
			a.Kind, a.Num = KindInt, uint64(v.Int())
		case pcommon.ValueTypeDouble:
			a.Kind, a.Num = KindDouble, math.Float64bits(v.Double())
		case pcommon.ValueTypeSlice, pcommon.ValueTypeMap, pcommon.ValueTypeBytes:
			a.Kind = KindOther
		}
		as = append(as, a)
	}
	return written(as)
}

func oracleTraces(td ptrace.Traces) (items []string) {
	for _, rs := range td.ResourceSpans().All() {
		items = append(items, "resource "+writtenByOracle(rs.Resource().Attributes()))
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				items = append(items, fmt.Sprintf("span %x %x %x %q %d %d %s", [16]byte(s.TraceID()), [8]byte(s.SpanID()), [8]byte(s.ParentSpanID()),
					s.Name(), s.StartTimestamp(), s.EndTimestamp(), writtenByOracle(s.Attributes())))
			}
		}
	}
	return items
}

func orNaN(has bool, v float64) float64 {
	if !has {
		return math.NaN()
	}
	return v
}

func oracleMetrics(md pmetric.Metrics) (items []string) {
	for _, rm := range md.ResourceMetrics().All() {
		items = append(items, "resource "+writtenByOracle(rm.Resource().Attributes()))
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				add := func(t pmetric.AggregationTemporality, start, now pcommon.Timestamp, count uint64, sum, low, high float64, buckets string, as pcommon.Map) {
					items = append(items, fmt.Sprintf("point %q %q %d %d %d %d %v %v %v %s %s", m.Name(), m.Unit(), t, start, now, count, sum, low, high, buckets, writtenByOracle(as)))
				}
				switch m.Type() {
				case pmetric.MetricTypeHistogram:
					for _, p := range m.Histogram().DataPoints().All() {
						add(m.Histogram().AggregationTemporality(), p.StartTimestamp(), p.Timestamp(), p.Count(), p.Sum(), orNaN(p.HasMin(), p.Min()), orNaN(p.HasMax(), p.Max()),
							fmt.Sprint(p.ExplicitBounds().AsRaw(), p.BucketCounts().AsRaw()), p.Attributes())
					}
				case pmetric.MetricTypeExponentialHistogram:
					for _, p := range m.ExponentialHistogram().DataPoints().All() {
						add(m.ExponentialHistogram().AggregationTemporality(), p.StartTimestamp(), p.Timestamp(), p.Count(), p.Sum(), orNaN(p.HasMin(), p.Min()), orNaN(p.HasMax(), p.Max()),
							fmt.Sprint(p.Scale(), p.Positive().Offset(), p.Positive().BucketCounts().AsRaw(), p.ZeroCount()), p.Attributes())
					}
				}
			}
		}
	}
	return items
}

func sameItems(t *testing.T, name string, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d items, the oracle has %d", name, len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%s: item %d\n got %s\nwant %s", name, i, got[i], want[i])
		}
	}
}

// TestTracesEqualOracle decodes every captured body, and some of them written
// as JSON by the oracle, and compares all of it.
func TestTracesEqualOracle(t *testing.T) {
	for i, c := range load(t, traceFolders...) {
		req := ptraceotlp.NewExportRequest()
		if err := req.UnmarshalProto(c.body); err != nil {
			t.Fatal(err)
		}
		want := oracleTraces(req.Traces())
		bodies := map[Encoding][]byte{Protobuf: c.body}
		if i%8 == 0 {
			asJSON, err := req.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			bodies[JSON] = asJSON
		}
		for enc, body := range bodies {
			var got everything
			res, err := DecodeTraces(body, enc, &got)
			if err != nil || res.Rejected != 0 {
				t.Fatalf("%s as %s: %v, %+v", c.name, enc, err, res)
			}
			sameItems(t, c.name+" as "+enc.String(), got.items, want)
		}
	}
}

// TestMetricsEqualOracle does the same for histograms.
func TestMetricsEqualOracle(t *testing.T) {
	for i, c := range load(t, metricFolders...) {
		req := pmetricotlp.NewExportRequest()
		if err := req.UnmarshalProto(c.body); err != nil {
			t.Fatal(err)
		}
		want := oracleMetrics(req.Metrics())
		bodies := map[Encoding][]byte{Protobuf: c.body}
		if i%8 == 0 {
			asJSON, err := req.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			bodies[JSON] = asJSON
		}
		for enc, body := range bodies {
			var got everything
			res, err := DecodeMetrics(body, enc, &got)
			if err != nil || res.Rejected != 0 {
				t.Fatalf("%s as %s: %v, %+v", c.name, enc, err, res)
			}
			sameItems(t, c.name+" as "+enc.String(), got.items, want)
		}
	}
}

// syntheticMetrics has what the captures lack: exponential histograms, odd
// values, attributes of all kinds.
func syntheticMetrics() pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	as := rm.Resource().Attributes()
	as.PutStr("quoted", "a \"b\" \\ \n \u2028 é 😀")
	as.PutInt("int", math.MinInt64)
	as.PutDouble("double", -1.5e-300)
	as.PutDouble("infinite", math.Inf(-1))
	as.PutBool("no", false)
	as.PutEmptySlice("list").AppendEmpty().SetEmptyMap().PutStr("deep", "x")
	as.PutEmptyMap("map").PutStr("k", "v")
	as.PutEmptyBytes("bytes").Append(1, 2, 3)
	as.PutEmpty("empty")
	ms := rm.ScopeMetrics().AppendEmpty().Metrics()
	for _, scale := range []int32{5, 0, -3} {
		m := ms.AppendEmpty()
		m.SetName("exponential")
		m.SetUnit("s")
		h := m.SetEmptyExponentialHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		p := h.DataPoints().AppendEmpty()
		p.SetStartTimestamp(1)
		p.SetTimestamp(math.MaxInt64)
		p.SetScale(scale)
		p.SetZeroCount(2)
		p.SetCount(9)
		p.SetSum(12.25)
		p.SetMax(4)
		p.Positive().SetOffset(-7)
		p.Positive().BucketCounts().FromRaw([]uint64{3, 0, 4})
		p.Attributes().PutBool("wg.engine.plan_cache_hit", false)
	}
	m := ms.AppendEmpty()
	m.SetName("sum only")
	m.SetEmptySum().DataPoints().AppendEmpty().SetIntValue(3)
	return md
}

func TestSyntheticMetricsEqualOracle(t *testing.T) {
	md := syntheticMetrics()
	req := pmetricotlp.NewExportRequestFromMetrics(md)
	asProto, err := req.MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := req.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for enc, body := range map[Encoding][]byte{Protobuf: asProto, JSON: asJSON} {
		var got everything
		if res, err := DecodeMetrics(body, enc, &got); err != nil || res.Rejected != 0 || res.Items != 3 {
			t.Fatalf("%s: %v, %+v", enc, err, res)
		}
		sameItems(t, enc.String(), got.items, oracleMetrics(md))
	}
}

// TestNumbersInJSON accepts 64-bit integers as numbers and as strings, ids in
// hexadecimal and base64, and enums by number and name.
func TestNumbersInJSON(t *testing.T) {
	const trace = "00112233445566778899aabbccddeeff"
	id, err := hex.DecodeString(trace)
	if err != nil {
		t.Fatal(err)
	}
	base64, err := json.Marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	var want everything
	for i, body := range []string{
		`{"resourceSpans":[{"resource":{"attributes":[{"key":"pid","value":{"intValue":"7"}}]},"scopeSpans":[{"spans":[{"traceId":"` + trace + `","spanId":"0011223344556677","name":"n","startTimeUnixNano":"1700000000000000001","endTimeUnixNano":"1700000000000000002"}]}]}]}`,
		`{"resourceSpans":[{"scopeSpans":[{"spans":[{"endTimeUnixNano":1700000000000000002,"startTimeUnixNano":1700000000000000001,"name":"n","spanId":"ABEiM0RVZnc=","parentSpanId":"","traceId":` + string(base64) + `,"unknown":{"a":[1,{"b":"}"}]}}]}],"resource":{"attributes":[{"value":{"intValue":7},"key":"pid"}]}}]}`,
		" {\"resourceSpans\" :\n[ { \"resource\":{\"attributes\":[{\"key\":\"p\\u0069d\",\"value\":{\"intValue\":7.0}}]},\"scopeSpans\":[{\"scope\":null,\"spans\":[{\"traceId\":\"00112233445566778899AABBCCDDEEFF\",\"spanId\":\"0011223344556677\",\"name\":\"n\",\"parentSpanId\":null,\"startTimeUnixNano\":1700000000000000001 ,\"endTimeUnixNano\":\"1700000000000000002\",\"attributes\":null}]}] } ]} ",
	} {
		var got everything
		if res, err := DecodeTraces([]byte(body), JSON, &got); err != nil || res.Rejected != 0 || res.Items != 1 {
			t.Fatalf("body %d: %v, %+v", i, err, res)
		}
		if i == 0 {
			want = got
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("body %d\n got %q\nwant %q", i, got.items, want.items)
		}
	}
	for name, want := range map[string]telemetry.Temporality{"2": telemetry.Cumulative, `"AGGREGATION_TEMPORALITY_DELTA"`: telemetry.Delta, "1": telemetry.Delta} {
		if got, err := temporality([]byte(name)); err != nil || got != want {
			t.Errorf("temporality %s: %d, %v", name, got, err)
		}
	}
	for _, bad := range []string{"-1", "1.5", `"x"`, "18446744073709551616", "{}", "true"} {
		if u, err := unsigned([]byte(bad)); err == nil {
			t.Errorf("unsigned %s: %s", bad, strconv.FormatUint(u, 10))
		}
	}
}
