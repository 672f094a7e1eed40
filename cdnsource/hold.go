package cdnsource

import (
	"context"
	"errors"
	"fmt"

	"github.com/planwarm/planwarm/manifest"
)

// Rollback publishes the operations of an older version as a new one and
// holds the graph there, so that no recompute replaces it until Hold lifts it.
func (s *Store) Rollback(ctx context.Context, graph manifest.Graph, sequence uint64) (manifest.Manifest, error) {
	old, err := s.Version(ctx, graph, sequence)
	if err != nil {
		return manifest.Manifest{}, fmt.Errorf("roll back to version %d: %w", sequence, err)
	}
	m, err := s.publish(ctx, publication{graph: graph, rollback: true, build: func(context.Context, Pointer) (manifest.Manifest, error) {
		return old, nil
	}})
	if err != nil {
		return manifest.Manifest{}, fmt.Errorf("roll back to version %d: %w", sequence, err)
	}
	return m, nil
}

// Hold keeps a graph at the version in force, or lifts that. It returns the pointer.
func (s *Store) Hold(ctx context.Context, graph manifest.Graph, on bool) (Pointer, error) {
	k, err := s.keys(graph)
	if err != nil {
		return Pointer{}, fmt.Errorf("set hold: %w", err)
	}
	for attempt := range s.attempts {
		if perr := pause(ctx, attempt); perr != nil {
			return Pointer{}, fmt.Errorf("set hold: %w", errors.Join(err, perr))
		}
		// What is wanted is a state, so reading it is also how a write whose
		// answer got lost is found to have been applied.
		current, rerr := s.readPointer(ctx, k)
		if rerr != nil {
			return Pointer{}, fmt.Errorf("set hold: %w", rerr)
		}
		if current.Hold == on {
			return current, nil
		}
		next := current
		next.Hold, next.Nonce, next.MovedAt = on, s.nonce(), s.now().UTC()
		if err = s.writePointer(ctx, k, current, next); err == nil {
			return s.readPointer(ctx, k)
		}
		if !retryable(err) {
			break
		}
	}
	return Pointer{}, fmt.Errorf("set hold: %w", err)
}
