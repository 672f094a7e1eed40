package warmer

import (
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

// listing chooses the entries for a router, without those that the current
// schema refuses: sending them would only make the router log errors.
func (g *graph) listing(c Capacity) Listing {
	src := g.sources()
	src.Limit = g.opts.Warm.Limit
	if src.Limit == 0 {
		src.Limit = c.Limit()
	}
	sc := g.opts.Schema.Current()
	var l Listing
	seen := map[string]bool{}
	sift := func(entries []manifest.Entry) []manifest.Entry {
		kept := make([]manifest.Entry, 0, len(entries))
		for _, e := range entries {
			reason := g.judge(sc, e.Request.Query, e.Request.OperationName).refused
			if reason == "" {
				kept = append(kept, e)
				continue
			}
			if id := e.Request.OperationName + "\x00" + e.Planwarm.PlanKey; !seen[id] {
				seen[id] = true
				l.Broken = append(l.Broken, Broken{Name: e.Request.OperationName, PlanKey: e.Planwarm.PlanKey, Reason: reason})
			}
		}
		return kept
	}
	src.Manifest, src.LastGood, src.Snapshot = sift(src.Manifest), sift(src.LastGood), sift(src.Snapshot)
	l.Entries, l.Origin = Choose(src)
	l.Limit = src.Limit
	return l
}

// sources gathers what a list can be made from now.
func (g *graph) sources() Sources {
	snapshot := g.snapshotEntries()
	g.mu.Lock()
	defer g.mu.Unlock()
	return Sources{
		Enabled: g.opts.Fetcher != nil, Manifest: g.fetched.current.Operations, LastGood: g.fetched.lastGood.Operations,
		Snapshot: snapshot, Fallback: g.opts.Warm.Fallback, Merge: g.opts.Warm.Merge,
	}
}

// verdict is what the current schema says of an operation.
type verdict struct {
	refused       string // why it is refused; "" when it is not
	introspection bool
	kind          manifest.OperationType
}

// judge asks the current schema about an operation, once for each text. While
// there is no schema everything is accepted.
func (g *graph) judge(sc *schema.Schema, text, name string) verdict {
	if sc == nil {
		return verdict{kind: manifest.Query}
	}
	key := verdictKey{schema: sc.ID(), text: text, name: name}
	if v, ok := g.verdicts.Get(key); ok {
		return v
	}
	var v verdict
	if op, err := sc.Parse(text, name); err != nil {
		v.refused = err.Error()
	} else {
		v.introspection, v.kind = op.Introspection, operationType(string(op.Type))
	}
	g.verdicts.Add(key, v)
	return v
}
