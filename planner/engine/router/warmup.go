package router

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

// warm pulls the warm-up list and plans it in g, which serves nobody yet. Only
// a list that would kill a Cosmo router is an error: everything else leaves
// the graph colder, not the router away.
func (r *Router) warm(ctx context.Context, g *graph) error {
	g.warmup = WarmupStats{Outcome: "off"}
	if r.cdn == nil {
		return nil
	}
	start := time.Now()
	defer func() { g.warmup.TookMs = milliseconds(time.Since(start)) }()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.opts.Warmup.Timeout))
	defer cancel()
	items, err := r.cdn.pull(ctx)
	switch {
	case errors.Is(err, ErrNoRequest):
		return err
	case errors.Is(err, errNothing):
		r.log.Info("no warm-up list", zap.Error(err))
		g.warmup.Outcome = "no list"
		return nil
	case err != nil:
		r.log.Warn("warm-up list unavailable", zap.Error(err))
		g.warmup.Outcome = "unavailable"
		return nil
	}
	g.warmup = r.planItems(ctx, g, items)
	r.log.Info("warmed", zap.Int("items", len(items)), zap.Int("planned", g.warmup.Planned),
		zap.Int("failed", g.warmup.Failed), zap.Int("skipped", g.warmup.Skipped), zap.Duration("took", time.Since(start)))
	return nil
}

// planItems plans the list in its order until ctx ends: then the tail is lost.
func (r *Router) planItems(ctx context.Context, g *graph, items []item) WarmupStats {
	limit := rate.Inf
	if perSecond := *r.opts.Warmup.ItemsPerSecond; perSecond > 0 {
		limit = rate.Limit(perSecond)
	}
	limiter := rate.NewLimiter(limit, 1)
	var planned, failed atomic.Int64
	var workers errgroup.Group
	workers.SetLimit(r.opts.Warmup.Workers)
	for i, it := range items {
		if limiter.Wait(ctx) != nil || ctx.Err() != nil {
			break
		}
		workers.Go(func() error {
			if err := r.planItem(ctx, g, it); err != nil {
				failed.Add(1)
				r.log.Warn("warm-up item not planned", zap.Int("index", i), zap.String("operation", it.Request.OperationName), zap.Error(err))
				return nil
			}
			planned.Add(1)
			return nil
		})
	}
	_ = workers.Wait() // no worker returns an error
	s := WarmupStats{Items: len(items), Planned: int(planned.Load()), Failed: int(failed.Load()), Outcome: "warmed"}
	s.Skipped = s.Items - s.Planned - s.Failed
	return s
}

// planItem plans one item and keeps the plan.
func (r *Router) planItem(ctx context.Context, g *graph, it item) error {
	if it.Request.Query == "" {
		return errNoQuery
	}
	p, err := g.prepare(it.Request.Query, it.Request.OperationName, nil)
	if err != nil {
		return err
	}
	if err := g.plan(ctx, p); err != nil {
		return err
	}
	r.observer.warmed(observation{op: p.op, client: client{it.Client.Name, it.Client.Version}, graph: g.version, stages: p.stages, hit: p.hit, planned: true})
	return nil
}
