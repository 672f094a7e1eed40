package cdnsource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/planwarm/planwarm/manifest"
)

// PendingFormat is the version of the pending object.
const PendingFormat = "planwarm-pending/v1"

const (
	maxPendingBytes = 64 << 10
	maxDeliveries   = 32 // remembered, the newest
	maxDeliveryText = 128
)

// Pending is pending.json: that the schema of a graph was published, and
// whether that has been worked off. There is one for each graph; deliveries
// that come while it is open are one piece of work.
type Pending struct {
	Format     string         `json:"format"`
	Graph      manifest.Graph `json:"graph"`
	Open       bool           `json:"open"`             // there is work left
	Since      time.Time      `json:"since,omitzero"`   // when it was opened
	Deliveries []Delivery     `json:"recent,omitempty"` // those that were taken in last, also of work that is done
	Nonce      string         `json:"nonce"`            // of this write: equal content never has an equal ETag

	// ETag is that of the object it was read from.
	ETag string `json:"-"`
}

// Delivery is one message of a schema registry.
type Delivery struct {
	Source string    `json:"source"` // who sent it, such as "cosmo"
	ID     string    `json:"id"`     // what its repetition has in common with it: an event's id, or a hash of the body
	At     time.Time `json:"at"`
	// Window bounds how long, and only while the work is open, an equal ID is
	// taken for a repetition. 0 is for an ID that no other event has.
	Window time.Duration `json:"-"`
	// Mark is of the one call that noted it: two calls with equal deliveries
	// can tell whose write was applied.
	Mark string `json:"mark,omitempty"`
}

// take adds a delivery and reports whether it is news.
func (p *Pending) take(d Delivery) bool {
	for _, known := range p.Deliveries {
		if known.Source != d.Source || known.ID != d.ID {
			continue
		}
		if d.Window == 0 || p.Open && d.At.Sub(known.At).Abs() < d.Window {
			return false
		}
	}
	if !p.Open {
		p.Open, p.Since = true, d.At
	}
	p.Deliveries = append(slices.Clone(p.Deliveries), d)
	p.Deliveries = p.Deliveries[max(0, len(p.Deliveries)-maxDeliveries):]
	return true
}

// Pending reads the pending object of a graph. One that never had any is
// ErrNotFound.
func (s *Store) Pending(ctx context.Context, graph manifest.Graph) (Pending, error) {
	k, err := s.keys(graph)
	if err != nil {
		return Pending{}, fmt.Errorf("read pending: %w", err)
	}
	return s.readPending(ctx, graph, k)
}

// SavePending notes a delivery. fresh is false for one that repeats another;
// then nothing is written. When it returns nil the work is in the bucket.
func (s *Store) SavePending(ctx context.Context, graph manifest.Graph, d Delivery) (p Pending, fresh bool, err error) {
	if d.Source == "" || d.ID == "" || len(d.Source) > maxDeliveryText || len(d.ID) > maxDeliveryText {
		return p, false, errors.New("save pending: a delivery needs a source and an id that are not long")
	}
	d.At, d.Mark = d.At.UTC(), s.nonce()
	p, err = s.writePending(ctx, graph, func(p *Pending) error {
		fresh = p.take(d)
		if !fresh {
			// An earlier attempt whose answer was lost may have been applied after all.
			fresh = slices.ContainsFunc(p.Deliveries, func(known Delivery) bool { return known.Mark == d.Mark })
			return ErrUnchanged
		}
		return nil
	})
	if err != nil {
		return p, false, fmt.Errorf("save pending: %w", err)
	}
	if fresh {
		s.log.Debug("publish noted", zap.Stringer("graph", graph), zap.String("source", d.Source))
	}
	return p, fresh, nil
}

// ClearPending closes the work that p was read with. Who read it before another
// delivery came gets ErrConflict: there is more to do.
func (s *Store) ClearPending(ctx context.Context, graph manifest.Graph, p Pending) error {
	_, err := s.writePending(ctx, graph, func(now *Pending) error {
		switch {
		case !now.Open:
			return ErrUnchanged
		case now.ETag != p.ETag:
			return ErrConflict
		}
		now.Open, now.Since = false, time.Time{}
		return nil
	})
	if err != nil {
		return fmt.Errorf("clear pending: %w", err)
	}
	return nil
}

