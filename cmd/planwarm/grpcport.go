package main

import (
	"context"
	"fmt"
	"net"

	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// grpcName is what the OTLP listener for gRPC is called.
const grpcName = "otlp grpc"

// grpcPort is an open port for gRPC that outlives reloads. A gRPC server is
// made for one receiver and closes its listener, so each generation's server
// gets a listener of its own on the same socket: who exports during a reload
// does not find the port closed.
type grpcPort struct {
	asked string // the address as configured
	addr  string // the address that it has
	ln    *net.TCPListener
}

func openGRPCPort(addr string, log *zap.Logger) (*grpcPort, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", grpcName, err)
	}
	p := &grpcPort{asked: addr, addr: ln.Addr().String(), ln: ln.(*net.TCPListener)}
	log.Info("listening", zap.String("listener", grpcName), zap.String("addr", p.addr))
	return p, nil
}

// share returns another listener on the port's socket.
func (p *grpcPort) share() (net.Listener, error) {
	f, err := p.ln.File()
	if err != nil {
		return nil, fmt.Errorf("share %s listener: %w", grpcName, err)
	}
	defer func() { _ = f.Close() }() // the listener has a descriptor of its own
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("share %s listener: %w", grpcName, err)
	}
	return ln, nil
}

func (p *grpcPort) close(context.Context) error { return p.ln.Close() }

// stopGRPC answers what is under way, then ends.
func stopGRPC(ctx context.Context, srv *grpc.Server) {
	stopped := make(chan struct{})
	go func() { srv.GracefulStop(); close(stopped) }()
	select {
	case <-stopped:
	case <-ctx.Done():
		srv.Stop()
		<-stopped
	}
}
