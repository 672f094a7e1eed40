package hivegateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/hook"
	"github.com/planwarm/planwarm/planner/hook/hookdouble"
	"github.com/planwarm/planwarm/planner/planhttp"
	"github.com/planwarm/planwarm/warmer"
)

func right() (string, error) { return "right", nil }

func newPlanner(t *testing.T, d *hookdouble.Double, change func(*Options)) Planner {
	t.Helper()
	o := Options{URL: "http://gateway.test/graphql", Token: right, Client: hookdouble.Client(d), Timeout: 10 * time.Second}
	if change != nil {
		change(&o)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func items(n int) (list []warmer.Item) {
	for i := range n {
		text := fmt.Sprintf("query Q%d($id: ID!) { product(id: $id) { id } }", i)
		list = append(list, warmer.Item{ID: text, Request: planner.Request{Query: text}})
	}
	return list
}

// watch runs Watch in a bubble; on each sign, and once before, everything is
// warmed. It returns the signs that were seen so far.
func watch(t *testing.T, p Planner, list []warmer.Item) func() []string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var signs []string
	run := func() {
		if _, _, err := (warmer.Runner{Planner: p}).Run(ctx, list); err != nil {
			t.Errorf("run: %v", err)
		}
	}
	run()
	done := make(chan error, 1)
	go func() {
		done <- p.Watch(ctx, func(r planner.Reload) {
			mu.Lock()
			signs = append(signs, r.Sign)
			mu.Unlock()
			run()
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("watch: %v", err)
		}
	})
	return func() []string {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(signs)
	}
}

// TestExpiredPlansAreMadeAgain: with a parse cache of two minutes the plans are
// made again just after each end, with the plug-in and without, and never
// because of a use in between.
func TestExpiredPlansAreMadeAgain(t *testing.T) {
	const lifetime, n = 2 * time.Minute, 12
	for name, token := range map[string]func() (string, error){"plug-in": right, "left out": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := hookdouble.New(hookdouble.Options{Token: "right", TTL: lifetime})
				if token == nil {
					d.SetMode(hookdouble.NotInstalled)
				}
				p := newPlanner(t, d, func(o *Options) { o.Token, o.Lifetime = token, lifetime })
				list := items(n)
				signs := watch(t, p, list)
				for life := 1; life <= 3; life++ {
					time.Sleep(lifetime / 2)
					if got := d.Plannings(); got != life*n {
						t.Fatalf("life %d: %d plannings by half time, want %d", life, got, life*n)
					}
					if _, err := p.Plan(t.Context(), list[0].Request); err != nil { // a use in between
						t.Fatal(err)
					}
					time.Sleep(lifetime/2 + 10*time.Second)
					if got, want := signs(), slices.Repeat([]string{SignExpired}, life); !slices.Equal(got, want) {
						t.Fatalf("life %d: signs %q", life, got)
					}
					if got := d.Plannings(); got != (life+1)*n {
						t.Fatalf("life %d: %d plannings after its end, want %d", life, got, (life+1)*n)
					}
				}
				if ex := d.Executed(); len(ex) > 0 {
					t.Errorf("executed %v", ex)
				}
			})
		})
	}
}

// TestPlansOfLiveRequestsEndToo: a plan that a live request made before the
// run ends before those of the run.
func TestPlansOfLiveRequestsEndToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lifetime = 10 * time.Minute
		d := hookdouble.New(hookdouble.Options{Token: "right", TTL: lifetime})
		list := items(2)
		early := newPlanner(t, d, nil) // somebody else
		if _, err := early.Plan(t.Context(), list[0].Request); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Minute)
		p := newPlanner(t, d, func(o *Options) { o.Lifetime = lifetime })
		signs := watch(t, p, list)
		time.Sleep(4*time.Minute + 10*time.Second)
		if got := signs(); len(got) != 1 || d.Plannings() != 3 {
			t.Errorf("signs %q, %d plannings: the older plan was not made again", got, d.Plannings())
		}
		time.Sleep(6 * time.Minute)
		if got := signs(); len(got) != 2 || d.Plannings() != 4 {
			t.Errorf("signs %q, %d plannings: the younger plan was not made again", got, d.Plannings())
		}
	})
}

// TestLongerLifetime: plans that live longer than we were told cause no storm.
func TestLongerLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := hookdouble.New(hookdouble.Options{Token: "right"})
		signs := watch(t, newPlanner(t, d, func(o *Options) { o.Lifetime = time.Minute }), items(3))
		time.Sleep(10*time.Minute + 30*time.Second)
		if n := len(signs()); n < 8 || n > 10 {
			t.Errorf("%d signs in ten lifetimes", n)
		}
	})
}

func TestReloadEndsAllPlans(t *testing.T) {
	for name, c := range map[string]struct {
		token func() (string, error)
		mode  hookdouble.Mode
		sign  string
	}{
		"plug-in": {right, hookdouble.Honoured, hook.SignSchema},
		"counter": {nil, hookdouble.NotInstalled, SignCounter},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := hookdouble.New(hookdouble.Options{Token: "right", TTL: time.Hour, Mode: c.mode})
				p := newPlanner(t, d, func(o *Options) { o.Token, o.MetricsURL = c.token, "http://gateway.test/metrics" })
				signs := watch(t, p, items(5))
				time.Sleep(30 * time.Minute)
				synctest.Wait()
				d.Reload()
				time.Sleep(5 * time.Second)
				// Where both signs can be seen, the counter can come later.
				if got := signs(); !slices.Contains(got, c.sign) || d.Plannings() != 10 {
					t.Fatalf("signs %q, %d plannings", got, d.Plannings())
				}
				before := len(signs())
				time.Sleep(40 * time.Minute) // the hour of the plans that are gone
				if got := signs(); len(got) != before {
					t.Errorf("signs %q: plans that are gone ended once more", got)
				}
			})
		})
	}
}

