package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/planwarm/planwarm/planner"
)

// Local warms the plan cache of an engine in this process. Nothing is ever
// executed by it.
type Local struct{ Engine *Engine }

var (
	_ planner.Planner      = Local{}
	_ planner.Verifier     = Local{}
	_ planner.MutationSafe = Local{}
)

// Plan plans r and keeps the plan in the engine's cache.
func (l Local) Plan(ctx context.Context, r planner.Request) (planner.Result, error) {
	start := time.Now()
	p, err := l.prepare(r)
	if err != nil {
		return planner.Result{}, fmt.Errorf("plan request: %w", err)
	}
	planned, hit, err := l.Engine.Cached(ctx, p)
	switch {
	case errors.Is(err, ErrUnplannable):
		return planner.Result{}, fmt.Errorf("plan request: %w: %w", planner.ErrInvalid, err)
	case errors.Is(err, ErrClosed):
		return planner.Result{}, fmt.Errorf("plan request: %w: %w", planner.ErrUnavailable, err)
	case err != nil:
		return planner.Result{}, fmt.Errorf("plan request: %w", err)
	}
	result := planner.Result{Hit: planner.HitYes, PlanKey: p.PlanKey, Took: time.Since(start)}
	if !hit {
		result.Hit, result.Plan = planner.HitNo, planned.Timings.Plan
	}
	return result, nil
}

// Verify says whether the plan of r is in the cache, and changes nothing.
func (l Local) Verify(_ context.Context, r planner.Request) (planner.Hit, error) {
	p, err := l.prepare(r)
	if err != nil {
		return planner.HitUnknown, fmt.Errorf("verify request: %w", err)
	}
	if l.Engine.Contains(p) {
		return planner.HitYes, nil
	}
	return planner.HitNo, nil
}

// Probe has nothing to prove: there is no channel that could execute.
func (l Local) Probe(ctx context.Context) error { return ctx.Err() }

// MutationSafe: mutations are planned like anything else.
func (l Local) MutationSafe() bool { return true }

func (l Local) prepare(r planner.Request) (*Prepared, error) {
	variables, err := json.Marshal(r.Conditions)
	if err != nil {
		return nil, fmt.Errorf("encode conditions: %w", err)
	}
	p, err := l.Engine.Prepare(r.Query, r.OperationName, variables)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", planner.ErrInvalid, err)
	}
	return p, nil
}
