package manifest

import (
	"math"
	"slices"
)

// SameContent reports whether next says nothing new to somebody who has
// published: the same requests, clients and plan keys, in an order that is not
// new. Figures, times, sequence and signature do not count.
//
// An order is new when pins stand in another order, or when an entry stands
// above one that next values more than √2 as high: the P90 of few samples moves
// by a third from day to day. The bound is on the ratio of two entries and not
// on fixed buckets, since of two equal entries on a bucket's edge one or the
// other would be above every time.
func SameContent(published, next Manifest) bool {
	if len(published.Operations) != len(next.Operations) {
		return false
	}
	places := make(map[string][]int, len(next.Operations))
	for i := range next.Operations {
		print := next.Operations[i].slotPrint()
		places[print] = append(places[print], i)
	}
	order := make([]int, 0, len(published.Operations)) // of next's entries, as they stand in published
	for i := range published.Operations {
		print := published.Operations[i].slotPrint()
		at := places[print]
		if len(at) == 0 {
			return false
		}
		order = append(order, at[0])
		places[print] = at[1:]
	}
	return slices.IsSorted(order) || sameOrder(next, order)
}

// sameOrder reports whether no two of m's entries are far apart in value and
// the wrong way round in order.
func sameOrder(m Manifest, order []int) bool {
	lastPin, last, lowest := -1, -1, math.Inf(1)
	for _, at := range order {
		e := &m.Operations[at]
		if at < lastPin {
			return false // below a pin that it should be above
		}
		if e.Planwarm.Source == SourceManual {
			if at < last {
				return false
			}
			lastPin = at
		} else {
			value := m.value(e)
			if value > lowest*math.Sqrt2 {
				return false
			}
			lowest = min(lowest, value)
		}
		last = max(last, at)
	}
	return true
}

// value is what m's rank orders by.
func (m *Manifest) value(e *Entry) float64 {
	if m.Rank == RankSaved || m.Rank == RankBudget {
		return e.Planwarm.Score
	}
	return e.Planwarm.P90Ms
}

// slotPrint tells apart what is warmed for an entry, whichever of its requests
// stands first: of two clients that send as much the first changes every day.
func (e *Entry) slotPrint() string {
	if len(e.Planwarm.Variants) == 0 {
		return e.fingerprint()
	}
	all := e.Expand()
	prints := make([]string, len(all))
	for i := range all {
		prints[i] = all[i].fingerprint()
	}
	slices.Sort(prints)
	return joinParts(slices.Compact(prints)...)
}
