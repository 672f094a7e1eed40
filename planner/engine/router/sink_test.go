package router

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/protobuf/encoding/protowire"
)

const captures = "../../../testdata/cosmo"

// readCapture reads a captured body, packed or not.
func readCapture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(captures, name))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".gz") {
		return unzip(t, b)
	}
	return b
}

func unzip(t testing.TB, b []byte) []byte {
	t.Helper()
	zr, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// span and point are what a receiver sees.
type span struct {
	scope, name, parent, id, trace string
	attributes                     map[string]any
	took                           time.Duration
}

type point struct {
	attributes map[string]any
	count      uint64
	sum        float64
	bounds     []float64
}

// sink receives OTLP and usage.
type sink struct {
	*httptest.Server
	t  testing.TB
	mu sync.Mutex

	spans   []span
	points  []point
	usage   []aggregate
	headers map[string]http.Header // by path
	status  int                    // what it answers; 0: 200
}

func startSink(t testing.TB) *sink {
	s := &sink{t: t, headers: map[string]http.Header{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP takes one body.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	if r.Header.Get("Content-Encoding") == "gzip" {
		b = unzip(s.t, b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.headers[r.URL.Path] = r.Header
	if s.status != 0 {
		w.WriteHeader(s.status)
		return
	}
	switch r.URL.Path {
	case "/v1/traces":
		s.spans = append(s.spans, decodeSpans(s.t, b)...)
	case "/v1/metrics":
		s.points = append(s.points, decodePoints(s.t, b)...)
	case usagePath:
		s.usage = append(s.usage, decodeUsage(s.t, b)...)
	default:
		s.t.Errorf("unexpected path %s", r.URL.Path)
	}
}

func decodeSpans(t testing.TB, b []byte) (out []span) {
	t.Helper()
	req := ptraceotlp.NewExportRequest()
	if err := req.UnmarshalProto(b); err != nil {
		t.Fatal(err)
	}
	for _, rs := range req.Traces().ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				out = append(out, span{scope: ss.Scope().Name(), name: s.Name(), parent: hexID(s.ParentSpanID()), id: hexID(s.SpanID()),
					trace: s.TraceID().String(), attributes: s.Attributes().AsRaw(), took: s.EndTimestamp().AsTime().Sub(s.StartTimestamp().AsTime())})
			}
		}
	}
	return out
}

func hexID(id pcommon.SpanID) string { return hex.EncodeToString(id[:]) }

func decodePoints(t testing.TB, b []byte) (out []point) {
	t.Helper()
	req := pmetricotlp.NewExportRequest()
	if err := req.UnmarshalProto(b); err != nil {
		t.Fatal(err)
	}
	for _, rm := range req.Metrics().ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if sm.Scope().Name() != scopeMetrics || m.Name() != "router.graphql.operation.planning_time" {
					continue
				}
				if m.Unit() != "ms" || m.Histogram().AggregationTemporality() != pmetric.AggregationTemporalityDelta {
					t.Errorf("unit %q, temporality %s", m.Unit(), m.Histogram().AggregationTemporality())
				}
				for _, p := range m.Histogram().DataPoints().All() {
					out = append(out, point{p.Attributes().AsRaw(), p.Count(), p.Sum(), p.ExplicitBounds().AsRaw()})
				}
			}
		}
	}
	return out
}

// aggregate is one decoded usage aggregation, by field numbers of the protocol.
type aggregate struct {
	document, hash, name, graph, client, version string
	kind, status, failed, count                  uint64
}

// fields splits a protobuf message.
func fields(t testing.TB, b []byte, field func(num protowire.Number, v uint64, msg []byte)) {
	t.Helper()
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
		var v uint64
		var msg []byte
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			msg, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
		field(num, v, msg)
	}
}

func decodeUsage(t testing.TB, b []byte) (out []aggregate) {
	t.Helper()
	fields(t, b, func(_ protowire.Number, _ uint64, aggregation []byte) {
		var a aggregate
		fields(t, aggregation, func(num protowire.Number, v uint64, usage []byte) {
			if num == 2 {
				a.count = v
				return
			}
			fields(t, usage, func(part protowire.Number, _ uint64, msg []byte) {
				if part == 1 {
					a.document = string(msg)
					return
				}
				if part < 3 || part > 6 {
					return // field usage, which nobody here needs
				}
				fields(t, msg, func(num protowire.Number, v uint64, text []byte) {
					switch [2]protowire.Number{part, num} {
					case [2]protowire.Number{3, 1}:
						a.hash = string(text)
					case [2]protowire.Number{3, 2}:
						a.name = string(text)
					case [2]protowire.Number{3, 3}:
						a.kind = v
					case [2]protowire.Number{4, 3}:
						a.graph = string(text)
					case [2]protowire.Number{5, 1}:
						a.client = string(text)
					case [2]protowire.Number{5, 2}:
						a.version = string(text)
					case [2]protowire.Number{6, 1}:
						a.status = v
					case [2]protowire.Number{6, 2}:
						a.failed = v
					}
				})
			})
		})
		out = append(out, a)
	})
	return out
}

func (s *sink) options() Telemetry {
	return Telemetry{OTLP: s.URL, Usage: s.URL, Token: "sink-token", Content: true, Interval: Duration(time.Hour)}
}

func keys(attributes map[string]any) []string { return slices.Sorted(maps.Keys(attributes)) }

func flush(t testing.TB, r *testRouter) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := r.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}
