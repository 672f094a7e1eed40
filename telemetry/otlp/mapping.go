package otlp

import (
	"time"

	"github.com/planwarm/planwarm/telemetry"
)

// Mapping knows one router's telemetry: which spans and metrics matter, and
// what they say. It is safe for concurrent use, and clones what it keeps of a
// Span or HistogramPoint.
type Mapping interface {
	// WantSpan tells by its name, and by the name of its instrumentation scope,
	// whether a span is this mapping's. No two mappings want the same one.
	WantSpan(scope, name string) bool
	// Span turns a wanted span into events. An error rejects it as malformed.
	Span(at time.Time, s *Span, to telemetry.Recorder) (Outcome, error)
	// WantMetric tells by its name whether a metric is this mapping's.
	WantMetric(name string) bool
	// Point turns a point of a wanted metric into events. An error rejects it
	// as malformed.
	Point(at time.Time, p *HistogramPoint, to telemetry.Recorder) (Outcome, error)
}

// Outcome is what became of a span or point that a Mapping wanted.
type Outcome uint8

// The outcomes.
const (
	// Taken: it became an event, or waits for its other half.
	Taken Outcome = iota
	// Unattributed: it does not say which operation it is about, or whether
	// the plan was in the cache. The router lacks a setting.
	Unattributed
	// Overflowed: the sender ran out of attribute sets and merged the rest
	// into one point (otel.metric.overflow).
	Overflowed
	// WarmUp: the router's own warm-up caused it. Counting it would let the
	// manifest feed itself.
	WarmUp
	// Ignored: there is nothing to learn from it.
	Ignored
	outcomes
)

var outcomeNames = [outcomes]string{"taken", "unattributed", "overflow", "warm_up", "ignored"}

// String names the outcome as the metrics do.
func (o Outcome) String() string { return outcomeNames[o] }

// Settler is a Mapping that waits for more of a request before it tells of it.
type Settler interface {
	// Settle tells of the requests that nothing was heard of since the time.
	Settle(since time.Time)
}

// DefaultMappings returns a mapping for each router that is known. They want
// different spans and metrics, so that one receiver takes the telemetry of all.
func DefaultMappings() []Mapping {
	return []Mapping{NewCosmo(), NewApolloRouter(), NewApolloGateway(), NewHiveRouter(), NewHiveGateway()}
}

// spansOnly is the half of a Mapping that wants no metrics.
type spansOnly struct{}

// WantMetric implements Mapping.
func (spansOnly) WantMetric(string) bool { return false }

// Point implements Mapping.
func (spansOnly) Point(time.Time, *HistogramPoint, telemetry.Recorder) (Outcome, error) {
	return Ignored, nil
}
