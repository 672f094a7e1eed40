package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"reflect"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// host is what outlives a reload of the configuration: listeners, the open
// bucket and the telemetry tables. A reload swaps what is behind them.
type host struct {
	teardown
	servers map[string]*server
	grpc    *grpcListener
	storage *storage
	opened  config.Bucket // what storage was opened with
	dataDir string
	tables  map[manifest.Graph]*graphTable
}

func newHost(log *zap.Logger) *host {
	return &host{teardown: teardown{log: log}, servers: map[string]*server{}, tables: map[manifest.Graph]*graphTable{}}
}

// server returns the listener of that name on addr, keeping the open one when
// the address is the same. An empty addr closes it.
func (h *host) server(name, addr string) (*server, error) {
	if old := h.servers[name]; old != nil {
		if old.asked == addr {
			return old, nil
		}
		delete(h.servers, name)
		if err := old.close(context.Background()); err != nil {
			h.log.Warn("listener not closed", zap.String("listener", name), zap.Error(err))
		}
	}
	if addr == "" {
		return nil, nil
	}
	s, err := listen(name, addr, h.log)
	if err != nil {
		return nil, err
	}
	h.servers[name] = s
	return s, nil
}

// open opens the bucket, keeping the open one when nothing about it changed.
func (h *host) open(ctx context.Context, c config.Config) (*storage, error) {
	if h.storage != nil && reflect.DeepEqual(h.opened, c.Bucket) && h.dataDir == c.DataDir {
		return h.storage, nil
	}
	s, err := openStorage(ctx, c, true, h.log)
	if err != nil {
		return nil, fmt.Errorf("open bucket: %w", err)
	}
	return s, nil
}

// adopt makes a generation's bucket the one that is open, once the generation
// runs and the one before it has ended.
func (h *host) adopt(s *storage, c config.Config) {
	if h.storage != nil && h.storage != s {
		if err := h.storage.close(); err != nil {
			h.log.Warn("bucket not closed", zap.Error(err))
		}
	}
	h.storage, h.opened, h.dataDir = s, c.Bucket, c.DataDir
}

// table returns the telemetry of a graph, the one from before a reload if there was one.
func (h *host) table(c config.Config, g manifest.Graph) (*graphTable, error) {
	if t := h.tables[g]; t != nil && t.instance == c.Instance && t.path == checkpointPath(c, g) {
		return t, nil
	}
	t, err := newGraphTable(c, g, h.log)
	if err != nil {
		return nil, fmt.Errorf("open telemetry of %s: %w", g, err)
	}
	h.tables[g] = t
	return t, nil
}

func checkpointPath(c config.Config, g manifest.Graph) string {
	return filepath.Join(c.DataDir, "checkpoints", g.Namespace, g.Name+".bin")
}

// close ends everything, listeners first.
func (h *host) close() error {
	if h.storage != nil {
		h.onStop("bucket", func(context.Context) error { return h.storage.close() })
	}
	if h.grpc != nil {
		h.onStop("otlp grpc listener", h.grpc.close)
	}
	for name, s := range h.servers {
		h.onStop(name+" listener", s.close)
	}
	return h.stop()
}

// grpcListener is the OTLP listener for gRPC. Its server is made for one
// receiver, so a reload opens it again.
type grpcListener struct {
	addr string
	srv  *grpc.Server
	done chan struct{}
}

func (h *host) serveGRPC(ctx context.Context, addr string, srv *grpc.Server) error {
	if h.grpc != nil {
		if err := h.grpc.close(ctx); err != nil {
			h.log.Warn("listener not closed", zap.String("listener", "otlp grpc"), zap.Error(err))
		}
		h.grpc = nil
	}
	if addr == "" {
		return nil
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen for otlp grpc: %w", err)
	}
	g := &grpcListener{addr: ln.Addr().String(), srv: srv, done: make(chan struct{})}
	go func() {
		defer close(g.done)
		if err := srv.Serve(ln); err != nil {
			h.log.Error("listener ended", zap.String("listener", "otlp grpc"), zap.Error(err))
		}
	}()
	h.log.Info("listening", zap.String("listener", "otlp grpc"), zap.String("addr", g.addr))
	h.grpc = g
	return nil
}

// close answers what is under way, then ends.
func (g *grpcListener) close(ctx context.Context) error {
	stopped := make(chan struct{})
	go func() { g.srv.GracefulStop(); close(stopped) }()
	select {
	case <-stopped:
	case <-ctx.Done():
		g.srv.Stop()
		<-stopped
	}
	<-g.done
	return nil
}
