package otlp

import (
	"testing"
	"time"

	"github.com/planwarm/planwarm/telemetry"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// discard takes events and keeps nothing, so that no table is measured.
type discard struct{}

func (discard) Span(time.Time, telemetry.Span)                         {}
func (discard) Point(time.Time, telemetry.Point)                       {}
func (discard) Requests(time.Time, [32]byte, []telemetry.Request) bool { return true }
func (discard) Text(time.Time, telemetry.Operation, string)            {}

func perItem(b *testing.B, items int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(items), "ns/item")
}

// BenchmarkTraces compares with the Collector's library in one run, which only
// decodes; ours maps to events too.
func BenchmarkTraces(b *testing.B) {
	c := load(b, "main/traces")[4]
	b.Run("partial", func(b *testing.B) {
		r := receiver(b, discard{})
		b.ReportAllocs()
		var items int
		for b.Loop() {
			s, err := r.Take(arrival, "http", Traces, Protobuf, c.body)
			if err != nil {
				b.Fatal(err)
			}
			items = s.Items
		}
		perItem(b, items)
	})
	b.Run("pdata", func(b *testing.B) {
		b.ReportAllocs()
		var items int
		for b.Loop() {
			req := ptraceotlp.NewExportRequest()
			if err := req.UnmarshalProto(c.body); err != nil {
				b.Fatal(err)
			}
			items = req.Traces().SpanCount()
		}
		perItem(b, items)
	})
}

// BenchmarkMetrics does the same for a body of which one metric in thirty counts.
func BenchmarkMetrics(b *testing.B) {
	c := load(b, "main/metrics-http-delta")[0]
	req := pmetricotlp.NewExportRequest()
	if err := req.UnmarshalProto(c.body); err != nil {
		b.Fatal(err)
	}
	points := req.Metrics().DataPointCount()
	b.Run("partial", func(b *testing.B) {
		r := receiver(b, discard{})
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.Take(arrival, "http", Metrics, Protobuf, c.body); err != nil {
				b.Fatal(err)
			}
		}
		perItem(b, points)
	})
	b.Run("pdata", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			req := pmetricotlp.NewExportRequest()
			if err := req.UnmarshalProto(c.body); err != nil {
				b.Fatal(err)
			}
		}
		perItem(b, points)
	})
}

// BenchmarkJSON decodes the same traces as JSON.
func BenchmarkJSON(b *testing.B) {
	req := ptraceotlp.NewExportRequest()
	if err := req.UnmarshalProto(load(b, "main/traces")[4].body); err != nil {
		b.Fatal(err)
	}
	body, err := req.MarshalJSON()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("partial", func(b *testing.B) {
		r := receiver(b, discard{})
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.Take(arrival, "http", Traces, JSON, body); err != nil {
				b.Fatal(err)
			}
		}
		perItem(b, req.Traces().SpanCount())
	})
	b.Run("pdata", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := ptraceotlp.NewExportRequest().UnmarshalJSON(body); err != nil {
				b.Fatal(err)
			}
		}
		perItem(b, req.Traces().SpanCount())
	})
}
