package cdnsource

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"go.uber.org/zap"

	"github.com/planwarm/planwarm/manifest"
)

// errPanicked stands for a panic of a Source.
var errPanicked = errors.New("source panicked")

// shelf keeps the last good document of one graph and asks its source for the
// current one, with never more than one call at a time: a source that hangs
// costs one goroutine, not one for each request.
type shelf struct {
	graph           manifest.Graph
	source          Source
	firstWait, wait time.Duration
	log             *zap.Logger

	mu       sync.Mutex
	running  chan struct{} // closed when the call under way ends; nil: there is none
	last     *rendering
	answered bool      // the source has given a first answer, ErrNotFound included
	firstBy  time.Time // until then requests may wait for it
}

func newShelf(g manifest.Graph, s Source, firstWait, wait time.Duration, log *zap.Logger) *shelf {
	return &shelf{graph: g, source: s, firstWait: firstWait, wait: wait, log: log}
}

// get returns the current document, the last good one when the source fails or
// is slow, or ErrNotFound.
func (s *shelf) get(ctx context.Context) (*rendering, error) {
	s.mu.Lock()
	now := time.Now()
	if s.firstBy.IsZero() {
		s.firstBy = now.Add(s.firstWait)
	}
	wait := s.wait
	if !s.answered {
		// All first requests share one allowance: a router that asks for ten
		// feature flags in series does not wait ten times.
		wait = max(wait, s.firstBy.Sub(now))
	}
	if s.running == nil {
		s.running = make(chan struct{})
		go s.load(s.running)
	}
	running := s.running
	s.mu.Unlock()

	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-running:
	case <-timer.C:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		return nil, ErrNotFound
	}
	return s.last, nil
}

// load asks the source once. It does not use the context of the request that
// set it off: others wait for the same answer.
func (s *shelf) load(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), s.firstWait)
	defer cancel()
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	next, err := s.ask(ctx, last)

	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.last, s.answered = next, true
	case errors.Is(err, ErrNotFound):
		s.last, s.answered = nil, true
	default:
		s.log.Warn("cannot get current document, last good one stays", zap.Stringer("graph", s.graph),
			zap.Bool("has_last", s.last != nil), zap.Error(err))
	}
	s.running = nil
	close(done)
}

func (s *shelf) ask(ctx context.Context, last *rendering) (next *rendering, err error) {
	defer func() {
		if recover() != nil {
			s.log.Error("source panicked", zap.Stringer("graph", s.graph), zap.Stack("stack"))
			err = errPanicked
		}
	}()
	doc, err := s.source.Current(ctx, s.graph)
	if err != nil {
		return nil, err
	}
	if last != nil && last.of(doc) {
		return last, nil
	}
	return render(doc)
}

// rendering is a document taken apart as far as serving it needs.
type rendering struct {
	body     []byte
	etag     string // quoted, strong
	source   string // ETag as the source gave it
	sequence uint64
	modified time.Time
	keys     []string          // of the operations, in order
	ops      []json.RawMessage // the operations themselves
	zipped   func() ([]byte, error)
}

// of says whether r is what rendering doc would give.
func (r *rendering) of(doc Document) bool {
	return doc.ETag != "" && doc.ETag == r.source && doc.Sequence == r.sequence && len(doc.Body) == len(r.body)
}

// render takes a document apart. It refuses one with an operation without a
// request or query: such an item ends the whole process of a Cosmo router, at
// every start, so it is worth a second look here whatever its maker checked.
func render(doc Document) (*rendering, error) {
	if len(doc.Body) > manifest.MaxBytes {
		return nil, fmt.Errorf("render document: %d bytes: %w", len(doc.Body), ErrTooLarge)
	}
	var list struct {
		Operations []json.RawMessage `json:"operations"`
	}
	if err := json.Unmarshal(doc.Body, &list); err != nil {
		return nil, fmt.Errorf("render document: %w", ErrCorrupt)
	}
	keys := make([]string, len(list.Operations))
	for i, raw := range list.Operations {
		key, ok := operationKey(raw)
		if !ok {
			return nil, fmt.Errorf("render document: operation %d has no request: %w", i, ErrCorrupt)
		}
		keys[i] = key
	}
	etag := quoteETag(doc.ETag)
	if etag == "" {
		sum := sha256.Sum256(doc.Body)
		etag = `"` + hex.EncodeToString(sum[:16]) + `"`
	}
	r := &rendering{body: doc.Body, etag: etag, source: doc.ETag, sequence: doc.Sequence, modified: doc.Modified, keys: keys, ops: list.Operations}
	r.zipped = sync.OnceValues(func() ([]byte, error) { return zip(r.body) })
	return r, nil
}

// operationKey names an operation for the guard: its plan key, or a hash of
// the item when it has none. ok is false when it has no query.
func operationKey(raw json.RawMessage) (key string, ok bool) {
	var item struct {
		Request *struct {
			Query string `json:"query"`
		} `json:"request"`
		Planwarm struct {
			PlanKey string `json:"planKey"`
		} `json:"planwarm"`
	}
	if err := json.Unmarshal(raw, &item); err != nil || item.Request == nil || item.Request.Query == "" {
		return "", false
	}
	if item.Planwarm.PlanKey != "" {
		return item.Planwarm.PlanKey, true
	}
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:8]), true
}

// without returns the document less the operations whose keys are withheld,
// and how many those are. Only the list is kept: what else stands in a manifest,
// its signature above all, is said of the whole.
func (r *rendering) without(withheld map[string]struct{}) (*rendering, int) {
	if len(withheld) == 0 {
		return r, 0
	}
	kept := &rendering{sequence: r.sequence, modified: r.modified}
	for i, key := range r.keys {
		if _, out := withheld[key]; !out {
			kept.keys, kept.ops = append(kept.keys, key), append(kept.ops, r.ops[i])
		}
	}
	if len(kept.ops) == len(r.ops) {
		return r, 0
	}
	var b bytes.Buffer
	b.WriteString(`{"operations":[`)
	for i, op := range kept.ops {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(op)
	}
	b.WriteString("]}")
	kept.body = b.Bytes()
	kept.zipped = func() ([]byte, error) { return zip(kept.body) }
	return kept, len(r.ops) - len(kept.ops)
}

// quoteETag makes a strong entity tag of what a source or store calls one; ""
// when that is not possible.
func quoteETag(etag string) string {
	etag = strings.Trim(strings.TrimPrefix(etag, "W/"), `"`)
	for _, c := range []byte(etag) {
		if c <= ' ' || c == '"' || c >= 0x7f {
			return ""
		}
	}
	if etag == "" {
		return ""
	}
	return `"` + etag + `"`
}

func zip(body []byte) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(body); err != nil {
		return nil, fmt.Errorf("compress document: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress document: %w", err)
	}
	return b.Bytes(), nil
}
