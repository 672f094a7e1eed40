package telemetry

import (
	"cmp"
	"math"
	"slices"
)

// histogram holds planning samples in one layout. The sum is in nanoseconds,
// an integer, so that it does not depend on the order of arrival.
type histogram struct {
	layout   layoutID
	bins     bins
	sum      int64
	min, max float64 // milliseconds; meaningless without bins
}

// maxSum bounds the sum of one histogram: 146 years.
const maxSum = math.MaxInt64 / 2

// nanoseconds converts milliseconds, within bounds.
func nanoseconds(ms float64) int64 {
	if !(ms > 0) {
		return 0
	}
	return min(int64(math.Round(min(ms*1e6, maxSum))), maxSum) // as a float maxSum is one more
}

func milliseconds(ns int64) float64 { return float64(ns) / 1e6 }

// add merges o, which has the same layout.
func (h *histogram) add(o histogram) {
	if len(o.bins) == 0 {
		return
	}
	if len(h.bins) == 0 {
		h.min, h.max = o.min, o.max
	} else {
		h.min, h.max = min(h.min, o.min), max(h.max, o.max)
	}
	h.sum = min(h.sum+o.sum, maxSum)
	h.bins = h.bins.merge(o.bins)
}

// addSample counts one sample, in a histogram of the fine layout.
func (h *histogram) addSample(ns int64) {
	ms := milliseconds(ns)
	if len(h.bins) == 0 {
		h.min, h.max = ms, ms
	} else {
		h.min, h.max = min(h.min, ms), max(h.max, ms)
	}
	h.sum = min(h.sum+ns, maxSum)
	h.bins = h.bins.add(fineIndex(ms), 1)
}

// fillExtremes sets min and max from the buckets where the source told none
// (NaN): the middle of a fine bucket, the outer bound of a coarser one.
func (h *histogram) fillExtremes(l *layouts) {
	if len(h.bins) == 0 {
		return
	}
	first, last := h.bins[0].index, h.bins[len(h.bins)-1].index
	if h.layout == fine {
		if math.IsNaN(h.min) {
			h.min = middle(first)
		}
		if math.IsNaN(h.max) {
			h.max = middle(last)
		}
		return
	}
	if math.IsNaN(h.min) {
		h.min, _ = l.bucket(h.layout, first)
	}
	if math.IsNaN(h.max) {
		if _, h.max = l.bucket(h.layout, last); math.IsInf(h.max, 1) {
			h.max = h.overflowMean(l)
		}
	}
}

// overflowMean estimates the samples above the last bound from the sum.
func (h *histogram) overflowMean(l *layouts) float64 {
	rest := milliseconds(h.sum)
	for _, b := range h.bins[:len(h.bins)-1] {
		lower, upper := l.bucket(h.layout, b.index)
		rest -= (lower + upper) / 2 * float64(b.n())
	}
	last := h.bins[len(h.bins)-1]
	lower, _ := l.bucket(h.layout, last.index)
	return max(lower, rest/float64(last.n()))
}

// samples is a set of histograms of different layouts.
type samples []histogram

// add merges o into the histogram of its layout.
func (s samples) add(o histogram) samples {
	if len(o.bins) == 0 {
		return s
	}
	for i := range s {
		if s[i].layout == o.layout {
			s[i].add(o)
			return s
		}
	}
	o.bins = slices.Clone(o.bins)
	return append(s, o)
}

func (s samples) total() uint64 {
	var n uint64
	for i := range s {
		n += s[i].bins.total()
	}
	return n
}

// cell is one bucket at read: n samples between lower and upper.
type cell struct {
	lower, upper, value float64
	n                   uint64
	power               float64 // how the samples lie between the bounds; 0: all at value
}

// cells lists the buckets of all layouts in ascending order.
func (s samples) cells(l *layouts) []cell {
	var n int
	for i := range s {
		n += len(s[i].bins)
	}
	out := make([]cell, 0, n)
	for i := range s {
		h := &s[i]
		power := h.power()
		for _, b := range h.bins {
			c := cell{n: b.n()}
			if h.layout == fine {
				c.value = min(max(middle(b.index), h.min), h.max)
			} else {
				c.lower, c.upper = l.bucket(h.layout, b.index)
				c.lower = min(max(c.lower, h.min), h.max)
				c.upper = max(min(c.upper, h.max), c.lower)
				c.value = (c.lower + c.upper) / 2
				c.power = power
			}
			out = append(out, c)
		}
	}
	if len(s) > 1 {
		slices.SortFunc(out, func(a, b cell) int {
			return cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.lower, b.lower), cmp.Compare(a.upper, b.upper))
		})
	}
	return out
}

// power says how samples lie in a coarse bucket. They are taken as spread
// evenly (1), unless one bucket holds them all: then the curve
// min + (max-min) × p^power is the one that has their mean.
func (h *histogram) power() float64 {
	if len(h.bins) != 1 || h.max <= h.min {
		return 1
	}
	mean := milliseconds(h.sum) / float64(h.bins[0].n())
	if mean <= h.min || mean >= h.max {
		return 1
	}
	return (h.max - mean) / (mean - h.min)
}

// rank is the nearest rank of a percentile among n samples: ceil(n × percent / 100).
func rank(n uint64, percent uint64) uint64 {
	return max(n/100*percent+(n%100*percent+99)/100, 1)
}

// extremes returns the least and the greatest sample of a set that has some.
func (s samples) extremes() (lowest, highest float64) {
	lowest, highest = s[0].min, s[0].max
	for _, h := range s[1:] {
		lowest, highest = min(lowest, h.min), max(highest, h.max)
	}
	return lowest, highest
}

// quantiles returns the nearest-rank percentiles, which ascend: the first
// bucket whose cumulative count reaches the rank holds the sample.
func (s samples) quantiles(l *layouts, percents ...uint64) []float64 {
	out := make([]float64, len(percents))
	total := s.total()
	if total == 0 {
		return out
	}
	lowest, highest := s.extremes()
	cells := s.cells(l)
	var below uint64
	at := 0
	for i, p := range percents {
		r := rank(total, p)
		for at < len(cells)-1 && below+cells[at].n < r {
			below += cells[at].n
			at++
		}
		switch c := cells[at]; {
		case r == total: // the last sample is the maximum, which is known
			out[i] = highest
		case r == 1:
			out[i] = lowest
		case c.power == 0:
			out[i] = c.value
		default:
			position := float64(r-below) / float64(c.n)
			out[i] = c.lower + (c.upper-c.lower)*math.Pow(position, c.power)
		}
	}
	return out
}
