package warmer

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/planwarm/planwarm/schema"
	"go.uber.org/zap"
)

// workOff does what a publish asks for: load the schema, find what broke,
// publish a manifest for it, and see each router load it. It is false when the
// work is not done: planwarm ends, or another publish came.
func (g *graph) workOff(ctx context.Context) bool {
	p := Publication{At: time.Now().UTC(), State: PublicationLoading}
	g.publication.show(p)
	g.awaitFetch(ctx)
	change, before, err := g.loadPublished(ctx)
	switch {
	case ctx.Err() != nil:
		return false
	case err != nil:
		p.State, p.Error = PublicationFailed, err.Error()
	case change == nil:
		p.State = PublicationUnchanged
	}
	if change == nil {
		g.publication.show(p)
		g.log.Info("schema publish worked off", zap.String("state", string(p.State)))
		return true
	}
	p.From, p.To = change.fromID, change.to.ID()
	broken := change.broken()
	p.BrokenCount, p.Broken = len(broken), broken[:min(len(broken), maxShown)]
	p.State = PublicationBuilding
	g.publication.show(p)
	if !g.rebuild(ctx, &p) {
		return false
	}
	p.State = PublicationWaiting
	if !g.awaitRouters(ctx, &p, later(change.at.Add(-loadLead), before)) {
		return false
	}
	p.State = PublicationDone
	g.publication.show(p)
	g.log.Info("schema publish worked off", zap.String("state", string(p.State)), zap.Uint64("sequence", p.Sequence), zap.Int("broken", p.BrokenCount))
	// A delivery that was taken for a repetition may have been a publish of its own.
	g.check(ctx)
	if g.publication.waits() {
		g.publication.queue.add(ReasonWebhook)
		return false
	}
	return true
}

// loadPublished looks for the new schema until there is one. No change and no
// error is a schema that stayed what it was.
func (g *graph) loadPublished(ctx context.Context) (*schemaChange, time.Time, error) {
	end := time.Now().Add(schemaWait)
	for wait := schemaPause; ; wait = min(2*wait, schemaPauseMax) {
		err := g.check(ctx)
		if change, before := g.publication.takeSeen(); change != nil {
			return change, before, nil
		}
		if ctx.Err() != nil || !time.Now().Add(wait).Before(end) {
			return nil, time.Time{}, err
		}
		pause(ctx, wait)
	}
}

// check asks the source for a new schema now.
func (g *graph) check(ctx context.Context) error {
	var err error
	if c, ok := g.opts.Schema.(SchemaChecker); ok {
		c.Check(ctx)
		err = c.Status().Err
	}
	g.noteSchema()
	return err
}

// broken are the operations in force that the new schema refuses and the old one took.
func (c *schemaChange) broken() []Broken {
	sources := make([]schema.Source, len(c.inForce))
	for i, e := range c.inForce {
		sources[i] = schema.Source{Name: e.Request.OperationName, Text: e.Request.Query, Line: 1}
	}
	var out []Broken
	for _, b := range schema.Broken(c.from, c.to, sources) {
		out = append(out, Broken{Name: b.Name, PlanKey: c.inForce[b.Index].Planwarm.PlanKey, Reason: b.Message})
	}
	return out
}

// rebuild publishes a manifest for the new schema, again and again until that
// succeeds or another publish comes, and waits until this process serves it.
func (g *graph) rebuild(ctx context.Context, p *Publication) bool {
	if g.opts.Store == nil {
		return true // another process publishes; the fetch loop finds what it does
	}
	for wait := republishMin; ; wait = min(2*wait, time.Minute) {
		rep, err := g.recomputeFor(ctx)
		if ctx.Err() != nil {
			return false
		}
		p.Sequence, p.Error = rep.Sequence, ""
		if err == nil {
			break
		}
		p.Error = err.Error()
		g.publication.show(*p)
		if errors.Is(err, ErrHeld) {
			return true // a person wants the manifest to stay as it is
		}
		g.log.Warn("manifest not built for the published schema", zap.Error(err))
		if g.interrupted(ctx, wait) {
			return false
		}
	}
	g.publication.show(*p)
	g.awaitManifest(ctx, p.Sequence)
	return ctx.Err() == nil
}

func (g *graph) recomputeFor(ctx context.Context) (PublishReport, error) {
	ctx, stop := context.WithTimeout(ctx, recomputeTimeout)
	defer stop()
	return g.recompute(ctx, []Reason{ReasonWebhook}, true)
}

// awaitManifest waits until a router that pulls would get the manifest. It
// gives up after a fetch's time: what cannot be fetched has its own fallback.
func (g *graph) awaitManifest(ctx context.Context, sequence uint64) {
	if g.opts.Fetcher == nil {
		return
	}
	end := time.Now().Add(fetchTimeout)
	for ctx.Err() == nil && time.Now().Before(end) {
		g.mu.Lock()
		have, failed := g.fetched.lastGood.Sequence, g.fetched.err != nil
		g.mu.Unlock()
		if have >= sequence || failed {
			return
		}
		pause(ctx, loadPoll)
	}
}

// awaitRouters waits until each router has loaded the schema, by a sign later
// than since, and was warmed. Who gives none in time is warmed all the same.
func (g *graph) awaitRouters(ctx context.Context, p *Publication, since time.Time) bool {
	routers := g.fleet.list()
	for _, r := range routers {
		p.Routers = append(p.Routers, RouterLoad{Name: r.Name, State: LoadWaiting})
	}
	end := time.Now().Add(loadTimeout)
	for {
		late := !time.Now().Before(end)
		waiting := false
		for i, r := range routers {
			load := &p.Routers[i]
			if load.State != LoadWaiting {
				continue
			}
			if run := r.loadedSince(since); run != nil {
				*load = run.load(r.Name)
			} else if !g.fleet.has(r) {
				load.State, load.Detail = LoadEnded, "the router is gone"
			} else if late {
				load.State, load.Detail = LoadTimeout, "no sign of a reload within "+loadTimeout.String()
				r.trigger(ReasonSchema)
			} else {
				waiting = true
			}
		}
		g.publication.show(*p)
		if !waiting {
			return true
		}
		if g.interrupted(ctx, loadPoll) {
			return false
		}
	}
}

// load is what a run after a reload says of the router.
func (run *RunRecord) load(name string) RouterLoad {
	l := RouterLoad{Name: name, State: LoadWarm, At: run.At, Origin: run.Origin}
	if run.Stopped != "" {
		l.State, l.Detail = LoadEnded, run.Stopped
	}
	return l
}

// interrupted waits, and is true when ctx ended or another publish came.
func (g *graph) interrupted(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	q := g.publication.queue
	select {
	case <-ctx.Done():
		return true
	case <-t.C:
		return false
	case <-q.ready:
		reasons := q.take()
		if slices.Contains(reasons, ReasonWebhook) {
			q.add(reasons...) // for the next round
			return true
		}
		q.addLater(pendingGap, reasons...)
		return false
	}
}

// loadedSince returns the last run that followed a sign of a reload, if it
// began after that time.
func (r *router) loadedSince(t time.Time) *RunRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reloaded == nil || !r.reloaded.At.After(t) {
		return nil
	}
	return r.reloaded
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
