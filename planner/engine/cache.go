package engine

import (
	"context"
	"fmt"
	"time"
)

// Stats counts what the plan cache did since the engine was made.
type Stats struct {
	Hits     uint64
	Misses   uint64 // requests that waited for a plan, whoever made it
	Planned  uint64 // plans made for misses; overlapping requests share one
	Failed   uint64 // of them, those that ended in an error
	Added    uint64
	Evicted  uint64
	Entries  int
	Size     int           // the most entries there can be
	Planning time.Duration // sum over the plans made
}

// Stats is a snapshot of the counters.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stats
	s.Entries = e.plans.Len()
	return s
}

// Cached is the plan of p, from the cache when it is there. Requests for one
// plan that overlap each count as a miss, and one of them plans. A plan that
// was begun is finished and kept even when every ctx that asked for it ends.
func (e *Engine) Cached(ctx context.Context, p *Prepared) (planned *Planned, hit bool, err error) {
	if planned, hit, err = e.lookup(p); hit || err != nil {
		return planned, hit, err
	}
	result := e.flight.DoChan(p.PlanKey, func() (any, error) { return e.fill(p) })
	select {
	case <-ctx.Done():
		return nil, false, fmt.Errorf("wait for plan: %w", ctx.Err())
	case r := <-result:
		if r.Err != nil {
			return nil, false, r.Err
		}
		return r.Val.(*Planned), false, nil
	}
}

// Contains says whether the plan of p is in the cache, and changes nothing.
func (e *Engine) Contains(p *Prepared) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.plans.Contains(p.PlanKey)
}

// lookup asks the cache and counts a hit or a miss.
func (e *Engine) lookup(p *Prepared) (planned *Planned, hit bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, false, fmt.Errorf("look up plan: %w", ErrClosed)
	}
	if planned, hit = e.plans.Get(p.PlanKey); hit {
		e.stats.Hits++
	} else {
		e.stats.Misses++
	}
	return planned, hit, nil
}

// fill plans p and adds the plan to the cache. It runs once for all requests
// of one flight.
func (e *Engine) fill(p *Prepared) (*Planned, error) {
	planned, done, err := e.begin(p)
	if done || err != nil {
		return planned, err
	}
	defer e.work.Done()
	planned, err = e.Plan(p)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.Planned++
	if err != nil {
		e.stats.Failed++
		return nil, err
	}
	e.stats.Planning += planned.Timings.Plan
	e.stats.Added++
	e.plans.Add(p.PlanKey, planned)
	return planned, nil
}

// begin registers a plan that is being made, so that Close waits for it. The
// plan may be in the cache by now: another flight can end between the look-up
// of a request and its own flight.
func (e *Engine) begin(p *Prepared) (planned *Planned, done bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, false, fmt.Errorf("plan operation: %w", ErrClosed)
	}
	if planned, done = e.plans.Peek(p.PlanKey); !done {
		e.work.Add(1)
	}
	return planned, done, nil
}
