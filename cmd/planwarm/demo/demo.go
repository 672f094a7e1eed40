// Package demo shows planwarm's whole job once, in one process tree on free
// loopback ports: subgraphs, a router, a bucket and planwarm itself.
package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/planwarm/planwarm/cdnsource/embedded"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner/engine/subgraphs"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/warmer"
)

// Options of a demo.
type Options struct {
	Executable string // this program
	Dir        string // where files and logs go; it is there and empty
	// Progress is called when a step begins.
	Progress func(step, steps int, what string)
}

const (
	trafficRequests = 600
	trafficSeed     = 1 // the same traffic each time
	stepTimeout     = 90 * time.Second
)

// graph is the demo's graph.
var graph = manifest.Graph{Namespace: "default", Name: "storefront"}

// Demo is a running demo. Close ends all of it.
type Demo struct {
	Options
	v1, v2     *schema.Schema
	operations []operation
	client     *http.Client
	subgraphs  *subgraphs.Server
	cdn        *cdn
	bucket     *embedded.Server
	sidecar    *sidecar
	router     *routerProcess
	routerPort string
	stops      []func(context.Context) error
	result     Result
}

// New prepares a demo. Nothing runs yet.
func New(o Options) (*Demo, error) {
	d := &Demo{Options: o, client: newClient()}
	for _, f := range []struct {
		name string
		into **schema.Schema
	}{{"supergraph.graphql", &d.v1}, {"supergraph-v2.graphql", &d.v2}} {
		text, err := readFile(f.name)
		if err != nil {
			return nil, err
		}
		if *f.into, err = schema.Load([]byte(text)); err != nil {
			return nil, fmt.Errorf("load %s: %w", f.name, err)
		}
	}
	var err error
	d.operations, err = loadOperations(d.v1)
	return d, err
}

// Run goes through the whole demo and returns what was measured.
func (d *Demo) Run(ctx context.Context) (Result, error) {
	steps := []struct {
		what string
		run  func(context.Context) error
	}{
		{"start subgraphs, bucket and planwarm", d.startAll},
		{"a router without planwarm learns the hard way: Zipf traffic", d.learn},
		{"planwarm recomputes and publishes the manifest", d.publish},
		{"cold: a fresh router process, every operation once", d.cold},
		{"warmed: a fresh router process pulls its warm-up", d.warming(d.startWarmed)},
		{"warmed: every operation once", d.warmed},
		{"steady: the same process, every operation again", d.steady},
		{"a new schema is published while the CDN is broken", d.warming(d.reloadBroken)},
		{"fallback: every operation that the new schema accepts", d.fallback},
		{"the CDN is repaired, and a signed webhook tells of the publish", d.warming(d.publishWebhook)},
		{"webhook: every operation that the new schema accepts", d.published},
	}
	for i, s := range steps {
		if d.Progress != nil {
			d.Progress(i+1, len(steps), s.what)
		}
		stepCtx, stop := context.WithTimeout(ctx, stepTimeout)
		err := s.run(stepCtx)
		stop()
		if err != nil {
			return d.result, fmt.Errorf("%s: %w", s.what, errors.Join(err, d.died()))
		}
	}
	return d.result, nil
}

// died says which process ended before its time, if one did.
func (d *Demo) died() error {
	var errs []error
	if d.sidecar != nil {
		errs = append(errs, d.sidecar.ended())
	}
	if d.router != nil {
		errs = append(errs, d.router.ended())
	}
	return errors.Join(errs...)
}

// Addresses says where the parts of a demo that is kept listen, and where its
// files are, the credentials of the bucket among them.
func (d *Demo) Addresses() map[string]string {
	a := map[string]string{
		"router": d.router.url + "/graphql", "router stats": d.router.url + "/stats", "subgraphs": d.subgraphs.CountsURL(),
		"bucket": d.bucket.Endpoint(), "files": d.Dir,
	}
	for name, addr := range d.sidecar.addresses {
		a["planwarm "+name] = "http://" + addr
	}
	return a
}

// onStop registers what ends a thing where the thing is made.
func (d *Demo) onStop(stop func(context.Context) error) { d.stops = append(d.stops, stop) }

// Close ends every process and server of the demo, the newest first.
func (d *Demo) Close(ctx context.Context) error {
	var errs []error
	for i := len(d.stops) - 1; i >= 0; i-- {
		errs = append(errs, d.stops[i](ctx))
	}
	d.stops = nil
	d.client.CloseIdleConnections()
	return errors.Join(errs...)
}

