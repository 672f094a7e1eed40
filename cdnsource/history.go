package cdnsource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/planwarm/planwarm/manifest"
)

// maxPruned bounds how many versions one call removes.
const maxPruned = 200

// VersionInfo is one line of a graph's history.
type VersionInfo struct {
	Sequence uint64
	Size     int64
	Modified time.Time
	// InForce marks the version that the pointer names; Pending one above it,
	// which the next publication puts in force or passes by.
	InForce, Pending bool
}

// History returns up to n versions, newest first, and the pointer. n of 0 means all that are kept.
func (s *Store) History(ctx context.Context, graph manifest.Graph, n int) ([]VersionInfo, Pointer, error) {
	k, err := s.keys(graph)
	if err != nil {
		return nil, Pointer{}, fmt.Errorf("read history: %w", err)
	}
	p, err := s.readPointer(ctx, k)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, Pointer{}, fmt.Errorf("read history: %w", err)
	}
	listed, err := s.listAll(ctx, k.versions(), "")
	if err != nil {
		return nil, Pointer{}, fmt.Errorf("read history: %w", err)
	}
	var out []VersionInfo
	for _, entry := range listed {
		if seq, ok := k.sequenceOf(entry.Key); ok {
			out = append(out, VersionInfo{Sequence: seq, Size: entry.Size, Modified: entry.Modified,
				InForce: seq == p.Sequence, Pending: seq > p.Sequence})
		}
	}
	if len(out) == 0 && p.Sequence == 0 {
		return nil, Pointer{}, fmt.Errorf("read history: %w", ErrNotFound)
	}
	slices.SortFunc(out, func(a, b VersionInfo) int {
		if a.Sequence > b.Sequence {
			return -1
		}
		return 1
	})
	if n > 0 && len(out) > n {
		out = out[:n]
	}
	return out, p, nil
}

// Prune removes versions that lie more than the retention behind the pointer
// and are older than the minimal age. It returns how many it removed.
func (s *Store) Prune(ctx context.Context, graph manifest.Graph) (int, error) {
	k, err := s.keys(graph)
	if err != nil {
		return 0, fmt.Errorf("prune versions: %w", err)
	}
	versions, p, err := s.History(ctx, graph, 0)
	if err != nil {
		return 0, fmt.Errorf("prune versions: %w", err)
	}
	removed := 0
	oldest := s.now().Add(-s.minAge)
	for _, v := range slices.Backward(versions) {
		if removed == maxPruned || p.Sequence < s.retention || v.Sequence > p.Sequence-s.retention {
			break
		}
		if v.Modified.After(oldest) {
			continue
		}
		if err := s.repeat(ctx, func() error { return s.bucket.Delete(ctx, k.version(v.Sequence)) }); err != nil {
			return removed, fmt.Errorf("prune versions: %w", err)
		}
		removed++
	}
	return removed, nil
}

// pruneQuietly prunes after a publication, which has succeeded whatever comes of it.
func (s *Store) pruneQuietly(ctx context.Context, graph manifest.Graph) {
	removed, err := s.Prune(ctx, graph)
	if err != nil {
		s.log.Warn("versions not pruned", zap.Stringer("graph", graph), zap.Error(err))
		return
	}
	if removed > 0 {
		s.log.Debug("versions pruned", zap.Stringer("graph", graph), zap.Int("versions", removed))
	}
}
