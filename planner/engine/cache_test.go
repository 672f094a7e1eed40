package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
)

func cached(t *testing.T, e *Engine, p *Prepared) bool {
	t.Helper()
	out, hit, err := e.Cached(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if out.Key != p.PlanKey {
		t.Fatalf("plan of %s for %s", out.Key, p.PlanKey)
	}
	return hit
}

// The key is that of the plan: neither name nor names of variables nor layout
// are in it, conditions are.
func TestCacheKey(t *testing.T) {
	e := newEngine(t, join, Options{PlanOnly: true})
	for i, c := range []struct {
		text, variables string
		hit             bool
	}{
		{`query A($id: ID!, $all: Boolean!) { thing(id: $id) { id name @include(if: $all) } }`, `{"id":"1","all":true}`, false},
		{`query A($id: ID!, $all: Boolean!) { thing(id: $id) { id name @include(if: $all) } }`, `{"id":"2","all":true}`, true},
		{`query A($id: ID!, $all: Boolean!) { thing(id: $id) { id name @include(if: $all) } }`, `{"id":"1","all":false}`, false},
		{`query Other($x: ID!) { thing(id: $x) { id name } }`, `{"x":"3"}`, true},
		{`{ thing(id: "4") { id } }`, ``, true},
		{`{ thing(id: "4") { name id } }`, ``, false},
	} {
		p := prepare(t, e, c.text, "", c.variables)
		if contained := e.Contains(p); contained != c.hit {
			t.Errorf("request %d: contained %v, want %v", i, contained, c.hit)
		}
		if hit := cached(t, e, p); hit != c.hit {
			t.Errorf("request %d: hit %v, want %v", i, hit, c.hit)
		}
	}
	s := e.Stats()
	if s.Planning <= 0 {
		t.Error("no planning time")
	}
	s.Planning = 0
	if want := (Stats{Hits: 3, Misses: 3, Planned: 3, Added: 3, Entries: 3, Size: DefaultPlanCacheSize}); s != want {
		t.Errorf("stats %+v, want %+v", s, want)
	}
}

func TestCacheEvictsTheLeastRecentlyUsed(t *testing.T) {
	e := newEngine(t, join, Options{PlanOnly: true, PlanCacheSize: 2})
	p := make([]*Prepared, 3)
	for i := range p {
		p[i] = prepare(t, e, fmt.Sprintf(`{ a%d: thing(id: 1) { id } }`, i), "", "")
	}
	cached(t, e, p[0])
	cached(t, e, p[1])
	cached(t, e, p[0])
	cached(t, e, p[2])
	if !e.Contains(p[0]) || e.Contains(p[1]) || !e.Contains(p[2]) {
		t.Error("the wrong plan fell out")
	}
	if s := e.Stats(); s.Evicted != 1 || s.Added != 3 || s.Entries != 2 || s.Size != 2 {
		t.Errorf("stats %+v", s)
	}
}

// Requests that overlap are a miss each; one of them plans.
func TestOverlappingMissesPlanOnce(t *testing.T) {
	sdl := string(storefrontFile(t, "supergraph.graphql"))
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, sdl, Options{PlanOnly: true})
		p := prepare(t, e, `{ categories { id } }`, "", "")
		// A flight of the test's own holds the key until every request waits.
		release := make(chan struct{})
		e.flight.DoChan(p.PlanKey, func() (any, error) {
			<-release
			return e.fill(p)
		})
		const requests = 8
		var wg sync.WaitGroup
		for range requests {
			wg.Go(func() {
				if cached(t, e, p) {
					t.Error("a hit before there is a plan")
				}
			})
		}
		synctest.Wait()
		if s := e.Stats(); s.Misses != requests || s.Planned != 0 {
			t.Errorf("before the plan: %+v", s)
		}
		close(release)
		wg.Wait()
		if s := e.Stats(); s.Misses != requests || s.Planned != 1 || s.Added != 1 || s.Hits != 0 {
			t.Errorf("after the plan: %+v", s)
		}
		if !cached(t, e, p) {
			t.Error("no hit after the plan")
		}
	})
}

