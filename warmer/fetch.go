package warmer

import (
	"context"
	"errors"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"go.uber.org/zap"
)

// ErrNotFound is what a Fetcher returns for a graph that has no manifest.
var ErrNotFound = errors.New("manifest not found")

// Fetcher gets the published manifest of a graph.
type Fetcher interface {
	// Fetch returns the newest manifest. It is called often and must be cheap
	// when nothing changed. The error wraps ErrNotFound when there is none.
	Fetch(ctx context.Context, graph manifest.Graph) (manifest.Manifest, error)
}

const fetchTimeout = 20 * time.Second

// fetched is what the last fetches gave.
type fetched struct {
	current  manifest.Manifest // empty when the last fetch failed
	lastGood manifest.Manifest // of the last successful fetch
	err      error
	at       time.Time
	done     bool // there was a first fetch
	version  int  // counts changes of current and lastGood
}

// fetchLoop keeps the fetched manifest current: at once, then each poll, and when asked.
func (g *graph) fetchLoop(ctx context.Context) {
	tick := time.NewTicker(g.opts.Warm.Poll)
	defer tick.Stop()
	for {
		g.fetch(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-g.refetch.ready:
			g.refetch.take()
		}
	}
}

// fetch gets the manifest once and triggers a run when it is a new one.
func (g *graph) fetch(ctx context.Context) {
	ctx, stop := context.WithTimeout(ctx, fetchTimeout)
	defer stop()
	m, err := g.opts.Fetcher.Fetch(ctx, g.opts.Graph)
	if err == nil && len(m.Operations) == 0 {
		err = errors.New("manifest has no operations")
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return // planwarm ends; it says nothing of the manifest
	}
	g.mu.Lock()
	was := g.fetched
	now := fetched{err: err, at: time.Now().UTC(), done: true, lastGood: was.lastGood, version: was.version}
	if err == nil {
		now.current, now.lastGood = m, m
	}
	isNew := now.current.Sequence != was.current.Sequence || now.current.Writer != was.current.Writer
	if isNew {
		now.version++
	}
	g.fetched = now
	g.mu.Unlock()
	switch {
	case err == nil && isNew:
		g.log.Info("manifest fetched", zap.Uint64("sequence", m.Sequence), zap.Int("operations", len(m.Operations)))
		g.listing(g.pullCapacity()) // made now, so that no router waits for it
		g.triggerRouters(ReasonManifest)
	case err != nil:
		g.metrics.fetchFailures.WithLabelValues(g.opts.Graph.String()).Inc()
		switch {
		case was.err != nil: // it was told
		case errors.Is(err, ErrNotFound) && was.lastGood.Sequence == 0:
			g.log.Info("no manifest is published yet") // as at every first start
		default:
			g.log.Warn("manifest cannot be had", zap.Error(err))
		}
	}
	if !was.done {
		g.noteSchema() // while the manifest in force is the one from before
		close(g.firstFetch)
	}
}
