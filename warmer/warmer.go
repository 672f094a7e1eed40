// Package warmer is the sidecar itself. It publishes what telemetry and people
// say is worth warming, and gets published operations into routers before
// users ask for them. It knows neither S3 nor any router: it asks interfaces.
package warmer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Options of a Warmer. Graphs is required.
type Options struct {
	Graphs       []GraphOptions
	ReadyTimeout time.Duration // readiness does not wait longer for the first runs; default 30 s
	Logger       *zap.Logger
	Registerer   prometheus.Registerer
}

// Warmer is the sidecar for a set of graphs.
type Warmer struct {
	graphs  map[manifest.Graph]*graph
	order   []*graph
	timeout time.Duration
	log     *zap.Logger
	ready   chan struct{}
}

// ErrUnknownGraph is returned for a graph that is not configured.
var ErrUnknownGraph = errors.New("unknown graph")

// New checks the options and builds a Warmer; Run starts it.
func New(o Options) (*Warmer, error) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.ReadyTimeout <= 0 {
		o.ReadyTimeout = 30 * time.Second
	}
	w := &Warmer{
		graphs: map[manifest.Graph]*graph{}, timeout: o.ReadyTimeout,
		log: o.Logger.With(zap.String("component", "warmer")), ready: make(chan struct{}),
	}
	m, err := newMetrics(o.Registerer, o.Graphs)
	if err != nil {
		return nil, err
	}
	for _, gopts := range o.Graphs {
		if err := gopts.validate(); err != nil {
			return nil, fmt.Errorf("graph %s: %w", gopts.Graph, err)
		}
		if w.graphs[gopts.Graph] != nil {
			return nil, fmt.Errorf("graph %s: configured twice", gopts.Graph)
		}
		g, err := newGraph(gopts, m, w.log)
		if err != nil {
			return nil, fmt.Errorf("graph %s: %w", gopts.Graph, err)
		}
		w.graphs[gopts.Graph] = g
		w.order = append(w.order, g)
	}
	return w, nil
}

func (o GraphOptions) validate() error {
	switch {
	case o.Graph.Name == "" || o.Graph.Namespace == "":
		return errors.New("graph has no name")
	case o.Schema == nil:
		return errors.New("no schema source")
	case o.NewKeyer == nil:
		return errors.New("no keyer")
	case o.Store != nil && o.Publish.RecomputeInterval <= 0:
		return errors.New("recompute interval is not above zero")
	case o.Fetcher != nil && o.Warm.Poll <= 0:
		return errors.New("poll interval is not above zero")
	}
	for _, r := range o.Routers {
		if r.Planner == nil {
			return fmt.Errorf("router %s has no planner", r.Name)
		}
	}
	return nil
}

// Run works until ctx ends, then saves a last checkpoint of each graph. It is called once.
func (w *Warmer) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, g := range w.order {
		wg.Go(func() { g.run(ctx) })
	}
	wg.Go(func() { w.awaitReady(ctx) })
	wg.Wait()
	return nil
}

// awaitReady closes ready after the first run of every router, or the timeout.
func (w *Warmer) awaitReady(ctx context.Context) {
	limit := time.NewTimer(w.timeout)
	defer limit.Stop()
	await := func(done <-chan struct{}) bool {
		select {
		case <-done:
			return true
		case <-limit.C:
			w.log.Warn("ready before the first warm-up has ended", zap.Duration("timeout", w.timeout))
			close(w.ready)
		case <-ctx.Done():
		}
		return false
	}
	for _, g := range w.order {
		if !await(g.fleet.known) {
			return
		}
		for _, r := range g.fleet.list() {
			if !await(r.first) {
				return
			}
		}
	}
	close(w.ready)
}

// Ready says whether the first warm-ups have ended, or were given up waiting
// for. It never turns false again: warming that fails keeps nobody from serving.
func (w *Warmer) Ready() bool {
	select {
	case <-w.ready:
		return true
	default:
		return false
	}
}

// Trigger asks for a warm-up of every router of a graph.
func (w *Warmer) Trigger(_ context.Context, id manifest.Graph, r Reason) error {
	g, err := w.graph(id)
	if err != nil {
		return err
	}
	if r == ReasonSchema {
		g.schemaChanged()
		return nil
	}
	g.triggerRouters(r)
	return nil
}

// Pulled notes that a router of the graph fetched its warm-up: it rebuilds.
func (w *Warmer) Pulled(_ context.Context, id manifest.Graph) error {
	g, err := w.graph(id)
	if err != nil {
		return err
	}
	g.triggerRouters(ReasonPull)
	return nil
}

// Recompute builds and publishes a graph's manifest now.
func (w *Warmer) Recompute(ctx context.Context, id manifest.Graph) (PublishReport, error) {
	g, err := w.graph(id)
	if err != nil {
		return PublishReport{}, err
	}
	if g.opts.Store == nil {
		return PublishReport{}, errors.New("this process does not publish")
	}
	return g.recompute(ctx, []Reason{ReasonPerson}, true)
}

func (w *Warmer) graph(id manifest.Graph) (*graph, error) {
	g := w.graphs[id]
	if g == nil {
		return nil, fmt.Errorf("graph %s: %w", id, ErrUnknownGraph)
	}
	return g, nil
}
