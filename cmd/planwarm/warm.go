package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/warmer"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

// warmFlags are what can be said instead of the configuration.
type warmFlags struct {
	namespace string
	routers   []string
	tokenFile string
	manifest  string
	running   bool
	touch     bool
	remote    remoteFlags
}

func newWarmCmd(c *cli) *cobra.Command {
	var f warmFlags
	cmd := &cobra.Command{
		Use:   "warm [graph]",
		Short: "Warm routers once, now",
		Long: `Send every operation of the manifest to the routers as a plan-only request, check
that the plans are there, and report. A canary goes first: a router that executes
it instead of planning ends the run with exit code 1 and nothing else is sent.
Mutations are sent only to routers that provably fail closed.

With --running a sidecar that runs is asked to do it; this command does not wait.
With --touch it touches the execution config of Cosmo routers, which build their
graph again and warm it from their own pull; it refuses (exit code 3) as long as
the reload after the last touch was not seen.`,
		Example: `  planwarm warm storefront
  planwarm warm storefront --router http://127.0.0.1:3002/graphql --manifest manifest.json
  planwarm warm storefront --running`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.running || f.touch || f.remote.server != "" {
				return c.warmRunning(cmd.Context(), f, args)
			}
			return c.warmOnce(cmd.Context(), f, args)
		},
	}
	cmd.Flags().StringVarP(&f.namespace, "namespace", "n", "default", "namespace of the graph")
	cmd.Flags().StringArrayVar(&f.routers, "router", nil, "GraphQL endpoint of a configured router, or of a Cosmo router; may be repeated (default: the configured ones)")
	cmd.Flags().StringVar(&f.tokenFile, "router-token-file", "", "file with the X-WG-Token for --router")
	cmd.Flags().StringVar(&f.manifest, "manifest", "", "manifest file, - for standard input (default: the published manifest)")
	cmd.Flags().BoolVar(&f.touch, "touch", false, "have the sidecar touch the execution config (cosmo.touch), so that Cosmo routers fetch and warm again")
	cmd.Flags().BoolVar(&f.running, "running", false, "ask the sidecar that runs with this configuration")
	f.remote.add(cmd)
	return cmd
}

// warmRunning triggers a run of a sidecar and does not wait for it.
func (c *cli) warmRunning(ctx context.Context, f warmFlags, args []string) error {
	r, err := c.remote(f.remote)
	if err != nil {
		return err
	}
	query := url.Values{}
	if len(args) == 1 {
		query.Set("graph", args[0])
		query.Set("namespace", f.namespace)
	}
	var said struct {
		Graph string `json:"graph"`
		State string `json:"state"`
	}
	path := "/warm"
	if f.touch {
		path = "/touch"
	}
	if err := r.call(ctx, http.MethodPost, path, query, &said); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(said)
	}
	_, err = fmt.Fprintf(c.stdout, "warm-up of %s %s; planwarm status shows how it goes\n", said.Graph, said.State)
	return err
}

// warmedRouter is the outcome for one router.
type warmedRouter struct {
	Router string `json:"router"`
	Error  string `json:"error,omitempty"`
	// Inexact are operations that were not sent: no client sends their text.
	Inexact []warmer.Inexact `json:"inexact,omitempty"`
	warmer.Report
}

func (c *cli) warmOnce(ctx context.Context, f warmFlags, args []string) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	graph, err := warmGraph(cfg, f, args)
	if err != nil {
		return err
	}
	m, err := c.warmManifest(ctx, cfg, graph, f.manifest)
	if err != nil {
		return err
	}
	if len(graph.Routers) == 0 {
		return withCode(exitUsage, errors.New("no router: give --router or configure one"))
	}
	var out []warmedRouter
	failed := false
	types := loadedOnce(ctx, graph.Schema)
	for _, r := range graph.Routers {
		for _, w := range c.warmReplicas(ctx, graph, r, types, m) {
			failed = failed || w.Error != "" || w.Failed > 0 || w.Stopped != ""
			out = append(out, w)
		}
	}
	if c.json {
		err = c.printJSON(map[string]any{"graph": m.Graph.String(), "sequence": m.Sequence, "operations": len(m.Operations), "routers": out})
	} else {
		err = c.printWarmed(out)
	}
	if err == nil && failed {
		return &silentError{code: exitFailed}
	}
	return err
}

