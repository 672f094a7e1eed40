package cdnsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/planwarm/planwarm/manifest"
)

// CosmoKey is where a Cosmo router's CDN keeps the warm-up of a graph.
func CosmoKey(organization, graphID string) (string, error) {
	if err := CheckName(organization); err != nil {
		return "", fmt.Errorf("organization: %w", err)
	}
	if err := CheckName(graphID); err != nil {
		return "", fmt.Errorf("federated graph id: %w", err)
	}
	return organization + "/" + graphID + "/cache_warmup/operations.json", nil
}

// CopyTo writes a published manifest at CosmoKey, for a CDN that serves the
// bucket as it is. It only ever moves forward: a newer copy stays, and that is
// no error. An object there that is no manifest of this graph is not touched.
func (s *Store) CopyTo(ctx context.Context, organization, graphID string, m manifest.Manifest) error {
	key, err := CosmoKey(organization, graphID)
	if err != nil {
		return fmt.Errorf("copy manifest: %w", err)
	}
	body, err := manifest.Encode(m)
	if err != nil {
		return fmt.Errorf("copy manifest: %w", err)
	}
	k, err := s.keys(m.Graph)
	if err != nil {
		return fmt.Errorf("copy manifest: %w", err)
	}
	for attempt := range s.attempts {
		if perr := pause(ctx, attempt); perr != nil {
			return fmt.Errorf("copy manifest: %w", errors.Join(err, perr))
		}
		there, rerr := s.get(ctx, key, manifest.MaxBytes)
		switch {
		case errors.Is(rerr, ErrNotFound):
		case rerr != nil:
			return fmt.Errorf("copy manifest: %w", rerr)
		case bytes.Equal(there.Body, body):
			return nil
		default:
			old, derr := manifest.DecodeBytes(there.Body)
			if derr != nil || old.Graph != m.Graph {
				return fmt.Errorf("copy manifest: %w: the key holds something else", ErrConflict)
			}
			newer, nerr := s.isNewer(ctx, k, old, m)
			if nerr != nil {
				return fmt.Errorf("copy manifest: %w", nerr)
			}
			if newer {
				return nil
			}
		}
		o := PutOptions{IfMatch: there.ETag, IfNoneMatch: there.ETag == "", ContentType: typeJSON, CacheControl: cacheMutable}
		if _, err = s.bucket.Put(ctx, key, body, o); err == nil {
			return nil
		}
		if !retryable(err) {
			break
		}
	}
	return fmt.Errorf("copy manifest: %w", err)
}

// isNewer says whether a copy is m or a later version of it. One whose number
// the pointer has not reached is of a history under another prefix, whose
// numbers say nothing here.
func (s *Store) isNewer(ctx context.Context, k keys, old, m manifest.Manifest) (bool, error) {
	if old.Sequence <= m.Sequence {
		return old.Sequence == m.Sequence && old.Writer == m.Writer, nil
	}
	p, err := s.readPointer(ctx, k)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && p.Sequence >= old.Sequence, err
}
