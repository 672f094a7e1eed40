package warmer

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// replicas are fake routers by name; each that is asked for is made once.
type replicas map[string]*fakeRouter

func (rs replicas) options(names ...string) []RouterOptions {
	var out []RouterOptions
	for _, name := range names {
		if rs[name] == nil {
			rs[name] = &fakeRouter{}
		}
		out = append(out, RouterOptions{Name: name, Planner: rs[name]})
	}
	return out
}

// sent is how many operations each got.
func (rs replicas) sent(names ...string) string {
	var out []string
	for _, name := range names {
		f := rs[name]
		f.mu.Lock()
		out = append(out, fmt.Sprint(name, len(f.sent)))
		f.mu.Unlock()
	}
	return strings.Join(out, " ")
}

func (h *harness) routerNames() string {
	var names []string
	for _, r := range h.Status().Graphs[0].Routers {
		names = append(names, r.Name+":"+string(r.Phase))
	}
	return strings.Join(names, " ")
}

// Replicas come and go while others go on: each is warmed once, on its own.
func TestSetRouters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rs := replicas{}
		h := newHarness(t, func(o *GraphOptions) { o.Dynamic = true; o.Store, o.Fetcher = nil, nil })
		h.usages.set(usage("f1", 10), usage("f2", 20))
		h.start(t)
		time.Sleep(time.Second)
		if h.Ready() {
			t.Error("ready before it is known which routers there are")
		}
		set := func(names ...string) {
			t.Helper()
			if err := h.SetRouters(shop, rs.options(names...)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		set("a", "b")
		if got := rs.sent("a", "b"); got != "a2 b2" || !h.Ready() {
			t.Errorf("two routers: %s, ready %v", got, h.Ready())
		}
		set("b", "c")
		if got := rs.sent("a", "b", "c"); got != "a2 b2 c2" || h.routerNames() != "b:warm c:warm" {
			t.Errorf("one gone, one new: %s, %s", got, h.routerNames())
		}
		if err := h.Trigger(t.Context(), shop, ReasonPerson); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := rs.sent("a", "b", "c"); got != "a2 b4 c4" {
			t.Errorf("after a person asked: %s", got)
		}
		set("a") // it came back empty
		if got := rs.sent("a", "b", "c"); got != "a4 b4 c4" {
			t.Errorf("back again: %s", got)
		}
		set()
		if h.routerNames() != "" || !h.Ready() {
			t.Errorf("none left: %s, ready %v", h.routerNames(), h.Ready())
		}
	})
}

// The metrics of a router end with it, unless another graph knows it too.
func TestSetRoutersMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rs := replicas{}
		h := newHarness(t, func(o *GraphOptions) { o.Routers = rs.options("a") })
		h.usages.set(usage("f1", 10))
		h.start(t)
		time.Sleep(time.Second)
		m := h.graph.metrics
		per := testutil.CollectAndCount(m.runs)
		if err := h.SetRouters(shop, rs.options("a", "b")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := testutil.CollectAndCount(m.runs); n != 2*per {
			t.Errorf("%d series of runs, want %d", n, 2*per)
		}
		m.addRouter("b") // as another graph does
		if err := h.SetRouters(shop, nil); err != nil {
			t.Fatal(err)
		}
		if n := testutil.CollectAndCount(m.runs); n != per {
			t.Errorf("%d series of runs, want those of b alone", n)
		}
		m.removeRouter("b")
		for name, n := range map[string]int{
			"runs": testutil.CollectAndCount(m.runs), "plans": testutil.CollectAndCount(m.plans), "share": testutil.CollectAndCount(m.share),
			"rebuilds": testutil.CollectAndCount(m.rebuilds), "seconds": testutil.CollectAndCount(m.runSeconds),
		} {
			if n != 0 {
				t.Errorf("%s: %d series are left", name, n)
			}
		}
	})
}

