package cdnsource

import (
	"sync"
	"time"
)

// DefaultSeriesGap is above what a router spends between two pulls of one
// rebuild: the time-out of its warm-up, 30 s by default, and building a graph.
const DefaultSeriesGap = 2 * time.Minute

// PullSeries tells the pulls of one rebuild from those of the next. A router
// pulls once for its base graph and then once for each feature flag, in series,
// and nothing in a request says which it is, so they are counted. It watches
// one router; time is passed in.
type PullSeries struct {
	per int
	gap time.Duration

	mu   sync.Mutex
	n    int
	last time.Time
}

// NewPullSeries returns a series of that many pulls for each rebuild, which
// begins anew after a pause longer than gap (0: DefaultSeriesGap).
func NewPullSeries(pullsPerRebuild int, gap time.Duration) *PullSeries {
	if gap <= 0 {
		gap = DefaultSeriesGap
	}
	return &PullSeries{per: max(pullsPerRebuild, 1), gap: gap}
}

// Pull counts a pull and says whether it is the first and whether it is the
// last of a rebuild. The first says that the plans are about to be lost, the
// last that the swap is near; those between say nothing new.
func (s *PullSeries) Pull(at time.Time) (first, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == s.per || s.n > 0 && at.Sub(s.last) > s.gap {
		s.n = 0
	}
	s.n++
	s.last = at
	return s.n == 1, s.n == s.per
}
