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
	g.mu.Lock()
	was := g.fetched
	g.fetched.err, g.fetched.at, g.fetched.done = err, time.Now(), true
	if err == nil {
		g.fetched.current, g.fetched.lastGood = m, m
	} else {
		g.fetched.current = manifest.Manifest{}
	}
	g.mu.Unlock()
	if !was.done {
		close(g.firstFetch)
	}
	switch {
	case err == nil && (was.current.Sequence != m.Sequence || was.current.Writer != m.Writer):
		g.log.Info("manifest fetched", zap.Uint64("sequence", m.Sequence), zap.Int("operations", len(m.Operations)))
		g.triggerRouters(ReasonManifest)
	case err != nil && (was.err == nil || !was.done):
		g.metrics.fetchFailures.WithLabelValues(g.opts.Graph.String()).Inc()
		g.log.Warn("manifest cannot be had", zap.Error(err))
	case err != nil:
		g.metrics.fetchFailures.WithLabelValues(g.opts.Graph.String()).Inc()
	}
}
