package otlp

import (
	"strings"
	"sync"
	"time"

	"github.com/planwarm/planwarm/telemetry"
)

// Names that Apollo Gateway gives its spans.
const (
	apolloGatewayPlan    = "gateway.plan"
	apolloGatewayRequest = "gateway.request"
)

// ApolloGateway is the Mapping of Apollo Gateway, which has to be told
// telemetry.includeDocument.
//
// Every request has a request span with the text as it was sent, and that is
// what its plan cache keys on. A plan span is written for a cache miss only. It
// is a child of the request span, ends before it, and may be in another batch.
type ApolloGateway struct {
	spansOnly
	mu       sync.Mutex
	plans    *waiting[joinKey, planning]
	requests *waiting[joinKey, requestOperation]
}

var _ Mapping = (*ApolloGateway)(nil)

// NewApolloGateway returns the mapping with an empty join buffer.
func NewApolloGateway() *ApolloGateway {
	return &ApolloGateway{
		plans:    newWaiting[joinKey](joinSpans, noBytes[planning]),
		requests: newWaiting[joinKey](joinSpans, requestOperation.size),
	}
}

// WantSpan implements Mapping.
func (*ApolloGateway) WantSpan(_, name string) bool {
	return name == apolloGatewayPlan || name == apolloGatewayRequest
}

// Span implements Mapping.
func (g *ApolloGateway) Span(at time.Time, s *Span, to telemetry.Recorder) (Outcome, error) {
	if s.Name == apolloGatewayPlan {
		return g.plan(at, s, to)
	}
	r := readOperation(s.Attributes)
	if r.text == "" {
		return Unattributed, nil
	}
	to.Span(at, r.execution(s))
	key := joinKey{trace: s.TraceID, parent: s.SpanID, instance: strings.Clone(s.Instance)}
	g.mu.Lock()
	p, planned := g.plans.take(key)
	if !planned {
		g.requests.put(key, r)
	}
	g.mu.Unlock()
	if planned {
		to.Span(at, p.sample(r))
	}
	return Taken, nil
}

func (g *ApolloGateway) plan(at time.Time, s *Span, to telemetry.Recorder) (Outcome, error) {
	p, err := newPlanning(s)
	if err != nil {
		return 0, err
	}
	key := joinKey{trace: s.TraceID, parent: s.ParentSpanID, instance: strings.Clone(s.Instance)}
	g.mu.Lock()
	r, known := g.requests.take(key)
	if !known {
		g.plans.put(key, p)
	}
	g.mu.Unlock()
	if known {
		to.Span(at, p.sample(r))
	}
	return Taken, nil
}
