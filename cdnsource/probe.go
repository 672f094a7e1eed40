package cdnsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

const (
	probeRacers   = 4
	probeLeftover = time.Hour
	probeLimit    = 1 << 10
	probeCleanup  = 10 * time.Second
)

// Probe finds out whether the bucket is there, takes the credentials, and
// keeps the conditions that the protocol stands on: a second create is
// refused, of several at once one succeeds, a replace succeeds with the right
// ETag and is refused with a stale one. A bucket that does not is ErrUnsafe:
// it would lose pushes in silence. Nothing stays behind.
func (s *Store) Probe(ctx context.Context) error {
	var err error
	for attempt := range s.attempts {
		if perr := pause(ctx, attempt); perr != nil {
			return fmt.Errorf("probe bucket: %w", errors.Join(err, perr))
		}
		// An answer that got lost makes the outcome of a probe meaningless: it
		// is done again, under a new key.
		if err = s.probeOnce(ctx); !errors.Is(err, ErrAmbiguous) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("probe bucket: %w", err)
	}
	s.removeOldProbes(ctx)
	return nil
}

func (s *Store) probeOnce(ctx context.Context) error {
	key := s.probePrefix() + s.nonce()
	defer s.removeProbe(ctx, key)
	if err := s.probeCreate(ctx, key); err != nil {
		return err
	}
	first, err := s.bucket.Get(ctx, key, GetOptions{Limit: probeLimit})
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	second := []byte("second")
	etag, err := s.bucket.Put(ctx, key, second, PutOptions{IfMatch: first.ETag})
	if errors.Is(err, ErrConflict) {
		return fmt.Errorf("%w: If-Match with the right ETag is refused", ErrUnsafe)
	}
	if err != nil {
		return fmt.Errorf("replace: %w", err)
	}
	switch _, err := s.bucket.Put(ctx, key, []byte("stale"), PutOptions{IfMatch: first.ETag}); {
	case err == nil:
		return fmt.Errorf("%w: If-Match with a stale ETag is taken", ErrUnsafe)
	case !errors.Is(err, ErrConflict):
		return fmt.Errorf("replace with a stale etag: %w", err)
	}
	last, err := s.bucket.Get(ctx, key, GetOptions{Limit: probeLimit})
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	if !bytes.Equal(last.Body, second) || last.ETag != etag {
		return fmt.Errorf("%w: a read does not see the last write", ErrUnsafe)
	}
	return nil
}

// probeCreate races several creates of one key, and creates it once more.
func (s *Store) probeCreate(ctx context.Context, key string) error {
	var created atomic.Int64
	create := func(i int) error {
		_, err := s.bucket.Put(ctx, key, fmt.Appendf(nil, "first %d", i), PutOptions{IfNoneMatch: true})
		if err == nil {
			created.Add(1)
		}
		if err != nil && !errors.Is(err, ErrConflict) {
			return fmt.Errorf("create: %w", err)
		}
		return nil
	}
	var group errgroup.Group
	for i := range probeRacers {
		group.Go(func() error { return create(i) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := create(probeRacers); err != nil {
		return err
	}
	if n := created.Load(); n != 1 {
		return fmt.Errorf("%w: of %d creates of one key, one after another and at once, %d succeeded", ErrUnsafe, probeRacers+1, n)
	}
	return nil
}

func (s *Store) probePrefix() string {
	if s.prefix == "" {
		return "probe-"
	}
	return s.prefix + "/probe-"
}

// removeProbe cleans up even when the caller has given up.
func (s *Store) removeProbe(ctx context.Context, key string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeCleanup)
	defer cancel()
	if err := s.bucket.Delete(ctx, key); err != nil {
		s.log.Debug("probe not removed", zap.Error(err))
	}
}

// removeOldProbes removes what probes left that were killed.
func (s *Store) removeOldProbes(ctx context.Context) {
	listed, err := s.bucket.List(ctx, s.probePrefix(), "", 100)
	if err != nil {
		s.log.Debug("old probes not listed", zap.Error(err))
		return
	}
	for _, entry := range listed {
		nonce := strings.TrimPrefix(entry.Key, s.probePrefix())
		if isHex(nonce, 32) && s.now().Sub(entry.Modified) > probeLeftover {
			s.removeProbe(ctx, entry.Key)
		}
	}
}
