package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/planner/cosmo"
	"github.com/planwarm/planwarm/planner/engine"
	"github.com/planwarm/planwarm/planner/engine/router"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/warmer"
)

const benchOperations = 1000

// BenchmarkWarm sends 1,000 operations to the engine router, checks each, and
// compares the time with the least possible one: the sum of what normalising
// and planning them takes, shared by all cores, or the longest of them. Those
// are measured one after another on an engine of their own, in the same run.
func BenchmarkWarm(b *testing.B) {
	items, least := benchItems(b)
	var ratio float64
	for b.Loop() {
		b.StopTimer()
		r, stop := benchRouter(b)
		b.StartTimer()
		start := time.Now()
		p, err := cosmo.New(cosmo.Options{URL: r})
		if err != nil {
			b.Fatal(err)
		}
		rep, _, err := warmer.Runner{Planner: p, Settings: warmer.Settings{Concurrency: runtime.NumCPU()}}.Run(b.Context(), items)
		took := time.Since(start)
		b.StopTimer()
		if err != nil || rep.Planned != benchOperations || rep.Verified != benchOperations {
			b.Fatalf("report %+v, error %v", rep, err)
		}
		ratio += float64(took) / float64(least)
		stop()
		b.StartTimer()
	}
	b.ReportMetric(ratio/float64(b.N), "x-least")
	b.ReportMetric(float64(least)/float64(time.Millisecond), "least-ms")
}

// benchItems makes 1,000 operations with plans of their own out of storefront's
// queries, without the few that take longer than all others together.
func benchItems(b *testing.B) ([]warmer.Item, time.Duration) {
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
	var items []warmer.Item
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
	return items, max(sum/time.Duration(runtime.NumCPU()), longest)
}

func benchRouter(b *testing.B) (url string, stop func()) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	r, err := router.New(ctx, router.Options{
		Supergraph: storefrontFile(b, "supergraph.graphql"), PlanOnly: router.PlanOnlyAllowed, PlanCacheSize: 2 * benchOperations,
	})
	if err != nil {
		b.Fatal(err)
	}
	return serveRouter(b, ctx, cancel, r)
}