func (d *Demo) startAll(ctx context.Context) error {
	if err := d.startSubgraphs(); err != nil {
		return err
	}
	for from, to := range map[string]string{"supergraph.graphql": "router.graphql", "supergraph-v2.graphql": "v2.graphql"} {
		if err := copyOut(from, filepath.Join(d.Dir, to)); err != nil {
			return err
		}
	}
	if err := copyOut("supergraph.graphql", filepath.Join(d.Dir, "schema.graphql")); err != nil {
		return err
	}
	var err error
	if d.cdn, err = newCDN(); err != nil {
		return err
	}
	d.onStop(d.cdn.stop)
	if d.routerPort, err = freePort(); err != nil {
		return err
	}
	if d.sidecar, err = startSidecar(ctx, d.Executable, d.Dir, d.cdn.url, d.routerURL()); err != nil {
		return err
	}
	d.onStop(func(context.Context) error { return d.sidecar.stop() })
	bucket, err := d.cdn.serveBucket(ctx, d.sidecar.dataDir)
	if bucket != nil {
		d.onStop(func(context.Context) error { return bucket.Close() })
		d.bucket, d.result.Bucket = bucket, "s3://"+bucket.Options().Bucket
	}
	return err
}

func (d *Demo) startSubgraphs() error {
	sdl, err := subgraphSDL("subgraphs")
	if err != nil {
		return err
	}
	if d.subgraphs, err = subgraphs.New(subgraphs.Options{SDL: sdl}); err != nil {
		return fmt.Errorf("start subgraphs: %w", err)
	}
	d.onStop(d.subgraphs.Close)
	return nil
}

// learn sends traffic through a router that nobody warms, and lets its
// telemetry reach planwarm.
func (d *Demo) learn(ctx context.Context) error {
	r, err := d.startRouter(ctx, "router-learning", routerSettings{telemetry: true})
	if err != nil {
		return err
	}
	for _, req := range traffic(d.operations, trafficRequests, rand.New(rand.NewPCG(trafficSeed, trafficSeed))) {
		if _, err := send(ctx, d.client, r.url, req); err != nil {
			return errors.Join(err, r.stop())
		}
	}
	if err := r.flush(ctx, d.client); err != nil {
		return errors.Join(err, r.stop())
	}
	return r.stop()
}

func (d *Demo) publish(ctx context.Context) error {
	rep, err := d.sidecar.recompute(ctx, d.client)
	if err != nil {
		return err
	}
	if !rep.Published {
		return fmt.Errorf("manifest was not published: %s", rep.Waiting+rep.Error)
	}
	d.result.Manifest = Manifest{Sequence: rep.Sequence, Operations: rep.Operations, PlanKeys: rep.PlanKeys}
	return nil
}

func (d *Demo) cold(ctx context.Context) error {
	r, err := d.startRouter(ctx, "router-cold", routerSettings{})
	if err != nil {
		return err
	}
	d.result.Runs.Cold, err = d.measure(ctx, r, pass(d.operations, d.v1), "")
	return errors.Join(err, r.stop())
}

// warming goes through a step in which nothing but warming goes on, and counts
// what reached a subgraph and what the router refused.
func (d *Demo) warming(step func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		executed, refused, err := d.seen(ctx)
		if err != nil {
			return err
		}
		if err := step(ctx); err != nil {
			return err
		}
		executedNow, refusedNow, err := d.seen(ctx)
		d.result.ExecutedByWarming += executedNow - executed
		d.result.RefusedOfWarming += refusedNow - refused
		return err
	}
}

// seen is what the subgraphs were asked and what the router refused so far.
func (d *Demo) seen(ctx context.Context) (executed, refused uint64, err error) {
	executed = d.subgraphs.Total().Requests()
	if d.router == nil {
		return executed, 0, nil
	}
	stats, err := d.router.stats(ctx, d.client)
	return executed, stats.Invalid, err
}