// A request that missed just before another one's plan arrived does not plan again.
func TestLateFlightFindsThePlan(t *testing.T) {
	e := newEngine(t, join, Options{PlanOnly: true})
	p := prepare(t, e, `{ thing(id: 1) { id } }`, "", "")
	cached(t, e, p)
	if _, err := e.fill(p); err != nil {
		t.Fatal(err)
	}
	if s := e.Stats(); s.Planned != 1 {
		t.Errorf("stats %+v", s)
	}
}

// A caller that gives up gets its context's error; the plan is kept.
func TestCachedObeysContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, join, Options{PlanOnly: true})
		p := prepare(t, e, `{ thing(id: 1) { id } }`, "", "")
		release := make(chan struct{})
		e.flight.DoChan(p.PlanKey, func() (any, error) {
			<-release
			return e.fill(p)
		})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := e.Cached(ctx, p); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		close(release)
		synctest.Wait()
		if !e.Contains(p) {
			t.Error("the plan was thrown away")
		}
	})
}

// An operation that cannot be planned is not remembered.
func TestFailedPlanIsCounted(t *testing.T) {
	e := newEngine(t, join, Options{PlanOnly: true})
	p := prepare(t, e, `{ thing(id: 1) { id } }`, "", "")
	p.normalized.named = "{"
	for range 2 {
		if _, _, err := e.Cached(t.Context(), p); !errors.Is(err, ErrUnplannable) {
			t.Errorf("error %v, want %v", err, ErrUnplannable)
		}
	}
	if s := e.Stats(); s.Failed != 2 || s.Planned != 2 || s.Added != 0 || s.Misses != 2 {
		t.Errorf("stats %+v", s)
	}
}

func TestClosedEngineRefuses(t *testing.T) {
	e := newEngine(t, join, Options{PlanOnly: true})
	p := prepare(t, e, `{ thing(id: 1) { id } }`, "", "")
	e.Close()
	if _, _, err := e.Cached(t.Context(), p); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v, want %v", err, ErrClosed)
	}
	if _, err := e.fill(p); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v, want %v", err, ErrClosed)
	}
}

// Close waits for the plan that is being made.
func TestCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, join, Options{PlanOnly: true})
		p := prepare(t, e, `{ thing(id: 1) { id } }`, "", "")
		if _, done, err := e.begin(p); done || err != nil {
			t.Fatal(done, err)
		}
		closed := make(chan struct{})
		go func() {
			e.Close()
			close(closed)
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("closed while a plan was being made")
		default:
		}
		e.work.Done()
		<-closed
	})
}

// Planners of concurrent operations share the configuration.
func TestConcurrentPlanning(t *testing.T) {
	e := storefrontEngine(t, Options{PlanOnly: true, PlanCacheSize: 16})
	// The few heavy operations would take most of the time and add nothing.
	var ops []storefrontOperation
	for _, op := range storefrontOperations(t) {
		if op.planKey != "" && len(op.text) < 1000 {
			ops = append(ops, op)
		}
	}
	var wg sync.WaitGroup
	for worker := range 3 {
		wg.Go(func() {
			for i := range ops {
				op := ops[(i+worker*20)%len(ops)]
				p, err := e.Prepare(op.text, op.name, nil)
				if err != nil {
					t.Error(err)
					continue
				}
				if _, _, err := e.Cached(t.Context(), p); err != nil {
					t.Errorf("%s %s: %v", op.file, op.name, err)
				}
			}
		})
	}
	wg.Wait()
	if s := e.Stats(); s.Hits+s.Misses != uint64(3*len(ops)) || s.Entries != 16 || s.Added != s.Evicted+16 {
		t.Errorf("stats %+v", s)
	}
}
