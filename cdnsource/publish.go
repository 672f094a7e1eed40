package cdnsource

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/planwarm/planwarm/manifest"
)

// Build decides what to publish over the manifest in force; current is nil
// when there is none that can be read. It returns ErrUnchanged to publish
// nothing, and is called again when another publisher was faster.
type Build = func(ctx context.Context, current *manifest.Manifest) (manifest.Manifest, error)

// publication is one manifest on its way into the bucket.
type publication struct {
	graph manifest.Graph
	keys  keys
	nonce string
	build func(ctx context.Context, base Pointer) (manifest.Manifest, error)
	// rollback publishes over a hold and leaves one.
	rollback bool
}

// Publish writes m as the next version of the graph and puts it in force. It
// returns the manifest as written, with its sequence and writer. A publisher
// that was overtaken at once has still published. After an error the version
// may come into force with the next publication, or never.
func (s *Store) Publish(ctx context.Context, graph manifest.Graph, m manifest.Manifest) (manifest.Manifest, error) {
	return s.publish(ctx, publication{graph: graph, build: func(context.Context, Pointer) (manifest.Manifest, error) {
		return m, nil
	}})
}

// PublishIf publishes what build makes of the manifest in force. When build
// returns ErrUnchanged, so does PublishIf.
func (s *Store) PublishIf(ctx context.Context, graph manifest.Graph, build Build) (manifest.Manifest, error) {
	return s.publish(ctx, publication{graph: graph, build: func(ctx context.Context, base Pointer) (manifest.Manifest, error) {
		if base.Sequence == 0 {
			return build(ctx, nil)
		}
		current, err := s.load(ctx, graph, base)
		if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrTooLarge) {
			// A broken version must not keep a good one from replacing it.
			s.log.Warn("manifest in force cannot be read", zap.Stringer("graph", graph),
				zap.Uint64("sequence", base.Sequence), zap.Error(err))
			return build(ctx, nil)
		}
		if err != nil {
			return manifest.Manifest{}, err
		}
		return build(ctx, &current)
	}})
}

func (s *Store) publish(ctx context.Context, p publication) (manifest.Manifest, error) {
	var err error
	if p.keys, err = s.keys(p.graph); err != nil {
		return manifest.Manifest{}, fmt.Errorf("publish manifest: %w", err)
	}
	p.nonce = s.nonce()
	for attempt := range s.attempts {
		if perr := pause(ctx, attempt); perr != nil {
			return manifest.Manifest{}, fmt.Errorf("publish manifest: %w", errors.Join(err, perr))
		}
		var m manifest.Manifest
		if m, err = s.publishOnce(ctx, p); err == nil {
			s.log.Info("manifest published", zap.Stringer("graph", p.graph), zap.Uint64("sequence", m.Sequence),
				zap.Int("operations", len(m.Operations)), zap.Int("attempts", attempt+1))
			s.pruneQuietly(ctx, p.graph)
			return m, nil
		}
		if !errors.Is(err, ErrConflict) {
			break
		}
	}
	return manifest.Manifest{}, fmt.Errorf("publish manifest: %w", err)
}

// publishOnce builds, claims one number and moves the pointer to it.
// ErrConflict says that another publisher took the number.
func (s *Store) publishOnce(ctx context.Context, p publication) (manifest.Manifest, error) {
	started := s.now()
	base, top, err := s.settle(ctx, p.graph, p.keys)
	if err != nil {
		return manifest.Manifest{}, err
	}
	if base.Hold && !p.rollback {
		return manifest.Manifest{}, ErrHeld
	}
	m, err := p.build(ctx, base)
	if err != nil {
		return manifest.Manifest{}, err
	}
	m.Graph, m.Sequence, m.Writer, m.Signature = p.graph, top+1, p.nonce, nil
	if s.sign != nil {
		if err := s.sign(&m); err != nil {
			return manifest.Manifest{}, fmt.Errorf("sign manifest: %w", err)
		}
	}
	body, err := manifest.Encode(m)
	if err != nil {
		return manifest.Manifest{}, err
	}
	if err := s.claim(ctx, p.keys.version(m.Sequence), body); err != nil {
		return manifest.Manifest{}, err
	}
	next := pointerTo(m, body)
	next.Hold = p.rollback
	return m, s.move(ctx, p, base, next, started)
}

func pointerTo(m manifest.Manifest, body []byte) Pointer {
	sum := sha256.Sum256(body)
	return Pointer{Format: PointerFormat, Sequence: m.Sequence, Writer: m.Writer, SHA256: hex.EncodeToString(sum[:])}
}

// claim creates a version. It is the point at which a publication happens:
// only one publisher can create a key. What is not a clear success is read
// back, since a lost answer turns our own success into a conflict.
func (s *Store) claim(ctx context.Context, key string, body []byte) error {
	var err error
	for attempt := range s.attempts {
		if perr := pause(ctx, attempt); perr != nil {
			return fmt.Errorf("claim version: %w", errors.Join(err, perr))
		}
		_, err = s.bucket.Put(ctx, key, body, PutOptions{IfNoneMatch: true, ContentType: typeJSON, CacheControl: cacheImmutable})
		if err == nil {
			return nil
		}
		if !retryable(err) {
			return fmt.Errorf("claim version: %w", err)
		}
		there, rerr := s.get(ctx, key, manifest.MaxBytes)
		switch {
		case rerr == nil && bytes.Equal(there.Body, body): // the nonce inside makes the bytes ours
			return nil
		case rerr == nil, errors.Is(rerr, ErrTooLarge):
			return fmt.Errorf("claim version: %w", ErrConflict)
		case !errors.Is(rerr, ErrNotFound):
			return fmt.Errorf("claim version: read back: %w", rerr)
		}
		// Absent: it was not applied, or not yet. The same bytes under the
		// same condition cannot be applied twice.
	}
	return fmt.Errorf("claim version: %w", err)
}

// move puts a claimed version in force. Somebody else may have done it, or
// have published on top of it already.
func (s *Store) move(ctx context.Context, p publication, base, next Pointer, started time.Time) error {
	next.Nonce, next.MovedAt = s.nonce(), s.now().UTC()
	var err error
	for attempt := range s.attempts {
		if perr := pause(ctx, attempt); perr != nil {
			return fmt.Errorf("move pointer: %w", errors.Join(err, perr))
		}
		if err = s.writePointer(ctx, p.keys, base, next); err == nil || !retryable(err) {
			return err
		}
		current, rerr := s.readPointer(ctx, p.keys)
		if rerr != nil && !errors.Is(rerr, ErrNotFound) {
			return fmt.Errorf("move pointer: read back: %w", rerr)
		}
		same := current.Sequence == next.Sequence && current.Writer == next.Writer
		switch {
		case current.Nonce == next.Nonce, same && current.Hold == next.Hold:
			return nil
		case same && !p.rollback:
			return nil // in force, and held since
		case !same && current.Sequence >= next.Sequence:
			return s.overtaken(p, started)
		case current.Hold && !p.rollback:
			return ErrHeld
		}
		base = current
	}
	return fmt.Errorf("move pointer: %w", err)
}

// overtaken decides about a claim that lies behind the pointer. It was in
// force for a moment, unless it is so old that its number had been taken,
// passed and pruned before it was claimed. A rollback that was overtaken is
// not in force, and must be.
func (s *Store) overtaken(p publication, started time.Time) error {
	if p.rollback || s.now().Sub(started) > s.minAge/2 {
		return fmt.Errorf("move pointer: %w", ErrConflict)
	}
	return nil
}
