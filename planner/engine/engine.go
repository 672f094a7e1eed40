// Package engine is a federation planner and executor in process, built from a
// supergraph alone, and the identity that a Cosmo router gives to operations.
// It plans for `planwarm plan`, checks candidates against a schema, and is what
// the router of the demo runs on.
package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/ast"
	gqlds "github.com/wundergraph/graphql-go-tools/v2/pkg/engine/datasource/graphql_datasource"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/engine/datasource/introspection_datasource"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/engine/plan"
	"github.com/wundergraph/graphql-go-tools/v2/pkg/engine/resolve"
	"golang.org/x/sync/singleflight"

	"github.com/planwarm/planwarm/schema/supergraph"
)

// Defaults of Options.
const (
	DefaultPlanCacheSize = 1024 // as in a Cosmo router
	defaultHTTPTimeout   = 30 * time.Second
	defaultIdleTimeout   = 90 * time.Second
	// maxExecutions bounds the operations that are executed at the same time.
	maxExecutions = 256
)

// Options of an Engine. The zero value is usable.
type Options struct {
	Labels        map[string]bool   // labels of progressive overrides that are on
	URLs          map[string]string // subgraph name to URL, in place of the supergraph's
	HTTPClient    *http.Client      // for subgraphs; default: one of its own, 30 s time-out
	PlanCacheSize int               // plans that are kept; default DefaultPlanCacheSize
	PlanOnly      bool              // leave out the part that executes
}

// Engine plans and executes operations against one supergraph. It is safe for
// concurrent use. A new supergraph needs a new engine.
type Engine struct {
	unsupported []string
	normalizer  *normalizer   // with the schema that clients see
	planning    *ast.Document // with @inaccessible elements
	cfg         plan.Configuration
	resolvers   fieldResolvers
	resolver    *resolve.Resolver // nil when the engine only plans

	cancel context.CancelFunc
	client *http.Client // made here, nil when it was given

	flight singleflight.Group

	mu     sync.Mutex // guards what follows
	closed bool
	work   sync.WaitGroup // plans under way in flight
	plans  *simplelru.LRU[string, *Planned]
	stats  Stats
}

// New builds an engine from the SDL of a supergraph. ctx bounds the life of
// what runs in the background; Close ends it earlier and waits.
func New(ctx context.Context, sdl string, o Options) (*Engine, error) {
	s, err := supergraph.Parse(sdl)
	if err != nil {
		return nil, fmt.Errorf("new engine: %w", err)
	}
	if o.PlanCacheSize == 0 {
		o.PlanCacheSize = DefaultPlanCacheSize
	}
	if o.PlanCacheSize < 0 {
		return nil, fmt.Errorf("new engine: plan cache size %d is negative", o.PlanCacheSize)
	}
	e := &Engine{unsupported: s.Unsupported, stats: Stats{Size: o.PlanCacheSize}}
	if o.HTTPClient == nil {
		// A transport of its own, so that Close ends no connection of others.
		e.client = &http.Client{Timeout: defaultHTTPTimeout, Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: maxExecutions, IdleConnTimeout: defaultIdleTimeout,
		}}
		o.HTTPClient = e.client
	}
	if e.plans, err = simplelru.NewLRU(o.PlanCacheSize, func(string, *Planned) { e.stats.Evicted++ }); err != nil {
		return nil, fmt.Errorf("new engine: %w", err)
	}
	ctx, e.cancel = context.WithCancel(ctx)
	if err := e.build(ctx, s, o); err != nil {
		e.cancel()
		return nil, fmt.Errorf("new engine: %w", err)
	}
	return e, nil
}

// build makes everything that depends on the supergraph.
func (e *Engine) build(ctx context.Context, s *supergraph.Supergraph, o Options) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = recovered(errors.New("build configuration"), r)
		}
	}()
	client := bounded(o.HTTPClient, MaxSubgraphBody)
	subscriptions := gqlds.NewGraphQLSubscriptionClient(ctx, gqlds.WithUpgradeClient(client), gqlds.WithStreamingClient(client))
	factory, err := gqlds.NewFactory(ctx, client, subscriptions)
	if err != nil {
		return fmt.Errorf("make subgraph client: %w", err)
	}
	cfg, err := planConfiguration(s, factory, o.Labels, o.URLs)
	if err != nil {
		return err
	}
	if e.planning, err = parseSchema(s.API(true)); err != nil {
		return fmt.Errorf("planning schema: %w", err)
	}
	if e.normalizer, err = newNormalizer(s.API(false)); err != nil {
		return fmt.Errorf("client schema: %w", err)
	}
	introspection, err := introspection_datasource.NewIntrospectionConfigFactory(e.normalizer.schema)
	if err != nil {
		return fmt.Errorf("make introspection: %w", err)
	}
	cfg.DataSources = append(cfg.DataSources, introspection.BuildDataSourceConfigurations()...)
	cfg.Fields = append(cfg.Fields, introspection.BuildFieldConfigurations()...)
	e.cfg = *cfg
	if e.resolvers, err = countResolvers(s, o.Labels); err != nil {
		return err
	}
	if !o.PlanOnly {
		e.resolver = resolve.New(ctx, resolve.ResolverOptions{
			MaxConcurrency:               maxExecutions,
			PropagateSubgraphErrors:      true,
			SubgraphErrorPropagationMode: resolve.SubgraphErrorPropagationModePassThrough,
			AllowAllErrorExtensionFields: true,
			RewriteSubgraphErrorPaths:    true,
		})
	}
	return nil
}

// Unsupported names the places of the supergraph whose plans differ from those
// of a router, such as "User.price: @fromContext".
func (e *Engine) Unsupported() []string { return e.unsupported }

// Close ends the engine and waits for the plans that are being made, since
// planning cannot be interrupted. It does not wait for Execute, which ends with
// the context of its caller.
func (e *Engine) Close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.work.Wait()
	e.cancel()
	if e.client != nil {
		e.client.CloseIdleConnections()
	}
}
