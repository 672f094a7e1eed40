package warmer

import (
	"math"
	"time"

	"github.com/planwarm/planwarm/manifest"
)

// Origin says what a list of entries was made from.
type Origin string

// The origins.
const (
	OriginManifest Origin = "manifest" // the published manifest, the snapshot's rest behind it
	OriginSnapshot Origin = "snapshot" // the most used operations, the last good manifest's rest behind them
	OriginNone     Origin = "none"     // nothing to warm from
)

// Fallback says what takes the manifest's place when it cannot be had.
type Fallback string

// The fallbacks.
const (
	FallbackSnapshot Fallback = "snapshot"
	FallbackOff      Fallback = "off"
)

// Sources is what a warm-up can be made from at one moment.
type Sources struct {
	Enabled  bool             // the CDN is configured; otherwise the snapshot is primary
	Manifest []manifest.Entry // what the last fetch gave; nil when it failed, found nothing or was empty
	LastGood []manifest.Entry // what the last successful fetch gave
	Snapshot []manifest.Entry // the table's most used operations, most used first
	Fallback Fallback
	Merge    bool
	Limit    int // 0: none
}

// Choose returns the entries to warm, in order, and where the first of them come from.
//
//	CDN enabled, manifest with operations   the manifest, then the snapshot's rest
//	CDN enabled, no manifest                the snapshot, then the last good manifest's rest
//	CDN disabled                            the snapshot
//	CDN enabled, fallback off, no manifest  nothing
//
// The rests are left out unless Merge is set.
func Choose(s Sources) ([]manifest.Entry, Origin) {
	first, rest, origin := s.Snapshot, s.LastGood, OriginSnapshot
	switch {
	case !s.Enabled:
		rest = nil
	case len(s.Manifest) > 0:
		first, rest, origin = s.Manifest, s.Snapshot, OriginManifest
	case s.Fallback == FallbackOff:
		return nil, OriginNone
	}
	if !s.Merge {
		rest = nil
	}
	entries := manifest.Merge(first, rest, s.Limit)
	if len(entries) == 0 {
		return nil, OriginNone
	}
	return entries, origin
}

// share of a router's capacity that a warm-up may fill: the rest is left to
// traffic, or the tail of the list pushes out its own head.
const share = 0.9

// Capacity is what bounds the list for one router.
type Capacity struct {
	PlanCacheSize int           // plans the router keeps; 0: unknown
	PullRate      float64       // operations per second of a router's own warm-up; 0: unlimited
	PullTimeout   time.Duration // of a router's own warm-up; 0: the router does not pull
}

// Limit returns how many entries are worth sending; 0 means no limit is known.
func (c Capacity) Limit() int {
	limit := 0
	if c.PlanCacheSize > 0 {
		limit = max(1, int(math.Floor(float64(c.PlanCacheSize)*share)))
	}
	if c.PullTimeout > 0 && c.PullRate > 0 {
		n := max(1, int(math.Floor(c.PullRate*c.PullTimeout.Seconds()*share)))
		if limit == 0 || n < limit {
			limit = n
		}
	}
	return limit
}
