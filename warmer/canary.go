package warmer

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/planwarm/planwarm/planner"
)

const (
	canaryEvery = 100 * time.Millisecond
	canaryShare = 10 // one request in so many may be a canary where the rate is limited
)

// probe sends the canary: alone, or beside a plan. It counts like any other
// request for the limits.
func (s *run) probe(ctx context.Context, beside bool) error {
	t, err := s.pace.acquireCanary(ctx, beside)
	if err != nil {
		return cmp.Or(context.Cause(ctx), errDeadline) // or the rate leaves no room before it
	}
	err = s.Planner.Probe(s.requests)
	signal := signalOf(err)
	if err == nil {
		signal = s.canary.add(time.Since(t.start))
	}
	if signal == SignalFine && !beside {
		signal = SignalNone // it says nothing of how live traffic does beside plans
	}
	if errors.Is(err, planner.ErrExecuted) {
		s.mu.Lock()
		s.rep.Executed++
		s.mu.Unlock()
	}
	if err != nil && ctx.Err() != nil && !stops(err) {
		err = context.Cause(ctx)
	}
	s.pace.release(t, signal)
	return err
}

// stops says whether an answer ends a run, whatever else there is.
func stops(err error) bool {
	return errors.Is(err, planner.ErrExecuted) || errors.Is(err, planner.ErrRefused)
}

// measure sends one more canary. A fault that does not end the run is left to
// the plans, which are tried again.
func (s *run) measure(ctx context.Context, beside bool) {
	if err := s.probe(ctx, beside); stops(err) {
		s.cancel(err) // it was reloaded with another configuration
	}
}

// canaryPause is the time between canaries: they are a small share of a limited rate.
func (s *run) canaryPause() time.Duration {
	if s.Settings.PerSecond <= 0 {
		return canaryEvery
	}
	return max(canaryEvery, time.Duration(canaryShare/s.Settings.PerSecond*float64(time.Second)))
}

// measureAlone sends canaries where nothing of the run is under way. A low rate
// has no room for them, and is a brake already.
func (s *run) measureAlone(ctx context.Context, n int) {
	if s.canaryPause() > canaryEvery {
		return
	}
	for range n {
		s.measure(ctx, false)
	}
}

// watchLatency sends the canary now and then: when a query that costs nothing
// takes much longer than before, live traffic waits too.
func (s *run) watchLatency(ctx context.Context) {
	for ctx.Err() == nil {
		s.measure(ctx, true)
		pause(ctx, s.canaryPause())
	}
}
