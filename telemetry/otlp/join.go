package otlp

import (
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/planwarm/planwarm/telemetry"
)

// The join buffer holds one request for each entry. Batches of one router
// hold some 20 requests, and the halves of one are at most a few batches apart.
const (
	joinSpans = 8192     // waiting plan spans, and as many waiting texts
	joinBytes = 16 << 20 // of waiting texts
)

// joinKey is what the two spans of a request have in common. The instance
// keeps a sender from naming another's traces.
type joinKey struct {
	trace    [16]byte
	parent   [8]byte
	instance string
}

type joinText struct{ text, name, planKey string }

// joinBuffer pairs operations with texts that come in any order. Halves that
// nobody fetches fall out, oldest first. It is not safe for concurrent use.
type joinBuffer struct {
	plans    *simplelru.LRU[joinKey, telemetry.Operation]
	texts    *simplelru.LRU[joinKey, joinText]
	bytes    int
	maxBytes int
}

func newJoinBuffer(spans, maxBytes int) *joinBuffer {
	j := &joinBuffer{maxBytes: maxBytes}
	// The constructor fails for a size that is not positive only.
	j.plans, _ = simplelru.NewLRU[joinKey, telemetry.Operation](max(spans, 1), nil)
	j.texts, _ = simplelru.NewLRU(max(spans, 1), func(_ joinKey, t joinText) { j.bytes -= len(t.text) })
	return j
}

// plan gives the text of the request that op belongs to, or keeps op until it comes.
func (j *joinBuffer) plan(key joinKey, op telemetry.Operation) (text string, ok bool) {
	if t, found := j.texts.Get(key); found && t.belongs(op) {
		j.texts.Remove(key)
		return t.text, true
	}
	j.plans.Add(key, op)
	return "", false
}

// text gives the operation that t is the text of, or keeps t until it comes.
func (j *joinBuffer) text(key joinKey, t joinText) (op telemetry.Operation, ok bool) {
	if op, found := j.plans.Get(key); found && t.belongs(op) {
		j.plans.Remove(key)
		return op, true
	}
	j.texts.Remove(key) // or its bytes would be counted for ever: Add replaces in silence
	j.texts.Add(key, t)
	j.bytes += len(t.text)
	for j.bytes > j.maxBytes {
		j.texts.RemoveOldest()
	}
	return telemetry.Operation{}, false
}

// belongs guards against a request of several operations, whose spans share
// one parent: a text under a wrong hash would be worse than none.
func (t joinText) belongs(op telemetry.Operation) bool {
	return t.name == op.Name && (t.planKey == "" || op.PlanKey == "" || t.planKey == op.PlanKey)
}
