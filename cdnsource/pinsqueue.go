package cdnsource

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/planwarm/planwarm/manifest"
)

// pinsUpdate is one caller's change on its way.
type pinsUpdate struct {
	ctx    context.Context
	change func(*manifest.Pins) error
	// verdict is what change said on the newest state.
	verdict error

	done chan struct{}
	pins manifest.Pins
	err  error
}

// pinsQueue gathers the changes of one graph in this process. Who holds the
// turn writes everything that has come in until then.
type pinsQueue struct {
	turn    chan struct{}
	mu      sync.Mutex
	pending []*pinsUpdate
}

func (s *Store) queue(graph manifest.Graph) *pinsQueue {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.queues[graph]
	if !ok {
		q = &pinsQueue{turn: make(chan struct{}, 1)}
		s.queues[graph] = q
	}
	return q
}

func (q *pinsQueue) add(u *pinsUpdate) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending = append(q.pending, u)
}

// take returns what has come in, without the updates of callers who have left:
// nothing of theirs was written, and they are told so.
func (q *pinsQueue) take() []*pinsUpdate {
	q.mu.Lock()
	defer q.mu.Unlock()
	var batch []*pinsUpdate
	for _, u := range q.pending {
		if u.ctx.Err() == nil {
			batch = append(batch, u)
			continue
		}
		u.err = context.Cause(u.ctx)
		close(u.done)
	}
	q.pending = nil
	return batch
}

// remove takes back an update that no batch has yet.
func (q *pinsQueue) remove(u *pinsUpdate) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.pending, u)
	if i < 0 {
		return false
	}
	q.pending = slices.Delete(q.pending, i, i+1)
	return true
}

// writeBatch runs a batch under a context that ends when all its callers have
// gone, so that the one who happens to write cannot cancel the others.
func (s *Store) writeBatch(ctx context.Context, graph manifest.Graph, k keys, batch []*pinsUpdate) {
	shared, cancel := context.WithTimeout(context.WithoutCancel(ctx), updateTimeout)
	defer cancel()
	var left atomic.Int64
	left.Store(int64(len(batch)))
	for _, u := range batch {
		stop := context.AfterFunc(u.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		})
		defer stop()
	}
	s.applyPins(shared, graph, k, batch)
}

// finish tells every caller of a batch: its own change's refusal, or the fate of the write.
func finish(batch []*pinsUpdate, pins manifest.Pins, err error) {
	for _, u := range batch {
		u.pins, u.err = pins, err
		if err == nil && !errors.Is(u.verdict, ErrUnchanged) {
			u.err = u.verdict
		}
		close(u.done)
	}
}
