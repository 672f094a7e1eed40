package warmer

import (
	"math"
	"slices"
	"sync"
	"time"
)

// trend compares a stream of times with what is usual for them, in proportion
// to what was expected. It is slow to believe in a change for the worse from a
// single answer, since one heavy plan says nothing about the router, and takes
// a change that stays for the new usual: times may have been foreseen on
// another machine, and a run must not crawl for ever because of it.
type trend struct {
	mu    sync.Mutex
	usual float64 // running mean of the logarithms of ratios
	n     int
	high  int
}

const (
	trendWarmup = 5                     // answers before anything is judged
	trendFactor = 3.0                   // how much more than usual counts as slow
	trendNoise  = 20 * time.Millisecond // of schedulers and networks, added to both sides of a ratio
	trendInARow = 2
	trendMemory = 50 // answers that make what is usual
)

// add says what took tells of the router, where expected was foreseen.
func (t *trend) add(took, expected time.Duration) Signal {
	t.mu.Lock()
	defer t.mu.Unlock()
	ratio := math.Log(float64(took+trendNoise) / float64(max(expected, 0)+trendNoise))
	slow := t.n >= trendWarmup && ratio > t.usual+math.Log(trendFactor)
	t.n++
	t.usual += (ratio - t.usual) / float64(min(t.n, trendMemory))
	if !slow {
		t.high = 0
		return SignalFine
	}
	if t.high++; t.high%trendInARow != 0 {
		return SignalNone
	}
	return SignalSlow
}

const (
	canaryFactor = 3
	canaryNoise  = 2 * time.Millisecond // of schedulers and networks
)

// canaryTrend judges the times of a query that costs the same each time. What
// is usual is the least median of three in a row, as LEDBAT (RFC 6817) takes
// the least delay seen for that of an empty queue: the first three are sent
// before the first plan, and a change for the worse that stays is our own
// doing, or a good reason to be slow all the same.
type canaryTrend struct {
	last  [3]time.Duration
	n     int
	usual time.Duration
}

// add says what one more time tells: slow when two of the last three, this one
// among them, are far above what is usual; nothing when it is alone in that.
func (c *canaryTrend) add(took time.Duration) Signal {
	c.last[c.n%len(c.last)] = took
	c.n++
	if c.n < len(c.last) {
		return SignalNone
	}
	sorted := c.last
	slices.Sort(sorted[:])
	median := sorted[len(sorted)/2]
	if c.n == len(c.last) || median < c.usual {
		c.usual = median
	}
	bound := canaryFactor*c.usual + canaryNoise
	switch {
	case took <= bound:
		return SignalFine
	case median > bound:
		return SignalSlow
	}
	return SignalNone
}
