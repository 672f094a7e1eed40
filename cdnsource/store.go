// Package cdnsource is where manifests lie and where routers and warmers get
// them from: the protocol that publishes and fetches over object storage with
// conditional writes, and the CDN endpoint that serves the current manifest.
//
// The protocol needs two conditions of a bucket, create-if-absent and
// replace-if-unchanged. A publisher claims the next number by creating
// versions/N.json, which only one can, and then moves the pointer latest.json
// to it. Whoever dies in between is completed by the next publisher.
package cdnsource

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	randv2 "math/rand/v2"

	"go.uber.org/zap"

	"github.com/planwarm/planwarm/manifest"
)

// Outcomes of the store that a caller acts on, besides those of the bucket.
var (
	// ErrHeld says that a rollback or a person holds the current version.
	ErrHeld = errors.New("graph is held at its current version")
	// ErrUnchanged is returned by a callback to say that nothing is to be written.
	ErrUnchanged = errors.New("unchanged")
	// ErrUnsafe says that a bucket does not keep conditional writes.
	ErrUnsafe = errors.New("bucket does not keep conditional writes")
)

// Defaults of Options.
const (
	DefaultRetention     = 50
	DefaultMinAge        = time.Hour
	DefaultCheckpointAge = 14 * 24 * time.Hour
	DefaultAttempts      = 20
)

const (
	maxNonceLen  = 64
	firstPause   = 10 * time.Millisecond
	longestPause = 500 * time.Millisecond
	// updateTimeout bounds one batch of pin updates, which no single caller's
	// context may cancel while others wait for it.
	updateTimeout = 30 * time.Second

	typeJSON       = "application/json"
	cacheImmutable = "public, max-age=31536000, immutable"
	cacheMutable   = "public, max-age=0, must-revalidate"
	cachePrivate   = "private, no-store"
)

// Options configure a Store. Only Bucket is required.
type Options struct {
	Bucket Bucket
	// Prefix stands before every key but those of CopyTo.
	Prefix string
	// Retention is how many versions are kept behind the pointer.
	Retention int
	// MinAge is the age under which no version is pruned. A claim that took
	// half of it is not trusted.
	MinAge time.Duration
	// CheckpointAge is the age beyond which a checkpoint is ignored and removed.
	CheckpointAge time.Duration
	// Attempts bounds how often a lost race or a failed call is tried again.
	Attempts int
	// Sign signs a manifest after its sequence and writer are set. Nil: no signature.
	Sign   func(*manifest.Manifest) error
	Logger *zap.Logger
	Now    func() time.Time
	// Nonce returns an identity that no other write has.
	Nonce func() string
}

// Store publishes, fetches and keeps the pins of graphs in one bucket. It is
// safe for concurrent use, and any number of stores may share a bucket.
type Store struct {
	bucket        Bucket
	prefix        string
	retention     uint64
	minAge        time.Duration
	checkpointAge time.Duration
	attempts      int
	sign          func(*manifest.Manifest) error
	log           *zap.Logger
	now           func() time.Time
	nonce         func() string

	mu     sync.Mutex
	queues map[manifest.Graph]*pinsQueue
}

// NewStore returns a store over a bucket. It makes no call: Probe does.
func NewStore(o Options) (*Store, error) {
	if o.Retention == 0 {
		o.Retention = DefaultRetention
	}
	if o.MinAge == 0 {
		o.MinAge = DefaultMinAge
	}
	if o.CheckpointAge == 0 {
		o.CheckpointAge = DefaultCheckpointAge
	}
	if o.Attempts == 0 {
		o.Attempts = DefaultAttempts
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Nonce == nil {
		o.Nonce = randomNonce
	}
	prefix, err := cleanPrefix(o.Prefix)
	var faults []error
	if err != nil {
		faults = append(faults, err)
	}
	if o.Bucket == nil {
		faults = append(faults, errors.New("bucket: required"))
	}
	if o.Retention < 1 {
		faults = append(faults, fmt.Errorf("retention: %d is below 1", o.Retention))
	}
	if o.MinAge < 0 || o.CheckpointAge < 0 {
		faults = append(faults, errors.New("ages: below zero"))
	}
	if o.Attempts < 1 {
		faults = append(faults, fmt.Errorf("attempts: %d is below 1", o.Attempts))
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("new store: %w", errors.Join(faults...))
	}
	return &Store{
		bucket: o.Bucket, prefix: prefix, retention: uint64(o.Retention), minAge: o.MinAge,
		checkpointAge: o.CheckpointAge, attempts: o.Attempts, sign: o.Sign,
		log: o.Logger.With(zap.String("component", "store")), now: o.Now, nonce: o.Nonce,
		queues: map[manifest.Graph]*pinsQueue{},
	}, nil
}

func randomNonce() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: it ends the process when the system has no randomness
	return hex.EncodeToString(b[:])
}

// pause waits before an attempt: not before the first, then a random time
// below a doubling bound, so that writers that lost together do not meet again.
func pause(ctx context.Context, attempt int) error {
	if attempt == 0 {
		return nil
	}
	bound := min(firstPause<<min(attempt-1, 10), longestPause)
	timer := time.NewTimer(randv2.N(bound) + time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// repeat calls a step that may be done twice until it gets an answer.
func (s *Store) repeat(ctx context.Context, step func() error) error {
	var err error
	for attempt := range s.attempts {
		if perr := pause(ctx, attempt); perr != nil {
			return errors.Join(err, perr)
		}
		if err = step(); !errors.Is(err, ErrAmbiguous) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func (s *Store) get(ctx context.Context, key string, limit int64) (Object, error) {
	var obj Object
	err := s.repeat(ctx, func() (err error) {
		obj, err = s.bucket.Get(ctx, key, GetOptions{Limit: limit})
		return err
	})
	return obj, err
}

// listAll returns every entry behind after, at most maxListed.
func (s *Store) listAll(ctx context.Context, prefix, after string) ([]Listed, error) {
	const page, maxListed = 1000, 20_000
	var all []Listed
	for {
		var got []Listed
		err := s.repeat(ctx, func() (err error) {
			got, err = s.bucket.List(ctx, prefix, after, page)
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(got) == 0 {
			return all, nil
		}
		if all = append(all, got...); len(all) > maxListed {
			return nil, fmt.Errorf("list objects: more than %d: %w", maxListed, ErrTooLarge)
		}
		after = got[len(got)-1].Key
	}
}

// retryable says whether a write must be read back before anything else is done.
func retryable(err error) bool {
	return errors.Is(err, ErrConflict) || errors.Is(err, ErrAmbiguous)
}
