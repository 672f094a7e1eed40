package otlp

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpcgzip "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

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

// silentStream is a call that sends nothing, or one message.
type silentStream struct {
	grpc.ServerStream
	ctx     context.Context
	message []byte // nil: none
}

func (s *silentStream) Context() context.Context { return s.ctx }

func (s *silentStream) RecvMsg(m any) error {
	if s.message != nil {
		m.(*frame).buf = mem.SliceBuffer(s.message)
		return nil
	}
	<-s.ctx.Done()
	return s.ctx.Err()
}

func (*silentStream) SendMsg(any) error { return nil }

// TestSilentCallsHoldNoSlot: calls that never send their message do not keep
// the others from sending theirs.
func TestSilentCallsHoldNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		r := receiver(t, &rec)
		slots := make(chan struct{}, grpcSlots)
		call := func(message []byte) error {
			ctx, end := context.WithCancel(t.Context())
			defer end() // as gRPC does when the handler returns
			return r.export(&silentStream{ctx: ctx, message: message}, Traces, slots)
		}
		var wg sync.WaitGroup
		for range grpcSlots {
			wg.Go(func() {
				if err := call(nil); status.Code(err) != codes.DeadlineExceeded {
					t.Errorf("a silent call ended with %v", err)
				}
			})
		}
		synctest.Wait()
		if err := call(inScope(planSpan(t))); err != nil {
			t.Errorf("a call after silent ones: %v", err)
		}
		wg.Wait()
		synctest.Wait()
		if len(slots) != 0 || len(rec.spans) != 1 {
			t.Errorf("%d slots are held, %d spans were taken", len(slots), len(rec.spans))
		}
	})
}
