package warmer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/schema"
)

// registry is a SchemaSource whose schema changes only when it is asked.
type registry struct {
	fakeSchemas
	mu       sync.Mutex
	next     *schema.Schema
	err      error
	checks   int
	onChange func()
}

var _ SchemaChecker = (*registry)(nil)

func (r *registry) publish(sc *schema.Schema) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = sc
}

func (r *registry) Check(context.Context) bool {
	r.mu.Lock()
	r.checks++
	next := r.next
	r.next = nil
	r.mu.Unlock()
	if next == nil {
		return false
	}
	r.Store(next)
	r.onChange()
	return true
}

func (r *registry) Status() schema.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return schema.Status{Err: r.err}
}

// fakePending is a PendingStore that a test fills.
type fakePending struct {
	mu      sync.Mutex
	tag     string
	err     error
	cleared int
}

func (f *fakePending) Pending(context.Context, manifest.Graph) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tag, f.err
}

func (f *fakePending) ClearPending(_ context.Context, _ manifest.Graph, tag string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if tag != f.tag {
		return fmt.Errorf("clear: %w", ErrSuperseded)
	}
	f.tag = ""
	f.cleared++
	return nil
}

func (f *fakePending) set(tag string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tag, f.err = tag, err
}

func (f *fakePending) state() (tag string, cleared int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tag, f.cleared
}

// publicationBench is a graph with a router, its registry and its pending object.
type publicationBench struct {
	*harness
	registry *registry
	pending  *fakePending
	router   *fakeRouter
	signs    chan planner.Reload
}

func newPublicationBench(t *testing.T) *publicationBench {
	t.Helper()
	b := &publicationBench{registry: &registry{}, pending: &fakePending{}, router: &fakeRouter{}, signs: make(chan planner.Reload)}
	b.registry.Store(load(t, sdlV1))
	b.harness = newHarness(t, func(o *GraphOptions) {
		o.Schema, o.Pending = b.registry, b.pending
		o.Routers = []RouterOptions{{Name: "r", Planner: watchedRouter{b.router, b.signs}, Capacity: Capacity{PlanCacheSize: 100}}}
	})
	b.registry.onChange = func() {
		if err := b.Trigger(t.Context(), shop, ReasonSchema); err != nil {
			t.Error(err)
		}
	}
	b.usages.set(usage("f0", 300), usage("f1", 200), usage("f2", 100))
	return b
}

// webhook is what a delivery does: it is kept, then worked off.
func (b *publicationBench) webhook(t *testing.T, tag string) {
	t.Helper()
	b.pending.set(tag, nil)
	if err := b.SchemaPublished(t.Context(), shop); err != nil {
		t.Fatal(err)
	}
}

func (b *publicationBench) status(t *testing.T) Publication {
	t.Helper()
	synctest.Wait()
	p := b.Status().Graphs[0].Publication
	if p == nil {
		t.Fatal("there is no publication")
	}
	return *p
}

// builds is how often a manifest was built.
func (b *publicationBench) builds() (n int) {
	b.store.set(func(f *fakeStore) { n = f.builds })
	return n
}

func TestPublication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPublicationBench(t)
		b.start(t)
		time.Sleep(time.Minute)
		if p := b.Status().Graphs[0].Publication; p != nil {
			t.Fatalf("publication before the first: %+v", p)
		}
		v1, before := b.registry.Current().ID(), b.store.sequence()
		v2 := load(t, sdlV2)
		b.registry.publish(v2)
		b.webhook(t, "one")
		time.Sleep(5 * time.Second)
		p := b.status(t)
		if p.State != PublicationWaiting || p.From != v1 || p.To != v2.ID() || p.Sequence != before+1 || p.Error != "" {
			t.Fatalf("before the router loaded the schema: %+v", p)
		}
		if p.BrokenCount != 1 || p.Broken[0].Name != "F0" || p.Broken[0].Reason == "" {
			t.Errorf("broken: %+v", p.Broken)
		}
		var m manifest.Manifest
		b.store.set(func(f *fakeStore) { m = f.published[len(f.published)-1] })
		if texts(m.Operations) != "query F1{f1} query F2{f2}" || m.Schema != v2.ID() {
			t.Errorf("published: %s for %s", texts(m.Operations), m.Schema)
		}
		if doc, err := b.Document(t.Context(), shop); err != nil || doc.Sequence != p.Sequence {
			t.Errorf("a router that pulls gets sequence %d, %v", doc.Sequence, err)
		}
		if tag, _ := b.pending.state(); tag == "" {
			t.Error("the work was called done before the router loaded the schema")
		}
		b.signs <- planner.Reload{Sign: "test"}
		time.Sleep(5 * time.Second)
		p = b.status(t)
		if p.State != PublicationDone || len(p.Routers) != 1 || p.Routers[0].State != LoadWarm || p.Routers[0].Origin != OriginManifest {
			t.Errorf("after the router loaded the schema: %+v", p)
		}
		if tag, cleared := b.pending.state(); tag != "" || cleared != 1 {
			t.Errorf("pending %q, cleared %d times", tag, cleared)
		}
	})
}