func (d *Demo) startWarmed(ctx context.Context) error {
	r, err := d.startRouter(ctx, "router", routerSettings{listen: "127.0.0.1:" + d.routerPort, pull: true, telemetry: true})
	if err != nil {
		return err
	}
	d.router = r
	d.onStop(func(context.Context) error { return r.stop() })
	// The run that checks this router: planwarm has waited for one since its
	// start, and what it noted before belongs to an older generation.
	run, err := d.sidecar.awaitRun(ctx, d.client, func(s routerStatus) bool {
		return s.Phase == warmer.PhaseWarm && s.LastRun.Generation == s.Generation && s.LastRun.Origin == warmer.OriginManifest && s.Warm > 0
	})
	if err != nil {
		return err
	}
	stats, err := r.stats(ctx, d.client)
	if err != nil {
		return err
	}
	d.result.Warm = WarmResult{
		Planned: run.Planned, AlreadyWarm: run.AlreadyWarm, Failed: run.Failed, Skipped: run.Skipped, TookMs: run.TookMs,
		VerifiedShare: run.Share, Pulled: stats.Warmup.Planned,
	}
	d.result.Runs.Warmed.Source = string(run.Origin)
	return nil
}

func (d *Demo) warmed(ctx context.Context) (err error) {
	d.result.Runs.Warmed, err = d.measure(ctx, d.router, pass(d.operations, d.v1), d.result.Runs.Warmed.Source)
	return err
}

func (d *Demo) steady(ctx context.Context) (err error) {
	d.result.Runs.Steady, err = d.measure(ctx, d.router, pass(d.operations, d.v1), d.result.Runs.Warmed.Source)
	return err
}

// reloadBroken breaks the CDN, publishes the v2 schema to planwarm, and then to
// the router, which reloads and asks for its warm-up.
func (d *Demo) reloadBroken(ctx context.Context) error {
	if err := d.router.flush(ctx, d.client); err != nil {
		return err
	}
	d.cdn.broken.Store(true)
	if err := d.sidecar.awaitFetchFailure(ctx, d.client); err != nil {
		return err
	}
	sdl, err := subgraphSDL("subgraphs-v2")
	if err != nil {
		return err
	}
	if err := d.subgraphs.Update(sdl); err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(d.Dir, "v2.graphql"), filepath.Join(d.Dir, "schema.graphql")); err != nil {
		return err
	}
	if err := d.sidecar.awaitSchema(ctx, d.client, d.v2.ID()); err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(d.Dir, "v2.graphql"), filepath.Join(d.Dir, "router.graphql")); err != nil {
		return err
	}
	if err := d.router.awaitReload(ctx, d.client); err != nil {
		return err
	}
	run, err := d.sidecar.awaitRun(ctx, d.client, func(s routerStatus) bool {
		return s.LastRun != nil && s.LastRun.Origin == warmer.OriginSnapshot && s.Phase == warmer.PhaseWarm
	})
	if err != nil {
		return err
	}
	d.result.Runs.Fallback.Source = string(run.Origin)
	d.result.Broken = brokenNames(run)
	return nil
}

func (d *Demo) fallback(ctx context.Context) (err error) {
	accepted, _ := refusedBy(d.v2, d.operations)
	d.result.Runs.Fallback, err = d.measure(ctx, d.router, pass(accepted, d.v2), d.result.Runs.Fallback.Source)
	return err
}

// measure sends each request once and reads the router's counters around them.
func (d *Demo) measure(ctx context.Context, r *routerProcess, requests []request, source string) (Run, error) {
	inManifest, err := d.sidecar.planKeys(ctx, d.client)
	if err != nil {
		return Run{}, err
	}
	before, err := r.stats(ctx, d.client)
	if err != nil {
		return Run{}, err
	}
	run := Run{Requests: len(requests), Source: source}
	took := make([]time.Duration, 0, len(requests))
	for _, req := range requests {
		a, err := send(ctx, d.client, r.url, req)
		if err != nil {
			return run, err
		}
		took = append(took, a.took)
		if !a.hit && inManifest[a.key] {
			run.ManifestMisses++
		}
	}
	after, err := r.stats(ctx, d.client)
	if err != nil {
		return run, err
	}
	run.PlanMisses = after.PlanMisses - before.PlanMisses
	run.PlanningMs = after.PlanningMs - before.PlanningMs
	run.FirstRequestP50Ms, run.FirstRequestP99Ms = quantile(took, 0.5), quantile(took, 0.99)
	return run, nil
}

func copyOut(from, to string) error {
	text, err := readFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, []byte(text), 0o600)
}

// replaceFile puts a copy of from in the place of to in one step, as a deploy does.
func replaceFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(to+".new", to)
}
