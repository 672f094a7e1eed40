package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/warmer"
)

// graphPart is one graph of a generation.
type graphPart struct {
	g       *generation
	config  config.Graph
	id      manifest.Graph
	store   *cdnsource.Store // signs with the graph's key
	watcher *schema.Watcher
	table   *graphTable
	guard   *cdnsource.CrashGuard
	cosmo   *cosmoPart
	copies  *replicas // of routers that are looked up; nil when there are none
	live    bool      // in force; set before anything runs
}

func (g *generation) newGraphPart(ctx context.Context, c config.Graph) (*graphPart, error) {
	p := &graphPart{
		g: g, config: c, id: manifest.Graph{Namespace: c.Namespace, Name: c.Name},
	}
	p.guard = cdnsource.NewCrashGuard(cdnsource.CrashGuardOptions{
		PullsPerStart: 1 + featureFlags(c), Quarantined: g.host.quarantined(p.id),
	})
	sign, err := signer(c.Manifest.SigningKeyFile)
	if err != nil {
		return nil, err
	}
	if p.store, err = g.storage.storeOn(g.bucket, g.config, sign, g.log); err != nil {
		return nil, err
	}
	var opened bool
	if p.table, opened, err = g.host.table(g.config, p.id); err != nil {
		return nil, err
	}
	p.watcher, err = schema.NewWatcher(schema.Options{
		File: c.Schema.File, URL: c.Schema.URL, Poll: c.Schema.Poll.Std(), Token: tokenOf(c.Schema.TokenFile),
		Logger: g.log, OnChange: func(_, sc *schema.Schema) { p.schemaChanged(ctx, sc) },
	})
	if err != nil {
		return nil, err
	}
	// The first schema is loaded now when it is there, so that the telemetry
	// that arrives next finds it; Run keeps trying when it is not.
	p.watcher.Check(ctx)
	if opened && g.config.Publishes() {
		p.table.recover(ctx, p.store)
	}
	return p, nil
}

// activate puts the part in the place of the one before it at the table, which
// the generation in force has used until now.
func (p *graphPart) activate() {
	p.live = true
	p.table.canon.keep(p.textPolicy())
	var store *cdnsource.Store
	if p.g.config.Publishes() {
		store = p.store
	}
	p.table.attach(store)
	if sc := p.watcher.Current(); sc != nil {
		p.useSchema(sc)
	}
}

// schemaChanged takes over a new schema: texts are looked at under it, the
// manifest is built again, routers are warmed.
func (p *graphPart) schemaChanged(ctx context.Context, sc *schema.Schema) {
	if !p.live {
		return // activate takes it over, if this generation comes into force
	}
	p.useSchema(sc)
	_ = p.g.warmer.Trigger(ctx, p.id, warmer.ReasonSchema) // the graph is configured
}

func (p *graphPart) useSchema(sc *schema.Schema) {
	p.table.canon.use(sc)
	p.table.table.RetryTexts()
}

// options are the graph as the warmer takes it.
func (p *graphPart) options(context.Context) (warmer.GraphOptions, error) {
	m, w := p.config.Manifest, p.config.Warm
	o := warmer.GraphOptions{
		Graph: p.id, Schema: p.watcher, NewKeyer: newKeyer, Usages: p.table,
		Publish: warmer.PublishOptions{
			Settings: m.Settings(), Window: m.Window.Std(), RecomputeInterval: m.RecomputeInterval.Std(),
			MinPublishInterval: m.MinPublishInterval.Std(), PinsPoll: w.Poll.Std(), ExactTexts: p.exactTexts(),
		},
		Warm: warmer.WarmOptions{Fallback: warmer.Fallback(w.Fallback), Merge: w.Merge, Limit: w.Limit, Poll: w.Poll.Std()},
	}
	var err error
	if p.g.config.CDN.Enabled {
		if o.Fetcher, err = p.fetcher(); err != nil {
			return o, err
		}
	}
	o.Pending, o.Quarantined = p.pending(), p.guard.Quarantined
	o.Profiles = profilesOf(p.config)
	if p.g.config.Publishes() {
		o.Store = p.publisher()
	}
	if !p.g.config.Warms() {
		return o, nil
	}
	for _, r := range p.config.Routers {
		ro, err := p.router(r, destination{name: r.URL})
		if err != nil {
			return o, fmt.Errorf("router %s: %w", r.URL, err)
		}
		if !r.Resolve { // the other one was built to find its faults at the start
			o.Routers = append(o.Routers, ro)
		}
	}
	p.copies = newReplicas(p.config.Routers, o.Routers, p.router, p.g.log)
	o.Dynamic = p.copies != nil
	return o, nil
}