// warmGraph is the configured graph of that name, with the routers of the flags
// in the place of its own.
func warmGraph(cfg config.Config, f warmFlags, args []string) (config.Graph, error) {
	g, err := pickGraph(cfg, f.namespace, args)
	if err != nil && f.manifest == "" {
		return g, err
	}
	if err != nil { // a manifest file and a router need no configuration
		g = config.DefaultGraph()
	}
	if len(f.routers) == 0 {
		return g, nil
	}
	configured := g.Routers
	g.Routers = nil
	for _, at := range f.routers {
		if u, err := url.Parse(at); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return g, withCode(exitUsage, errors.New("--router is not a URL such as http://127.0.0.1:3002/graphql"))
		}
		r := config.DefaultRouter()
		if i := slices.IndexFunc(configured, func(r config.Router) bool { return r.URL == at }); i >= 0 {
			r = configured[i]
		}
		r.URL, r.TokenFile = at, or(f.tokenFile, r.TokenFile)
		g.Routers = append(g.Routers, r)
	}
	return g, nil
}

// pickGraph is the configured graph that was named, or the only one.
func pickGraph(cfg config.Config, namespace string, args []string) (config.Graph, error) {
	if len(args) == 0 {
		if len(cfg.Graphs) == 1 {
			return cfg.Graphs[0], nil
		}
		return config.Graph{}, withCode(exitUsage, fmt.Errorf("name a graph: %d are configured", len(cfg.Graphs)))
	}
	for _, g := range cfg.Graphs {
		if g.Name == args[0] && g.Namespace == namespace {
			return g, nil
		}
	}
	return config.Graph{}, withCode(exitNotFound, fmt.Errorf("graph %s/%s is not configured", namespace, args[0]))
}

// warmManifest reads the file that a person named, or what is published, which
// has to be signed where the configuration asks for that.
func (c *cli) warmManifest(ctx context.Context, cfg config.Config, g config.Graph, path string) (manifest.Manifest, error) {
	if path != "" {
		return c.readManifest(path)
	}
	verify, err := verifier(g.Manifest.VerifyKeyFile)
	if err != nil {
		return manifest.Manifest{}, err
	}
	m, err := c.published(ctx, cfg, g)
	if err == nil && verify != nil {
		err = verify(m)
	}
	return m, err
}

// published is the manifest in force: from the configured CDN, or the bucket.
func (c *cli) published(ctx context.Context, cfg config.Config, g config.Graph) (manifest.Manifest, error) {
	if cfg.CDN.Enabled && cfg.CDN.URL != "" {
		client, err := cdnsource.NewClient(cdnsource.ClientOptions{URL: cfg.CDN.URL, Token: tokenOf(cfg.CDN.TokenFile)})
		if err != nil {
			return manifest.Manifest{}, err
		}
		return client.Fetch(ctx, manifest.Graph{Namespace: g.Namespace, Name: g.Name})
	}
	var m manifest.Manifest
	f := bucketFlags{namespace: g.Namespace, timeout: defaultTimeout}
	err := c.withGraph(ctx, f, g.Name, reading, func(ctx context.Context, d *desk) (err error) {
		var there bool
		if m, _, there, err = d.fetch(ctx); err == nil && !there {
			err = withCode(exitNotFound, fmt.Errorf("nothing is published for %s: planwarm recompute publishes, --manifest takes a file", d.graph))
		}
		return err
	})
	return m, err
}

