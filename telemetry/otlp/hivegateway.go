package otlp

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/planwarm/planwarm/telemetry"
)

// Names that Hive Gateway gives its spans. A span of an operation or a
// subgraph call has the name of it behind a space, a request span its path.
const (
	hiveGatewayScope     = "gateway"
	hiveGatewaySchema    = "gateway.schema"
	hiveGatewayOperation = "graphql.operation"
	hiveGatewayParse     = "graphql.parse"
	hiveGatewayExecute   = "graphql.execute"
	hiveGatewaySubgraph  = "subgraph.execute"
)

// HiveGateway is the Mapping of Hive Gateway.
//
// It has no span for planning: what comes nearest is the time from the start
// of the execution to its first call of a subgraph, to the millisecond. No
// span says which call is the first, or whether the plan was in the cache. So
// the spans of a request are gathered until nothing is heard of it for a
// while, and a request is taken for a miss by what is known of the cache: it
// holds plans by text, for an hour, and loses all with each schema load.
//
// The key is the text that the client sent, which only the parse span has; the
// operation span has it minified. They meet in the same request or, where the
// parse span got lost, by the operation hash that both forms share.
type HiveGateway struct {
	spansOnly
	mu     sync.Mutex
	traces *simplelru.LRU[joinKey, *hiveTrace] // oldest first by when they were last heard of
	bytes  int
	texts  *waiting[string, string] // raw texts by operation hash
	caches *simplelru.LRU[string, *hiveCache]
}

var (
	_ Mapping = (*HiveGateway)(nil)
	_ Settler = (*HiveGateway)(nil)
)

// hiveInstances is how many gateways are told apart.
const hiveInstances = 256

// NewHiveGateway returns the mapping with an empty join buffer.
func NewHiveGateway() *HiveGateway {
	m := &HiveGateway{texts: newWaiting[string](joinSpans, func(s string) int { return len(s) })}
	// The constructors fail for a size that is not positive only.
	m.traces, _ = simplelru.NewLRU[joinKey, *hiveTrace](joinSpans+1, nil)
	m.caches, _ = simplelru.NewLRU[string, *hiveCache](hiveInstances, nil)
	return m
}

// WantSpan implements Mapping.
func (*HiveGateway) WantSpan(scope, name string) bool {
	return scope == hiveGatewayScope && hiveKindOf(name) != hiveOther
}

type hiveKind uint8

const (
	hiveOther hiveKind = iota
	hiveSchema
	hiveHTTP
	hiveOperation
	hiveParse
	hiveExecute
	hiveSubgraph
)

func hiveKindOf(name string) hiveKind {
	first, _, more := strings.Cut(name, " ")
	switch first {
	case hiveGatewaySchema:
		return hiveSchema
	case hiveGatewayOperation:
		return hiveOperation
	case hiveGatewayParse:
		return hiveParse
	case hiveGatewayExecute:
		return hiveExecute
	case hiveGatewaySubgraph:
		return hiveSubgraph
	case "GET", "POST":
		if more {
			return hiveHTTP
		}
	}
	return hiveOther
}

// Span implements Mapping.
func (m *HiveGateway) Span(at time.Time, s *Span, to telemetry.Recorder) (Outcome, error) {
	kind := hiveKindOf(s.Name)
	if kind == hiveSchema {
		m.mu.Lock()
		m.cache(s.Instance).load(s.End)
		m.mu.Unlock()
		return Ignored, nil
	}
	n := hiveSpan{kind: kind, id: s.SpanID, parent: s.ParentSpanID, start: s.Start}
	switch kind {
	case hiveHTTP, hiveOperation, hiveParse:
		n.request = readOperation(s.Attributes)
		if kind == hiveOperation && n.request.text == "" && n.request.op.SourceHash == "" {
			return Unattributed, nil
		}
	}
	key := joinKey{trace: s.TraceID, instance: strings.Clone(s.Instance)}
	m.mu.Lock()
	t, known := m.traces.Get(key)
	if !known {
		t = &hiveTrace{to: to}
		m.traces.Add(key, t)
	}
	t.at = at
	outcome := Ignored
	m.bytes -= t.bytes
	if t.add(n) {
		outcome = Taken
	}
	m.bytes += t.bytes
	var due []hiveRequest
	for m.traces.Len() > joinSpans || m.bytes > joinBytes {
		due = append(due, m.oldest()...)
	}
	events := m.events(due)
	m.mu.Unlock()
	send(events)
	return outcome, nil
}

// Settle implements Settler.
func (m *HiveGateway) Settle(since time.Time) {
	m.mu.Lock()
	var due []hiveRequest
	for {
		_, t, ok := m.traces.GetOldest()
		if !ok || t.at.After(since) {
			break
		}
		due = append(due, m.oldest()...)
	}
	events := m.events(due)
	m.mu.Unlock()
	send(events)
}

// oldest takes the trace that was silent longest; m.mu is held.
func (m *HiveGateway) oldest() []hiveRequest {
	key, t, ok := m.traces.RemoveOldest()
	if !ok {
		return nil
	}
	m.bytes -= t.bytes
	return t.requests(key)
}

// hiveEvent is an event on its way out, which is sent without the lock.
type hiveEvent struct {
	at   time.Time
	to   telemetry.Recorder
	span telemetry.Span
}

func send(events []hiveEvent) {
	for _, e := range events {
		e.to.Span(e.at, e.span)
	}
}

// events turns requests into events, in the order in which they were made: of
// two with one text the first is the miss. m.mu is held.
func (m *HiveGateway) events(due []hiveRequest) []hiveEvent {
	slices.SortFunc(due, hiveRequest.compare)
	var out []hiveEvent
	for _, r := range due {
		hash := r.operation.op.SourceHash
		switch {
		case r.raw != "" && hash != "":
			m.texts.put(hash, r.raw)
		case r.raw == "" && hash != "":
			r.raw, _ = m.texts.peek(hash)
		}
		if r.raw == "" {
			r.raw = r.operation.text
		}
		if r.raw == "" {
			continue
		}
		e := telemetry.Span{TraceID: r.key.trace, SpanID: r.span, Op: r.operation.op, Hit: true, Document: r.raw}
		if r.gap >= 0 {
			e.Duration = r.gap
			e.Hit = m.cache(r.key.instance).holds(r.raw, r.start)
		}
		out = append(out, hiveEvent{r.at, r.to, e})
	}
	return out
}

// cache is what is known of a gateway's plan cache; m.mu is held.
func (m *HiveGateway) cache(instance string) *hiveCache {
	c, ok := m.caches.Get(instance)
	if !ok {
		c = newHiveCache()
		m.caches.Add(strings.Clone(instance), c)
	}
	return c
}
