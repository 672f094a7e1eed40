package otlp

import (
	"context"
	"fmt"
	"math"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // senders compress with it
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	// grpcSlots is how many messages are received at once. A message is
	// held whole, so that this times the largest size bounds the memory.
	grpcSlots = 4
	// grpcStreams bounds the calls of one connection.
	grpcStreams = 32
	// grpcSlow is how long a sender may take over one message, so that calls
	// that send nothing cannot hold all slots for good.
	grpcSlow = 30 * time.Second
)

var errSlow = status.Error(codes.DeadlineExceeded, "no whole message within "+grpcSlow.String())

// GRPC returns a server of OTLP's trace, metrics and logs services. The
// caller serves and stops it; options such as credentials are his.
func (r *Receiver) GRPC(opts ...grpc.ServerOption) *grpc.Server {
	limit := int(min(r.reader.MaxBytes(), math.MaxInt32))
	own := []grpc.ServerOption{
		grpc.ForceServerCodecV2(rawCodec{}),
		grpc.MaxRecvMsgSize(limit),
		grpc.MaxConcurrentStreams(grpcStreams),
		grpc.MaxHeaderListSize(16 << 10),
	}
	s := grpc.NewServer(append(own, opts...)...)
	slots := make(chan struct{}, grpcSlots)
	for signal, service := range map[Signal]string{
		Traces:  "opentelemetry.proto.collector.trace.v1.TraceService",
		Metrics: "opentelemetry.proto.collector.metrics.v1.MetricsService",
		Logs:    "opentelemetry.proto.collector.logs.v1.LogsService",
	} {
		// The calls are unary. They are served as streams because a unary
		// handler runs after its message was received, too late to refuse a
		// sender without the token or to wait for a slot; on the wire it is the same.
		s.RegisterService(&grpc.ServiceDesc{
			ServiceName: service,
			HandlerType: (*any)(nil),
			Streams: []grpc.StreamDesc{{
				StreamName:    "Export",
				ClientStreams: true,
				ServerStreams: true,
				Handler: func(_ any, stream grpc.ServerStream) error {
					return r.export(stream, signal, slots)
				},
			}},
		}, nil)
	}
	return s
}

func (r *Receiver) export(stream grpc.ServerStream, signal Signal, slots chan struct{}) error {
	ctx := stream.Context()
	if !r.token.Allows(authorization(ctx)) {
		r.metrics.request(protocolGRPC, signal, reasonUnauthorized)
		return status.Error(codes.Unauthenticated, "missing or wrong bearer token")
	}
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		r.metrics.request(protocolGRPC, signal, reasonBusy)
		return status.FromContextError(ctx.Err()).Err()
	}
	release := func() { <-slots }
	in, err := receive(stream, release)
	if err != nil {
		reason := reasonTransport
		if status.Code(err) == codes.ResourceExhausted {
			reason = reasonTooLarge
		}
		r.metrics.request(protocolGRPC, signal, reason)
		return err
	}
	defer release()
	defer in.free()
	var answer []byte
	if signal != Logs {
		sum, err := r.Take(r.now(), protocolGRPC, signal, Protobuf, in.bytes())
		if err = overall(sum, err); err != nil {
			r.metrics.request(protocolGRPC, signal, reasonMalformed)
			return status.Error(codes.InvalidArgument, err.Error())
		}
		answer = success(signal, Protobuf, sum.Result)
	}
	r.metrics.request(protocolGRPC, signal, reasonOK)
	return stream.SendMsg(&frame{buf: mem.SliceBuffer(answer)})
}

// receive takes the one message of a call. It releases the slot unless it
// returns a message; that of a sender which is too slow is released when the
// end of the call has ended the waiting.
func receive(stream grpc.ServerStream, release func()) (*frame, error) {
	in, done := new(frame), make(chan error)
	late := make(chan struct{})
	go func() {
		err := stream.RecvMsg(in)
		select {
		case done <- err:
		case <-late:
			if err == nil {
				in.free()
			}
			release()
		}
	}()
	slow := time.NewTimer(grpcSlow)
	defer slow.Stop()
	select {
	case err := <-done:
		if err != nil {
			release()
			return nil, err
		}
		return in, nil
	case <-slow.C:
		close(late)
		return nil, errSlow
	}
}

func authorization(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	if vs := md.Get("authorization"); len(vs) == 1 {
		return vs[0]
	}
	return ""
}

// frame is a message as it stands on the wire.
type frame struct{ buf mem.Buffer }

func (f *frame) bytes() []byte { return f.buf.ReadOnlyData() }
func (f *frame) free()         { f.buf.Free() }

// rawCodec hands messages through undecoded, in pooled buffers.
type rawCodec struct{}

var _ encoding.CodecV2 = rawCodec{}

// Marshal implements encoding.CodecV2.
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	f, ok := v.(*frame)
	if !ok {
		return nil, fmt.Errorf("marshal message: %T is no frame", v)
	}
	return mem.BufferSlice{f.buf}, nil
}

// Unmarshal implements encoding.CodecV2.
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return fmt.Errorf("unmarshal message: %T is no frame", v)
	}
	// gRPC frees data on return, so a reference of its own is taken.
	f.buf = data.MaterializeToBuffer(mem.DefaultBufferPool())
	return nil
}

// Name implements encoding.CodecV2.
func (rawCodec) Name() string { return "proto" }
