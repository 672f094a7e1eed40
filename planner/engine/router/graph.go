package router

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/planwarm/planwarm/planner/engine"
)

// graph is one supergraph that is, or is about to be, or was served.
type graph struct {
	engine   *engine.Engine
	forms    *forms         // of plan-only requests
	version  string         // names the supergraph in telemetry
	warmup   WarmupStats    // written before the graph is served
	inflight sync.WaitGroup // requests; nobody adds to it once the graph is retired
}

// newGraph builds a graph that has planned nothing yet. It ends with ctx.
func newGraph(ctx context.Context, sdl string, o Options) (*graph, error) {
	e, err := engine.New(ctx, sdl, engine.Options{URLs: o.SubgraphURLs, PlanCacheSize: o.PlanCacheSize})
	if err != nil {
		return nil, fmt.Errorf("build graph: %w", err)
	}
	f, err := newForms(o.PlanCacheSize)
	if err != nil {
		e.Close()
		return nil, fmt.Errorf("build graph: %w", err)
	}
	sum := sha256.Sum256([]byte(sdl))
	return &graph{engine: e, forms: f, version: hex.EncodeToString(sum[:16])}, nil
}

func (g *graph) release() { g.inflight.Done() }

func (g *graph) close() { g.engine.Close() }

// cache tells of the plan cache.
func (g *graph) cache() CacheStats {
	s := g.engine.Stats()
	return CacheStats{Size: s.Entries, Added: s.Added, Evicted: s.Evicted}
}

// prepared is an operation on its way through a graph.
type prepared struct {
	op     operation
	stages stages
	hit    bool // known after plan

	engine *engine.Prepared
	plan   *engine.Planned
}

// prepare parses, normalises and validates an operation.
func (g *graph) prepare(query, name string, variables []byte) (*prepared, error) {
	p, err := g.engine.Prepare(query, name, variables)
	if err != nil {
		return nil, err
	}
	return &prepared{
		op:     operation{name: p.Name, kind: p.Type, hash: p.Hash, key: p.PlanKey, document: named(p.Normalized, p.Type, p.Name)},
		stages: stages{parse: p.Timings.Parse, normalize: p.Timings.Normalize, validate: p.Timings.Validate},
		engine: p,
	}, nil
}

// prepareToPlan is prepare for a request that is not executed: of a text that
// was asked about before its normal form is known, as a Cosmo router knows it.
func (g *graph) prepareToPlan(query, name string, variables []byte) (*prepared, error) {
	key := formKeyOf(query, name, variables)
	if p, ok := g.forms.get(key); ok {
		return p, nil
	}
	p, err := g.prepare(query, name, variables)
	if err == nil {
		g.forms.add(key, p)
	}
	return p, err
}

// plan takes the plan from the cache, or makes it. Its time is what the
// request spent on it, also when it only waited for another one that plans.
func (g *graph) plan(ctx context.Context, p *prepared) error {
	start := time.Now()
	planned, hit, err := g.engine.Cached(ctx, p.engine)
	p.stages.plan = time.Since(start)
	if err != nil {
		return err
	}
	p.plan, p.hit = planned, hit
	return nil
}

// execute runs a planned operation; began is false when it failed before
// anything could be sent to a subgraph.
func (g *graph) execute(ctx context.Context, p *prepared, header http.Header) (body []byte, began bool, err error) {
	body, err = g.engine.Execute(ctx, p.engine, p.plan, header)
	began = !errors.Is(err, engine.ErrVariables) && !errors.Is(err, engine.ErrSubscription)
	return body, began, err
}

// named puts the operation's name into a normalised document, which is how a
// Cosmo router shows it in telemetry.
func named(document, kind, name string) string {
	if name == "" {
		return document
	}
	return kind + " " + name + space(strings.TrimPrefix(document, kind))
}

// space separates the name from a selection set, as a printer of GraphQL does.
func space(rest string) string {
	if rest = strings.TrimPrefix(rest, " "); strings.HasPrefix(rest, "(") {
		return rest
	}
	return " " + rest
}
