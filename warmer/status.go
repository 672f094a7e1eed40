package warmer

import (
	"errors"
	"time"

	"github.com/planwarm/planwarm/manifest"
)

// Status is what a Warmer shows of itself.
type Status struct {
	Ready  bool          `json:"ready"`
	Graphs []GraphStatus `json:"graphs"`
}

// GraphStatus is what is shown of one graph.
type GraphStatus struct {
	Graph     manifest.Graph `json:"graph"`
	Schema    string         `json:"schema,omitempty"`
	Fetched   FetchStatus    `json:"fetched"`
	Published *PublishReport `json:"published,omitempty"`
	Snapshot  int            `json:"snapshot"` // operations in the fallback
	Routers   []RouterState  `json:"routers,omitempty"`
	// Quarantined are the plan keys of operations that no pull gets, since a
	// router seems to crash on one of them.
	Quarantined []string `json:"quarantined,omitempty"`
	// Publication is what came of the last publish that a webhook told of.
	Publication *Publication `json:"publication,omitempty"`
}

// FetchStatus is what the last fetch of the manifest gave.
type FetchStatus struct {
	At         time.Time `json:"at,omitzero"`
	Sequence   uint64    `json:"sequence,omitempty"`
	Operations int       `json:"operations"`
	Error      string    `json:"error,omitempty"`
	Missing    bool      `json:"missing,omitempty"` // the error is that nothing was published yet
}

// Status returns the state of every graph.
func (w *Warmer) Status() Status {
	s := Status{Ready: w.Ready(), Graphs: make([]GraphStatus, 0, len(w.order))}
	for _, g := range w.order {
		s.Graphs = append(s.Graphs, g.status())
	}
	return s
}

func (g *graph) status() GraphStatus {
	sc := g.opts.Schema.Current()
	s := GraphStatus{Graph: g.opts.Graph, Schema: schemaID(sc), Snapshot: len(g.snapshot.take(g, sc).entries)}
	s.Publication = g.publication.shown()
	if g.opts.Quarantined != nil {
		s.Quarantined = g.opts.Quarantined()
	}
	for _, r := range g.fleet.list() {
		s.Routers = append(s.Routers, r.snapshot())
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.fetched
	s.Fetched = FetchStatus{At: f.at, Sequence: f.current.Sequence, Operations: len(f.current.Operations)}
	if f.err != nil {
		s.Fetched.Error, s.Fetched.Missing = f.err.Error(), errors.Is(f.err, ErrNotFound)
	}
	s.Published = g.published.last
	return s
}