// warmReplicas warms each address of a router that is to be looked up, one
// after another, and others as they are.
func (c *cli) warmReplicas(ctx context.Context, g config.Graph, r config.Router, types schemaSource, m manifest.Manifest) []warmedRouter {
	targets, err := destinationsOf(ctx, net.DefaultResolver, r)
	if err != nil {
		return []warmedRouter{{Router: r.URL, Error: err.Error()}}
	}
	out := make([]warmedRouter, 0, len(targets))
	for _, t := range targets {
		out = append(out, c.warmRouter(ctx, g, r, t, types, m))
		t.close()
	}
	return out
}

func (c *cli) warmRouter(ctx context.Context, g config.Graph, r config.Router, t destination, types schemaSource, m manifest.Manifest) warmedRouter {
	w := g.Warm
	out := warmedRouter{Router: t.name}
	p, err := newPlannerAt(r, t.client, types, zap.NewNop())
	if err != nil {
		out.Error = err.Error()
		return out
	}
	limit := warmer.Capacity{PlanCacheSize: r.PlanCacheSize}.Limit()
	if w.Limit > 0 {
		limit = w.Limit
	}
	run := warmer.Runner{Planner: p, Profiles: profilesOf(g), Progress: c.progress(), Settings: warmer.Settings{
		Concurrency: w.Concurrency, PerSecond: w.OperationsPerSecond, Deadline: w.Deadline.Std(),
	}}
	entries := manifest.Merge(m.Operations, nil, limit)
	if keysOnText(r.Kind) {
		out.Inexact = warmer.InexactOf(entries)
	}
	out.Report, _, err = run.Run(ctx, warmer.Items(entries, keysOnText(r.Kind)))
	if err != nil {
		out.Error = err.Error()
	}
	return out
}

// progress draws a bar on a terminal, and nothing elsewhere.
func (c *cli) progress() func(done, all int) {
	f := c.terminal()
	if f == nil || c.json {
		return nil
	}
	const width = 30
	var last time.Time
	return func(done, all int) {
		if done < all && time.Since(last) < 50*time.Millisecond {
			return
		}
		last = time.Now()
		n := width * done / max(1, all)
		fmt.Fprintf(f, "\r\x1b[Kwarming [%s%s] %d/%d", strings.Repeat("█", n), strings.Repeat("·", width-n), done, all)
		if done == all {
			fmt.Fprintln(f)
		}
	}
}

func (c *cli) printWarmed(routers []warmedRouter) error {
	var out strings.Builder
	line := func(format string, args ...any) { out.WriteString(printable(fmt.Sprintf(format, args...)) + "\n") }
	for _, w := range routers {
		share := "unknown (the router does not tell hits)"
		if w.Share != nil {
			share = fmt.Sprintf("%.0f %%", *w.Share*100)
		}
		line("%s: %d planned, %d already warm, %d failed, %d skipped in %.0f ms; verified: %s",
			w.Router, w.Planned, w.AlreadyWarm, w.Failed, w.Skipped, w.TookMs, share)
		for _, x := range w.Failures {
			line("  failed: %s %s%s: %s", nameOf(x.Name), x.PlanKey, underProfile(x.Profile), x.Reason)
		}
		for _, x := range w.Profiles {
			line("  skipped: %s under header profile %s: %s", some(x.Operations, "operation"), x.Profile, x.Reason)
		}
		for _, x := range w.Inexact {
			line("  %s %s: %s", nameOf(x.Name), x.PlanKey, x.Reason)
		}
		for _, x := range w.Unplannable {
			line("  left out: %s %s: %s", nameOf(x.Name), x.PlanKey, x.Reason)
		}
		if w.ByExecution > 0 {
			line("  %d of them by executing the query, as allow_execution permits", w.ByExecution)
		}
		if w.Executed > 0 {
			line("  the router executed %s: it does not allow the header", some(w.Executed, "plan-only request"))
		}
		if w.Error != "" {
			c.warn("%s: %s", printable(w.Router), printableLines(w.Error))
		}
	}
	if _, err := io.WriteString(c.stdout, out.String()); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}
