package warmer

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// watchedRouter is a fakeRouter that shows signs of reloads.
type watchedRouter struct {
	*fakeRouter
	signs chan planner.Reload
}

var _ planner.Watcher = watchedRouter{}

func (w watchedRouter) Watch(ctx context.Context, seen func(planner.Reload)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-w.signs:
			seen(s)
		}
	}
}

// bench is one router with its warmer, running until the test ends.
type routerBench struct {
	*router
	fake  *fakeRouter
	signs chan planner.Reload

	mu        sync.Mutex
	listing   Listing
	refetches int
	ready     int
}

func (b *routerBench) set(keys string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listing = Listing{Entries: entries(keys), Origin: OriginManifest}
}

// reload empties the cache, as the router's reload does, and shows the sign.
func (b *routerBench) reload() {
	b.fake.mu.Lock()
	b.fake.cache = map[string]bool{}
	b.fake.mu.Unlock()
	b.signs <- planner.Reload{Sign: "test"}
}

func (b *routerBench) sent() int {
	b.fake.mu.Lock()
	defer b.fake.mu.Unlock()
	return len(b.fake.sent)
}

// probes is how many canaries were sent.
func (b *routerBench) probes() int {
	b.fake.mu.Lock()
	defer b.fake.mu.Unlock()
	return b.fake.probes
}

// readies is how often the router was found ready.
func (b *routerBench) readies() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ready
}

// fetches is how often a fetch was asked for.
func (b *routerBench) fetches() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refetches
}

// sentKeys are the plan keys that were sent from the n-th request on.
func (b *routerBench) sentKeys(n int) string {
	b.fake.mu.Lock()
	defer b.fake.mu.Unlock()
	var es []manifest.Entry
	for _, r := range b.fake.sent[n:] {
		es = append(es, entry(r.PlanKey))
	}
	return keysOf(es)
}

func startRouter(t *testing.T, f *fakeRouter, change func(*RouterOptions)) *routerBench {
	t.Helper()
	b := &routerBench{fake: f, signs: make(chan planner.Reload)}
	b.set("1 2 3 4 5 6")
	o := RouterOptions{
		Name: "r", Planner: watchedRouter{f, b.signs}, Settings: Settings{Concurrency: 1},
		OnReady: func() { b.mu.Lock(); defer b.mu.Unlock(); b.ready++ },
	}
	if change != nil {
		change(&o)
	}
	m, err := newMetrics(prometheus.NewRegistry(), nil)
	if err != nil {
		t.Fatal(err)
	}
	list := func(Capacity) Listing { b.mu.Lock(); defer b.mu.Unlock(); return b.listing }
	refetch := func() { b.mu.Lock(); defer b.mu.Unlock(); b.refetches++ }
	b.router = newRouter(o, list, refetch, m, zap.NewNop())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); b.run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return b
}

func TestRouterIsWarmedAtStartAndAfterReloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := startRouter(t, &fakeRouter{}, nil)
		time.Sleep(time.Second)
		s := b.snapshot()
		if s.Phase != PhaseWarm || s.Generation != 1 || s.Warm != 6 || s.LastRun.Planned != 6 || s.LastRun.Generation != 1 || b.readies() != 1 {
			t.Fatalf("%+v, %+v, ready %d", s, s.LastRun, b.readies())
		}
		// What was verified in this generation is not sent again; what is new is.
		b.set("7 1 2 3 4 5 6 8")
		b.trigger(ReasonManifest)
		time.Sleep(time.Second)
		if got := b.sentKeys(6); got != "7 8" {
			t.Errorf("sent again: %q", got)
		}
		b.reload()
		time.Sleep(time.Second)
		s = b.snapshot()
		if got := b.sentKeys(8); got != "7 1 2 3 4 5 6 8" || s.Generation != 2 || s.Warm != 8 || s.LastSign != "test" {
			t.Errorf("after a reload: %q, %+v", got, s)
		}
		// A person sees everything checked.
		b.trigger(ReasonPerson)
		time.Sleep(time.Second)
		if s = b.snapshot(); s.Generation != 2 || s.LastRun.AlreadyWarm != 8 {
			t.Errorf("asked by a person: %+v", s.LastRun)
		}
	})
}