// TestRestartWithoutPlugIn: a gateway that starts anew counts as many schemas as
// before, so its readiness has to tell. With the plug-in readiness adds no sign.
func TestRestartWithoutPlugIn(t *testing.T) {
	for name, c := range map[string]struct {
		token func() (string, error)
		mode  hookdouble.Mode
		sign  string
	}{
		"left out": {nil, hookdouble.NotInstalled, planhttp.SignReady},
		"plug-in":  {right, hookdouble.Honoured, planhttp.SignInstance},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := hookdouble.New(hookdouble.Options{Token: "right", Mode: c.mode})
				p := newPlanner(t, d, func(o *Options) {
					o.Token, o.MetricsURL, o.ReadyURL = c.token, "http://gateway.test/metrics", "http://gateway.test/readiness"
				})
				signs := watch(t, p, items(5))
				time.Sleep(10 * time.Second)
				synctest.Wait()
				d.SetMode(hookdouble.Starting)
				d.Restart()
				time.Sleep(10 * time.Second)
				synctest.Wait()
				d.SetMode(c.mode)
				time.Sleep(2 * time.Second)
				if got := signs(); !slices.Equal(got, []string{c.sign}) || d.Plannings() != 10 {
					t.Errorf("signs %q, %d plannings", got, d.Plannings())
				}
			})
		})
	}
}

// TestWithoutPlugIn: only what no server can execute is sent.
func TestWithoutPlugIn(t *testing.T) {
	d := hookdouble.New(hookdouble.Options{Mode: hookdouble.NotInstalled})
	p := newPlanner(t, d, func(o *Options) { o.Token = nil })
	if err := p.Probe(t.Context()); err != nil || !p.MutationSafe() {
		t.Fatalf("probe: %v", err)
	}
	for _, r := range []planner.Request{
		{Query: "query($id: ID!) { product(id: $id) { id } }"},
		{Query: "mutation($id: ID!) { remove(id: $id) }", Mutation: true},
		{Query: "query($id: ID!, $with: Boolean!) { product(id: $id) { id @include(if: $with) } }", Conditions: map[string]bool{"with": true}},
	} {
		if _, err := p.Plan(t.Context(), r); err != nil {
			t.Errorf("%s: %v", r.Query, err)
		}
	}
	sent := len(d.Requests())
	for _, r := range []planner.Request{
		{Query: "query { products { id } }"},
		{Query: "mutation { clear }", Mutation: true},
		{Query: "query($id: ID = 1) { product(id: $id) { id } }"},
		{Query: "query($with: Boolean!) { product { id @include(if: $with) } }", Conditions: map[string]bool{"with": true}},
	} {
		if _, err := p.Plan(t.Context(), r); !errors.Is(err, planner.ErrUnplannable) {
			t.Errorf("%s: %v", r.Query, err)
		}
	}
	if _, err := p.Plan(t.Context(), planner.Request{Query: "subscription($id: ID!) { x(id: $id) }"}); !errors.Is(err, planner.ErrInvalid) {
		t.Errorf("a subscription: %v", err)
	}
	if len(d.Requests()) != sent || len(d.Executed()) > 0 || d.Plannings() != 3 {
		t.Errorf("%d requests too many, executed %v, %d plannings", len(d.Requests())-sent, d.Executed(), d.Plannings())
	}
}

func TestBadModesWithoutPlugIn(t *testing.T) {
	for mode, want := range map[hookdouble.Mode]error{
		hookdouble.Busy: planner.ErrOverloaded, hookdouble.Starting: planner.ErrUnavailable, hookdouble.Broken: planner.ErrUnavailable,
		hookdouble.Redirect: planner.ErrRefused, hookdouble.HTML: planner.ErrRefused, hookdouble.HugeExtensions: planner.ErrRefused,
		hookdouble.Slow: planner.ErrOverloaded,
	} {
		synctest.Test(t, func(t *testing.T) {
			d := hookdouble.New(hookdouble.Options{Mode: mode})
			p := newPlanner(t, d, func(o *Options) { o.Token = nil })
			if err := p.Probe(t.Context()); !errors.Is(err, want) {
				t.Errorf("mode %d: probe: %v, want %v", mode, err, want)
			}
			if errors.Is(want, planner.ErrRefused) {
				if _, err := p.Plan(t.Context(), items(1)[0].Request); !errors.Is(err, want) || strings.Contains(err.Error(), "product") {
					t.Errorf("mode %d: plan: %v, want %v", mode, err, want)
				}
			}
			if len(d.Executed()) > 0 {
				t.Errorf("mode %d: executed %v", mode, d.Executed())
			}
		})
	}
}

func TestExpiryIsBounded(t *testing.T) {
	e := newExpiry(time.Hour)
	now := time.Now()
	for i := range 100_000 {
		e.note(now.Add(-time.Duration(i)*30*time.Millisecond), now)
	}
	if n := len(e.batches); n > 1000 {
		t.Errorf("%d batches", n)
	}
}

func TestNew(t *testing.T) {
	for name, o := range map[string]Options{
		"url": {URL: "x"}, "metrics url": {URL: "http://x", MetricsURL: "y"},
		"ready url": {URL: "http://x", ReadyURL: "y"}, "lifetime": {URL: "http://x", Lifetime: -1},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
