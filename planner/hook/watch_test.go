package hook

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/hook/hookdouble"
	"github.com/planwarm/planwarm/planner/planhttp"
)

// watching runs Watch in a bubble and returns the signs that were seen so far.
func watching(t *testing.T, p planner.Watcher) func() []string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var signs []string
	done := make(chan error, 1)
	go func() {
		done <- p.Watch(ctx, func(r planner.Reload) {
			mu.Lock()
			defer mu.Unlock()
			signs = append(signs, r.Sign)
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

// TestWatch: each sign is told within 2 s of what it is a sign of.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDouble(hookdouble.Options{})
		signs := watching(t, newPlanner(t, d, nil))
		var want []string
		for _, step := range []struct {
			change func()
			sign   string
		}{
			{func() {}, ""},
			{d.Reload, SignSchema},
			{d.Restart, planhttp.SignInstance},
			{func() { d.SetMode(hookdouble.NotInstalled) }, ""},
			{func() { d.SetMode(hookdouble.Honoured) }, SignAnswers},
			{func() { d.SetMode(hookdouble.Starting) }, ""},
			{func() { d.SetMode(hookdouble.Honoured) }, ""},
			{func() { d.SetMode(hookdouble.Starting); d.Restart() }, ""},
			{func() { d.SetMode(hookdouble.Honoured) }, planhttp.SignInstance},
		} {
			time.Sleep(10 * time.Second)
			// A look begins at this very instant, and has to end before the change:
			// one that straddles it may see half of it.
			synctest.Wait()
			step.change()
			time.Sleep(2 * time.Second)
			if step.sign != "" {
				want = append(want, step.sign)
			}
			if got := signs(); !slices.Equal(got, want) {
				t.Fatalf("signs %q, want %q", got, want)
			}
		}
		if n := subgraphs(d); n > 0 {
			t.Errorf("watching reached a subgraph %d times", n)
		}
	})
}

// TestWatchAsksForTheCanaryAgain: what was proven before a reload is worth
// nothing after it.
func TestWatchAsksForTheCanaryAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDouble(hookdouble.Options{})
		p := newPlanner(t, d, nil)
		if err := p.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
		watching(t, p)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		d.Restart()
		time.Sleep(2 * time.Second)
		if p.gate.Open() {
			t.Error("still trusted after a restart")
		}
	})
}
