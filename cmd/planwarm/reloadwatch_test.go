package main

import (
	"context"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/cosmo"
	"github.com/planwarm/planwarm/planner/engine/router"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/warmer"
)

// constant is a schema and a manifest that do not change.
type constant struct {
	schema   *schema.Schema
	manifest manifest.Manifest
}

func (c constant) Current() *schema.Schema { return c.schema }

func (c constant) Fetch(context.Context, manifest.Graph) (manifest.Manifest, error) {
	return c.manifest, nil
}

// signed is a planner that notes the signs of reloads.
type signed struct {
	*cosmo.Planner
	mu    sync.Mutex
	signs []planner.Reload
}

func (s *signed) Watch(ctx context.Context, seen func(planner.Reload)) error {
	return s.Planner.Watch(ctx, func(r planner.Reload) {
		s.mu.Lock()
		s.signs = append(s.signs, r)
		s.mu.Unlock()
		seen(r)
	})
}

func (s *signed) all() []planner.Reload {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.signs)
}

// holding is a transport that can hold back the first request of a look.
type holding struct {
	http.RoundTripper
	first string             // how the path of that request ends
	hold  chan chan struct{} // takes what the next one waits for
}

func (h *holding) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, h.first) {
		select {
		case resume := <-h.hold:
			<-resume
		default:
		}
	}
	return h.RoundTripper.RoundTrip(r)
}

// betweenLooks does something after one look has ended and before the next one
// has asked anything.
func (h *holding) betweenLooks(do func()) {
	resume := make(chan struct{})
	defer close(resume)
	h.hold <- resume
	do()
}

// lastRun is the last run of the only router, once it went through its list.
func lastRun(w *warmer.Warmer) *warmer.RunRecord {
	r := w.Status().Graphs[0].Routers[0]
	if r.Phase != warmer.PhaseWarm {
		return nil
	}
	return r.LastRun
}

// until waits for something that other goroutines do.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come to pass within a minute", what)
		}
	}
}

// TestReloadIsAnswered: each sign that a Cosmo router's reload gives leads to
// one run, soon after it, that makes everything warm again, and nothing of it
// reaches a subgraph.
func TestReloadIsAnswered(t *testing.T) {
	for _, tc := range []struct {
		name, sign string
		metrics    bool
	}{{"page", cosmo.SignCache, true}, {"canary", cosmo.SignCanary, false}} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, router.Options{PlanOnly: router.PlanOnlyAllowed})
			looks := &holding{RoundTripper: &http.Transport{}, first: "/graphql", hold: make(chan chan struct{})}
			o := cosmo.Options{
				URL: r.url, Client: &http.Client{Transport: looks}, WatchInterval: 100 * time.Millisecond, MetricsInterval: time.Millisecond, // the page is asked in every look, before the canary
			}
			if tc.metrics {
				looks.first = "/metrics"
				o.MetricsURL = strings.TrimSuffix(r.url, "/graphql") + looks.first
			}
			p, w, stop := watchedWarmer(t, o)
			defer stop()
			until(t, "the first run", func() bool { return lastRun(w) != nil })
			// One whole look has to see the router as it is now.
			for range 2 {
				looks.betweenLooks(func() {})
			}

			first := *lastRun(w)
			var err error
			looks.betweenLooks(func() { err = r.router.Reload(t.Context(), storefrontFile(t, "supergraph-v2.graphql")) })
			if err != nil {
				t.Fatal(err)
			}
			reloaded := time.Now()
			var run *warmer.RunRecord
			until(t, "a run after the reload", func() bool {
				run = lastRun(w)
				return run != nil && slices.Contains(run.Reasons, warmer.ReasonReload)
			})
			signs := p.all()
			if len(signs) != 1 || signs[0].Sign != tc.sign || run.At.Before(signs[0].At.Truncate(0)) || !run.At.After(first.At) {
				t.Fatalf("signs %+v, run %+v", signs, run)
			}
			if run.Planned != first.Planned || run.Checked == 0 || run.Verified != run.Checked || run.Executed != 0 {
				t.Errorf("first run %+v, after the reload %+v", first, run)
			}
			t.Logf("%v from the reload to its sign, %v from the sign to the run", signs[0].At.Sub(reloaded), run.At.Sub(signs[0].At))
			if n := r.subgraphs.Total(); n.Requests() != 0 {
				t.Errorf("subgraphs saw %+v", n)
			}
		})
	}
}

// watchedWarmer is a warmer of one router with a manifest of three operations.
func watchedWarmer(t *testing.T, o cosmo.Options) (*signed, *warmer.Warmer, func()) {
	t.Helper()
	raw, err := os.ReadFile(storefrontManifest(t, warmFiles...))
	if err != nil {
		t.Fatal(err)
	}
	var c constant
	if c.manifest, err = manifest.DecodeBytes(raw); err != nil {
		t.Fatal(err)
	}
	if c.schema, err = schema.Load([]byte(storefrontFile(t, "supergraph.graphql"))); err != nil {
		t.Fatal(err)
	}
	plan, err := cosmo.New(o)
	if err != nil {
		t.Fatal(err)
	}
	p := &signed{Planner: plan}
	w, err := warmer.New(warmer.Options{Graphs: []warmer.GraphOptions{{
		Graph: c.manifest.Graph, Schema: c, NewKeyer: newKeyer, Fetcher: c,
		Warm:    warmer.WarmOptions{Fallback: warmer.FallbackOff, Poll: time.Hour},
		Routers: []warmer.RouterOptions{{Name: "r", Planner: p, Jitter: time.Hour}}, // a reload does not wait for it
	}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return p, w, func() { cancel(); <-done; o.Client.CloseIdleConnections() }
}
