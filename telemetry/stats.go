package telemetry

import "time"

// Stats are counters of a table since it was made, and what it holds now.
type Stats struct {
	Operations     int
	TextBytes      int
	HistogramBytes int
	Streams        int // cumulative
	Identities     int // of spans, delta points and bodies

	Spans, Points, Requests                          uint64 // arrived
	DuplicateSpans, DuplicatePoints, DuplicateBodies uint64
	Malformed                                        uint64 // events that contradict themselves, or have no hash
	Own                                              uint64 // planning times of planwarm's own requests

	Admitted, Rejected, Evicted uint64 // operations
	SeriesRefused               uint64 // events of too many instances for one table or operation
	StreamsRefused              uint64 // points of cumulative streams that there was no room for
	IdentitiesDropped           uint64 // forgotten before their time, for room

	Canonical    uint64 // texts that were made canonical, or tried
	TextsRefused uint64 // of these, the refused
	TextsDropped uint64 // texts that there was no room for

	Overflow   uint64 // points of merged attribute sets (otel.metric.overflow)
	OverflowAt time.Time
}

// Stats returns the counters.
func (t *Table) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.stats
	s.Operations = len(t.operations)
	s.TextBytes = t.textBytes
	s.HistogramBytes = t.histBytes
	s.Streams = t.streams.byID.Len()
	s.Identities = t.spans.len() + t.points.len() + t.bodies.len()
	s.IdentitiesDropped = t.spans.dropped + t.points.dropped + t.bodies.dropped
	return s
}
