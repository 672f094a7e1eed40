// Package router is a small federation router on the in-process engine that
// behaves towards its surroundings as a Cosmo router does: it pulls its
// warm-up list from a CDN before it serves, takes plan-only requests in three
// modes, exports the same spans and metrics, and swaps its graph when the
// supergraph changes. The demo and the tests run against it; it never delays
// anything on purpose.
package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// Router serves one supergraph. It is an http.Handler; Run makes it warm and
// keeps it up to date.
type Router struct {
	opts     Options
	log      *zap.Logger
	cdn      *cdn      // nil: no warm-up
	observer *observer // nil: off
	usage    *usage    // nil: off
	prom     *promMetrics
	mux      *http.ServeMux
	counters counters
	base     context.Context // of the graphs; ends with Close
	cancel   context.CancelFunc

	reloading sync.Mutex     // one build at a time
	first     *graph         // built by New, warmed and served by Run; guarded by reloading
	file      fileState      // of the supergraph file as last read; guarded by reloading
	retiring  sync.WaitGroup // old graphs that still have requests

	mu      sync.RWMutex
	current *graph // nil before the first warm-up and after Close
	closed  bool
}

// New builds a router and its first graph. It answers health checks at once,
// and GraphQL requests when Run has warmed it.
func New(ctx context.Context, o Options) (*Router, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Router{opts: o, log: o.Log.With(zap.String("component", "engine router"))}
	r.base, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := r.build(ctx); err != nil {
		// Nothing serves yet: what exists can go at once.
		return nil, errors.Join(err, r.Close(ctx))
	}
	r.log.Info("router built", zap.String("plan_only", string(o.PlanOnly)), zap.Int("plan_cache_size", o.PlanCacheSize),
		zap.Bool("warmup", r.cdn != nil), zap.Bool("otlp", r.observer != nil), zap.Bool("usage", r.usage != nil))
	return r, nil
}

// build makes the parts of r; Close takes apart those that were made.
func (r *Router) build(ctx context.Context) error {
	o := r.opts
	sdl := o.Supergraph
	if o.SupergraphFile != "" {
		var err error
		if sdl, r.file, err = readSupergraph(o.SupergraphFile); err != nil {
			return err
		}
	}
	var err error
	if r.first, err = newGraph(r.base, sdl, o); err != nil {
		return err
	}
	if o.Warmup.CDN != "" {
		if o.CDN == nil {
			o.CDN = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
		}
		if r.cdn, err = newCDN(o.Warmup, o.CDN); err != nil {
			return err
		}
	}
	if o.Telemetry.OTLP != "" {
		if r.observer, err = newObserver(ctx, o.Telemetry, o.Warmup.Graph, r.log); err != nil {
			return err
		}
	}
	if o.Telemetry.Usage != "" {
		r.usage = newUsage(o.Telemetry, r.log)
	}
	r.prom = newPromMetrics(r)
	if err := o.Metrics.Register(r.prom); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	r.mux = http.NewServeMux()
	r.routes()
	return nil
}

func (r *Router) routes() {
	r.mux.HandleFunc("GET /health/live", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	r.mux.HandleFunc("GET /health/ready", func(w http.ResponseWriter, _ *http.Request) {
		if !r.Ready() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	r.mux.HandleFunc("GET /graphql", r.serveGraphQL)
	r.mux.HandleFunc("POST /graphql", r.serveGraphQL)
	r.mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(r.Stats()) // the client is gone: nobody to tell
	})
	r.mux.HandleFunc("POST /flush", func(w http.ResponseWriter, req *http.Request) {
		if err := r.Flush(req.Context()); err != nil {
			writeError(w, http.StatusBadGateway, errors.New("flush telemetry: an export failed"))
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	r.mux.Handle("GET /metrics", promhttp.HandlerFor(r.opts.Metrics, promhttp.HandlerOpts{}))
}

// ServeHTTP implements http.Handler: /graphql, /health/live, /health/ready, /stats, /metrics, /flush.
func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.mux.ServeHTTP(w, req) }

// Ready reports whether a graph is served.
func (r *Router) Ready() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.current != nil
}

// Run warms the first graph, serves it, and then follows the supergraph file
// until ctx ends. An error is fatal, as it would be for a Cosmo router.
func (r *Router) Run(ctx context.Context) error {
	if err := r.serveFirst(ctx); err != nil {
		return err
	}
	var loops errgroup.Group
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	loops.Go(func() error {
		defer cancel()
		return r.watch(ctx)
	})
	loops.Go(func() error {
		r.usage.run(ctx, time.Duration(r.opts.Telemetry.Interval))
		return nil
	})
	return loops.Wait()
}

// Flush exports all telemetry that is held back.
func (r *Router) Flush(ctx context.Context) error {
	return errors.Join(r.observer.flush(ctx), r.usage.flush(ctx))
}

// Close stops to serve, waits within ctx for requests in flight, and exports
// what telemetry is left. Run has to be over.
func (r *Router) Close(ctx context.Context) error {
	r.mu.Lock()
	last, again := r.current, r.closed
	r.current, r.closed = nil, true
	r.mu.Unlock()
	if again {
		return nil
	}
	defer r.cancel()
	r.reloading.Lock()
	defer r.reloading.Unlock()
	if r.first != nil {
		r.first.close()
	}
	var errs []error
	if last != nil {
		r.retire(last)
	}
	idle := make(chan struct{})
	go func() {
		r.retiring.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
		// Cancelling the graphs' context ends their requests, so the wait is short.
		errs = append(errs, fmt.Errorf("stop router: requests in flight: %w", context.Cause(ctx)))
		r.cancel()
		<-idle
	}
	errs = append(errs, r.usage.flush(ctx), r.observer.close(ctx))
	r.usage.close()
	if r.prom != nil {
		r.opts.Metrics.Unregister(r.prom)
	}
	return errors.Join(errs...)
}
