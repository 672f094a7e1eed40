package otlp

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/planwarm/planwarm/telemetry"
)

// Attributes that name a client where a router was told to write them. Without
// them planwarm's own requests cannot be told from demand.
const (
	clientName          = "client.name"
	clientVersion       = "client.version"
	apolloClientName    = "apollographql-client-name"
	apolloClientVersion = "apollographql-client-version"
)

// requestOperation is what a span says of the operation of its request, in the
// attributes that routers have in common.
type requestOperation struct {
	op   telemetry.Operation
	text string // as the client sent it, or nearly
}

// readOperation reads the operation out of attributes. What it returns
// outlives them.
func readOperation(as Attributes) (r requestOperation) {
	for i := range as {
		a := &as[i]
		switch a.Key {
		case "graphql.document":
			if a.Kind == KindString && len(a.Text) <= maxText && utf8.ValidString(a.Text) {
				r.text = strings.Clone(a.Text)
			}
		case "graphql.operation.name":
			r.op.Name = kept(a)
		case "graphql.operation.type":
			r.op.Type = kept(a)
		case "hive.graphql.operation.hash":
			r.op.SourceHash = kept(a)
		case "hive.client.name", clientName, apolloClientName:
			r.op.Client.Name = kept(a)
		case "hive.client.version", clientVersion, apolloClientVersion:
			r.op.Client.Version = kept(a)
		}
	}
	return r
}

// kept is name as a copy of its own.
func kept(a *Attribute) string { return strings.Clone(name(a)) }

// size is what the strings of r take in a buffer: names count too, as a sender
// may make them long.
func (r requestOperation) size() int {
	op := &r.op
	return len(r.text) + len(op.SourceHash) + len(op.Name) + len(op.Type) + len(op.Client.Name) + len(op.Client.Version)
}

// execution is the event of one request that found its plan, or whose
// planning is an event of its own.
func (r requestOperation) execution(s *Span) telemetry.Span {
	return telemetry.Span{TraceID: s.TraceID, SpanID: s.SpanID, Op: r.op, Hit: true, Document: r.text}
}

// planning is a planning span that waits for its operation.
type planning struct {
	trace [16]byte
	span  [8]byte
	hit   bool
	took  time.Duration
}

func newPlanning(s *Span) (planning, error) {
	if s.Start == 0 || s.End < s.Start || s.End-s.Start > math.MaxInt64 {
		return planning{}, fmt.Errorf("%w: planning span that ends before it starts", ErrMalformed)
	}
	return planning{trace: s.TraceID, span: s.SpanID, took: time.Duration(s.End - s.Start)}, nil
}

// sample is the event of a plan whose execution is an event of its own.
func (p planning) sample(r requestOperation) telemetry.Span {
	return telemetry.Span{TraceID: p.trace, SpanID: p.span, Op: r.op, Duration: p.took, Document: r.text, Counted: true}
}