// A sign in the middle of a run ends it; the next one begins with the head.
func TestReloadInTheMiddleOfARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{latency: func(int) time.Duration { return 100 * time.Millisecond }}
		b := startRouter(t, f, nil)
		time.Sleep(350 * time.Millisecond) // three were planned
		b.reload()
		time.Sleep(60 * time.Millisecond) // the fourth, which was under way, is answered
		if s := b.snapshot(); s.Warm != 0 || s.Generation != 2 || s.LastRun.Stopped != errRebuilt.Error() || s.Phase != PhaseWarming {
			t.Fatalf("%+v, %+v", s, s.LastRun)
		}
		select {
		case <-b.first:
			t.Fatal("ready by a run that was interrupted")
		default:
		}
		time.Sleep(2 * time.Second)
		s := b.snapshot()
		if got := b.sentKeys(4); got != "1 2 3 4 5 6" || s.Warm != 6 || s.LastRun.Planned != 5 || s.LastRun.AlreadyWarm != 1 {
			t.Errorf("after the reload: %q, %+v", got, s.LastRun)
		}
		<-b.first
	})
}

// Signs of one rebuild that come together are one more run, not many.
func TestTriggersCoalesce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// With a canary that takes time a run that began at once is still at it.
		b := startRouter(t, &fakeRouter{probe: func(int) error { time.Sleep(time.Millisecond); return nil }}, nil)
		time.Sleep(time.Second)
		for range 50 {
			b.trigger(ReasonReload)
			b.trigger(ReasonManifest)
			b.trigger(ReasonInterval)
		}
		time.Sleep(time.Second)
		// What came before the run began, and what interrupted it, count apart.
		if s := b.snapshot(); b.sent() != 12 || s.Generation > 4 {
			t.Errorf("%d sent, %+v", b.sent(), s)
		}
	})
}

// A pull is followed by a second round, for the graph that is swapped in later,
// unless that is seen.
func TestPullIsFollowedByASecondRound(t *testing.T) {
	for _, seen := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := startRouter(t, &fakeRouter{}, nil)
			time.Sleep(time.Second)
			b.trigger(ReasonPull)
			time.Sleep(time.Second)
			if b.sent() != 12 {
				t.Fatalf("%d sent after the pull", b.sent())
			}
			if seen {
				b.reload()
				time.Sleep(time.Second)
			}
			time.Sleep(settle)
			if s := b.snapshot(); b.sent() != 18 || s.Generation != 3 {
				t.Errorf("sign seen %v: %d sent, %+v", seen, b.sent(), s)
			}
		})
	}
}

// Whatever comes while the router is away is one round, once it is there.
func TestRouterThatIsAwayIsWaitedFor(t *testing.T) {
	for _, away := range []error{planner.ErrUnavailable, &planner.Overload{RetryAfter: 7 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			up := make(chan struct{})
			f := &fakeRouter{probe: func(int) error {
				select {
				case <-up:
					return nil
				default:
					return away
				}
			}}
			b := startRouter(t, f, nil)
			time.Sleep(30 * time.Second)
			probes := b.probes()
			if probes < 4 || probes > 15 {
				t.Errorf("%d probes in 30 s", probes)
			}
			for range 20 {
				b.trigger(ReasonManifest)
				b.trigger(ReasonInterval)
			}
			synctest.Wait()
			if b.probes() > probes+1 || b.snapshot().Phase != PhaseWaiting || b.readies() != 0 || b.snapshot().LastRun != nil {
				t.Fatalf("%d probes for triggers, %+v", b.probes()-probes, b.snapshot())
			}
			close(up)
			b.reload() // the sign that it is ready ends the pause
			time.Sleep(time.Second)
			s := b.snapshot()
			if s.Phase != PhaseWarm || b.sent() != 6 || b.readies() != 1 || len(s.LastRun.Reasons) != 4 {
				t.Errorf("%d sent, ready %d, %+v %+v", b.sent(), b.readies(), s, s.LastRun)
			}
		})
	}
}

// A router that goes away in the middle of a run gets the rest later.
func TestRouterThatGoesAwayGetsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{answer: func(n int, _ planner.Request) (planner.Result, error) {
			if n >= 2 && n < 6 {
				return planner.Result{}, planner.ErrUnavailable
			}
			return planner.Result{}, nil
		}}
		b := startRouter(t, f, nil)
		time.Sleep(5 * time.Second)
		if s := b.snapshot(); s.Phase != PhaseWarm || s.Generation != 1 || s.Warm != 6 || s.LastRun.Failed != 0 {
			t.Fatalf("%+v %+v", s, s.LastRun)
		}
	})
}