// The registry tells before the schema is where planwarm gets it from.
func TestPublicationAheadOfTheSchema(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPublicationBench(t)
		b.start(t)
		time.Sleep(time.Minute)
		b.webhook(t, "one")
		time.Sleep(10 * time.Second)
		if p := b.status(t); p.State != PublicationLoading {
			t.Fatalf("state %s", p.State)
		}
		b.registry.publish(load(t, sdlV2))
		time.Sleep(schemaPauseMax + time.Second)
		if p := b.status(t); p.State != PublicationWaiting || p.BrokenCount != 1 {
			t.Errorf("%+v", p)
		}
	})
}

// A router may have loaded the schema a moment before the webhook came.
func TestPublicationBehindTheRouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPublicationBench(t)
		b.start(t)
		time.Sleep(time.Minute)
		b.signs <- planner.Reload{Sign: "test"}
		time.Sleep(5 * time.Second)
		b.registry.publish(load(t, sdlV2))
		b.webhook(t, "one")
		time.Sleep(time.Second)
		if p := b.status(t); p.State != PublicationDone || p.Routers[0].State != LoadWarm {
			t.Fatalf("%+v", p)
		}
		// A reload that belongs to the publish before is none for this one.
		b.registry.publish(load(t, sdlV1))
		b.webhook(t, "two")
		time.Sleep(time.Second)
		if p := b.status(t); p.State != PublicationWaiting {
			t.Errorf("the second publish: %+v", p)
		}
	})
}

func TestPublicationWithoutASign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPublicationBench(t)
		b.start(t)
		time.Sleep(time.Minute)
		b.registry.publish(load(t, sdlV2))
		b.webhook(t, "one")
		time.Sleep(loadTimeout - time.Second)
		if p := b.status(t); p.State != PublicationWaiting {
			t.Fatalf("before the time-out: %+v", p)
		}
		time.Sleep(5 * time.Second)
		if p := b.status(t); p.State != PublicationDone || p.Routers[0].State != LoadTimeout || p.Routers[0].Detail == "" {
			t.Errorf("%+v", p)
		}
		if tag, _ := b.pending.state(); tag != "" {
			t.Error("the work is still open")
		}
	})
}

func TestPublicationUnchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPublicationBench(t)
		b.start(t)
		time.Sleep(time.Minute)
		before := b.store.sequence()
		b.webhook(t, "one")
		time.Sleep(schemaWait + time.Second)
		if p := b.status(t); p.State != PublicationUnchanged || b.store.sequence() != before {
			t.Errorf("%+v", p)
		}
		if tag, _ := b.pending.state(); tag != "" {
			t.Error("the work is still open")
		}
		b.registry.mu.Lock()
		b.registry.err = errDown
		b.registry.mu.Unlock()
		b.webhook(t, "two")
		time.Sleep(schemaWait + time.Second)
		if p := b.status(t); p.State != PublicationFailed || p.Error != errDown.Error() {
			t.Errorf("with a registry that is down: %+v", p)
		}
	})
}

// Several publishes in a row are one more round, and the last schema wins.
func TestPublicationBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPublicationBench(t)
		b.start(t)
		time.Sleep(time.Minute)
		builds := b.builds()
		for i := range 20 {
			b.registry.publish(load(t, fmt.Sprintf("type Query { f1: Int f2: Int g%d: Int }", i)))
			b.webhook(t, fmt.Sprint("tag", i))
		}
		last := load(t, "type Query { f2: Int g19: Int }")
		b.registry.publish(last)
		b.webhook(t, "last")
		time.Sleep(10 * time.Second)
		p := b.status(t)
		if p.To != last.ID() || p.State != PublicationWaiting {
			t.Fatalf("%+v", p)
		}
		b.signs <- planner.Reload{Sign: "test"}
		time.Sleep(5 * time.Second)
		if p = b.status(t); p.State != PublicationDone {
			t.Errorf("%+v", p)
		}
		if tag, _ := b.pending.state(); tag != "" {
			t.Errorf("%s is still open", tag)
		}
		if n := b.builds() - builds; n > 8 {
			t.Errorf("%d builds for one burst", n)
		}
	})
}

