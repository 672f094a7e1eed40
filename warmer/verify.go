package warmer

import (
	"context"
	"errors"
	"slices"

	"github.com/planwarm/planwarm/planner"
	"golang.org/x/sync/errgroup"
)

// verify asks for each planned item whether it is in the cache now: the first
// check of an entry, never repeated, gives the share that is really warm.
func (s *run) verify(ctx context.Context) error {
	v, ok := s.Planner.(planner.Verifier)
	if !ok {
		for _, it := range s.planned {
			s.warm = append(s.warm, it.ID)
		}
		return nil
	}
	var g errgroup.Group
	for _, it := range slices.Clone(s.planned) {
		t, err := s.pace.acquire(ctx)
		if err != nil {
			return errors.Join(g.Wait(), s.stop(err, 0))
		}
		g.Go(func() error {
			hit, err := v.Verify(ctx, it.Request)
			s.pace.release(t, signalOf(err))
			return s.checked(it, hit, err)
		})
	}
	if err := g.Wait(); err != nil {
		return s.stop(err, 0)
	}
	return nil
}

func (s *run) checked(it Item, hit planner.Hit, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(err, planner.ErrExecuted), errors.Is(err, planner.ErrRefused):
		if errors.Is(err, planner.ErrExecuted) {
			s.rep.Executed++
		}
		s.cancel(err)
		return err
	case err != nil:
		return nil // a check that got no answer says nothing
	case hit == planner.HitYes:
		s.rep.Checked++
		s.rep.Verified++
		s.warm = append(s.warm, it.ID)
	case hit == planner.HitNo:
		s.rep.Checked++
	default:
		s.warm = append(s.warm, it.ID) // the router does not tell: taken as planned
	}
	return nil
}
