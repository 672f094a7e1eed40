package cdnsource

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/planwarm/planwarm/manifest"
)

// fetchAttempts bounds how often a fetch follows a pointer that moved while it read.
const fetchAttempts = 3

// Fetch returns the manifest in force and the pointer to it. A graph that was
// never published is ErrNotFound; bytes that are not those the pointer names
// are ErrCorrupt.
func (s *Store) Fetch(ctx context.Context, graph manifest.Graph) (manifest.Manifest, Pointer, error) {
	return s.FetchIfChanged(ctx, graph, Pointer{})
}

// FetchIfChanged is Fetch for a caller that holds what known points to: when
// that is still in force it returns ErrNotModified and the pointer as it is
// now, at the cost of one small request.
func (s *Store) FetchIfChanged(ctx context.Context, graph manifest.Graph, known Pointer) (manifest.Manifest, Pointer, error) {
	k, err := s.keys(graph)
	if err != nil {
		return manifest.Manifest{}, Pointer{}, fmt.Errorf("fetch manifest: %w", err)
	}
	for range fetchAttempts {
		var p Pointer
		if p, err = s.readPointerIfChanged(ctx, k, known); err != nil {
			return manifest.Manifest{}, p, fmt.Errorf("fetch manifest: %w", err)
		}
		if known.Sequence == p.Sequence && known.SHA256 == p.SHA256 {
			return manifest.Manifest{}, p, fmt.Errorf("fetch manifest: %w", ErrNotModified)
		}
		var m manifest.Manifest
		if m, err = s.load(ctx, graph, p); err == nil {
			return m, p, nil
		}
		if !errors.Is(err, ErrNotFound) {
			break
		}
		// Pruned since the pointer was read: the pointer has moved on.
	}
	if errors.Is(err, ErrNotFound) {
		// ErrNotFound is for a graph without versions; this one has lost its own.
		err = fmt.Errorf("%w: version in force is missing", ErrCorrupt)
	}
	return manifest.Manifest{}, Pointer{}, fmt.Errorf("fetch manifest: %w", err)
}

func (s *Store) readPointerIfChanged(ctx context.Context, k keys, known Pointer) (Pointer, error) {
	var obj Object
	err := s.repeat(ctx, func() (err error) {
		obj, err = s.bucket.Get(ctx, k.pointer(), GetOptions{Limit: maxPointerBytes, IfNoneMatch: known.ETag})
		return err
	})
	if errors.Is(err, ErrNotModified) {
		return known, err
	}
	if err != nil {
		return Pointer{}, fmt.Errorf("read pointer: %w", err)
	}
	p, err := decodePointer(obj.Body)
	p.ETag = obj.ETag
	return p, err
}

// load reads the version that a pointer names and proves that it is the one.
func (s *Store) load(ctx context.Context, graph manifest.Graph, p Pointer) (manifest.Manifest, error) {
	k, err := s.keys(graph)
	if err != nil {
		return manifest.Manifest{}, err
	}
	obj, err := s.get(ctx, k.version(p.Sequence), manifest.MaxBytes)
	if err != nil {
		return manifest.Manifest{}, fmt.Errorf("read version: %w", err)
	}
	if sum := sha256.Sum256(obj.Body); hex.EncodeToString(sum[:]) != p.SHA256 {
		return manifest.Manifest{}, fmt.Errorf("read version: %w: SHA-256 differs from the pointer's", ErrCorrupt)
	}
	return decodeVersion(obj.Body, graph, p.Sequence)
}

// Version returns one version of a graph, in force or not.
func (s *Store) Version(ctx context.Context, graph manifest.Graph, sequence uint64) (manifest.Manifest, error) {
	k, err := s.keys(graph)
	if err != nil {
		return manifest.Manifest{}, fmt.Errorf("read version: %w", err)
	}
	obj, err := s.get(ctx, k.version(sequence), manifest.MaxBytes)
	if err != nil {
		return manifest.Manifest{}, fmt.Errorf("read version: %w", err)
	}
	return decodeVersion(obj.Body, graph, sequence)
}

func decodeVersion(body []byte, graph manifest.Graph, sequence uint64) (manifest.Manifest, error) {
	m, err := manifest.DecodeBytes(body)
	if err != nil {
		return manifest.Manifest{}, fmt.Errorf("decode version: %w: %w", ErrCorrupt, err)
	}
	if m.Graph != graph || m.Sequence != sequence {
		return manifest.Manifest{}, fmt.Errorf("decode version: %w: another graph or sequence than its key says", ErrCorrupt)
	}
	return m, nil
}
