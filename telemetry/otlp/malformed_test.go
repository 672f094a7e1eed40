package otlp

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/telemetry"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"google.golang.org/protobuf/encoding/protowire"
)

// message is the field num of a message with content b.
func message(num protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
}

// firstSpan cuts a span's bytes out of a body of one resource and one scope.
func firstSpan(t testing.TB, body []byte) (span []byte) {
	t.Helper()
	if err := eachMessage(body, 1, func(rs []byte) {
		_ = eachMessage(rs, 2, func(sc []byte) {
			_ = eachMessage(sc, 2, func(b []byte) { span = b })
		})
	}); err != nil || span == nil {
		t.Fatalf("no span: %v", err)
	}
	return span
}

func inScope(items ...[]byte) []byte {
	var scope []byte
	for _, it := range items {
		scope = append(scope, message(2, it)...)
	}
	return message(1, message(2, scope))
}

func planSpan(t testing.TB) []byte {
	tr := newTrace("")
	tr.add(cosmoPlanSpan, 1, 1, map[string]any{"wg.operation.hash": "7", "wg.engine.plan_cache_hit": false})
	return firstSpan(t, tr.bytes(t))
}

// TestBadSpansAreRejectedAlone: a part that is malformed in itself costs
// nothing but itself.
func TestBadSpansAreRejectedAlone(t *testing.T) {
	good := planSpan(t)
	change := func(f func(s []byte) []byte) []byte { return f(bytes.Clone(good)) }
	fixed := func(num protowire.Number, v uint64) []byte {
		return protowire.AppendFixed64(protowire.AppendTag(nil, num, protowire.Fixed64Type), v)
	}
	many := bytes.Repeat(message(9, message(1, []byte("k"))), maxAttributes+1)
	for name, bad := range map[string][]byte{
		"cut short":               good[:len(good)-3],
		"group":                   append(bytes.Clone(good), 0x0b),
		"time as text":            append(bytes.Clone(good), message(7, []byte("now"))...),
		"ends before it starts":   change(func(s []byte) []byte { return append(s, fixed(8, 1)...) }),
		"never started":           change(func(s []byte) []byte { return append(s, fixed(7, 0)...) }),
		"trace id too short":      change(func(s []byte) []byte { return append(s, message(1, []byte("123"))...) }),
		"span id too long":        change(func(s []byte) []byte { return append(s, message(2, []byte("123456789"))...) }),
		"parent id of odd length": change(func(s []byte) []byte { return append(s, message(4, []byte("1"))...) }),
		"attribute cut short":     append(bytes.Clone(good), message(9, []byte{0x0a, 0x7f})...),
		"value cut short":         append(bytes.Clone(good), message(9, message(2, []byte{0x0a, 0x7f}))...),
		"too many attributes":     append(bytes.Clone(good), many...),
	} {
		var rec recorder
		r := receiver(t, &rec)
		sum, err := r.Take(arrival, "http", Traces, Protobuf, inScope(good, bad, good))
		if err != nil || sum.Rejected != 1 || sum.Items != 2 || len(rec.spans) != 2 || sum.Reason == nil {
			t.Errorf("%s: %v, %+v, %d spans", name, err, sum, len(rec.spans))
		}
		if sum, err := r.Take(arrival, "http", Traces, Protobuf, inScope(bad)); overall(sum, err) == nil {
			t.Errorf("%s alone: %+v", name, sum)
		}
	}
}

func TestBadPointsAreRejectedAlone(t *testing.T) {
	type point = pmetric.HistogramDataPoint
	cases := map[string]func(point){
		"buckets without bounds":   func(p point) { p.ExplicitBounds().FromRaw(nil) },
		"bounds that fall":         func(p point) { p.ExplicitBounds().FromRaw([]float64{5, 5}) },
		"more than it counts":      func(p point) { p.SetCount(2) },
		"less than it counts":      func(p point) { p.SetCount(4) },
		"counts that wrap around":  func(p point) { p.BucketCounts().FromRaw([]uint64{1 << 63, 1 << 63, 3}) },
		"a count beyond reason":    func(p point) { p.SetCount(1 << 60); p.BucketCounts().FromRaw([]uint64{1 << 60, 0, 0}) },
		"a sum that is not finite": func(p point) { p.SetSum(p.Sum() / 0.0 * zero) },
		"too many buckets": func(p point) {
			p.BucketCounts().FromRaw(make([]uint64, maxBuckets+1))
		},
		"too many attributes": func(p point) {
			for i := range maxAttributes {
				p.Attributes().PutStr(strings.Repeat("k", i+1), "")
			}
		},
	}
	for name, change := range cases {
		md := pmetric.NewMetrics()
		m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		m.SetName(cosmoPlanningTime)
		h := m.SetEmptyHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		for i := range 3 {
			p := h.DataPoints().AppendEmpty()
			p.SetTimestamp(pcommon.Timestamp(i + 1))
			p.SetCount(3)
			p.SetSum(12)
			p.ExplicitBounds().FromRaw([]float64{1, 5})
			p.BucketCounts().FromRaw([]uint64{1, 0, 2})
			p.Attributes().PutStr("wg.operation.hash", "7")
			p.Attributes().PutStr("wg.operation.protocol", "http")
			p.Attributes().PutBool("wg.engine.plan_cache_hit", false)
			if i == 1 {
				change(p)
			}
		}
		var rec recorder
		sum, err := receiver(t, &rec).Take(arrival, "http", Metrics, Protobuf, metricBytes(t, md))
		if err != nil || sum.Rejected != 1 || sum.Items != 2 || len(rec.points) != 2 {
			t.Errorf("%s: %v, %+v, %d points", name, err, sum, len(rec.points))
		}
		h.SetAggregationTemporality(pmetric.AggregationTemporalityUnspecified)
		if sum, err := receiver(t, &rec).Take(arrival, "http", Metrics, Protobuf, metricBytes(t, md)); err != nil || sum.Rejected != 3 {
			t.Errorf("%s, without temporality: %v, %+v", name, err, sum)
		}
	}
}

