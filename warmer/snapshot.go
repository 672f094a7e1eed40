package warmer

import (
	"sync"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
)

const (
	// maxSnapshot bounds the snapshot: no plan cache that is known holds more.
	maxSnapshot = 2048
	// snapshotAge is how old a snapshot may be. Taking one stops ingest for a
	// moment, and pulls, runs and status all ask for it.
	snapshotAge = time.Second
)

// snapshot holds the most used operations as entries. The table that counts
// them outlives reloads of the router and of planwarm, and, through its
// checkpoint, restarts.
type snapshot struct {
	mu     sync.Mutex
	schema string
	state  snapshotState
}

type snapshotState struct {
	entries []manifest.Entry // most used first
	version int
	made    time.Time
}

// take returns the snapshot under a schema, a new one when the last is old.
func (s *snapshot) take(g *graph, sc *schema.Schema) snapshotState {
	if g.opts.Usages == nil {
		return snapshotState{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.version == 0 || s.schema != schemaID(sc) || time.Since(s.state.made) >= snapshotAge {
		s.schema = schemaID(sc)
		s.state = snapshotState{entries: g.hottest(sc), version: s.state.version + 1, made: time.Now().UTC()}
	}
	return s.state
}

// hottest makes entries of the most used operations.
func (g *graph) hottest(sc *schema.Schema) []manifest.Entry {
	usages := g.opts.Usages.Hottest(maxSnapshot)
	entries := make([]manifest.Entry, 0, len(usages))
	place := make(map[string]int, len(usages)) // of the entry with a key
	for _, u := range usages {
		if u.Text == "" {
			continue
		}
		v := g.judge(sc, u.Text, u.Name)
		if v.introspection || v.kind == manifest.Subscription {
			continue
		}
		key := u.PlanKey
		if sc != nil && v.refused == "" {
			key = planKey(u, g.keyer(sc))
		}
		if !isPlanKey(key) {
			key = ""
		}
		if i, known := place[key]; key != "" && known {
			if g.opts.Publish.ExactTexts {
				for _, m := range u.Members {
					entries[i] = withText(entries[i], m)
				}
			}
			continue
		}
		place[key] = len(entries)
		e := usageEntry(u, key)
		e.Planwarm.Lifted = g.opts.Publish.ExactTexts && u.Lifted
		if v.refused == "" {
			e.Planwarm.Type = v.kind
		}
		entries = append(entries, e)
	}
	return entries
}
