package telemetry

import (
	"math"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// stream is the last value of a cumulative stream since one start.
type stream struct {
	time  uint64 // of the last point
	at    int64  // its arrival, Unix seconds
	count uint64
	histogram
}

// streamBytes is about what a stream costs without its bins.
const streamBytes = 192

func (s *stream) bytes() int { return streamBytes + binBytes*cap(s.bins) }

// streams holds the cumulative streams, the one that was silent longest first.
// One that goes on must not be forgotten, or its whole value would count again:
// so it is kept for the window, and when there is no room a new one waits
// until an old one has been silent for ten minutes.
type streams struct {
	byID     *simplelru.LRU[uint64, *stream]
	bytes    int
	maxBytes int
	limit    int
}

func newStreams(limit, maxBytes int) (streams, error) {
	lru, err := simplelru.NewLRU[uint64, *stream](limit, nil)
	return streams{byID: lru, maxBytes: maxBytes, limit: limit}, err
}

// expire drops streams that were silent for the window, and for room those
// that were silent for ten minutes, or were last heard of by a clock that ran
// ahead; it reports whether there is room.
func (s *streams) expire(now int64, window time.Duration) bool {
	const patience = int64(keepIdentities / time.Second)
	for {
		full := s.byID.Len() >= s.limit || s.bytes >= s.maxBytes
		id, oldest, ok := s.byID.GetOldest()
		if !ok {
			return !full
		}
		silent := now - oldest.at
		forRoom := full && (silent > patience || silent < -patience)
		if silent <= int64(window/time.Second) && !forRoom {
			return !full
		}
		s.bytes -= oldest.bytes()
		s.byID.Remove(id)
	}
}

func (s *streams) put(id uint64, v *stream) {
	s.byID.Add(id, v)
	s.bytes += v.bytes()
}

// cumulative counts what a point adds to the last one of its stream. One that
// is not newer than the last adds nothing: its counts are in the last one.
func (t *Table) cumulative(at time.Time, p *Point, h *histogram) {
	now := at.Unix()
	room := t.streams.expire(now, t.options.Window)
	id := p.identity(0)
	last, known := t.streams.byID.Get(id)
	if known && p.Time <= last.time {
		last.at = max(last.at, now)
		t.stats.DuplicatePoints++
		return
	}
	if !known {
		if !room {
			t.stats.StreamsRefused++
			return
		}
		s := &stream{time: p.Time, at: now, count: p.Count}
		if h != nil {
			s.histogram = h.clone()
		}
		// What is not admitted is not remembered either, and counts in full
		// once it is.
		if p.Count == 0 || t.point(at, p, p.Count, h) {
			t.streams.put(id, s)
		}
		return
	}
	executions, added := t.increment(last, p, h)
	t.streams.bytes -= last.bytes()
	last.time, last.at, last.count = p.Time, now, p.Count
	if h != nil {
		last.histogram = h.clone()
	}
	t.streams.bytes += last.bytes()
	if executions > 0 {
		t.point(at, p, executions, added)
	}
}

// increment returns what p has more than last: executions and samples.
func (t *Table) increment(last *stream, p *Point, h *histogram) (uint64, *histogram) {
	if p.Count < last.count { // a reset that the start does not tell
		return p.Count, h
	}
	executions := p.Count - last.count
	if h == nil || executions == 0 || len(last.bins) == 0 {
		return executions, h
	}
	now, old := h.bins, last.bins
	added := histogram{layout: h.layout, sum: max(h.sum-last.sum, 0), min: math.NaN(), max: math.NaN()}
	if h.layout != last.layout {
		if h.layout.explicit() || last.layout.explicit() {
			return executions, nil // other bounds, nothing to subtract
		}
		// An exponential histogram gets coarser as its range grows.
		added.layout = max(h.layout, last.layout)
		now = now.coarsen(uint(added.layout - h.layout))
		old = old.coarsen(uint(added.layout - last.layout))
	}
	var ok bool
	if added.bins, ok = now.subtract(old, make(bins, 0, 8)); !ok {
		return executions, nil
	}
	// The extremes are those of the whole stream: one that moved was among the
	// new samples, one that did not is only a bound.
	if h.min < last.min {
		added.min = h.min
	}
	if h.max > last.max {
		added.max = h.max
	}
	added.fillExtremes(&t.layouts)
	added.min = min(max(added.min, h.min), h.max)
	added.max = max(min(added.max, h.max), added.min)
	return executions, &added
}