// One canary is all that a router gets that ignores the header, until it
// reloads or a person asks.
func TestRouterThatExecutesIsLeftAlone(t *testing.T) {
	for _, fault := range []error{planner.ErrExecuted, planner.ErrRefused} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeRouter{probe: func(int) error { return fault }}
			b := startRouter(t, f, func(o *RouterOptions) { o.Interval = time.Minute })
			time.Sleep(time.Hour)
			b.trigger(ReasonManifest)
			b.trigger(ReasonMisses)
			b.trigger(ReasonSchema)
			time.Sleep(time.Minute)
			if s := b.snapshot(); b.probes() != 1 || b.sent() != 0 || s.Phase != PhaseStopped || s.LastRun.Skipped != 6 {
				t.Fatalf("%d canaries, %d sent, %+v", b.probes(), b.sent(), s)
			}
			<-b.first // it does not keep planwarm from being ready
			for i, ask := range []func(){b.reload, func() { b.trigger(ReasonPerson) }, func() { b.trigger(ReasonPull) }} {
				ask()
				time.Sleep(time.Second)
				if b.probes() != 2+i || b.sent() != 0 {
					t.Fatalf("%d canaries, %d sent", b.probes(), b.sent())
				}
			}
			f.mu.Lock()
			f.probe = nil
			f.mu.Unlock()
			b.reload()
			time.Sleep(time.Second)
			if s := b.snapshot(); s.Phase != PhaseWarm || b.sent() != 6 {
				t.Errorf("after it was mended: %+v", s)
			}
		})
	}
}

// Without anything to send there is no canary either.
func TestNothingToWarmSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := startRouter(t, &fakeRouter{}, nil)
		b.set("")
		b.reload()
		time.Sleep(time.Minute)
		probes := b.probes()
		b.trigger(ReasonManifest)
		time.Sleep(time.Second)
		if b.probes() != probes || b.snapshot().Phase != PhaseWarm {
			t.Errorf("%d more canaries, %+v", b.probes()-probes, b.snapshot())
		}
	})
}

// Misses make one more fetch and one more round, not a loop.
func TestMissesMakeOneMoreRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{answer: func(int, planner.Request) (planner.Result, error) {
			return planner.Result{Hit: planner.HitNo}, nil // it plans and keeps nothing
		}}
		b := startRouter(t, f, nil)
		time.Sleep(missDebounce - time.Second)
		if b.sent() != 6 || b.fetches() != 1 {
			t.Fatalf("%d sent, %d fetches", b.sent(), b.fetches())
		}
		time.Sleep(time.Hour)
		if b.sent() != 12 || b.fetches() != 1 {
			t.Errorf("%d sent, %d fetches after an hour", b.sent(), b.fetches())
		}
	})
}

// Replicas do not all begin at the same moment, unless the router is empty.
func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := startRouter(t, &fakeRouter{}, func(o *RouterOptions) { o.Jitter = 10_000 * time.Hour })
		time.Sleep(time.Second)
		if b.sent() != 6 {
			t.Fatalf("%d sent after the start: an empty router has to wait", b.sent())
		}
		b.set("1 2 3 4 5 6 7")
		b.trigger(ReasonManifest)
		time.Sleep(10 * time.Millisecond)
		if b.sent() != 6 {
			t.Fatal("no pause before a run that nobody waits for")
		}
		b.trigger(ReasonPerson)
		time.Sleep(time.Second)
		if b.sent() != 13 || len(b.snapshot().LastRun.Reasons) != 2 {
			t.Errorf("%d sent: a person waits for the jitter", b.sent())
		}
	})
}

// No more plans are sent than the router keeps, sets of conditions counted.
func TestRouterGetsNoMoreThanItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := startRouter(t, &fakeRouter{}, nil)
		time.Sleep(time.Second)
		es := entries("11 12")
		es[0].Planwarm.Conditions = map[string]bool{"a": false}
		for i := range 5 {
			es[0].Planwarm.Variants = append(es[0].Planwarm.Variants, manifest.Variant{PlanKey: fmt.Sprint(110 + i), Conditions: map[string]bool{"a": true}})
		}
		b.mu.Lock()
		b.listing = Listing{Entries: es, Limit: 4}
		b.mu.Unlock()
		b.trigger(ReasonManifest)
		time.Sleep(time.Second)
		if got := b.sentKeys(6); got != "11 110 111 112" {
			t.Errorf("sent %q", got)
		}
	})
}
