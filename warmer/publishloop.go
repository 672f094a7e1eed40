package warmer

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"
)

const (
	recomputeTimeout  = 2 * time.Minute
	checkpointTimeout = 20 * time.Second
)

// publishLoop recomputes at once, each interval, when the pins change, and when asked.
func (g *graph) publishLoop(ctx context.Context) {
	recompute := time.NewTicker(g.opts.Publish.RecomputeInterval)
	defer recompute.Stop()
	pins := time.NewTicker(orDefault(g.opts.Publish.PinsPoll, 15*time.Second))
	defer pins.Stop()
	g.publish.add(ReasonStart)
	for {
		select {
		case <-ctx.Done():
			return
		case <-recompute.C:
			g.publish.add(ReasonInterval)
		case <-pins.C:
			if g.pinsChanged(ctx) {
				g.publish.add(ReasonPins)
			}
		case <-g.publish.ready:
			g.publishOnce(ctx, g.publish.take())
		}
	}
}

func (g *graph) publishOnce(ctx context.Context, reasons []Reason) {
	ctx, stop := context.WithTimeout(ctx, recomputeTimeout)
	defer stop()
	// What a person did, or a schema broke, does not wait for the next interval.
	force := slices.ContainsFunc(reasons, func(r Reason) bool { return r == ReasonPins || r == ReasonSchema || r == ReasonPerson })
	_, err := g.recompute(ctx, reasons, force)
	switch {
	case err == nil, errors.Is(err, context.Canceled):
	case errors.Is(err, ErrNoSchema), errors.Is(err, ErrHeld):
		g.log.Info("manifest not recomputed", zap.Error(err))
	default:
		g.log.Warn("recompute failed", zap.Error(err))
	}
}

// pinsChanged asks whether somebody pushed since the last recompute. An error
// is for the recompute to tell.
func (g *graph) pinsChanged(ctx context.Context) bool {
	ctx, stop := context.WithTimeout(ctx, fetchTimeout)
	defer stop()
	_, tag, err := g.opts.Store.Pins(ctx, g.opts.Graph)
	g.mu.Lock()
	defer g.mu.Unlock()
	return err == nil && tag != g.published.tag
}

// checkpointLoop saves the telemetry now and then, and once more at the end.
func (g *graph) checkpointLoop(ctx context.Context) {
	if g.opts.Usages == nil {
		return
	}
	every(ctx, orDefault(g.opts.Publish.CheckpointInterval, time.Minute), func() { g.checkpoint(ctx) })
	g.checkpoint(context.WithoutCancel(ctx))
}

func (g *graph) checkpoint(ctx context.Context) {
	ctx, stop := context.WithTimeout(ctx, checkpointTimeout)
	defer stop()
	body, err := g.opts.Usages.Checkpoint()
	if err == nil {
		err = g.opts.Store.SaveCheckpoint(ctx, g.opts.Graph, body)
	}
	if err != nil {
		g.log.Warn("checkpoint not saved", zap.Error(err))
	}
}

func orDefault(d, other time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return other
}
