package otlp

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/planwarm/planwarm/telemetry"
)

const (
	hiveSpans    = 64        // kept of one trace; the subgraph calls of an execution are one
	hiveSpanSize = 192       // of one without its strings
	hivePlans    = 1024      // in a gateway's cache
	hivePlanLife = time.Hour // in a gateway's cache, from when it was planned
	hiveLoads    = 64        // schema loads remembered of one gateway
)

// hiveSpan is what matters of one span.
type hiveSpan struct {
	kind       hiveKind
	id, parent [8]byte
	start      uint64
	request    requestOperation
}

// hiveTrace gathers the spans of one trace.
type hiveTrace struct {
	at    time.Time // of the last arrival
	to    telemetry.Recorder
	spans []hiveSpan
	bytes int // of the spans
}

// add keeps a span unless it is known; of the subgraph calls of an execution
// only the first is, whichever order they come in.
func (t *hiveTrace) add(n hiveSpan) bool {
	for i := range t.spans {
		k := &t.spans[i]
		if k.kind != n.kind {
			continue
		}
		if n.kind == hiveSubgraph && k.parent == n.parent {
			k.start = min(k.start, n.start)
			return true
		}
		if n.kind != hiveSubgraph && k.id == n.id {
			return false
		}
	}
	if len(t.spans) >= hiveSpans {
		return false
	}
	t.spans = append(t.spans, n)
	t.bytes += hiveSpanSize + n.request.size()
	return true
}

// find returns the span of a kind that is accepted by ok.
func (t *hiveTrace) find(kind hiveKind, ok func(*hiveSpan) bool) *hiveSpan {
	for i := range t.spans {
		if k := &t.spans[i]; k.kind == kind && ok(k) {
			return k
		}
	}
	return nil
}

// hiveRequest is one operation of a trace, put together.
type hiveRequest struct {
	at        time.Time
	to        telemetry.Recorder
	key       joinKey
	span      [8]byte // of the operation
	start     uint64
	operation requestOperation // with the text minified
	raw       string           // the text as it was sent, "" when it is not known
	gap       time.Duration    // -1 when no subgraph was called
}

// compare orders requests by their start; ids make equal ones a fixed order.
func (r hiveRequest) compare(o hiveRequest) int {
	return cmp.Or(cmp.Compare(r.start, o.start), bytes.Compare(r.key.trace[:], o.key.trace[:]), bytes.Compare(r.span[:], o.span[:]))
}

// requests puts together the operations of a trace: a request may be a batch.
func (t *hiveTrace) requests(key joinKey) (out []hiveRequest) {
	for i := range t.spans {
		op := &t.spans[i]
		if op.kind != hiveOperation {
			continue
		}
		r := hiveRequest{at: t.at, to: t.to, key: key, span: op.id, start: op.start, operation: op.request, gap: -1}
		below := func(s *hiveSpan) bool { return s.parent == op.id }
		if p := t.find(hiveParse, below); p != nil {
			r.raw = p.request.text
		}
		if h := t.find(hiveHTTP, func(s *hiveSpan) bool { return s.id == op.parent }); h != nil {
			r.operation.op.Client = h.request.op.Client
		}
		if x := t.find(hiveExecute, below); x != nil {
			first := t.find(hiveSubgraph, func(s *hiveSpan) bool { return s.parent == x.id })
			if first != nil && first.start >= x.start && first.start-x.start <= math.MaxInt64 {
				r.gap = time.Duration(first.start - x.start)
			}
		}
		out = append(out, r)
	}
	return out
}

// hiveCache follows the plan cache of one gateway.
type hiveCache struct {
	plans *simplelru.LRU[uint64, uint64] // when it was planned, by the digest of the text
	loads []uint64                       // times of schema loads, in order
}

func newHiveCache() *hiveCache {
	c := new(hiveCache)
	// The constructor fails for a size that is not positive only.
	c.plans, _ = simplelru.NewLRU[uint64, uint64](hivePlans, nil)
	return c
}

// load notes that the gateway lost its plans.
func (c *hiveCache) load(at uint64) {
	i, known := slices.BinarySearch(c.loads, at)
	if known {
		return
	}
	c.loads = slices.Insert(c.loads, i, at)
	if len(c.loads) > hiveLoads {
		c.loads = slices.Delete(c.loads, 0, 1)
	}
}

// holds tells whether the plan of a text was there at a time, and if not that
// it is from then on.
func (c *hiveCache) holds(text string, at uint64) bool {
	d := xxhash.Sum64String(text)
	if planned, ok := c.plans.Get(d); ok && !c.lost(planned, at) {
		return true
	}
	c.plans.Add(d, at)
	return false
}

// lost tells whether a plan was gone at a time.
func (c *hiveCache) lost(planned, at uint64) bool {
	if at > planned && at-planned >= uint64(hivePlanLife) {
		return true
	}
	i, _ := slices.BinarySearch(c.loads, planned)
	return i < len(c.loads) && c.loads[i] <= at
}
