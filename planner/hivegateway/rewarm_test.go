package hivegateway

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner/hook/hookdouble"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/warmer"
)

// fixed is a schema and a manifest that do not change, and keys that are texts.
type fixed struct {
	schema   *schema.Schema
	manifest manifest.Manifest
}

func (f fixed) Current() *schema.Schema { return f.schema }

func (f fixed) Fetch(context.Context, manifest.Graph) (manifest.Manifest, error) {
	return f.manifest, nil
}

func (fixed) Key(text, _ string, _ map[string]bool) (planKey, hash string, err error) {
	return text, text, nil
}

// TestWarmAgainSoonAfterTheSign: two seconds after a reload was seen, for which
// Watch has one, every plan is there again, in whichever form clients send it.
func TestWarmAgainSoonAfterTheSign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fixed{manifest: manifest.Manifest{Graph: manifest.Graph{Namespace: "default", Name: "shop"}, Sequence: 1}}
		var err error
		if f.schema, err = schema.Load([]byte("type Query { product(id: ID!): Product } type Product { id: ID! }")); err != nil {
			t.Fatal(err)
		}
		list := items(20)
		for _, it := range list {
			f.manifest.Operations = append(f.manifest.Operations, manifest.Entry{Request: manifest.Request{Query: it.Request.Query}})
		}
		d := hookdouble.New(hookdouble.Options{Token: "right", Delay: 25 * time.Millisecond})
		p := newPlanner(t, d, func(o *Options) { o.Lifetime = 24 * time.Hour }) // no end of plans comes in between
		w, err := warmer.New(warmer.Options{Graphs: []warmer.GraphOptions{{
			Graph: f.manifest.Graph, Schema: f, NewKeyer: func(*schema.Schema) (warmer.Keyer, error) { return f, nil }, Fetcher: f,
			Warm:    warmer.WarmOptions{Poll: time.Hour},
			Routers: []warmer.RouterOptions{{Name: "gateway", Planner: p, Exact: true, Jitter: time.Hour}}, // a reload does not wait for it
		}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()

		time.Sleep(2 * time.Hour)
		plans := 2 * len(list) // with the name and without
		if n := d.Plannings(); n < plans {
			t.Fatalf("%d plannings before the reload, want %d", n, plans)
		}
		synctest.Wait() // a look that straddles the reload would see half of it
		before := d.Plannings()
		d.Reload()
		time.Sleep(time.Second + 2*time.Second)
		if n := d.Plannings() - before; n != plans {
			t.Errorf("%d plans are there again, want %d", n, plans)
		}
		if ex := d.Executed(); len(ex) > 0 {
			t.Errorf("executed %v", ex)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
