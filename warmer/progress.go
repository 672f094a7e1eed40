package warmer

import (
	"github.com/planwarm/planwarm/manifest"
)

// Progress is how far a graph and its routers have come.
type Progress struct {
	Fetched     bool           // there was a first fetch, whatever it gave
	Sequence    uint64         // of the newest manifest that was fetched; 0 before the first
	Generations map[string]int // by name of the router: how often it was seen to begin anew
}

// Progress says how far a graph has come.
func (w *Warmer) Progress(id manifest.Graph) (Progress, error) {
	g, err := w.graph(id)
	if err != nil {
		return Progress{}, err
	}
	routers := g.fleet.list()
	p := Progress{Generations: make(map[string]int, len(routers))}
	for _, r := range routers {
		p.Generations[r.Name] = r.snapshot().Generation
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	p.Fetched, p.Sequence = g.fetched.done, g.fetched.lastGood.Sequence
	return p, nil
}

// Resolved returns the operations of the newest manifest that was fetched as
// somebody gets them who sends no variables: each set of conditions is an entry
// of its own. Those that the current schema refuses are left out. Unlike
// Document it has nothing of the snapshot: it changes only when somebody
// published. The error wraps ErrNotFound before the first manifest, and while
// no schema is loaded, without which conditions cannot be resolved.
func (w *Warmer) Resolved(id manifest.Graph) ([]manifest.Entry, error) {
	m, err := w.Fetched(id)
	if err != nil {
		return nil, err
	}
	g, err := w.graph(id)
	if err != nil {
		return nil, err
	}
	sc := g.opts.Schema.Current()
	if sc == nil {
		return nil, ErrNotFound
	}
	s := sieve{g: g, schema: sc, seen: map[digest]bool{}}
	entries, _ := Unconditional(s.sift(m.Operations), sc)
	return entries, nil
}
