// Package otlp takes traces and metrics over OTLP (HTTP with protobuf and
// JSON, gRPC, or files of captured bodies) and turns what a router's Mapping
// wants of them into the events of package telemetry.
//
// The decoders read only what is needed, in two passes: the name of a span or
// metric first, its attributes only when somebody wants it. Nothing that they
// hand out outlives the call: strings and slices alias the body or a scratch
// buffer, and a Mapping clones what it keeps.
package otlp

import (
	"errors"
	"math"
	"strconv"

	"github.com/cespare/xxhash/v2"
	"github.com/planwarm/planwarm/telemetry"
)

// Bounds of one body. Beyond them an item is rejected, not cut.
const (
	maxItems      = 1 << 20 // resources, scopes, spans and points together
	maxAttributes = 512     // of one resource, span or point
	maxBuckets    = 4096    // of one histogram point
	maxCount      = 1 << 48 // of one histogram point, so that sums cannot overflow
)

// What is wrong with a body or a part of it.
var (
	ErrMalformed = errors.New("malformed OTLP")
	ErrTooMany   = errors.New("more than the limit of a body")
)

// Encoding of a body.
type Encoding uint8

// The encodings of OTLP.
const (
	Protobuf Encoding = iota
	JSON
)

// String names the encoding by its media type.
func (e Encoding) String() string {
	if e == JSON {
		return "application/json"
	}
	return "application/x-protobuf"
}

// Kind of an attribute's value.
type Kind uint8

// The kinds of values. KindOther is a list, a map or bytes, kept as encoded.
const (
	KindEmpty Kind = iota
	KindString
	KindBool
	KindInt
	KindDouble
	KindOther
)

// Attribute is one attribute of a resource, span or point.
type Attribute struct {
	Key  string
	Kind Kind
	Text string // KindString, KindOther
	Num  uint64 // KindBool, KindInt, KindDouble: the bits
}

// Bool is the value of a boolean attribute, or of one that spells a boolean,
// as an attribute made by an expression does. ok is false for any other.
func (a *Attribute) Bool() (value, ok bool) {
	switch {
	case a.Kind == KindBool:
		return a.Num != 0, true
	case a.Kind == KindString && a.Text == "true":
		return true, true
	case a.Kind == KindString && a.Text == "false":
		return false, true
	}
	return false, false
}

// String is the value as text; "" for lists, maps and bytes.
func (a *Attribute) String() string {
	switch a.Kind {
	case KindString:
		return a.Text
	case KindBool:
		return strconv.FormatBool(a.Num != 0)
	case KindInt:
		return strconv.FormatInt(int64(a.Num), 10)
	case KindDouble:
		return strconv.FormatFloat(math.Float64frombits(a.Num), 'g', -1, 64)
	}
	return ""
}

// Attributes are the attributes of a resource, span or point, as sent.
type Attributes []Attribute

// Get is the value of the attribute called key as text, "" when there is none.
func (as Attributes) Get(key string) string {
	for i := range as {
		if as[i].Key == key {
			return as[i].String()
		}
	}
	return ""
}

// Hash identifies the set of attributes whatever their order.
func (as Attributes) Hash() uint64 {
	var sum uint64
	for i := range as {
		a := &as[i]
		h := xxhash.Sum64String(a.Key)
		h = (h ^ uint64(a.Kind)) * 0x9e3779b97f4a7c15
		h ^= xxhash.Sum64String(a.Text)
		h = (h ^ a.Num) * 0xff51afd7ed558ccd
		// Adding is what makes the order irrelevant; the shift spreads the
		// product, whose low bits depend on few of the input's.
		sum += h ^ h>>32
	}
	return sum
}

// Span is one span. Attributes are read only when its name is wanted.
type Span struct {
	TraceID      [16]byte
	SpanID       [8]byte
	ParentSpanID [8]byte
	Scope, Name  string
	Start, End   uint64 // Unix nanoseconds
	Attributes   Attributes
	Instance     string // of the sender, filled in by the Receiver
}

// HistogramPoint is one point of a histogram, explicit or exponential.
type HistogramPoint struct {
	Metric, Unit string
	Temporality  telemetry.Temporality
	Start, Time  uint64 // Unix nanoseconds
	Count        uint64
	Sum          float64
	Min, Max     float64 // NaN when the point has none
	Bounds       []float64
	Counts       []uint64
	Exponential  *telemetry.Exponential // nil for explicit buckets
	Attributes   Attributes
	Instance     string // of the sender, filled in by the Receiver
	Transport    string // filled in by the Receiver
}

// TraceVisitor takes what DecodeTraces finds. A method must not keep what it
// is given.
type TraceVisitor interface {
	// Resource starts the spans of one sender; false leaves them out.
	Resource(as Attributes) bool
	// WantSpan tells by a span's name, and by the name of the instrumentation
	// scope that it stands in, whether Span wants it.
	WantSpan(scope, name string) bool
	// Span takes a wanted span; an error counts it as rejected.
	Span(s *Span) error
}

// MetricVisitor takes what DecodeMetrics finds. A method must not keep what
// it is given.
type MetricVisitor interface {
	// Resource starts the metrics of one sender; false leaves them out.
	Resource(as Attributes) bool
	// WantMetric tells by a metric's name whether Point wants its points.
	WantMetric(name string) bool
	// Point takes one point of a wanted metric; an error counts it as rejected.
	Point(p *HistogramPoint) error
}

// Result of decoding one body.
type Result struct {
	Items    int   // well-formed spans, or points of wanted metrics
	Rejected int   // parts that were left out as malformed, each counted as one
	Reason   error // why the first of them was
}

func (r *Result) reject(err error) {
	if r.Rejected++; r.Reason == nil {
		r.Reason = err
	}
}
