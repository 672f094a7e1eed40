package warmer

import (
	"context"
	"errors"
	"time"

	"github.com/planwarm/planwarm/planner"
)

const (
	canaryEvery = 250 * time.Millisecond
	canaryShare = 10 // one request in so many may be a canary where the rate is limited
)

// probe sends the canary. It counts like any other request for the pace.
func (s *run) probe(ctx context.Context) error {
	t, err := s.acquire(ctx)
	if err != nil {
		return context.Cause(ctx)
	}
	err = s.Planner.Probe(s.requests)
	if errors.Is(err, planner.ErrExecuted) {
		s.mu.Lock()
		s.rep.Executed++
		s.mu.Unlock()
	}
	if err != nil && ctx.Err() != nil && !stops(err) {
		err = context.Cause(ctx)
	}
	s.pace.release(t, SignalFine)
	return err
}

// stops says whether an answer ends a run, whatever else there is.
func stops(err error) bool {
	return errors.Is(err, planner.ErrExecuted) || errors.Is(err, planner.ErrRefused)
}

// watchLatency sends the canary now and then: when a query that costs nothing
// takes much longer than before, live traffic waits too. Canaries take their
// turn like every request, and a small share of a limited rate.
func (s *run) watchLatency(ctx context.Context) {
	interval := canaryEvery
	if s.Settings.PerSecond > 0 {
		interval = max(interval, time.Duration(canaryShare/s.Settings.PerSecond*float64(time.Second)))
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var canary trend
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		t, err := s.pace.acquire(ctx)
		if err != nil {
			return
		}
		start := time.Now()
		err = s.Planner.Probe(s.requests)
		took := time.Since(start)
		signal := signalOf(err)
		switch {
		case stops(err): // it was reloaded with another configuration
			if errors.Is(err, planner.ErrExecuted) {
				s.mu.Lock()
				s.rep.Executed++
				s.mu.Unlock()
			}
			s.cancel(err)
		case err == nil && canary.add(took, 0):
			signal = SignalSlow
		}
		s.pace.release(t, signal)
	}
}