// fetcher reads the configured CDN, or the bucket.
func (p *graphPart) fetcher() (warmer.Fetcher, error) {
	verify, err := verifier(p.config.Manifest.VerifyKeyFile)
	if err != nil {
		return nil, err
	}
	if p.g.config.CDN.URL == "" {
		return &bucketFetcher{store: p.store, verify: verify}, nil
	}
	c, err := cdnsource.NewClient(cdnsource.ClientOptions{URL: p.g.config.CDN.URL, Token: tokenOf(p.g.config.CDN.TokenFile)})
	if err != nil {
		return nil, err
	}
	return &httpFetcher{client: c, verify: verify}, nil
}

func (p *graphPart) publisher() *publisher {
	pub := &publisher{store: p.store, instance: p.g.config.Instance, log: p.g.log}
	if c := p.config.Cosmo; c.OrganizationID != "" {
		pub.copyTo = &cosmoCopy{organization: c.OrganizationID, graph: c.FederatedGraphID}
	}
	return pub
}

func (p *graphPart) router(r config.Router, t destination) (warmer.RouterOptions, error) {
	w := p.config.Warm
	plan, err := newPlannerAt(r, t.client, watched(p.watcher), p.g.log)
	if err != nil {
		return warmer.RouterOptions{}, err
	}
	return warmer.RouterOptions{
		Name: t.name, Planner: plan, Exact: keysOnText(r.Kind), Interval: w.Interval.Std(), Jitter: w.Jitter.Std(),
		Capacity: warmer.Capacity{PlanCacheSize: r.PlanCacheSize, PullRate: r.Pull.ItemsPerSecond, PullTimeout: r.Pull.Timeout.Std()},
		Settings: warmer.Settings{Concurrency: w.Concurrency, PerSecond: w.OperationsPerSecond, Deadline: w.Deadline.Std()},
		OnReady:  func() { p.guard.Ready(time.Now()) },
	}, nil
}

// served is the graph as the CDN endpoint knows it.
func (p *graphPart) served() cdnsource.ServedGraph {
	c := p.config.Cosmo
	s := cdnsource.ServedGraph{Graph: p.id, OrganizationID: c.OrganizationID, FederatedGraphID: c.FederatedGraphID}
	if soleRouter(p.config) && p.g.config.Warms() {
		// A guard tells a crash loop by pulls without a sign of life; where no
		// router is asked, or several pull, it would take them for one another.
		s.Guard = p.guard
	}
	if c.JWTSecretFile != "" || c.TokenFile != "" {
		s.Credentials = p.credentials
	}
	return s
}

// credentials reads the secret files for each request, so that they can be
// exchanged. A file that cannot be read opens to nobody.
func (p *graphPart) credentials() cdnsource.Credentials {
	var creds cdnsource.Credentials
	if c := p.config.Cosmo; c.JWTSecretFile != "" {
		for _, secret := range p.g.secrets(c.JWTSecretFile) {
			creds.JWTSecrets = append(creds.JWTSecrets, []byte(secret))
		}
	}
	if c := p.config.Cosmo; c.TokenFile != "" {
		creds.Tokens = p.g.secrets(c.TokenFile)
	}
	return creds
}

// exactTexts says whether a router of the graph keys its plans on exact text. A
// process that only publishes has to be told of the graph's routers as well.
func (p *graphPart) exactTexts() bool {
	return slices.ContainsFunc(p.config.Routers, func(r config.Router) bool { return keysOnText(r.Kind) })
}

func (p *graphPart) textPolicy() textPolicy {
	switch {
	case !p.exactTexts():
		return keepLifted // exact texts would be of no use to any router
	case p.g.config.Telemetry.KeepText == config.KeepExact:
		return keepLiterals
	}
	return keepExact
}
