package telemetry

import (
	"cmp"
	"slices"
	"time"
)

// slot is a sub-window of arrival times: an hour, or a day (UTC) whose hours
// were merged. It is numbered so that slots sort by their start, a day before
// its own hours: 2 × the first hour, and 1 more for an hour.
type slot int32

const (
	maxHour = 1 << 29 // since 1970

	// hourly is how many hours are kept one by one, the running one and a day
	// before it; older ones become days.
	hourly = 25
)

// hourOf is the number of the hour that at lies in.
func hourOf(at time.Time) int32 {
	return int32(min(max(at.Unix()/3600, 0), maxHour))
}

func hourSlot(hour int32) slot { return slot(hour<<1 | 1) }
func daySlot(hour int32) slot  { return slot(hour / 24 * 24 << 1) }

// start is the first hour of the slot.
func (s slot) start() int32 { return int32(s) >> 1 }

// end is the hour after the slot.
func (s slot) end() int32 {
	if s&1 == 1 {
		return s.start() + 1
	}
	return s.start() + 24
}

// slotAt is the slot for an arrival in hour when newest is the newest seen: a
// clock that went back finds the day that its hour was merged into.
func slotAt(hour, newest int32) slot {
	if hour <= newest-hourly {
		return daySlot(hour)
	}
	return hourSlot(hour)
}

// period is the time that is read: slots that end after from and start before to.
type period struct {
	from, to int64 // Unix seconds
	hours    bool  // so short that the hours have all of it
}

// periodOf is the window that ends at now. A slot counts while any part of it
// is inside, so nothing leaves early: it leaves within an hour after the
// window has passed, within a day in windows longer than a day. What arrived
// under a clock that ran ahead counts for a day and no longer.
func periodOf(now time.Time, window time.Duration) period {
	return period{from: now.Add(-window).Unix(), to: now.Unix() + 24*3600, hours: window <= 24*time.Hour}
}

func (p period) contains(s slot) bool {
	if p.hours && s&1 == 0 {
		return false
	}
	return int64(s.end())*3600 > p.from && int64(s.start())*3600 <= p.to
}

// groupID names a stream of counts that nothing else may be added to blindly:
// spans, graphqlmetrics, or one (instance, transport, temporality).
type groupID uint16

const (
	spanGroup groupID = iota
	requestGroup
	keptGroup // samples that outlived the window, of whatever source
	firstMetricGroup
)

// series is what one group told of one operation in one slot.
type series struct {
	slot    slot
	group   groupID
	clients bins // executions by index into operation.clients
	histogram
}

// Sizes for the budget of histograms.
const (
	seriesBytes = 96
	// maxSeries bounds the series of one operation: 30 slots of 136 groups.
	maxSeries = 4096
)

func (s *series) bytes() int {
	return seriesBytes + binBytes*(cap(s.clients)+cap(s.bins))
}

func compareSeries(a series, b series) int {
	return cmp.Or(cmp.Compare(a.slot, b.slot), cmp.Compare(a.group, b.group))
}

// find returns the series for executions of group in at, or with a layout the
// one for samples in it. It is nil when the operation has too many.
func (o *operation) find(at slot, group groupID, layout layoutID, sampled bool) *series {
	// From the end, where the running hour is. i is where a new one goes.
	i := len(o.series)
	for ; i > 0; i-- {
		s := &o.series[i-1]
		if s.slot < at || s.slot == at && s.group < group {
			break
		}
		if s.slot != at || s.group != group {
			continue
		}
		if !sampled || s.layout == layout {
			return s
		}
		if len(s.bins) == 0 { // executions only, so far
			s.layout = layout
			return s
		}
	}
	if len(o.series) >= maxSeries {
		return nil
	}
	o.series = slices.Insert(o.series, i, series{slot: at, group: group, histogram: histogram{layout: layout}})
	return &o.series[i]
}

// roll brings the slots up to hour: hours that are a day old become days, and
// what left the window goes. The newest slot with samples stays even then,
// without its executions: a well-warmed operation has no misses any more, and
// must not lose its cost by that.
func (o *operation) roll(hour, windowHours int32, g *groups) {
	measured := slot(-1)
	for i := range o.series {
		if s := &o.series[i]; len(s.bins) > 0 && s.slot.start() <= hour+24 {
			measured = max(measured, s.slot)
		}
	}
	var last []series
	kept := o.series[:0]
	for _, s := range o.series {
		if s.slot.start() > hour+24 { // of a clock that ran ahead
			continue
		}
		if s.slot.end() <= hour-windowHours {
			if s.slot == measured && len(s.bins) > 0 {
				last = append(last, s)
			}
			continue
		}
		if s.slot&1 == 1 && s.slot.start() <= hour-hourly {
			s.slot = daySlot(s.slot.start())
		}
		kept = append(kept, s)
	}
	clear(o.series[len(kept):])
	o.series = append(kept, outlived(last, g)...)
	o.mergeSeries()
}

// outlived returns the samples of a slot that left the window: those of the
// spans or, without any, of the largest metric stream of each instance, as a
// read would have taken them. They no longer hold on to an instance's id.
func outlived(last []series, g *groups) []series {
	spans := slices.ContainsFunc(last, func(s series) bool { return s.group == spanGroup })
	totals := make(map[groupID]uint64)
	best := make(map[string]groupID)
	for _, s := range last {
		if s.group >= firstMetricGroup {
			totals[s.group] += s.bins.total()
		}
	}
	for id, n := range totals {
		instance := g.key(id).instance
		if b, ok := best[instance]; !ok || n > totals[b] || n == totals[b] && g.key(id).compare(g.key(b)) < 0 {
			best[instance] = id
		}
	}
	var out []series
	for _, s := range last {
		take := s.group == spanGroup || s.group == keptGroup
		if !spans && s.group >= firstMetricGroup {
			take = best[g.key(s.group).instance] == s.group
		}
		if take {
			s.group, s.clients = keptGroup, nil
			out = append(out, s)
		}
	}
	return out
}

// mergeSeries sorts the series and merges those that became the same.
func (o *operation) mergeSeries() {
	slices.SortStableFunc(o.series, func(a, b series) int {
		return cmp.Or(compareSeries(a, b), cmp.Compare(a.layout, b.layout))
	})
	out := o.series[:0]
	for _, s := range o.series {
		if n := len(out) - 1; n >= 0 && compareSeries(out[n], s) == 0 && out[n].accepts(&s) {
			if len(s.bins) > 0 {
				out[n].layout = s.layout
				out[n].histogram.add(s.histogram)
			}
			out[n].clients = out[n].clients.merge(s.clients)
			continue
		}
		out = append(out, s)
	}
	clear(o.series[len(out):])
	o.series = out
}

// accepts reports whether o can be merged: their layouts agree, or one of them
// has no samples.
func (s *series) accepts(o *series) bool {
	return s.layout == o.layout || len(s.bins) == 0 || len(o.bins) == 0
}
