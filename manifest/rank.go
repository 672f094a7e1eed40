package manifest

import (
	"cmp"
	"math"
	"slices"
)

// standing is what a slot is sorted by, kept together: looked up slot by slot,
// most of the sorting of 100,000 would be waiting for memory.
type standing struct {
	score, p90, mean float64
	slot             *slot
}

// rank sorts slots, the most worth warming first. Ties are broken by mean and
// then by what identifies the slot, so that the order is the same every time.
func (b *builder) rank(slots []*slot) {
	list := make([]standing, len(slots))
	for i, s := range slots {
		d := &s.entry.Planwarm
		list[i] = standing{score: b.score(s), p90: d.P90Ms, mean: d.MeanMs, slot: s}
		if b.set.Rank != RankP90 {
			d.Score = round(list[i].score)
		}
	}
	slices.SortFunc(list, func(x, y standing) int {
		if x.score != y.score {
			return cmp.Compare(y.score, x.score)
		}
		if x.p90 != y.p90 {
			return cmp.Compare(y.p90, x.p90)
		}
		if x.mean != y.mean {
			return cmp.Compare(y.mean, x.mean)
		}
		if c := cmp.Compare(x.slot.entry.Planwarm.PlanKey, y.slot.entry.Planwarm.PlanKey); c != 0 {
			return c
		}
		return compareCandidates(x.slot.main, y.slot.main)
	})
	for i := range list {
		slots[i] = list[i].slot
	}
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
