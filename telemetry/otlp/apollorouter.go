package otlp

import (
	"strings"
	"sync"
	"time"

	"github.com/planwarm/planwarm/telemetry"
)

// Names that Apollo Router gives its spans.
const (
	apolloRouterSupergraph = "supergraph"
	apolloRouterPlanning   = "query_planning"
	apolloRouterProcess    = "process_and_plan"
	apolloRouterJob        = "compute_job"
)

// ApolloRouter is the Mapping of Apollo Router, which has to be told to put
// graphql.document on its supergraph spans.
//
// A planning span is written for hits too and does not say which it is; one
// with a compute job below it is a miss. Newer versions have a span between
// the two. Three or four spans of a request meet here in any order: the
// operation with its planning is an execution, and with the job a sample. The
// parsing of an operation is a compute job as well, but not below planning.
// The router's own warm-up has no supergraph span, and so counts for nothing.
type ApolloRouter struct {
	spansOnly
	mu         sync.Mutex
	operations *waiting[joinKey, requestOperation] // by their own span
	plannings  *waiting[joinKey, planning]         // by the supergraph span
	planned    *waiting[joinKey, plannedOperation] // by the planning span
	processes  *waiting[joinKey, [8]byte]          // the planning span, by their own span
	jobs       *waiting[joinKey, struct{}]         // by the span above them
}

// plannedOperation is a planning that found its operation.
type plannedOperation struct {
	planning  planning
	operation requestOperation
}

var _ Mapping = (*ApolloRouter)(nil)

// NewApolloRouter returns the mapping with an empty join buffer.
func NewApolloRouter() *ApolloRouter {
	return &ApolloRouter{
		operations: newWaiting[joinKey](joinSpans, requestOperation.size),
		plannings:  newWaiting[joinKey](joinSpans, noBytes[planning]),
		planned:    newWaiting[joinKey](joinSpans, func(p plannedOperation) int { return p.operation.size() }),
		processes:  newWaiting[joinKey](joinSpans, noBytes[[8]byte]),
		jobs:       newWaiting[joinKey](joinSpans, noBytes[struct{}]),
	}
}

// WantSpan implements Mapping.
func (*ApolloRouter) WantSpan(_, name string) bool {
	switch name {
	case apolloRouterSupergraph, apolloRouterPlanning, apolloRouterProcess, apolloRouterJob:
		return true
	}
	return false
}

// Span implements Mapping.
func (m *ApolloRouter) Span(at time.Time, s *Span, to telemetry.Recorder) (Outcome, error) {
	own := joinKey{trace: s.TraceID, parent: s.SpanID, instance: strings.Clone(s.Instance)}
	above := own
	above.parent = s.ParentSpanID
	var events []telemetry.Span
	m.mu.Lock()
	outcome, err := m.join(own, above, s, &events)
	m.mu.Unlock()
	for _, e := range events {
		to.Span(at, e)
	}
	return outcome, err
}

// join takes in one span and appends the events that it completes; m.mu is held.
func (m *ApolloRouter) join(own, above joinKey, s *Span, events *[]telemetry.Span) (Outcome, error) {
	switch s.Name {
	case apolloRouterSupergraph:
		r := readOperation(s.Attributes)
		if r.text == "" {
			return Unattributed, nil
		}
		if p, ok := m.plannings.take(own); ok {
			m.execution(own, plannedOperation{p, r}, events)
		} else {
			m.operations.put(own, r)
		}
	case apolloRouterPlanning:
		p, err := newPlanning(s)
		if err != nil {
			return 0, err
		}
		if r, ok := m.operations.take(above); ok {
			m.execution(above, plannedOperation{p, r}, events)
		} else {
			m.plannings.put(above, p)
		}
	case apolloRouterProcess:
		if _, ok := m.jobs.take(own); ok {
			m.job(above, events)
		} else {
			m.processes.put(own, above.parent)
		}
	case apolloRouterJob:
		if plan, ok := m.processes.take(above); ok {
			above.parent = plan
		}
		m.job(above, events)
	}
	return Taken, nil
}

// execution is called for a planning that met its operation.
func (m *ApolloRouter) execution(at joinKey, p plannedOperation, events *[]telemetry.Span) {
	e := p.planning.sample(p.operation)
	e.Hit, e.Counted, e.Duration = true, false, 0
	*events = append(*events, e)
	at.parent = p.planning.span
	if _, ok := m.jobs.take(at); ok {
		*events = append(*events, p.sample())
	} else {
		m.planned.put(at, p)
	}
}

// job is called for a compute job below what may be a planning span.
func (m *ApolloRouter) job(above joinKey, events *[]telemetry.Span) {
	if p, ok := m.planned.take(above); ok {
		*events = append(*events, p.sample())
	} else {
		m.jobs.put(above, struct{}{})
	}
}

// sample is the planning time. The table knows an event by its span, and the
// planning span is the execution already: the sample gets an id made from it.
func (p plannedOperation) sample() telemetry.Span {
	e := p.planning.sample(p.operation)
	for i := range e.SpanID {
		e.SpanID[i] = ^e.SpanID[i]
	}
	return e
}
