package router

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"go.uber.org/zap"
)

// maxSupergraph bounds a supergraph file.
const maxSupergraph = 32 << 20

// errClosed: the router was closed.
var errClosed = errors.New("router is closed")

// fileState is what a look at a file tells without reading it.
type fileState struct {
	modified time.Time
	size     int64
}

// readSupergraph reads the file and the state it had before, so that a write
// that overlaps is seen at the next look.
func readSupergraph(path string) (string, fileState, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fileState{}, fmt.Errorf("read supergraph: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fileState{}, fmt.Errorf("read supergraph: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSupergraph+1))
	if err != nil {
		return "", fileState{}, fmt.Errorf("read supergraph: %w", err)
	}
	if len(b) > maxSupergraph {
		return "", fileState{}, fmt.Errorf("read supergraph: over %d bytes", maxSupergraph)
	}
	return string(b), fileState{info.ModTime(), info.Size()}, nil
}

// serveFirst warms the graph that New built and begins to serve it.
func (r *Router) serveFirst(ctx context.Context) error {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	g := r.first
	if g == nil {
		return nil // a second Run goes on with the graph that is served
	}
	if err := r.warm(ctx, g); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return nil // stopped while it warmed: not a failure, and not ready either
	}
	if err := r.swap(g); err != nil {
		return err
	}
	r.first = nil
	return nil
}

// Reload builds a graph from sdl, warms it and swaps it in. The old graph
// serves until then, and for good when something fails.
func (r *Router) Reload(ctx context.Context, sdl string) error {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	return r.reload(ctx, sdl)
}

func (r *Router) reload(ctx context.Context, sdl string) error {
	g, err := newGraph(r.base, sdl, r.opts)
	if err != nil {
		return fmt.Errorf("reload: %w", err)
	}
	if err := r.warm(ctx, g); err != nil {
		g.close()
		return fmt.Errorf("reload: %w", err)
	}
	if err := ctx.Err(); err != nil {
		g.close()
		return fmt.Errorf("reload: %w", err)
	}
	if err := r.swap(g); err != nil {
		g.close()
		return fmt.Errorf("reload: %w", err)
	}
	r.counters.reloads.Add(1)
	r.log.Info("graph reloaded", zap.String("version", g.version))
	return nil
}

// swap serves g from now on.
func (r *Router) swap(g *graph) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errClosed
	}
	old := r.current
	r.current = g
	if old != nil {
		r.retire(old)
	}
	return nil
}

// retire closes a graph when its last request is over. Nobody acquires it any more.
func (r *Router) retire(g *graph) {
	r.retiring.Go(func() {
		g.inflight.Wait()
		g.close()
	})
}

// acquire returns the graph that is served, nil when there is none. The caller releases it.
func (r *Router) acquire() *graph {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.current != nil {
		r.current.inflight.Add(1)
	}
	return r.current
}

// watch looks at the supergraph file and reloads when it was written, even
// with the same content.
func (r *Router) watch(ctx context.Context) error {
	if r.opts.SupergraphFile == "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(time.Duration(r.opts.WatchInterval))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := r.look(ctx); err != nil {
			return err
		}
	}
}

// look reloads once when the file changed. Only a list that kills a Cosmo
// router is an error; after any other the last good graph stays.
func (r *Router) look(ctx context.Context) error {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	info, err := os.Stat(r.opts.SupergraphFile)
	if err != nil {
		r.log.Warn("supergraph file not readable", zap.Error(err))
		return nil
	}
	if info.ModTime().Equal(r.file.modified) && info.Size() == r.file.size {
		return nil
	}
	sdl, state, err := readSupergraph(r.opts.SupergraphFile)
	if err == nil {
		r.file = state // a bad file is reported once, not at every look
		err = r.reload(ctx, sdl)
	}
	switch {
	case errors.Is(err, ErrNoRequest):
		return err
	case err != nil && ctx.Err() == nil:
		r.log.Error("reload failed", zap.Error(err))
	}
	return nil
}
