package hivegateway

import (
	"crypto/sha256"
	"maps"
	"sync"
	"time"

	"github.com/planwarm/planwarm/manifest"
)

// maxSpread bounds how long after its end a plan is made again.
const maxSpread = 5 * time.Second

// expiry knows when plans end. Plans that came within the same moment are one
// batch, which ends when the last of them does: so the number of batches is
// bounded, and one run warms many.
type expiry struct {
	lifetime, spread time.Duration

	mu      sync.Mutex
	batches map[time.Time]struct{} // by the beginning of their moment
	texts   map[[sha256.Size]byte]time.Time
}

func newExpiry(lifetime time.Duration) *expiry {
	return &expiry{lifetime: lifetime, spread: max(min(maxSpread, lifetime/60), 1), batches: map[time.Time]struct{}{}, texts: map[[sha256.Size]byte]time.Time{}}
}

// note takes down a plan that is in the cache since a time.
func (e *expiry) note(since, now time.Time) {
	if !now.Before(since.Add(e.lifetime)) {
		// It lives longer than we were told. Taken at its word it would be due at
		// each look.
		since = now
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.batches[since.Truncate(e.spread)] = struct{}{}
}

// noteText takes down that a text was planned, by a gateway that does not tell
// since when it knows it. Planning it again before its end changes nothing, or
// every run between would add a run in each lifetime for ever.
func (e *expiry) noteText(text string, now time.Time) {
	key := sha256.Sum256([]byte(text))
	e.mu.Lock()
	since, known := e.texts[key]
	if known = known && now.Sub(since) <= e.lifetime; !known {
		since = now
		maps.DeleteFunc(e.texts, func(_ [sha256.Size]byte, t time.Time) bool { return now.Sub(t) > e.lifetime })
		if len(e.texts) < manifest.MaxEntries {
			e.texts[key] = since
		}
	}
	e.mu.Unlock()
	if !known {
		e.note(since, now)
	}
}

// due takes the batches out that have ended, and says whether there are any.
func (e *expiry) due(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := len(e.batches)
	maps.DeleteFunc(e.batches, func(b time.Time, _ struct{}) bool { return now.Sub(b) > e.lifetime+e.spread })
	return len(e.batches) < before
}

func (e *expiry) clear() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.batches)
	clear(e.texts)
}
