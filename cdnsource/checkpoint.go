package cdnsource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/planwarm/planwarm/manifest"
)

// Bounds of checkpoints.
const (
	MaxCheckpointBytes = 64 << 20 // of one instance
	MaxCheckpoints     = 64       // instances read for one graph, the newest
)

const checkpointSuffix = ".bin"

// Checkpoint is what one instance had seen when it saved its telemetry.
type Checkpoint struct {
	Instance string
	Modified time.Time
	Body     []byte
}

// SaveCheckpoint replaces the checkpoint of an instance, which alone writes it.
func (s *Store) SaveCheckpoint(ctx context.Context, graph manifest.Graph, instance string, body []byte) error {
	k, err := s.keys(graph)
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	if err := CheckName(instance); err != nil {
		return fmt.Errorf("save checkpoint: instance: %w", err)
	}
	if len(body) > MaxCheckpointBytes {
		return fmt.Errorf("save checkpoint: %w", ErrTooLarge)
	}
	err = s.repeat(ctx, func() error {
		_, err := s.bucket.Put(ctx, k.checkpoint(instance), body,
			PutOptions{ContentType: "application/octet-stream", CacheControl: cachePrivate})
		return err
	})
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	return nil
}

// Checkpoints visits the checkpoints of all instances of a graph, newest
// first, one in memory at a time. Those beyond the checkpoint age are removed,
// one that is too large or gone meanwhile is passed by. An error of visit ends it.
func (s *Store) Checkpoints(ctx context.Context, graph manifest.Graph, visit func(Checkpoint) error) error {
	k, err := s.keys(graph)
	if err != nil {
		return fmt.Errorf("read checkpoints: %w", err)
	}
	listed, err := s.listAll(ctx, k.telemetry(), "")
	if err != nil {
		return fmt.Errorf("read checkpoints: %w", err)
	}
	slices.SortStableFunc(listed, func(a, b Listed) int { return b.Modified.Compare(a.Modified) })
	oldest := s.now().Add(-s.checkpointAge)
	visited := 0
	for _, entry := range listed {
		instance, ok := strings.CutSuffix(strings.TrimPrefix(entry.Key, k.telemetry()), checkpointSuffix)
		if !ok || CheckName(instance) != nil {
			continue
		}
		if entry.Modified.Before(oldest) {
			if err := s.bucket.Delete(ctx, entry.Key); err != nil {
				s.log.Warn("old checkpoint not removed", zap.Stringer("graph", graph), zap.Error(err))
			}
			continue
		}
		if visited == MaxCheckpoints {
			s.log.Warn("checkpoints left out", zap.Stringer("graph", graph), zap.Int("checkpoints", len(listed)))
			return nil
		}
		obj, err := s.get(ctx, entry.Key, MaxCheckpointBytes)
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrTooLarge) {
			s.log.Warn("checkpoint not read", zap.Stringer("graph", graph), zap.Error(err))
			continue
		}
		if err != nil {
			return fmt.Errorf("read checkpoints: %w", err)
		}
		visited++
		if err := visit(Checkpoint{Instance: instance, Modified: entry.Modified, Body: obj.Body}); err != nil {
			return fmt.Errorf("visit checkpoint: %w", err)
		}
	}
	return nil
}
