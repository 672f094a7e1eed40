package warmer

import (
	"slices"
	"sync"
)

// Reason says why something is to be done.
type Reason string

// The reasons.
const (
	ReasonStart    Reason = "start"    // planwarm started
	ReasonPull     Reason = "pull"     // the router fetched its warm-up, so it rebuilds
	ReasonReload   Reason = "reload"   // another sign of a reload
	ReasonSchema   Reason = "schema"   // the schema changed
	ReasonManifest Reason = "manifest" // a new manifest was published
	ReasonPins     Reason = "pins"     // somebody pushed or removed an operation
	ReasonInterval Reason = "interval" // time has passed
	ReasonMisses   Reason = "misses"   // a check found plans missing
	ReasonPerson   Reason = "person"   // somebody asked
)

// rebuilds says whether the router has lost its plans.
func (r Reason) rebuilds() bool {
	return r == ReasonStart || r == ReasonPull || r == ReasonReload
}

// queue coalesces triggers: what arrives while one is being worked on becomes
// one more round, with every reason it was asked for.
type queue struct {
	mu      sync.Mutex
	reasons []Reason
	ready   chan struct{} // holds one token while reasons wait
}

func newQueue() *queue { return &queue{ready: make(chan struct{}, 1)} }

// add asks for a round.
func (q *queue) add(rs ...Reason) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reasons = union(q.reasons, rs)
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take empties the queue.
func (q *queue) take() []Reason {
	q.mu.Lock()
	defer q.mu.Unlock()
	rs := q.reasons
	q.reasons = nil
	return rs
}

// union returns the reasons of both, each once. It changes neither.
func union(a, b []Reason) []Reason {
	out := slices.Clone(a)
	for _, r := range b {
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}
