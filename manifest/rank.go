package manifest

import (
	"cmp"
	"math"
	"slices"
)

// rank sorts slots, the most worth warming first. Ties are broken by mean and
// then by what identifies the slot, so that the order is the same every time.
func (b *builder) rank(slots []*slot) {
	for _, s := range slots {
		s.score = b.score(s)
		if b.set.Rank != RankP90 {
			s.entry.Planwarm.Score = round(s.score)
		}
	}
	slices.SortFunc(slots, func(x, y *slot) int {
		if c := cmp.Compare(y.score, x.score); c != 0 {
			return c
		}
		if c := cmp.Compare(y.entry.Planwarm.P90Ms, x.entry.Planwarm.P90Ms); c != 0 {
			return c
		}
		if c := cmp.Compare(y.entry.Planwarm.MeanMs, x.entry.Planwarm.MeanMs); c != 0 {
			return c
		}
		if c := cmp.Compare(x.entry.Planwarm.PlanKey, y.entry.Planwarm.PlanKey); c != 0 {
			return c
		}
		return compareCandidates(x.main, y.main)
	})
}

// score is the P90; or the milliseconds that warming s is expected to save
// within the horizon, arrivals being Poisson; or those for each millisecond of
// planning, where time and not the number of slots is what is short.
func (b *builder) score(s *slot) float64 {
	p90 := s.entry.Planwarm.P90Ms
	if b.set.Rank == RankP90 {
		return p90
	}
	rate := float64(s.entry.Planwarm.Executions) / b.in.Window.Seconds()
	saved := -math.Expm1(-rate*b.set.Horizon.Seconds()) * p90
	if b.set.Rank == RankSaved {
		return saved
	}
	plan := s.planMs()
	if plan <= 0 {
		return 0
	}
	return saved / plan
}

// round keeps a tenth of a microsecond: more digits than were measured only
// make the document longer.
func round(ms float64) float64 {
	return math.Round(ms*1e4) / 1e4
}
