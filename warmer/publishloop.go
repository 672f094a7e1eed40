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
	republishMin      = 5 * time.Second // first pause after a recompute that failed
	pinsPoll          = 15 * time.Second
	checkpointEvery   = time.Minute
)

// publishLoop recomputes at once, each interval, when the pins change, and when
// asked. What failed, or had to wait, is tried again with its reasons, since
// they say whether it may be put off.
func (g *graph) publishLoop(ctx context.Context) {
	recompute := time.NewTicker(g.opts.Publish.RecomputeInterval)
	defer recompute.Stop()
	pins := time.NewTicker(orDefault(g.opts.Publish.PinsPoll, pinsPoll))
	defer pins.Stop()
	var owed []Reason
	again := time.NewTimer(0)
	again.Stop()
	defer again.Stop()
	failures := 0
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
		case <-again.C:
			g.publish.add(owed...)
		case <-g.publish.ready:
			owed = union(g.publish.take(), owed)
			err := g.publishOnce(ctx, owed)
			again.Stop()
			var soon tooSoonError
			switch {
			case err == nil, errors.Is(err, ErrNoSchema), errors.Is(err, ErrHeld):
				// A schema triggers when it comes; a lifted hold is found by the interval.
				owed, failures = nil, 0
			case errors.As(err, &soon):
				again.Reset(soon.wait)
				failures = 0
			default:
				again.Reset(min(republishMin<<min(failures, 10), g.opts.Publish.RecomputeInterval))
				failures++
			}
		}
	}
}

func (g *graph) publishOnce(ctx context.Context, reasons []Reason) error {
	ctx, stop := context.WithTimeout(ctx, recomputeTimeout)
	defer stop()
	// What a person did, or a schema broke, does not wait for the next interval.
	force := slices.ContainsFunc(reasons, func(r Reason) bool { return r == ReasonPins || r == ReasonSchema || r == ReasonPerson })
	_, err := g.recompute(ctx, reasons, force)
	var soon tooSoonError
	switch {
	case err == nil, errors.Is(err, context.Canceled):
	case errors.Is(err, ErrNoSchema), errors.Is(err, ErrHeld), errors.As(err, &soon):
		g.log.Info("manifest not published", zap.Error(err))
	default:
		g.log.Warn("recompute failed", zap.Error(err))
	}
	return err
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
	every(ctx, orDefault(g.opts.Publish.CheckpointInterval, checkpointEvery), func() { g.checkpoint(ctx) })
	g.checkpoint(context.WithoutCancel(ctx))
}

func (g *graph) checkpoint(ctx context.Context) {
	ctx, stop := context.WithTimeout(ctx, checkpointTimeout)
	defer stop()
	body, err := g.opts.Usages.Checkpoint()
	if body != nil { // a full disk is no reason to keep it out of the bucket
		err = errors.Join(err, g.opts.Store.SaveCheckpoint(ctx, g.opts.Graph, body))
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		g.log.Warn("checkpoint not saved", zap.Error(err))
	}
}

func orDefault(d, other time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return other
}
