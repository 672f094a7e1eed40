package cosmo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"go.uber.org/zap"

	"github.com/planwarm/planwarm/manifest"
)

const (
	// rewriteAfter is how long after a write the object is written once more. A
	// router asks with whole seconds, so it misses an object that was written in
	// the second of its last fetch. One that was, is then found by its next
	// fetch; no router polls so often that both writes could be missed.
	rewriteAfter = 1100 * time.Millisecond
	// DefaultPersistedPoll is how often the sources are looked at.
	DefaultPersistedPoll = 15 * time.Second
)

// Rewriter replaces objects of a bucket.
type Rewriter interface {
	// Rewrite replaces the object at key by what build makes of its present
	// body (nil: there is none), and only what build saw. A nil body of build
	// leaves it as it is.
	Rewrite(ctx context.Context, key string, build func(current []byte) ([]byte, error)) error
}

// PersistedOptions configure a PersistedWriter. Store, Key and Entries are required.
type PersistedOptions struct {
	Store Rewriter
	Key   string // of the object that routers poll
	// Own reads the list of the owner; nil: there is none. While it fails the
	// last one that was read stays.
	Own func(ctx context.Context) ([]byte, error)
	// Entries has the operations to warm; false while they are not known, as
	// before the first fetch: nothing is taken away then.
	Entries func() ([]manifest.Entry, bool)
	Poll    time.Duration
	Logger  *zap.Logger
}

// PersistedWriter keeps the persisted-query manifest of a graph: the owner's
// list and the operations to warm, in one object that is never missing.
type PersistedWriter struct {
	o    PersistedOptions
	log  *zap.Logger
	own  map[string]string
	read bool   // own was read
	told string // the last failure that was logged
	left int
}

// NewPersistedWriter reads the owner's list for the first time. A list with
// faults is refused: an object without it would take operations away. One that
// cannot be had now is asked for again, and nothing is written before.
func NewPersistedWriter(ctx context.Context, o PersistedOptions) (*PersistedWriter, error) {
	if o.Store == nil || o.Key == "" || o.Entries == nil {
		return nil, errors.New("new persisted writer: store, key and entries are required")
	}
	if o.Poll <= 0 {
		o.Poll = DefaultPersistedPoll
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	w := &PersistedWriter{o: o, log: o.Logger.With(zap.String("component", "persisted manifest"))}
	if err := w.readOwn(ctx); errors.Is(err, ErrPersisted) {
		return nil, fmt.Errorf("new persisted writer: %w", err)
	}
	return w, nil
}

func (w *PersistedWriter) readOwn(ctx context.Context) error {
	if w.o.Own == nil {
		w.read = true
		return nil
	}
	data, err := w.o.Own(ctx)
	if err != nil {
		return fmt.Errorf("read own list: %w", err)
	}
	own, err := DecodePersisted(data)
	if err != nil {
		return fmt.Errorf("read own list: %w", err)
	}
	w.own, w.read = own, true
	return nil
}

// Run writes at once and whenever something changed, until ctx ends.
func (w *PersistedWriter) Run(ctx context.Context) error {
	tick := time.NewTicker(w.o.Poll)
	defer tick.Stop()
	// The process before may have ended between its two writes.
	again := true
	for {
		w.tell(w.pass(ctx, again))
		again = false
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// tell logs a failure once; it repeats itself until somebody acts.
func (w *PersistedWriter) tell(err error) {
	switch {
	case errors.Is(err, context.Canceled):
	case err == nil:
		w.told = ""
	case err.Error() != w.told:
		w.told = err.Error()
		w.log.Warn("persisted manifest not current", zap.Error(err))
	}
}

// pass brings the object up to date, and writes what it wrote once more. again
// asks for that although nothing changed.
func (w *PersistedWriter) pass(ctx context.Context, again bool) error {
	// A list that cannot be read leaves the last one in force, and the rest goes on.
	failed := w.readOwn(ctx)
	if !w.read {
		return failed
	}
	entries, known := w.o.Entries()
	wrote, err := w.write(ctx, entries, known)
	if err != nil {
		return errors.Join(failed, err)
	}
	if !wrote && !again {
		return failed
	}
	limit := time.NewTimer(rewriteAfter)
	defer limit.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-limit.C:
	}
	err = w.o.Store.Rewrite(ctx, w.o.Key, func(current []byte) ([]byte, error) { return current, nil })
	return errors.Join(failed, err)
}

func (w *PersistedWriter) write(ctx context.Context, entries []manifest.Entry, known bool) (wrote bool, err error) {
	err = w.o.Store.Rewrite(ctx, w.o.Key, func(current []byte) ([]byte, error) {
		ops, left := MergePersisted(w.own, entries)
		if !known {
			ops = union(ops, current)
		} else if left != w.left {
			w.left = left
			w.log.Warn("operations left out of the persisted manifest", zap.Int("operations", left))
		}
		body, err := NextPersisted(current, ops, time.Now())
		wrote = body != nil
		return body, err
	})
	return wrote && err == nil, err
}

// union adds the operations of an object, while it is not known which of them
// are still to be warmed. What is wrong with the object is told by NextPersisted.
func union(ops map[string]string, object []byte) map[string]string {
	var last PersistedManifest
	if json.Unmarshal(object, &last) != nil {
		return ops
	}
	out := maps.Clone(last.Operations)
	if out == nil {
		return ops
	}
	maps.Copy(out, ops)
	return out
}