// writePending reads, changes and writes back under If-Match. A write whose
// answer got lost is found by its nonce.
func (s *Store) writePending(ctx context.Context, graph manifest.Graph, change func(*Pending) error) (Pending, error) {
	k, err := s.keys(graph)
	if err != nil {
		return Pending{}, err
	}
	var mine []string
	for attempt := range s.attempts + 1 {
		if perr := pause(ctx, attempt); perr != nil {
			return Pending{}, errors.Join(err, perr)
		}
		current, rerr := s.readPending(ctx, graph, k)
		if errors.Is(rerr, ErrNotFound) || errors.Is(rerr, ErrCorrupt) {
			// One that cannot be read holds no work that anybody could do.
			current, rerr = Pending{Format: PendingFormat, Graph: graph, ETag: current.ETag}, nil
		}
		if rerr != nil {
			return Pending{}, rerr
		}
		if slices.Contains(mine, current.Nonce) {
			return current, nil
		}
		if attempt == s.attempts {
			break // the last look only tells whether the last write was applied
		}
		next := current
		if verdict := change(&next); errors.Is(verdict, ErrUnchanged) {
			return current, nil
		} else if verdict != nil {
			return current, verdict
		}
		next.Nonce = s.nonce()
		var body []byte
		if body, err = next.encode(); err != nil {
			return current, err
		}
		o := PutOptions{IfMatch: current.ETag, IfNoneMatch: current.ETag == "", ContentType: typeJSON, CacheControl: cachePrivate}
		if next.ETag, err = s.bucket.Put(ctx, k.pending(), body, o); err == nil {
			return next, nil
		}
		if !retryable(err) {
			break
		}
		mine = append(mine, next.Nonce)
	}
	return Pending{}, err
}

// readPending returns the ETag with ErrCorrupt too, so that the object can be replaced.
func (s *Store) readPending(ctx context.Context, graph manifest.Graph, k keys) (Pending, error) {
	obj, err := s.get(ctx, k.pending(), maxPendingBytes)
	if err != nil {
		return Pending{}, fmt.Errorf("read pending: %w", err)
	}
	p, err := decodePending(obj.Body)
	if err == nil && p.Graph != graph {
		err = fmt.Errorf("decode pending: %w: another graph than the key says", ErrCorrupt)
	}
	if err != nil {
		p = Pending{}
	}
	p.ETag = obj.ETag
	return p, err
}

func (p Pending) encode() ([]byte, error) {
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("encode pending: %w", err)
	}
	body, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode pending: %w", err)
	}
	return append(body, '\n'), nil
}

// decodePending reads a pending object and validates it. Fields that it does
// not know are ignored.
func decodePending(body []byte) (Pending, error) {
	if len(body) > maxPendingBytes {
		return Pending{}, fmt.Errorf("decode pending: %w", ErrTooLarge)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	var p Pending
	if err := dec.Decode(&p); err != nil {
		return Pending{}, fmt.Errorf("decode pending: %w: no valid JSON", ErrCorrupt)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Pending{}, fmt.Errorf("decode pending: %w: data after the document", ErrCorrupt)
	}
	if err := p.validate(); err != nil {
		return Pending{}, fmt.Errorf("decode pending: %w", err)
	}
	return p, nil
}

func (p Pending) validate() error {
	switch {
	case p.Format != PendingFormat:
		return fmt.Errorf("%w: unknown pending format", ErrCorrupt)
	case len(p.Deliveries) > maxDeliveries:
		return fmt.Errorf("%w: pending with too many deliveries", ErrCorrupt)
	case len(p.Nonce) > maxNonceLen:
		return fmt.Errorf("%w: pending with an oversized nonce", ErrCorrupt)
	}
	for _, d := range p.Deliveries {
		if len(d.Source) > maxDeliveryText || len(d.ID) > maxDeliveryText {
			return fmt.Errorf("%w: pending with an oversized delivery", ErrCorrupt)
		}
	}
	return nil
}