// A router that goes in the middle of its first run keeps nobody from being
// ready, and is sent nothing more.
func TestSetRoutersInterruptsARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rs := replicas{"slow": {latency: func(int) time.Duration { return time.Minute }}}
		h := newHarness(t, func(o *GraphOptions) { o.Routers = rs.options("slow"); o.Fetcher = nil })
		h.usages.set(usage("f1", 10), usage("f2", 20))
		h.start(t)
		time.Sleep(time.Second)
		if h.Ready() || rs.sent("slow") != "slow1" {
			t.Fatalf("ready %v, %s", h.Ready(), rs.sent("slow"))
		}
		began := time.Now()
		if err := h.SetRouters(shop, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !h.Ready() || time.Since(began) > time.Minute {
			t.Errorf("ready %v after %v", h.Ready(), time.Since(began))
		}
		time.Sleep(10 * time.Minute)
		if got := rs.sent("slow"); got != "slow1" {
			t.Errorf("afterwards: %s", got)
		}
	})
}

// Changes at once, and after the end, leave one list in force and no router behind.
func TestSetRoutersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := replicas{}
		options := all.options("a", "b", "c", "d")
		h := newHarness(t, nil)
		h.usages.set(usage("f1", 10))
		if err := h.SetRouters(shop, options[:1]); err != nil { // before the start
			t.Fatal(err)
		}
		stop := h.start(t)
		var wg sync.WaitGroup
		for i := range options {
			wg.Go(func() {
				if err := h.SetRouters(shop, options[i:]); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if err := h.SetRouters(shop, options[2:]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := h.routerNames(); got != "c:warm d:warm" {
			t.Errorf("routers: %s", got)
		}
		stop()
		before := all.sent("a", "b", "c", "d")
		if err := h.SetRouters(shop, options); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := all.sent("a", "b", "c", "d"); got != before {
			t.Errorf("after the end: %s, before: %s", got, before)
		}
	})
}

func TestSetRoutersRefuses(t *testing.T) {
	rs := replicas{}
	h := newHarness(t, func(o *GraphOptions) { o.Routers = rs.options("a") })
	many := make([]RouterOptions, 0, MaxRouters+1)
	for i := range MaxRouters + 1 {
		many = append(many, RouterOptions{Name: fmt.Sprint(i), Planner: &fakeRouter{}})
	}
	for name, list := range map[string][]RouterOptions{
		"too many": many, "twice": rs.options("b", "b"), "no name": rs.options(""), "no planner": {{Name: "b"}},
	} {
		if err := h.SetRouters(shop, list); err == nil || h.routerNames() != "a:waiting" {
			t.Errorf("%s: error %v, routers %s", name, err, h.routerNames())
		}
	}
	if err := h.SetRouters(shop, many); !errors.Is(err, ErrTooManyRouters) {
		t.Errorf("too many: %v", err)
	}
	if err := h.SetRouters(manifest.Graph{Name: "other"}, nil); !errors.Is(err, ErrUnknownGraph) {
		t.Errorf("other graph: %v", err)
	}
}

// executor is a router that plans by executing.
type executor struct{ *fakeRouter }

func (executor) Executes() bool { return true }

// What was executed knowingly is counted as that, and what cannot be planned is
// left out with the reason.
func TestRunExecutesKnowingly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{silent: true, answer: func(_ int, r planner.Request) (planner.Result, error) {
			if r.PlanKey == "2" {
				return planner.Result{}, fmt.Errorf("plan operation: %w: no variable", planner.ErrUnplannable)
			}
			return planner.Result{}, nil
		}}
		rep, warm, err := Runner{Planner: executor{f}}.Run(t.Context(), Items(entries("1 2 3"), false))
		if err != nil || rep.Planned != 2 || rep.ByExecution != 2 || rep.Executed != 0 || rep.Failed != 0 || rep.Skipped != 1 || len(warm) != 2 {
			t.Errorf("%+v, warm %v, error %v", rep, warm, err)
		}
		if len(rep.Unplannable) != 1 || !strings.Contains(rep.Unplannable[0].Reason, "no variable") || len(rep.Failures) != 0 {
			t.Errorf("unplannable %+v, failures %+v", rep.Unplannable, rep.Failures)
		}
	})
}
