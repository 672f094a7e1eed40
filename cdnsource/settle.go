package cdnsource

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/planwarm/planwarm/manifest"
)

// maxRepairs bounds how many unreadable claims are looked at for one repair.
const maxRepairs = 8

// settle returns the pointer, moved forward to the newest claim that is above
// it, and the highest number that is taken. A held pointer stays where it is.
// The pointer is the zero value for a graph without versions.
func (s *Store) settle(ctx context.Context, graph manifest.Graph, k keys) (base Pointer, top uint64, err error) {
	for attempt := range s.attempts {
		if perr := pause(ctx, attempt); perr != nil {
			return Pointer{}, 0, fmt.Errorf("settle pointer: %w", errors.Join(err, perr))
		}
		if base, err = s.readPointer(ctx, k); err != nil && !errors.Is(err, ErrNotFound) {
			return Pointer{}, 0, err
		}
		above, lerr := s.claimsAbove(ctx, k, base.Sequence)
		if lerr != nil {
			return Pointer{}, 0, lerr
		}
		if len(above) == 0 {
			return base, base.Sequence, nil
		}
		top = above[len(above)-1]
		if base.Hold {
			return base, top, nil
		}
		var repaired Pointer
		repaired, err = s.repair(ctx, graph, k, base, above)
		if err == nil {
			return repaired, top, nil
		}
		if !retryable(err) {
			return Pointer{}, 0, err
		}
	}
	return Pointer{}, 0, err
}

// claimsAbove lists the numbers that are taken above the pointer, ascending.
func (s *Store) claimsAbove(ctx context.Context, k keys, sequence uint64) ([]uint64, error) {
	listed, err := s.listAll(ctx, k.versions(), k.version(sequence))
	if err != nil {
		return nil, err
	}
	var out []uint64
	for _, entry := range listed {
		if n, ok := k.sequenceOf(entry.Key); ok && n > sequence {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// repair completes what a publisher left between its claim and the pointer:
// the newest readable claim comes into force.
func (s *Store) repair(ctx context.Context, graph manifest.Graph, k keys, base Pointer, above []uint64) (Pointer, error) {
	for i := len(above) - 1; i >= 0 && i >= len(above)-maxRepairs; i-- {
		obj, err := s.get(ctx, k.version(above[i]), manifest.MaxBytes)
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrTooLarge) {
			continue
		}
		if err != nil {
			return Pointer{}, fmt.Errorf("repair pointer: %w", err)
		}
		m, err := decodeVersion(obj.Body, graph, above[i])
		if err != nil {
			s.log.Warn("claimed version cannot be read", zap.Stringer("graph", graph),
				zap.Uint64("sequence", above[i]), zap.Error(err))
			continue
		}
		next := pointerTo(m, obj.Body)
		next.Nonce, next.MovedAt = s.nonce(), s.now().UTC()
		if err := s.writePointer(ctx, k, base, next); err != nil {
			return Pointer{}, err
		}
		s.log.Info("pointer repaired", zap.Stringer("graph", graph), zap.Uint64("sequence", next.Sequence))
		return s.readPointer(ctx, k)
	}
	return base, nil // nothing readable above: the pointer stays, the numbers are taken
}

// readPointer reads latest.json.
func (s *Store) readPointer(ctx context.Context, k keys) (Pointer, error) {
	obj, err := s.get(ctx, k.pointer(), maxPointerBytes)
	if err != nil {
		return Pointer{}, fmt.Errorf("read pointer: %w", err)
	}
	p, err := decodePointer(obj.Body)
	if err != nil {
		return Pointer{}, err
	}
	p.ETag = obj.ETag
	return p, nil
}

// writePointer replaces base, or creates the pointer when base was not there.
func (s *Store) writePointer(ctx context.Context, k keys, base, next Pointer) error {
	body, err := next.encode()
	if err != nil {
		return err
	}
	o := PutOptions{IfMatch: base.ETag, IfNoneMatch: base.ETag == "", ContentType: typeJSON, CacheControl: cacheMutable}
	if _, err := s.bucket.Put(ctx, k.pointer(), body, o); err != nil {
		return fmt.Errorf("write pointer: %w", err)
	}
	return nil
}
