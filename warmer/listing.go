package warmer

import (
	"sync"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
)

// Listing is what there is to warm now.
type Listing struct {
	Entries []manifest.Entry
	Origin  Origin
	Broken  []Broken // entries that the current schema refuses; not among Entries
	Limit   int      // how many plans are worth sending; 0: no limit is known
}

// Broken is an operation that the current schema refuses.
type Broken struct {
	Name    string `json:"name,omitempty"`
	PlanKey string `json:"planKey,omitempty"`
	Reason  string `json:"reason"`
}

// listings remembers what was made of one state of the sources: routers pull
// the same list again and again.
type listings struct {
	mu      sync.Mutex
	state   listState
	byLimit map[int]*listed // one for each size of plan cache
}

// listState says what a listing was made from.
type listState struct {
	fetch    int // counts changes of the fetched manifest
	snapshot int // counts snapshots
	schema   string
}

// listed is a listing with the head of the manifest that it is served under
// and, once somebody pulled it, its document.
type listed struct {
	Listing
	head     manifest.Manifest
	document *Pullable
}

// listing chooses the entries for a router, without those that the current
// schema refuses: sending them would only make the router log errors.
func (g *graph) listing(c Capacity) Listing {
	g.lists.mu.Lock()
	defer g.lists.mu.Unlock()
	return g.listed(c).Listing
}

// listed is listing for who holds the lock of g.lists.
func (g *graph) listed(c Capacity) *listed {
	sc := g.opts.Schema.Current()
	snap := g.snapshot.take(g, sc)
	g.mu.Lock()
	f := g.fetched
	g.mu.Unlock()
	state := listState{fetch: f.version, snapshot: snap.version, schema: schemaID(sc)}
	if state != g.lists.state || g.lists.byLimit == nil {
		g.lists.state, g.lists.byLimit = state, map[int]*listed{}
	}
	limit := g.opts.Warm.Limit
	if limit == 0 {
		limit = c.Limit()
	}
	if l := g.lists.byLimit[limit]; l != nil {
		return l
	}
	l := g.makeList(sc, f, snap, limit)
	g.lists.byLimit[limit] = l
	return l
}

func (g *graph) makeList(sc *schema.Schema, f fetched, snap snapshotState, limit int) *listed {
	s := sieve{g: g, schema: sc, seen: map[digest]bool{}}
	src := Sources{
		Enabled: g.opts.Fetcher != nil, Fallback: g.opts.Warm.Fallback, Merge: g.opts.Warm.Merge, Limit: limit,
		Manifest: s.sift(f.current.Operations), Snapshot: s.sift(snap.entries),
	}
	if len(src.Manifest) == 0 {
		src.LastGood = s.sift(f.lastGood.Operations)
	}
	l := &listed{}
	l.Entries, l.Origin = Choose(src)
	l.Broken, l.Limit = s.broken, limit
	l.head = manifest.Manifest{Sequence: f.lastGood.Sequence, GeneratedAt: snap.made, Schema: schemaID(sc)}
	if l.Origin == OriginManifest {
		l.head = f.current
	}
	// It is merged and cut, and so not what was signed.
	l.head.Format, l.head.Graph, l.head.Operations, l.head.Signature = manifest.Format, g.opts.Graph, nil, nil
	return l
}

func schemaID(sc *schema.Schema) string {
	if sc == nil {
		return ""
	}
	return sc.ID()
}

// sieve keeps out what a schema refuses.
type sieve struct {
	g      *graph
	schema *schema.Schema
	broken []Broken
	seen   map[digest]bool // broken ones: one may be in manifest and snapshot
}

func (s *sieve) sift(entries []manifest.Entry) []manifest.Entry {
	kept := make([]manifest.Entry, 0, len(entries))
	for _, e := range entries {
		v := s.g.judge(s.schema, e.Request.Query, e.Request.OperationName)
		if v.refused == "" {
			kept = append(kept, e)
			continue
		}
		if id := digestOf(e.Request.OperationName, e.Request.Query); !s.seen[id] {
			s.seen[id] = true
			s.broken = append(s.broken, Broken{Name: e.Request.OperationName, PlanKey: e.Planwarm.PlanKey, Reason: v.refused})
		}
	}
	return kept
}
