package otlp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/planwarm/planwarm/telemetry"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// BenchmarkIngestSpans takes batches of 512 spans, one in eight a plan span,
// with the whole table attached. Ids differ in each batch: a repeated one would
// be dropped before it costs anything.
func BenchmarkIngestSpans(b *testing.B) {
	const spans, operations = 512, 64
	req := ptraceotlp.NewExportRequest()
	rs := req.Traces()
	ss := rs.ResourceSpans().AppendEmpty()
	ss.Resource().Attributes().PutStr("service.instance.id", "router-1")
	scope := ss.ScopeSpans().AppendEmpty()
	for i := range spans {
		s := scope.Spans().AppendEmpty()
		s.SetTraceID(marked(i))
		s.SetSpanID(pcommon.SpanID{1, byte(i), byte(i >> 8)})
		s.SetStartTimestamp(1e9)
		s.SetEndTimestamp(pcommon.Timestamp(1e9 + (i+1)*1e6))
		s.SetName("HTTP - Send")
		for a := range 10 {
			s.Attributes().PutStr(fmt.Sprintf("attribute.%d", a), "some value of an attribute")
		}
		if i%8 == 0 {
			s.SetName("Operation - Plan")
			s.Attributes().PutStr("wg.operation.hash", fmt.Sprint(1000+i%operations))
			s.Attributes().PutStr("wg.operation.name", "Operation")
			s.Attributes().PutStr("wg.client.name", "web")
			s.Attributes().PutBool("wg.engine.plan_cache_hit", i%16 == 0)
		}
	}
	body, err := req.MarshalProto()
	if err != nil {
		b.Fatal(err)
	}
	ingest(b, Traces, body, spans, func(n uint64) {
		eachMark(body, func(at int) { binary.BigEndian.PutUint64(body[at+len(mark):], n<<16|uint64(body[at+15])) })
	})
}

// BenchmarkIngestPoints takes bodies of 300 delta points of the planning-time
// metric, with the whole table attached. Their times move on from body to body.
func BenchmarkIngestPoints(b *testing.B) {
	const points = 300
	req := pmetricotlp.NewExportRequest()
	rm := req.Metrics().ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.instance.id", "router-1")
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("router.graphql.operation.planning_time")
	m.SetUnit("ms")
	h := m.SetEmptyHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	for i := range points {
		p := h.DataPoints().AppendEmpty()
		p.SetStartTimestamp(pcommon.Timestamp(binary.LittleEndian.Uint64(append([]byte(mark), 0))))
		p.SetTimestamp(2e18)
		p.SetCount(3)
		p.SetSum(30)
		p.ExplicitBounds().FromRaw([]float64{0, 5, 7, 10, 15, 25, 50, 75, 100, 125, 150, 200, 500, 1000, 10000})
		p.BucketCounts().FromRaw([]uint64{0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
		p.Attributes().PutStr("wg.operation.hash", fmt.Sprint(1000+i))
		p.Attributes().PutStr("wg.operation.name", "Operation")
		p.Attributes().PutStr("wg.operation.protocol", "http")
		p.Attributes().PutBool("wg.engine.plan_cache_hit", false)
		for a := range 8 {
			p.Attributes().PutStr(fmt.Sprintf("attribute.%d", a), "some value of an attribute")
		}
	}
	body, err := req.MarshalProto()
	if err != nil {
		b.Fatal(err)
	}
	var starts []int
	eachMark(body, func(at int) { starts = append(starts, at) })
	ingest(b, Metrics, body, points, func(n uint64) {
		for _, at := range starts {
			binary.LittleEndian.PutUint64(body[at:], 1e18+n*1e9)
		}
	})
}

// mark stands where an id or a time is changed from body to body.
const mark = "planwar"

func marked(i int) (id pcommon.TraceID) {
	copy(id[:], mark)
	id[14], id[15] = byte(i>>8), byte(i)
	return id
}

func eachMark(body []byte, f func(at int)) {
	for at := 0; ; {
		i := bytes.Index(body[at:], []byte(mark))
		if i < 0 {
			return
		}
		f(at + i)
		at += i + len(mark)
	}
}

func ingest(b *testing.B, signal Signal, body []byte, items int, next func(n uint64)) {
	b.Helper()
	table, err := telemetry.NewTable(telemetry.Options{Canonical: func(text, name string) (telemetry.Canonical, error) {
		return telemetry.Canonical{Text: text, Name: name, Key: text}, nil
	}})
	if err != nil {
		b.Fatal(err)
	}
	r := receiver(b, table)
	b.ReportAllocs()
	var n uint64
	for b.Loop() {
		n++
		next(n)
		if _, err := r.Take(arrival.Add(time.Duration(n)*time.Millisecond), "http", signal, Protobuf, body); err != nil {
			b.Fatal(err)
		}
	}
	perItem(b, items)
	if s := table.Stats(); s.DuplicateSpans+s.DuplicatePoints > 0 || s.Spans+s.Points == 0 {
		b.Fatalf("the table took %d and dropped %d", s.Spans+s.Points, s.DuplicateSpans+s.DuplicatePoints)
	}
}
