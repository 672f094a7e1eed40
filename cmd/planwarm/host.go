package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"go.uber.org/zap"
)

// host is what outlives a reload of the configuration: listeners, the open
// bucket and the telemetry tables. A generation that is being prepared asks for
// what it needs; what has to be opened for it stands beside what is in force
// until commit, so one that fails half-way leaves the old one untouched.
type host struct {
	log   *zap.Logger
	level zap.AtomicLevel
	ready atomic.Bool // a generation has been ready: readiness never turns false again

	inForce footing
	next    footing
	undo    teardown // of what was opened for next
}

// footing is what one generation stands on.
type footing struct {
	generation *generation
	servers    map[string]*server
	grpc       *grpcPort
	storage    *storage
	tables     map[manifest.Graph]*graphTable
}

func newHost(log *zap.Logger, level zap.AtomicLevel) *host { return &host{log: log, level: level} }

// prepare begins a generation; commit or rollback ends the preparation.
func (h *host) prepare(c config.Config) error {
	h.next = footing{servers: map[string]*server{}, tables: map[manifest.Graph]*graphTable{}}
	h.undo = teardown{log: h.log}
	if h.inForce.generation == nil {
		return nil
	}
	return needsRestart(h.inForce.generation.config, c)
}

// needsRestart refuses changes that tables and the embedded bucket, which
// outlive a reload, could not take over.
func needsRestart(old, c config.Config) error {
	var errs []error
	for _, v := range []struct {
		key     string
		changed bool
	}{
		{"data_dir", filepath.Clean(old.DataDir) != filepath.Clean(c.DataDir)},
		{"instance", old.Instance != c.Instance},
		{"telemetry.max_operations", old.Telemetry.MaxOperations != c.Telemetry.MaxOperations},
		{"telemetry.max_text", old.Telemetry.MaxText != c.Telemetry.MaxText},
		{"log.format", old.Log.Format != c.Log.Format},
	} {
		if v.changed {
			errs = append(errs, fmt.Errorf("%s: a change needs a restart", v.key))
		}
	}
	return errors.Join(errs...)
}

// server returns the listener of that name on addr, the open one when the
// address is the same; nil for no address.
func (h *host) server(name, addr string) (*server, error) {
	if addr == "" {
		return nil, nil
	}
	s := h.inForce.servers[name]
	if s == nil || s.asked != addr {
		var err error
		if s, err = listen(name, addr, h.log); err != nil {
			return nil, err
		}
		h.undo.onStop(name+" listener", s.close)
	}
	h.next.servers[name] = s
	return s, nil
}

// grpcPort is server for OTLP over gRPC.
func (h *host) grpcPort(addr string) (*grpcPort, error) {
	if addr == "" {
		return nil, nil
	}
	p := h.inForce.grpc
	if p == nil || p.asked != addr {
		var err error
		if p, err = openGRPCPort(addr, h.log); err != nil {
			return nil, err
		}
		h.undo.onStop(grpcName+" listener", p.close)
	}
	h.next.grpc = p
	return p, nil
}

// open opens the bucket, keeping the open one when nothing about it changed.
func (h *host) open(ctx context.Context, c config.Config) (*storage, error) {
	access, err := accessOf(c.Bucket)
	if err != nil {
		return nil, fmt.Errorf("open bucket: %w", err)
	}
	s := h.inForce.storage
	if s == nil || s.access != access {
		if s, err = openStorage(ctx, c, true, h.log); err != nil {
			return nil, fmt.Errorf("open bucket: %w", err)
		}
		h.undo.onStop("bucket", func(context.Context) error { return s.close() })
	}
	h.next.storage = s
	return s, nil
}

// table returns the telemetry of a graph, and whether it was opened just now.
func (h *host) table(c config.Config, g manifest.Graph) (t *graphTable, opened bool, err error) {
	t = h.inForce.tables[g]
	if opened = t == nil; opened {
		if t, err = newGraphTable(c, g, h.log); err != nil {
			return nil, false, fmt.Errorf("open telemetry of %s: %w", g, err)
		}
	}
	h.next.tables[g] = t
	return t, opened, nil
}

// quarantined has what the generation in force withholds from the routers of a
// graph: a reload would otherwise serve it to them once more.
func (h *host) quarantined(id manifest.Graph) []string {
	if h.inForce.generation == nil {
		return nil
	}
	for _, p := range h.inForce.generation.graphs {
		if p.id == id {
			return p.guard.Quarantined()
		}
	}
	return nil
}

func checkpointPath(c config.Config, g manifest.Graph) string {
	return filepath.Join(c.DataDir, "checkpoints", g.Namespace, g.Name+".bin")
}

// rollback closes what was opened for a generation that will not be.
func (h *host) rollback() error {
	for _, s := range h.inForce.servers {
		s.next = nil
	}
	err := h.undo.stop()
	h.next = footing{}
	return err
}

// commit puts the prepared generation in force and returns the teardown of what
// it replaces: first what nobody needs of the listeners, so that the last
// checkpoint comes after the last telemetry, and the bucket after that.
func (h *host) commit(g *generation) (retired *teardown) {
	old := h.inForce
	retired = &teardown{log: h.log}
	if old.storage != nil && old.storage != h.next.storage {
		retired.onStop("replaced bucket", func(context.Context) error { return old.storage.close() })
	}
	if old.generation != nil {
		if old.generation.warmer.Ready() {
			h.ready.Store(true)
		}
		retired.onStop("replaced generation", old.generation.stop)
	}
	for name, s := range old.servers {
		if h.next.servers[name] != s {
			retired.onStop(name+" listener", s.close)
		}
	}
	if old.grpc != nil && old.grpc != h.next.grpc {
		retired.onStop(grpcName+" listener", old.grpc.close)
	}
	for _, s := range h.next.servers {
		s.commit()
	}
	h.next.generation = g
	h.inForce, h.next, h.undo = h.next, footing{}, teardown{}
	return retired
}

// close ends everything: listeners first, so that the last checkpoint has all
// telemetry that was acknowledged, and the bucket that it goes to last.
func (h *host) close() error {
	t := teardown{log: h.log}
	if s := h.inForce.storage; s != nil {
		t.onStop("bucket", func(context.Context) error { return s.close() })
	}
	if g := h.inForce.generation; g != nil {
		t.onStop("generation", g.stop)
	}
	t.onStop("listeners", h.inForce.closeListeners)
	h.inForce = footing{}
	return t.stop()
}

// closeListeners closes all at once: together they take no longer than one.
func (f footing) closeListeners(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, 0, len(f.servers)+1)
	var mu sync.Mutex
	closing := func(name string, stop func(context.Context) error) {
		wg.Go(func() {
			if err := stop(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("close %s listener: %w", name, err))
			}
		})
	}
	for name, s := range f.servers {
		closing(name, s.close)
	}
	if f.grpc != nil {
		closing(grpcName, f.grpc.close)
	}
	wg.Wait()
	return errors.Join(errs...)
}