// A publish that arrives while routers are waited for does not wait behind them.
func TestPublicationWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPublicationBench(t)
		b.start(t)
		time.Sleep(time.Minute)
		b.registry.publish(load(t, sdlV2))
		b.webhook(t, "one")
		time.Sleep(5 * time.Second)
		v3 := load(t, "type Query { f2: Int }")
		b.registry.publish(v3)
		b.webhook(t, "two")
		time.Sleep(5 * time.Second)
		if p := b.status(t); p.To != v3.ID() || p.State != PublicationWaiting || p.BrokenCount != 1 || p.Broken[0].Name != "F1" {
			t.Errorf("%+v", p)
		}
	})
}

// What a process before this one was told, and did not get to, is done now.
func TestPublicationAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPublicationBench(t)
		first := b.recompute(t)
		b.pending.set("", errDown) // the bucket comes a moment late
		v2 := load(t, sdlV2)
		b.registry.Store(v2) // it was published while no planwarm ran
		again := newPublicationBench(t)
		again.registry.Store(v2)
		again.harness = newHarness(t, func(o *GraphOptions) {
			o.Schema, o.Pending, o.Store, o.Fetcher, o.Usages = again.registry, b.pending, b.store, b.store, b.usages
		})
		again.start(t)
		time.Sleep(time.Second)
		b.pending.set("left behind", nil)
		time.Sleep(time.Minute)
		p := again.status(t)
		if p.State != PublicationDone || p.To != v2.ID() || p.Sequence <= first.Sequence || p.BrokenCount != 1 || p.Broken[0].Name != "F0" {
			t.Errorf("%+v", p)
		}
		if tag, cleared := b.pending.state(); tag != "" || cleared != 1 {
			t.Errorf("pending %q, cleared %d times", tag, cleared)
		}
	})
}

// A bucket that is down costs time, not the publish.
func TestPublicationRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPublicationBench(t)
		b.start(t)
		time.Sleep(time.Minute)
		b.store.set(func(f *fakeStore) { f.fail = errDown })
		b.registry.publish(load(t, sdlV2))
		b.webhook(t, "one")
		time.Sleep(time.Minute)
		if p := b.status(t); p.State != PublicationBuilding || p.Error == "" {
			t.Fatalf("%+v", p)
		}
		b.store.set(func(f *fakeStore) { f.fail = nil })
		time.Sleep(2 * time.Minute)
		if p := b.status(t); p.State != PublicationWaiting || p.Error != "" {
			t.Errorf("%+v", p)
		}
	})
}

func TestPublicationHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPublicationBench(t)
		b.start(t)
		time.Sleep(time.Minute)
		b.store.set(func(f *fakeStore) { f.held = true })
		b.registry.publish(load(t, sdlV2))
		b.webhook(t, "one")
		time.Sleep(5 * time.Second)
		if p := b.status(t); p.State != PublicationWaiting || p.Error == "" || p.BrokenCount != 1 {
			t.Errorf("%+v", p)
		}
	})
}

// A delivery that another publish overtook leaves its work open.
func TestPublicationSuperseded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPublicationBench(t)
		b.start(t)
		time.Sleep(time.Minute)
		b.registry.publish(load(t, sdlV2))
		b.webhook(t, "one")
		time.Sleep(time.Second)
		b.pending.set("two", nil) // another process took a delivery in
		b.signs <- planner.Reload{Sign: "test"}
		time.Sleep(schemaWait + 10*time.Second)
		if tag, cleared := b.pending.state(); tag != "" || cleared != 1 {
			t.Errorf("pending %q, cleared %d times", tag, cleared)
		}
	})
}

func TestSchemaPublishedOfAnUnknownGraph(t *testing.T) {
	h := newHarness(t, nil)
	if err := h.SchemaPublished(t.Context(), manifest.Graph{Namespace: "default", Name: "other"}); !errors.Is(err, ErrUnknownGraph) {
		t.Error(err)
	}
}
