package warmer

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"
)

// A trigger is either part of the run that begins, or ends it and is part of
// the next one: with both, the router would stay cold.
func TestTriggerIsNeverLost(t *testing.T) {
	h := newHarness(t, func(o *GraphOptions) { o.Routers = []RouterOptions{{Name: "r", Planner: &fakeRouter{}}} })
	r := h.graph.fleet.list()[0]
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	r.trigger(ReasonPull)
	if taken := r.beginRun(cancel); !slices.Contains(taken, ReasonPull) || ctx.Err() != nil {
		t.Errorf("taken %v, run %v", taken, context.Cause(ctx))
	}
	r.trigger(ReasonReload)
	r.endRun()
	if left := r.queue.take(); !slices.Contains(left, ReasonReload) || !errors.Is(context.Cause(ctx), errRebuilt) {
		t.Errorf("left %v, run %v", left, context.Cause(ctx))
	}
	// Nothing comes between the two halves of either: while one of them waits for
	// the queue, the router's lock is held.
	for name, f := range map[string]func(){
		"trigger": func() { r.trigger(ReasonReload) }, "begin": func() { r.beginRun(cancel) },
	} {
		r.queue.mu.Lock()
		done := make(chan struct{})
		go func() { defer close(done); f() }()
		held := false
		for end := time.Now().Add(5 * time.Second); !held && time.Now().Before(end); runtime.Gosched() {
			if held = !r.mu.TryLock(); !held {
				r.mu.Unlock()
			}
		}
		r.queue.mu.Unlock()
		<-done
		if !held {
			t.Errorf("%s: somebody can come between", name)
		}
	}
}
