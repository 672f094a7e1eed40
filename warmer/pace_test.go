package warmer

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// plan has one plan under way for so long, and returns how long it had to wait.
func (p *pace) plan(t *testing.T, d time.Duration, s Signal) (waited time.Duration) {
	t.Helper()
	start := time.Now()
	k, err := p.acquire(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	waited = time.Since(start)
	time.Sleep(d)
	p.release(k, s)
	return waited
}

// One at a time is not the least: below one there are pauses.
func TestPaceBelowOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const d = 20 * time.Millisecond
		p := newPace(4, 0, time.Time{})
		for i, want := range []time.Duration{0, d, 3 * d, 3 * d} {
			if got := p.plan(t, d, SignalSlow); got != want {
				t.Errorf("plan %d waited %s, want %s", i, got, want)
			}
		}
		if got := p.plan(t, time.Minute, SignalNone); got != 3*d {
			t.Errorf("waited %s", got)
		}
		// Fine canaries raise it in equal steps, after a plan in time.
		for i, want := range []time.Duration{maxPause, 3 * d, d, d / 3, 0} {
			if got := p.plan(t, d, SignalFine); got.Round(time.Microsecond) != want.Round(time.Microsecond) {
				t.Errorf("plan %d on the way back waited %s, want %s", i, got, want)
			}
			p.release(canary(t, p, false), SignalFine)
		}
		if p.limit != 3 {
			t.Errorf("limit %g after two more, want 3", p.limit)
		}
	})
}

func canary(t *testing.T, p *pace, beside bool) ticket {
	t.Helper()
	k, err := p.acquireCanary(t.Context(), beside)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// What was sent before a cut does not cut again, and a fine canary adds nothing
// while plans are slow.
func TestPaceCutsOnceForOneCongestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(8, 0, time.Time{})
		p.limit = 8
		var under []ticket
		for range 6 {
			k, err := p.acquire(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			under = append(under, k)
		}
		for _, k := range under[:3] {
			p.release(k, SignalSlow)
		}
		p.release(canary(t, p, true), SignalFine)
		if p.limit != 4 {
			t.Errorf("limit %g after three slow answers of one time, want 4", p.limit)
		}
		p.release(under[3], SignalNone)
		p.release(canary(t, p, true), SignalFine)
		p.release(under[4], SignalFine)
		if p.limit != 4 {
			t.Errorf("limit %g, raised without a canary after a plan in time", p.limit)
		}
		p.release(canary(t, p, true), SignalFine)
		if p.limit != 5 {
			t.Errorf("limit %g, want 5", p.limit)
		}
	})
}

// A canary goes beside a plan, within the ceiling, and before the plans that wait.
func TestCanaryGoesBesideAPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(2, 0, time.Time{})
		p.limit = 2
		started := make(chan time.Duration, 1)
		start := time.Now()
		go func() {
			k := canary(t, p, true)
			started <- time.Since(start)
			time.Sleep(10 * time.Millisecond)
			p.release(k, SignalNone)
		}()
		time.Sleep(time.Second) // nothing is under way
		p.plan(t, time.Second, SignalFine)
		if at := <-started; at != time.Second {
			t.Errorf("canary after %s, want with the plan", at)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p := newPace(2, 0, time.Time{})
		p.limit = 2
		a, _ := p.acquire(t.Context(), 0)
		b, _ := p.acquire(t.Context(), 0)
		order := make(chan string, 2)
		go func() {
			k, _ := p.acquire(t.Context(), 0)
			order <- "plan"
			p.release(k, SignalNone)
		}()
		synctest.Wait()
		go func() {
			k, _ := p.acquireCanary(t.Context(), true)
			order <- "canary"
			p.release(k, SignalNone)
		}()
		synctest.Wait()
		p.release(a, SignalNone)
		if first := <-order; first != "canary" {
			t.Errorf("%s was first", first)
		}
		<-order
		p.release(b, SignalNone)
	})
}

// Room that was kept for a canary is free again when it is given up.
func TestCanaryGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(1, 0, time.Time{})
		k, _ := p.acquire(t.Context(), 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.acquireCanary(ctx, true); err == nil {
			t.Error("two at once")
		}
		p.release(k, SignalNone)
		p.plan(t, time.Second, SignalNone)
	})
}

func TestCanaryTrend(t *testing.T) {
	const ms = time.Millisecond
	for name, tc := range map[string]struct {
		took []time.Duration
		want []Signal
	}{
		"one is no trend": {
			[]time.Duration{ms, ms, ms, 15 * ms, ms, 15 * ms, 16 * ms, ms, 15 * ms},
			[]Signal{0, 0, SignalFine, 0, SignalFine, SignalSlow, SignalSlow, SignalFine, SignalSlow},
		},
		"noise":                        {[]time.Duration{ms / 5, ms / 5, ms / 5, 2 * ms, 2 * ms, 3 * ms, 3 * ms}, []Signal{0, 0, SignalFine, SignalFine, SignalFine, 0, SignalSlow}},
		"a change for the worse stays": {[]time.Duration{ms, ms, ms, 9 * ms, 9 * ms, 9 * ms, 9 * ms}, []Signal{0, 0, SignalFine, 0, SignalSlow, SignalSlow, SignalSlow}},
		"for the better": {
			[]time.Duration{90 * ms, 9 * ms, 9 * ms, 9 * ms, ms, ms, 9 * ms, 9 * ms},
			[]Signal{0, 0, SignalFine, SignalFine, SignalFine, SignalFine, 0, SignalSlow},
		},
	} {
		var c canaryTrend
		for i, d := range tc.took {
			if got := c.add(d); got != tc.want[i] {
				t.Errorf("%s: canary %d of %s says %d, want %d", name, i, d, got, tc.want[i])
			}
		}
	}
}
