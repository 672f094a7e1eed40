// Package telemetry keeps what is known of each operation: its text, how often
// it is executed, and how long it takes to plan, over a sliding window and
// within bounds of memory that hold whatever comes in.
package telemetry

import "time"

// Operation is what a source says of the operation that an event belongs to.
// Hash identifies it within a graph; a source that has none leaves it empty
// and gives the text with the event.
type Operation struct {
	Hash    string // the router's operation hash, an unsigned decimal for Cosmo
	PlanKey string // "" when the source does not know
	// SourceHash is the router's operation hash where that is no identity,
	// since operations that are planned for themselves share it.
	SourceHash string
	Name       string
	Type       string // query, mutation, subscription or ""
	Client     Client
}

// Client is who sent an operation.
type Client struct{ Name, Version string }

// Span is one planning span.
type Span struct {
	TraceID  [16]byte
	SpanID   [8]byte
	Op       Operation
	Hit      bool          // the plan was in the router's cache: a demand, but no planning sample
	Duration time.Duration // the planning time
	// Counted says that another event is this execution: this one only has the
	// planning time.
	Counted bool
	// Document is the operation's text when the source has it on the span; it
	// stands in for the hash when Op has none.
	Document string
}

// Temporality of a metric point.
type Temporality uint8

// The temporalities, numbered as in OTLP.
const (
	Delta      Temporality = 1
	Cumulative Temporality = 2
)

// Point is one histogram point of planning times, in milliseconds.
type Point struct {
	Instance    string // the router instance
	Transport   string // "http" or "grpc", with the path it came in on when it is not the usual one
	Temporality Temporality
	// Stream tells apart the attribute sets of one metric; a hash of all attributes.
	Stream      uint64
	Start, Time uint64 // Unix nanoseconds
	Op          Operation
	Hit         bool
	Count       uint64
	Sum         float64
	Min, Max    float64 // NaN when the point has none
	// Explicit buckets: len(Counts) == len(Bounds)+1, the bounds are upper and inclusive.
	Bounds []float64
	Counts []uint64
	// Exponential buckets; nil for an explicit histogram.
	Exponential *Exponential
}

// Exponential holds the buckets of an OTLP exponential histogram. Bucket i
// covers (base^(Offset+i), base^(Offset+i+1)] with base = 2^(2^-Scale).
type Exponential struct {
	Scale     int32
	Offset    int32
	Counts    []uint64
	ZeroCount uint64
}

// Request is a count of executions with the operation's text (graphqlmetrics).
type Request struct {
	Op       Operation
	Document string // "" when the source has none
	Count    uint64
	Failed   bool // an invalid operation: neither counted nor kept
}

// Recorder takes events. at is the time of arrival; it decides the sub-window.
// A Recorder does not keep the slices of an event after it returns.
type Recorder interface {
	Span(at time.Time, s Span)
	Point(at time.Time, p Point)
	// Requests takes one body of request counts. digest identifies the body: an
	// equal one within 60 s counts once; it reports whether it was counted.
	Requests(at time.Time, digest [32]byte, rs []Request) bool
	// Text tells the text of an operation that other events know by its hash.
	Text(at time.Time, op Operation, text string)
}

// OverflowRecorder is a Recorder that wants to know of points which a router
// merged into one because it ran out of attribute sets (otel.metric.overflow):
// their operations are lost, which only the router's settings can mend.
type OverflowRecorder interface {
	RecordOverflow(at time.Time)
}
