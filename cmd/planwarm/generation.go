package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"

	"github.com/planwarm/planwarm/admin"
	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/telemetry/otlp"
	"github.com/planwarm/planwarm/warmer"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// generation is what one configuration makes of a host. A reload replaces it whole.
type generation struct {
	config   config.Config
	host     *host
	log      *zap.Logger
	registry *prometheus.Registry
	storage  *storage
	bucket   cdnsource.Bucket // of storage, counted
	graphs   []*graphPart
	warmer   *warmer.Warmer
	receiver *otlp.Receiver
	grpc     *grpc.Server
	// grpcListener is nil where gRPC is off.
	grpcListener net.Listener

	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// startGeneration wires a configuration and puts it in force: everything that
// can fail first, then one swap. It returns the teardown of the generation that
// was replaced. After an error nothing of the new one is left, and the old one
// is as it was.
func startGeneration(ctx context.Context, h *host, c config.Config) (retired *teardown, err error) {
	g := &generation{config: c, host: h, log: h.log, registry: prometheus.NewRegistry()}
	g.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	// The generation ends when it is stopped, in order; only the preparation,
	// which may wait for a bucket, ends with ctx at once.
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	g.cancel = cancel
	keep := context.AfterFunc(ctx, cancel)
	err = h.prepare(c)
	if err == nil {
		err = g.prepare(run)
	}
	if !keep() {
		err = errors.Join(ctx.Err(), err)
	}
	if err != nil {
		cancel()
		return nil, errors.Join(err, h.rollback())
	}
	return g.run(run), nil
}

// prepare does all that can fail. The CDN endpoint opens before anything else:
// a router that starts now must get an answer, if only a 404.
func (g *generation) prepare(ctx context.Context) error {
	cdn, err := g.host.server("cdn", enabled(g.config.CDN.Enabled, g.config.CDN.Listen))
	if err != nil {
		return err
	}
	health, err := g.host.server("health", g.config.Health.Listen)
	if err != nil {
		return err
	}
	if g.storage, err = g.host.open(ctx, g.config); err != nil {
		return err
	}
	if g.bucket, err = cdnsource.Instrument(g.storage.bucket, g.registry); err != nil {
		return err
	}
	for _, gc := range g.config.Graphs {
		part, err := g.newGraphPart(ctx, gc)
		if err != nil {
			return fmt.Errorf("graph %s/%s: %w", gc.Namespace, gc.Name, err)
		}
		if part.cosmo, err = newCosmoPart(ctx, part); err != nil {
			return fmt.Errorf("graph %s/%s: %w", gc.Namespace, gc.Name, err)
		}
		g.graphs = append(g.graphs, part)
	}
	g.registry.MustRegister(tableMetrics{g.graphs})
	if err := g.buildWarmer(ctx); err != nil {
		return err
	}
	return g.serve(ctx, cdn, health)
}

// run puts the generation in force and starts its work. Nothing of it can fail.
func (g *generation) run(ctx context.Context) (retired *teardown) {
	for _, p := range g.graphs {
		p.activate()
	}
	retired = g.host.commit(g)
	g.serveGRPC()
	g.wg.Go(func() { settleTelemetry(ctx, g.receiver) })
	for _, p := range g.graphs {
		g.wg.Go(func() { _ = p.watcher.Run(ctx) }) // it ends with ctx only
		p.cosmo.run(ctx)
		if p.copies != nil {
			g.wg.Go(func() { p.copies.run(ctx) })
		}
	}
	g.wg.Go(func() { _ = g.warmer.Run(ctx) }) // it ends with ctx only
	return retired
}

func (g *generation) buildWarmer(ctx context.Context) error {
	o := warmer.Options{Logger: g.log, Registerer: g.registry}
	for _, p := range g.graphs {
		gopts, err := p.options(ctx)
		if err != nil {
			return fmt.Errorf("graph %s: %w", p.id, err)
		}
		o.Graphs = append(o.Graphs, gopts)
		o.ReadyTimeout = max(o.ReadyTimeout, p.config.Warm.ReadyTimeout.Std())
	}
	var err error
	if g.warmer, err = warmer.New(o); err != nil {
		return err
	}
	for _, p := range g.graphs {
		if p.copies != nil {
			p.copies.set = func(rs []warmer.RouterOptions) error { return g.warmer.SetRouters(p.id, rs) }
		}
	}
	return nil
}

// serve says what is to be behind the listeners.
func (g *generation) serve(ctx context.Context, cdn, health *server) error {
	if err := g.serveTelemetry(); err != nil {
		return err
	}
	control, err := g.control()
	if err != nil {
		return err
	}
	adm, err := g.host.server("admin", g.config.Admin.Listen)
	if err != nil {
		return err
	}
	if err := g.serveWebhooks(); err != nil {
		return err
	}
	if cdn != nil {
		h, err := g.cdnHandler(ctx)
		if err != nil {
			return err
		}
		cdn.set(h)
	}
	if adm != nil {
		adm.set(control)
	}
	if health != nil {
		health.set(admin.NewHealth(func() bool { return g.host.ready.Load() || g.warmer.Ready() }, g.registry))
	}
	return nil
}

func (g *generation) control() (http.Handler, error) {
	token, err := readSecret(g.config.Admin.TokenFile)
	if err != nil {
		return nil, err
	}
	return admin.NewControl(admin.ControlOptions{Sidecar: g.warmer, Touch: g.touch, Token: token, Logger: g.log})
}

func (g *generation) cdnHandler(ctx context.Context) (http.Handler, error) {
	o := cdnsource.HandlerOptions{
		Source: documents{g.warmer}, Published: &published{fetched: g.warmer.Fetched}, Logger: g.log, Registerer: g.registry,
		OnPull: func(id manifest.Graph, pull cdnsource.PullInfo) {
			if pull.Endpoint != cdnsource.EndpointCosmo {
				return // another planwarm fetches; no router rebuilds
			}
			if !g.isNews(id, pull.At) {
				return // one of the feature flags of a rebuild that is known
			}
			if err := g.warmer.Pulled(ctx, id); err != nil {
				g.log.Warn("pull not noted", zap.Error(err))
			}
		},
	}
	if g.config.CDN.Upstream != "" {
		u, err := url.Parse(g.config.CDN.Upstream)
		if err != nil {
			return nil, fmt.Errorf("parse cdn.upstream: %w", err)
		}
		o.Upstream = u
	}
	if g.config.CDN.TokenFile != "" {
		o.Tokens = func() []string { return g.secrets(g.config.CDN.TokenFile) }
	}
	for _, p := range g.graphs {
		o.Graphs = append(o.Graphs, p.served())
	}
	h, err := cdnsource.NewHandler(o)
	if err != nil {
		return nil, err
	}
	return g.withControlPlane(h)
}

// secrets reads a secret file; one that cannot be read opens to nobody.
func (g *generation) secrets(path string) []string {
	secret, err := readSecret(path)
	if err != nil {
		g.log.Error("secret not read", zap.Error(err))
		return nil
	}
	return []string{secret}
}

// stop ends what the generation runs and waits for it. Telemetry that was
// acknowledged is in the table before the warmer saves the last checkpoint.
func (g *generation) stop(ctx context.Context) error {
	stopGRPC(ctx, g.grpc)
	g.receiver.Flush()
	g.cancel()
	g.wg.Wait()
	if g.config.Publishes() {
		return nil // the warmer has saved them
	}
	var errs []error
	for _, p := range g.graphs {
		_, err := p.table.Checkpoint() // the snapshot outlives the process
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func enabled(on bool, addr string) string {
	if on {
		return addr
	}
	return ""
}
