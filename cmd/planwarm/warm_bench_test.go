package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/planner/cosmo"
	"github.com/planwarm/planwarm/planner/engine"
	"github.com/planwarm/planwarm/planner/engine/router"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/warmer"
)

const (
	benchOperations = 1000
	benchRuns       = 5 // of which the median counts
)

// BenchmarkWarm sends 1,000 operations to the engine router, the heaviest
// first, checks each, and compares the time with the least possible one: the
// sum of what normalising and planning them takes, shared by all cores, or the
// longest of them. Those are measured one after another on an engine of their
// own, with the same setting of the collector. Router and warmer share a process.
func BenchmarkWarm(b *testing.B) {
	for _, gogc := range []int{100, 400} { // Go's default, and that of the demo's routers
		b.Run(fmt.Sprintf("gogc=%d", gogc), func(b *testing.B) {
			defer debug.SetGCPercent(debug.SetGCPercent(gogc))
			items, least := benchItems(b)
			var ratios []float64
			for b.Loop() {
				for range benchRuns {
					ratios = append(ratios, float64(benchWarm(b, items))/float64(least))
				}
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "x-least")
			b.ReportMetric(float64(least)/float64(time.Millisecond), "least-ms")
		})
	}
}

// benchWarm warms a router of its own and returns how long that took.
func benchWarm(b *testing.B, items []warmer.Item) time.Duration {
	b.Helper()
	b.StopTimer()
	url, stop := benchRouter(b, nil)
	defer func() {
		b.StopTimer()
		stop()
		b.StartTimer()
	}()
	b.StartTimer()
	start := time.Now()
	p, err := cosmo.New(cosmo.Options{URL: url})
	if err != nil {
		b.Fatal(err)
	}
	rep, _, err := warmer.Runner{Planner: p, Settings: warmer.Settings{Concurrency: runtime.NumCPU()}}.Run(b.Context(), items)
	took := time.Since(start)
	if err != nil || rep.Planned != benchOperations || rep.Verified != benchOperations {
		b.Fatalf("report %+v, error %v", rep, err)
	}
	return took
}

// benchItems makes 1,000 operations with plans of their own out of storefront's
// queries, without the few that take longer than all others together. The
// heaviest come first, and least is what planning all of them takes at least.
func benchItems(b *testing.B) (items []warmer.Item, least time.Duration) {
	b.Helper()
	sdl := storefrontFile(b, "supergraph.graphql")
	sc, err := schema.Load([]byte(sdl))
	if err != nil {
		b.Fatal(err)
	}
	k, err := engine.NewKeyer(sc.ClientSDL())
	if err != nil {
		b.Fatal(err)
	}
	e, err := engine.New(b.Context(), sdl, engine.Options{PlanOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	var texts []string
	for _, name := range []string{
		"order-detail", "product-page", "home-page", "customer-wallet", "my-orders", "warehouse-board", "product-page-full", "customer-360",
		"search-union", "stock-levels", "cart-contents", "product-shipping-quotes", "order-lines", "compare-four", "latest-reviews", "me",
	} {
		op, err := sc.Parse(storefrontFile(b, "operations/"+name+".graphql"), "")
		if err != nil {
			b.Fatal(err)
		}
		texts = append(texts, op.Canonical)
	}
	var sum, longest time.Duration
	for i := range benchOperations {
		text := strings.Replace(texts[i%len(texts)], "{", fmt.Sprintf("{v%d: __typename ", i), 1)
		id, err := k.Key(text, "", nil)
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		p, err := e.Prepare(text, "", nil) // a router cannot plan what it has not normalised
		if err != nil {
			b.Fatal(err)
		}
		if _, err := e.Plan(p); err != nil {
			b.Fatal(err)
		}
		took := time.Since(start)
		sum, longest = sum+took, max(longest, took)
		it := warmer.Item{ID: id.PlanKey, Expected: took}
		it.Request.Query, it.Request.PlanKey = text, id.PlanKey
		items = append(items, it)
	}
	slices.SortStableFunc(items, func(x, y warmer.Item) int { return cmp.Compare(y.Expected, x.Expected) })
	return items, max(sum/time.Duration(runtime.NumCPU()), longest)
}

// benchRouter is a router with an empty plan cache that has room for all. urls
// are those of its subgraphs; nil: it executes nothing.
func benchRouter(b *testing.B, urls map[string]string) (url string, stop func()) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	r, err := router.New(ctx, router.Options{
		Supergraph: storefrontFile(b, "supergraph.graphql"), SubgraphURLs: urls, PlanOnly: router.PlanOnlyAllowed, PlanCacheSize: 2 * benchOperations,
	})
	if err != nil {
		b.Fatal(err)
	}
	return serveRouter(b, ctx, cancel, r)
}