var zero float64 // not a constant, so that dividing by it makes no number

func TestPointWithoutBuckets(t *testing.T) {
	md := pmetric.NewMetrics()
	m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(cosmoPlanningTime)
	h := m.SetEmptyHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	for range 2 {
		p := h.DataPoints().AppendEmpty()
		p.SetCount(4)
		p.SetSum(8)
		p.Attributes().PutStr("wg.operation.hash", "7")
		p.Attributes().PutStr("wg.operation.protocol", "http")
		p.Attributes().PutBool("wg.engine.plan_cache_hit", false)
	}
	h.DataPoints().At(1).SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
	var rec recorder
	sum, err := receiver(t, &rec).Take(arrival, "http", Metrics, Protobuf, metricBytes(t, md))
	if err != nil || sum.Items != 2 || len(rec.points) != 1 {
		t.Fatalf("%v, %+v, %d points, want the one with a value", err, sum, len(rec.points))
	}
	if p := rec.points[0]; len(p.Bounds) != 0 || len(p.Counts) != 1 || p.Counts[0] != 4 {
		t.Errorf("buckets %v, %v, want one for everything", p.Bounds, p.Counts)
	}
}

func TestMalformedBodies(t *testing.T) {
	traces := load(t, "small/traces-http")[0].body
	metrics := load(t, "small/metrics-http-delta")[0].body
	for name, c := range map[string]struct {
		signal Signal
		enc    Encoding
		body   []byte
	}{
		"truncated traces":  {Traces, Protobuf, traces[:len(traces)/2]},
		"truncated metrics": {Metrics, Protobuf, metrics[:len(metrics)/2]},
		"no protobuf":       {Traces, Protobuf, []byte("<html>")},
		"traces as metrics": {Metrics, JSON, []byte(`{"resourceMetrics":[{"scopeMetrics":{}}]}`)},
		"no JSON":           {Traces, JSON, []byte(`{"resourceSpans":[`)},
		"empty as JSON":     {Metrics, JSON, nil},
		"JSON array":        {Traces, JSON, []byte(`[]`)},
		"JSON of two":       {Traces, JSON, []byte(`{}{}`)},
		"JSON too deep":     {Traces, JSON, []byte(strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000))},
		"spans as text":     {Traces, JSON, []byte(`{"resourceSpans":"x"}`)},
		"trace id no hex":   {Traces, JSON, []byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"Operation - Plan","traceId":"zz112233445566778899aabbccddeeff","spanId":"0011223344556677"}]}]}]}`)},
	} {
		var rec recorder
		sum, err := receiver(t, &rec).Take(arrival, "http", c.signal, c.enc, c.body)
		err = overall(sum, err)
		if err == nil || !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, %+v", name, err, sum)
		} else if strings.Contains(err.Error(), "zz11") {
			t.Errorf("%s: the error quotes the input: %v", name, err)
		}
	}
}

// TestResourceBehindScopes and with odd neighbours is still found.
func TestResourceBehindScopes(t *testing.T) {
	resource := message(1, message(1, append(message(1, []byte("service.instance.id")), message(2, message(1, []byte("late")))...)))
	body := message(1, append(message(2, message(2, planSpan(t))), resource...))
	var instance string
	r := receiver(t, nil, func(o *Options) {
		o.Route = func(as Attributes) telemetry.Recorder {
			instance = strings.Clone(as.Get("service.instance.id"))
			return nil
		}
	})
	sum, err := r.Take(arrival, "http", Traces, Protobuf, body)
	if err != nil || instance != "late" || sum.Unrouted != 1 || sum.Items != 0 {
		t.Errorf("instance %q, %v, %+v", instance, err, sum)
	}
}

// TestTooManyItems: beyond the bound items are rejected, before it they are kept.
func TestTooManyItems(t *testing.T) {
	empty := bytes.Repeat([]byte{0x12, 0}, maxItems+10) // that many empty spans
	body := message(1, message(2, empty))
	var rec recorder
	sum, err := receiver(t, &rec).Take(arrival, "http", Traces, Protobuf, body)
	if err != nil || sum.Items+sum.Rejected != maxItems+10 || sum.Rejected < 10 || !errors.Is(sum.Reason, ErrTooMany) {
		t.Errorf("%v, %+v", err, sum.Result)
	}
}
