package warmer

import (
	"context"
	"errors"

	"github.com/planwarm/planwarm/planner"
	"golang.org/x/sync/errgroup"
)

// verify asks for each plan that was missing whether it is in the cache now:
// the first check of an entry, never repeated, gives the share that is really warm.
func (s *run) verify(ctx context.Context) {
	v, ok := s.Planner.(planner.Verifier)
	if !ok {
		for _, it := range s.planned {
			s.warm = append(s.warm, it.ID)
		}
		return
	}
	var g errgroup.Group
	for _, it := range s.planned {
		t, err := s.acquire(ctx, 0) // it costs no more than any request of a user
		if err != nil {
			break
		}
		g.Go(func() error {
			hit, err := ask(s, it, v.Verify)
			s.checked(it, hit, err) // before the ticket is free, or one more could be sent
			s.pace.hold(planner.RetryAfter(err))
			s.pace.release(t, signalOf(err))
			return nil
		})
	}
	_ = g.Wait() // what stops a run is the cause of its context
}

func (s *run) checked(it Item, hit planner.Hit, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case stops(err):
		if errors.Is(err, planner.ErrExecuted) {
			s.rep.Executed++
		}
		s.cancel(err)
	case err != nil: // a check that got no answer says nothing
	case hit == planner.HitYes:
		s.rep.Checked++
		s.rep.Verified++
		s.warm = append(s.warm, it.ID)
	case hit == planner.HitNo:
		s.rep.Checked++
	default:
		s.warm = append(s.warm, it.ID) // the router does not tell: taken as planned
	}
}
