package otlp

import (
	"strings"
	"sync"
	"time"

	"github.com/planwarm/planwarm/telemetry"
)

// Names that Hive Router gives its spans.
const (
	hiveRouterPlan      = "graphql.plan"
	hiveRouterOperation = "graphql.operation"
)

// HiveRouter is the Mapping of Hive Router.
//
// A plan span says whether the plan was in the cache, the operation span above
// it has the text, or only the hash where the exporter strips it. An operation
// is known by its text, since the hash leaves out the order of fields.
//
// Hive Gateway has operation spans of the same name; the scope tells them apart.
type HiveRouter struct {
	spansOnly
	mu         sync.Mutex
	plans      *waiting[joinKey, planning]
	operations *waiting[joinKey, requestOperation]
}

var _ Mapping = (*HiveRouter)(nil)

// NewHiveRouter returns the mapping with an empty join buffer.
func NewHiveRouter() *HiveRouter {
	return &HiveRouter{
		plans:      newWaiting[joinKey](joinSpans, noBytes[planning]),
		operations: newWaiting[joinKey](joinSpans, requestOperation.size),
	}
}

// WantSpan implements Mapping.
func (*HiveRouter) WantSpan(scope, name string) bool {
	return scope != hiveGatewayScope && (name == hiveRouterPlan || name == hiveRouterOperation)
}

// Span implements Mapping.
func (m *HiveRouter) Span(at time.Time, s *Span, to telemetry.Recorder) (Outcome, error) {
	key := joinKey{trace: s.TraceID, instance: strings.Clone(s.Instance)}
	if s.Name == hiveRouterOperation {
		r := readOperation(s.Attributes)
		if r.text == "" {
			if r.op.Hash = r.op.SourceHash; r.op.Hash == "" {
				return Unattributed, nil
			}
		}
		key.parent = s.SpanID
		m.mu.Lock()
		p, ok := m.plans.take(key)
		if !ok {
			m.operations.put(key, r)
		}
		m.mu.Unlock()
		if ok {
			to.Span(at, p.event(r))
		}
		return Taken, nil
	}
	p, err := newPlanning(s)
	if err != nil {
		return 0, err
	}
	var known bool
	for i := range s.Attributes {
		if a := &s.Attributes[i]; a.Key == "cache.hit" {
			p.hit, known = a.Bool()
		}
	}
	if !known {
		return Unattributed, nil
	}
	key.parent = s.ParentSpanID
	m.mu.Lock()
	r, ok := m.operations.take(key)
	if !ok {
		m.plans.put(key, p)
	}
	m.mu.Unlock()
	if ok {
		to.Span(at, p.event(r))
	}
	return Taken, nil
}

// event is the one event of a request whose plan span says all.
func (p planning) event(r requestOperation) telemetry.Span {
	e := p.sample(r)
	e.Hit, e.Counted = p.hit, false
	return e
}
