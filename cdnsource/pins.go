package cdnsource

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/planwarm/planwarm/manifest"
)

// Pins returns the pins of a graph and the ETag of their object, by which a
// change is seen cheaply. A graph without them is ErrNotFound.
func (s *Store) Pins(ctx context.Context, graph manifest.Graph) (manifest.Pins, string, error) {
	k, err := s.keys(graph)
	if err != nil {
		return manifest.Pins{}, "", fmt.Errorf("read pins: %w", err)
	}
	return s.readPins(ctx, graph, k)
}

// PinsIfChanged is Pins for a caller that holds what has the ETag known:
// ErrNotModified when that is still the same.
func (s *Store) PinsIfChanged(ctx context.Context, graph manifest.Graph, known string) (manifest.Pins, string, error) {
	k, err := s.keys(graph)
	if err != nil {
		return manifest.Pins{}, "", fmt.Errorf("read pins: %w", err)
	}
	var obj Object
	err = s.repeat(ctx, func() (err error) {
		obj, err = s.bucket.Get(ctx, k.pins(), GetOptions{Limit: manifest.MaxBytes, IfNoneMatch: known})
		return err
	})
	if err != nil {
		return manifest.Pins{}, "", fmt.Errorf("read pins: %w", err)
	}
	return decodePins(graph, obj)
}

// UpdatePins reads the pins, applies change and writes them back; pins that
// are not there yet start empty. It returns what was written, which may hold
// the changes of concurrent callers too: those of one process go into one
// write. When it returns nil the change is in the bucket, once.
//
// change may be called several times, each time on what is newest then. It may
// replace elements of the slices but not write through their pointers. An
// error of it is returned and nothing is written for it; ErrUnchanged is not
// an error.
func (s *Store) UpdatePins(ctx context.Context, graph manifest.Graph, change func(*manifest.Pins) error) (manifest.Pins, error) {
	k, err := s.keys(graph)
	if err != nil {
		return manifest.Pins{}, fmt.Errorf("update pins: %w", err)
	}
	u := &pinsUpdate{ctx: ctx, change: change, done: make(chan struct{})}
	q := s.queue(graph)
	q.add(u)
	select {
	case q.turn <- struct{}{}:
		if ctx.Err() != nil && q.remove(u) {
			<-q.turn // somebody who still waits writes
			return manifest.Pins{}, fmt.Errorf("update pins: %w", context.Cause(ctx))
		}
		if batch := q.take(); len(batch) > 0 {
			s.writeBatch(ctx, graph, k, batch)
		}
		<-q.turn
	case <-u.done:
	case <-ctx.Done():
		if q.remove(u) {
			return manifest.Pins{}, fmt.Errorf("update pins: %w", context.Cause(ctx))
		}
	}
	// Taken into a batch, by this caller or by the one before it: the outcome
	// is near, and leaving now would leave change running behind the caller.
	<-u.done
	if u.err != nil {
		return u.pins, fmt.Errorf("update pins: %w", u.err)
	}
	return u.pins, nil
}

// applyPins writes a batch of changes in one object.
func (s *Store) applyPins(ctx context.Context, graph manifest.Graph, k keys, batch []*pinsUpdate) {
	var mine []string // nonces under which this batch may have been written
	var since uint64  // sequence over which the first of them was
	var err error
	for attempt := range s.attempts + 1 {
		if perr := pause(ctx, attempt); perr != nil {
			err = errors.Join(err, perr)
			break
		}
		current, etag, rerr := s.readPins(ctx, graph, k)
		if errors.Is(rerr, ErrNotFound) {
			current, rerr = manifest.Pins{Format: manifest.PinsFormat, Graph: graph}, nil
		}
		if rerr != nil {
			err = rerr
			break
		}
		if slices.ContainsFunc(mine, func(nonce string) bool { return slices.Contains(current.Recent, nonce) }) {
			finish(batch, current, nil)
			return
		}
		if len(mine) > 0 && current.Sequence >= since+manifest.MaxRecentNonces {
			err = ErrAmbiguous // so many have written since that ours would be forgotten
			break
		}
		if attempt == s.attempts {
			break // the last look only tells whether the last write was applied
		}
		next, changed := applyAll(current, batch)
		if !changed {
			finish(batch, current, nil)
			return
		}
		nonce := s.nonce()
		stamp(&next, nonce)
		var body []byte
		if body, err = manifest.EncodePins(next); err != nil {
			s.applyEach(ctx, graph, k, batch, err)
			return
		}
		o := PutOptions{IfMatch: etag, IfNoneMatch: etag == "", ContentType: typeJSON, CacheControl: cachePrivate}
		if _, err = s.bucket.Put(ctx, k.pins(), body, o); err == nil {
			s.log.Debug("pins written", zap.Stringer("graph", graph), zap.Uint64("sequence", next.Sequence),
				zap.Int("changes", len(batch)), zap.Int("attempts", attempt+1))
			finish(batch, next, nil)
			return
		}
		if !retryable(err) {
			break
		}
		if len(mine) == 0 {
			since = current.Sequence
		}
		mine = append(mine, nonce)
	}
	finish(batch, manifest.Pins{}, err)
}

// applyEach is for a batch whose result cannot be encoded: one change that is
// too large must not fail the others.
func (s *Store) applyEach(ctx context.Context, graph manifest.Graph, k keys, batch []*pinsUpdate, err error) {
	if len(batch) == 1 {
		finish(batch, manifest.Pins{}, err)
		return
	}
	for _, u := range batch {
		s.applyPins(ctx, graph, k, []*pinsUpdate{u})
	}
}

// applyAll applies every change to a copy; one that fails leaves no trace.
func applyAll(current manifest.Pins, batch []*pinsUpdate) (next manifest.Pins, changed bool) {
	next = current
	for _, u := range batch {
		try := next
		try.Pins, try.Deny = slices.Clone(next.Pins), slices.Clone(next.Deny)
		if u.verdict = u.change(&try); u.verdict != nil {
			continue
		}
		next, changed = try, true
	}
	return next, changed
}

// stamp gives a write its identity.
func stamp(p *manifest.Pins, nonce string) {
	p.Sequence++
	p.Nonce = nonce
	recent := append(slices.Clone(p.Recent), nonce)
	p.Recent = recent[max(0, len(recent)-manifest.MaxRecentNonces):]
}

func (s *Store) readPins(ctx context.Context, graph manifest.Graph, k keys) (manifest.Pins, string, error) {
	obj, err := s.get(ctx, k.pins(), manifest.MaxBytes)
	if err != nil {
		return manifest.Pins{}, "", fmt.Errorf("read pins: %w", err)
	}
	return decodePins(graph, obj)
}

func decodePins(graph manifest.Graph, obj Object) (manifest.Pins, string, error) {
	p, err := manifest.DecodePinsBytes(obj.Body)
	if err != nil {
		return manifest.Pins{}, "", fmt.Errorf("decode pins: %w: %w", ErrCorrupt, err)
	}
	if p.Graph != graph {
		return manifest.Pins{}, "", fmt.Errorf("decode pins: %w: another graph than the key says", ErrCorrupt)
	}
	return p, obj.ETag, nil
}
