package warmer

import (
	"context"
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
	"go.uber.org/zap"
)

// SchemaSource knows the schema that a graph has now.
type SchemaSource interface {
	// Current returns the schema, or nil before the first one was loaded.
	Current() *schema.Schema
}

// Keyer computes what routers and telemetry call an operation.
type Keyer interface {
	// Key returns the plan key and the operation hash of the operation called
	// name in text, under values for the variables in @skip and @include.
	Key(text, name string, conditions map[string]bool) (planKey, hash string, err error)
}

// GraphOptions is one federated graph. Graph, Schema and NewKeyer are required.
type GraphOptions struct {
	Graph    manifest.Graph
	Schema   SchemaSource
	NewKeyer func(*schema.Schema) (Keyer, error)
	Usages   UsageSource  // nil: no telemetry in this process
	Fetcher  Fetcher      // nil: the CDN is disabled, the snapshot is primary
	Store    Store        // nil: this process does not publish
	Pending  PendingStore // nil: publishes that webhooks tell of are forgotten with the process
	Publish  PublishOptions
	Warm     WarmOptions
	Profiles Profiles // nil: no header profile is configured
	Routers  []RouterOptions
	// Quarantined has the plan keys that no pull gets since a router seems to
	// crash on them, for Status; nil: nothing is ever withheld.
	Quarantined func() []string
	// Dynamic: which routers there are is said later, by SetRouters. Readiness
	// waits for it.
	Dynamic bool
}

// WarmOptions says how a graph's routers are warmed.
type WarmOptions struct {
	Fallback Fallback
	Merge    bool
	Limit    int           // 0: from each router's capacity
	Poll     time.Duration // between fetches of the manifest
}

// Memo sizes: verdicts of schemas on texts, and keyers.
const (
	verdictMemo = 20_000
	keyerMemo   = 2 // of the schema and of the one before
)

// graph is the state of one graph.
type graph struct {
	opts     GraphOptions
	log      *zap.Logger
	metrics  *metrics
	fleet    *fleet
	verdicts *lru.Cache[digest, verdict]
	keyers   *lru.Cache[string, *lazyKeyer]
	refetch  *queue
	publish  *queue

	started  time.Time
	snapshot snapshot
	lists    listings

	publication publication

	firstFetch  chan struct{} // closed after the first fetch
	recomputing chan struct{} // holds one token while the manifest is being recomputed

	mu        sync.Mutex
	fetched   fetched
	published published
}

func newGraph(o GraphOptions, m *metrics, log *zap.Logger) (*graph, error) {
	verdicts, err := lru.New[digest, verdict](verdictMemo)
	if err != nil {
		return nil, err
	}
	keyers, err := lru.New[string, *lazyKeyer](keyerMemo)
	if err != nil {
		return nil, err
	}
	g := &graph{
		opts: o, log: log.With(zap.String("graph", o.Graph.String())), metrics: m, verdicts: verdicts, keyers: keyers,
		publication: publication{queue: newQueue(), last: o.Schema.Current()},
		started:     time.Now(), refetch: newQueue(), publish: newQueue(), firstFetch: make(chan struct{}), recomputing: make(chan struct{}, 1),
	}
	g.fleet = newFleet(o.Routers, o.Dynamic, m, func(ro RouterOptions) *router {
		r := newRouter(ro, g.listing, func() { g.refetch.add(ReasonMisses) }, m, g.log)
		r.headers = o.Profiles
		return r
	}, g.awaitFetch)
	return g, nil
}

// run does the graph's work until ctx ends.
func (g *graph) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if g.opts.Fetcher != nil {
		wg.Go(func() { g.fetchLoop(ctx) })
	}
	if g.opts.Store != nil {
		wg.Go(func() { g.publishLoop(ctx) })
		wg.Go(func() { g.checkpointLoop(ctx) })
	}
	wg.Go(func() { g.publicationLoop(ctx) })
	wg.Go(func() { g.fleet.run(ctx) })
}

// awaitFetch lets the first run and the first pull of a router begin with the
// manifest rather than with the fallback that is there a moment earlier.
func (g *graph) awaitFetch(ctx context.Context) {
	if g.opts.Fetcher == nil {
		return
	}
	limit := time.NewTimer(time.Until(g.started.Add(firstFetchWait)))
	defer limit.Stop()
	select {
	case <-ctx.Done():
	case <-limit.C:
	case <-g.firstFetch:
	}
}

// firstFetchWait is how long after the start somebody waits for the first fetch.
const firstFetchWait = 3 * time.Second

// schemaChanged reacts to a new schema: what broke is found, the manifest is
// built again, and the routers, which load it about now, are warmed.
func (g *graph) schemaChanged() {
	g.noteSchema()
	g.publish.add(ReasonSchema)
	g.triggerRouters(ReasonSchema)
}

func (g *graph) triggerRouters(r Reason) {
	for _, x := range g.fleet.list() {
		x.trigger(r)
	}
}

// keyer returns the keyer of a schema. It is built when the first key is asked
// for: it costs memory that an idle sidecar does not have to spend.
func (g *graph) keyer(sc *schema.Schema) *lazyKeyer {
	g.mu.Lock()
	defer g.mu.Unlock()
	if k, ok := g.keyers.Get(sc.ID()); ok {
		return k
	}
	k := &lazyKeyer{build: func() (Keyer, error) { return g.opts.NewKeyer(sc) }}
	g.keyers.Add(sc.ID(), k)
	return k
}

// lazyKeyer is a Keyer that is built with its first use.
type lazyKeyer struct {
	build func() (Keyer, error)

	mu     sync.Mutex
	built  bool
	keyer  Keyer
	failed error
}

var _ Keyer = (*lazyKeyer)(nil)

// Key implements Keyer.
func (l *lazyKeyer) Key(text, name string, conditions map[string]bool) (planKey, hash string, err error) {
	k, err := l.get()
	if err != nil {
		return "", "", err
	}
	return k.Key(text, name, conditions)
}

func (l *lazyKeyer) get() (Keyer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.built {
		var err error
		if l.keyer, err = l.build(); err != nil {
			l.failed = fmt.Errorf("build keyer: %w", err)
		}
		l.built = true
	}
	return l.keyer, l.failed
}

// err says why no key can be had; nil also before the first was asked for.
func (l *lazyKeyer) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}
