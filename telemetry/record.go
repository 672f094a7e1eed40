package telemetry

import (
	"encoding/binary"
	"time"

	"github.com/cespare/xxhash/v2"
)

func hashOf(s string) uint64 { return xxhash.Sum64String(s) }

func newOperation(hash string) *operation {
	return &operation{hash: string(append([]byte(nil), hash...)), newest: -1, searched: -1}
}

// count adds executions and samples of one group to o. The caller holds the lock.
func (t *Table) count(at time.Time, o *operation, group groupID, client Client, executions uint64, h *histogram) bool {
	newest, before := o.newest, len(o.series)
	where := o.arrive(at, t.windowHours, &t.groups)
	layout, sampled := fine, h != nil
	if sampled {
		layout = h.layout
	}
	s := o.find(where, group, layout, sampled)
	if s == nil {
		t.stats.SeriesRefused++
		return false
	}
	size := s.bytes()
	s.clients = s.clients.add(o.client(client), executions)
	if sampled {
		s.histogram.add(*h)
		o.measured = max(o.measured, at.UnixNano())
	}
	// Only this series changed, unless one was added or the window moved on.
	if len(o.series) == before && o.newest == newest {
		t.account(o, o.bytes+s.bytes()-size)
	} else {
		t.account(o, o.seriesSize())
	}
	return true
}

// Span counts one planning span.
func (t *Table) Span(at time.Time, s Span) {
	if !t.identify(&s.Op, s.Document) {
		return
	}
	t.mu.Lock()
	wanted := t.span(at, &s)
	t.mu.Unlock()
	if wanted {
		t.learn(s.Op, s.Document)
	}
}

// span reports whether the text that the span has is wanted.
func (t *Table) span(at time.Time, s *Span) bool {
	t.stats.Spans++
	var id [24]byte
	copy(id[:16], s.TraceID[:])
	copy(id[16:], s.SpanID[:])
	if id != ([24]byte{}) && !t.spans.add(at, xxhash.Sum64(id[:])) {
		t.stats.DuplicateSpans++
		return false
	}
	ns := min(max(int64(s.Duration), 0), maxSum)
	if t.own(s.Op.Client) {
		if !s.Hit {
			t.refresh(at, s.Op.Hash, ns)
		}
		return false
	}
	executions := uint64(1)
	if s.Counted {
		executions = 0
	}
	o := t.access(at, &s.Op, executions)
	if o == nil {
		return false
	}
	if s.Hit {
		t.count(at, o, spanGroup, s.Op.Client, executions, nil)
	} else {
		h := &t.scratch
		*h = histogram{bins: h.bins[:0]}
		h.addSample(ns)
		t.count(at, o, spanGroup, s.Op.Client, executions, h)
	}
	return s.Document != "" && o.text == ""
}

// Requests takes one body of request counts; an equal one within 60 s counts
// once. It reports whether the body was counted.
func (t *Table) Requests(at time.Time, digest [32]byte, rs []Request) bool {
	known := make([]Operation, len(rs))
	for i := range rs {
		known[i] = rs[i].Op
		if rs[i].Failed || !t.identify(&known[i], rs[i].Document) {
			known[i].Hash = ""
		}
	}
	// The body and its digest are one step for a checkpoint: the digest alone
	// would make the router's next attempt a duplicate of what was never counted.
	t.mu.Lock()
	counted := t.bodies.add(at, xxhash.Sum64(digest[:]))
	var wanted []int
	if counted {
		for i := range rs {
			if known[i].Hash != "" && t.request(at, &known[i], &rs[i]) {
				wanted = append(wanted, i)
			}
		}
	} else {
		t.stats.DuplicateBodies++
	}
	t.mu.Unlock()
	for _, i := range wanted {
		t.learn(known[i], rs[i].Document)
	}
	return counted
}

func (t *Table) request(at time.Time, op *Operation, r *Request) bool {
	t.stats.Requests++
	if r.Count == 0 || t.own(op.Client) {
		return false
	}
	n := min(r.Count, maxCount)
	o := t.access(at, op, n)
	if o == nil {
		return false
	}
	t.count(at, o, requestGroup, op.Client, n, nil)
	return r.Document != "" && o.text == ""
}

// RecordOverflow counts a point of attribute sets that a router merged.
func (t *Table) RecordOverflow(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.Overflow++
	if at.After(t.stats.OverflowAt) {
		t.stats.OverflowAt = at
	}
}

// RecordCost tells the planning time that a warm-up saw. It is no demand and no
// sample: it only refreshes what an operation that is in the table costs.
func (t *Table) RecordCost(at time.Time, hash string, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refresh(at, hash, min(max(int64(took), 0), maxSum))
}

func (t *Table) refresh(at time.Time, hash string, ns int64) {
	t.stats.Own++
	if o := t.operations[hash]; o != nil && at.UnixNano() >= o.costAt {
		o.cost, o.costAt = ns, at.UnixNano()
	}
}

// digest is the identity of a text together with the name that chooses from it.
func digest(text, name string) uint64 {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(text) // a Digest never fails
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(text)))
	_, _ = d.Write(n[:])
	_, _ = d.WriteString(name)
	return d.Sum64()
}
