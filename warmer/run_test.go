package warmer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/planner"
)

// fakeRouter plans with a given latency and remembers what it was sent.
type fakeRouter struct {
	mu        sync.Mutex
	latency   func(sent int) time.Duration
	answer    func(sent int, r planner.Request) (planner.Result, error)
	probe     func(n int) error
	safe      bool
	silent    bool // it does not tell hits
	busy, top int
	all       int // requests under way, canaries and checks included
	topAll    int
	verified  int
	widths    []int // requests under way when each one began
	sent      []planner.Request
	times     []time.Time
	probes    int
	cache     map[string]bool
}

var (
	_ planner.Planner      = (*fakeRouter)(nil)
	_ planner.Verifier     = (*fakeRouter)(nil)
	_ planner.MutationSafe = (*fakeRouter)(nil)
)

func (f *fakeRouter) Probe(context.Context) error {
	defer f.begin()()
	f.mu.Lock()
	f.probes++
	n, probe := f.probes, f.probe
	f.mu.Unlock()
	if probe != nil {
		return probe(n)
	}
	return nil
}

// begin counts a request as under way until what it returns is called.
func (f *fakeRouter) begin() (end func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all++
	f.topAll = max(f.topAll, f.all)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.all--
	}
}

func (f *fakeRouter) MutationSafe() bool { return f.safe }

func (f *fakeRouter) Plan(ctx context.Context, r planner.Request) (planner.Result, error) {
	defer f.begin()()
	f.mu.Lock()
	n := len(f.sent)
	f.sent = append(f.sent, r)
	f.times = append(f.times, time.Now())
	f.busy++
	f.top = max(f.top, f.busy)
	f.widths = append(f.widths, f.busy)
	if f.cache == nil {
		f.cache = map[string]bool{}
	}
	hit := planner.HitNo
	if f.cache[r.PlanKey] {
		hit = planner.HitYes
	}
	wait := 10 * time.Millisecond
	if f.latency != nil {
		wait = f.latency(n)
	}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.busy--
		f.mu.Unlock()
	}()
	select {
	case <-ctx.Done():
		return planner.Result{}, ctx.Err()
	case <-time.After(wait):
	}
	if f.answer != nil {
		if res, err := f.answer(n, r); err != nil || res.Hit != planner.HitUnknown {
			return res, err
		}
	}
	f.mu.Lock()
	f.cache[r.PlanKey] = true
	if f.silent {
		hit = planner.HitUnknown
	}
	f.mu.Unlock()
	return planner.Result{Hit: hit}, nil
}

func (f *fakeRouter) Verify(_ context.Context, r planner.Request) (planner.Hit, error) {
	defer f.begin()()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.verified++
	if f.cache[r.PlanKey] {
		return planner.HitYes, nil
	}
	return planner.HitNo, nil
}

func list(n int) []Item {
	items := make([]Item, n)
	for i := range items {
		key := fmt.Sprint(1000 + i)
		items[i] = Item{ID: key, Name: "Op" + key, Expected: 10 * time.Millisecond, Request: planner.Request{Query: "{a}", PlanKey: key}}
	}
	return items
}

func TestRunWarmsInOrderAndVerifies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{cache: map[string]bool{"1004": true}}
		rep, warm, err := Runner{Planner: f, Settings: Settings{Concurrency: 4}}.Run(t.Context(), list(200))
		if err != nil {
			t.Fatal(err)
		}
		if rep.Planned != 199 || rep.AlreadyWarm != 1 || rep.Failed != 0 || rep.Skipped != 0 || *rep.Share != 1 || len(warm) != 200 {
			t.Errorf("report %+v, %d warm", rep, len(warm))
		}
		for i, w := range f.widths[:solo] {
			if w != 1 {
				t.Errorf("request %d began with %d under way, want the first %d alone", i, w, solo)
			}
		}
		if f.top != 4 {
			t.Errorf("at most %d at once, want 4", f.top)
		}
		for i, r := range f.sent[:solo] {
			if want := fmt.Sprint(1000 + i); r.PlanKey != want {
				t.Errorf("request %d is %s, want %s", i, r.PlanKey, want)
			}
		}
	})
}

// The first answer that shows an execution stops the run.
func TestRunStopsAtAnExecution(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{answer: func(n int, _ planner.Request) (planner.Result, error) {
			if n == 5 {
				return planner.Result{}, fmt.Errorf("plan operation: %w", planner.ErrExecuted)
			}
			return planner.Result{}, nil
		}}
		rep, _, err := Runner{Planner: f, Settings: Settings{Concurrency: 2}}.Run(t.Context(), list(100))
		if !errors.Is(err, planner.ErrExecuted) || rep.Executed != 1 || rep.Stopped != planner.ErrExecuted.Error() {
			t.Errorf("report %+v, error %v", rep, err)
		}
		// The sixth executes; the seventh is under way and, answered in the same
		// instant, may let the eighth go.
		if len(f.sent) > 8 {
			t.Errorf("%d requests were sent, the run went on after the execution", len(f.sent))
		}
		if total := rep.Planned + rep.AlreadyWarm + rep.Failed + rep.Skipped; total != 100 {
			t.Errorf("%d of 100 items accounted for: %+v", total, rep)
		}
	})
}

func TestRunSendsOneCanaryToARouterThatExecutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{probe: func(int) error { return planner.ErrExecuted }}
		rep, _, err := Runner{Planner: f}.Run(t.Context(), list(10))
		if !errors.Is(err, planner.ErrExecuted) || rep.Executed != 1 || rep.Skipped != 10 || f.probes != 1 || len(f.sent) != 0 {
			t.Errorf("report %+v, %d probes, %d sent, error %v", rep, f.probes, len(f.sent), err)
		}
	})
}

func TestRunSendsMutationsOnlyWhereTheyCannotExecute(t *testing.T) {
	for _, safe := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			items := list(6)
			items[1].Request.Mutation, items[4].Request.Mutation = true, true
			f := &fakeRouter{safe: safe}
			rep, _, err := Runner{Planner: f}.Run(t.Context(), items)
			if err != nil {
				t.Fatal(err)
			}
			sent := 0
			for _, r := range f.sent {
				if r.Mutation {
					sent++
				}
			}
			if want := map[bool]int{false: 0, true: 2}[safe]; sent != want || rep.Skipped != 2-want {
				t.Errorf("safe %v: %d mutations sent, report %+v", safe, sent, rep)
			}
		})
	}
}

// Nothing is sent after the deadline, and what was done before it counts.
func TestRunEndsAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{latency: func(int) time.Duration { return 97 * time.Millisecond }} // no answer at the deadline itself
		start := time.Now()
		rep, _, err := Runner{Planner: f, Settings: Settings{Concurrency: 2, Deadline: time.Second}}.Run(t.Context(), list(1000))
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range f.times {
			if at.Sub(start) >= time.Second {
				t.Errorf("sent %s after the start", at.Sub(start))
			}
		}
		if rep.Planned == 0 || rep.Stopped == "" || rep.Planned+rep.Skipped+rep.Failed != 1000 {
			t.Errorf("report %+v", rep)
		}
	})
}

// A router that answers slowly gets half as much, and more again when it recovers.
func TestRunHalvesAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{latency: func(sent int) time.Duration {
			if sent >= 600 && sent < 620 {
				return 400 * time.Millisecond
			}
			return 10 * time.Millisecond
		}}
		if _, _, err := (Runner{Planner: f, Settings: Settings{Concurrency: 8}}).Run(t.Context(), list(1200)); err != nil {
			t.Fatal(err)
		}
		before, during, after := top(f.widths[560:600]), f.widths[619], top(f.widths[1100:])
		if before != 8 || during > 4 || after != 8 {
			t.Errorf("width before %d, during %d, after %d; want 8, at most 4, 8", before, during, after)
		}
	})
}

func top(ws []int) int {
	m := 0
	for _, w := range ws {
		m = max(m, w)
	}
	return m
}

func TestRunBacksOffFromAnOverloadedRouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var over atomic.Int32
		f := &fakeRouter{answer: func(n int, _ planner.Request) (planner.Result, error) {
			if n >= 30 && n < 34 {
				over.Add(1)
				return planner.Result{}, planner.ErrOverloaded
			}
			return planner.Result{}, nil
		}}
		rep, _, err := Runner{Planner: f, Settings: Settings{Concurrency: 4}}.Run(t.Context(), list(60))
		if err != nil || rep.Planned != 60 || rep.Failed != 0 || over.Load() != 4 {
			t.Errorf("report %+v, %d overloaded answers, error %v", rep, over.Load(), err)
		}
	})
}

func TestRunGivesUpOnARouterThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{answer: func(n int, _ planner.Request) (planner.Result, error) {
			if n >= 4 {
				return planner.Result{}, planner.ErrUnavailable
			}
			return planner.Result{}, nil
		}}
		rep, _, err := Runner{Planner: f, Settings: Settings{Concurrency: 1}}.Run(t.Context(), list(50))
		if !errors.Is(err, planner.ErrUnavailable) || len(f.sent) != 4+maxDown {
			t.Errorf("%d sent, report %+v, error %v", len(f.sent), rep, err)
		}
	})
}

func TestRunKeepsToTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{latency: func(int) time.Duration { return time.Millisecond }}
		start := time.Now()
		if _, _, err := (Runner{Planner: f, Settings: Settings{Concurrency: 8, PerSecond: 10}}).Run(t.Context(), list(21)); err != nil {
			t.Fatal(err)
		}
		if took := f.times[20].Sub(start); took < 2*time.Second {
			t.Errorf("21 requests at 10 a second took %s", took)
		}
	})
}

// The first check, never a retry, gives the share that is really warm.
func TestRunReportsWhatIsNotReallyWarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{answer: func(n int, _ planner.Request) (planner.Result, error) {
			if n%2 == 0 { // it says that it planned, and keeps nothing
				return planner.Result{Hit: planner.HitNo}, nil
			}
			return planner.Result{}, nil
		}}
		rep, warm, err := Runner{Planner: f}.Run(t.Context(), list(10))
		if err != nil || rep.Share == nil || *rep.Share != 0.5 || len(warm) != 5 {
			t.Errorf("report %+v, %d warm, error %v", rep, len(warm), err)
		}
	})
}

func TestRunStopsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		f := &fakeRouter{answer: func(n int, _ planner.Request) (planner.Result, error) {
			if n == 3 {
				stop()
			}
			return planner.Result{}, nil
		}}
		_, _, err := Runner{Planner: f}.Run(ctx, list(100))
		if !errors.Is(err, context.Canceled) || len(f.sent) > 10 {
			t.Errorf("%d sent, error %v", len(f.sent), err)
		}
	})
}

// The limits hold for everything that is sent, canaries and checks included.
func TestRunKeepsToItsLimitsWithCanaries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{latency: func(int) time.Duration { return 300 * time.Millisecond }}
		start := time.Now()
		rep, _, err := Runner{Planner: f, Settings: Settings{Concurrency: 3, PerSecond: 5}}.Run(t.Context(), list(50))
		if err != nil || rep.Planned != 50 {
			t.Fatalf("%+v, %v", rep, err)
		}
		requests := len(f.sent) + f.probes + f.verified
		if least := time.Duration(requests-1) * time.Second / 5; time.Since(start) < least {
			t.Errorf("%d requests at 5 a second took %s", requests, time.Since(start))
		}
		if f.probes < 2 || f.probes > 1+requests/canaryShare {
			t.Errorf("%d canaries in %d requests", f.probes, requests)
		}
		if f.topAll > 3 {
			t.Errorf("%d requests at once, canaries counted", f.topAll)
		}
	})
}

// A deadline that the rate cannot meet is the deadline, not a fault.
func TestRunEndsWhenTheRateLeavesNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{latency: func(int) time.Duration { return time.Millisecond }}
		rep, _, err := Runner{Planner: f, Settings: Settings{PerSecond: 2, Deadline: 5 * time.Second}}.Run(t.Context(), list(100))
		if err != nil || rep.Stopped != errDeadline.Error() || rep.Planned == 0 || rep.Skipped != 100-rep.Planned {
			t.Errorf("%+v, %v", rep, err)
		}
	})
}

// A router that asks for a pause gets it from all workers.
func TestRunKeepsRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{latency: func(int) time.Duration { return 10 * time.Millisecond }}
		f.answer = func(n int, _ planner.Request) (planner.Result, error) {
			if n == 20 {
				return planner.Result{}, &planner.Overload{RetryAfter: 7 * time.Second}
			}
			return planner.Result{}, nil
		}
		rep, _, err := Runner{Planner: f, Settings: Settings{Concurrency: 4}}.Run(t.Context(), list(60))
		if err != nil || rep.Planned != 60 {
			t.Fatalf("%+v, %v", rep, err)
		}
		told := f.times[20].Add(10 * time.Millisecond)
		for i, at := range f.times {
			if at.After(told) && at.Before(told.Add(7*time.Second)) {
				t.Errorf("request %d was sent %s into the pause", i, at.Sub(told))
			}
		}
	})
}

// A router that does not tell hits would not tell them to a check either.
func TestRunDoesNotCheckARouterThatDoesNotTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{silent: true}
		rep, warm, err := Runner{Planner: f}.Run(t.Context(), list(30))
		if err != nil || rep.Planned != 30 || rep.Share != nil || f.verified != 0 || len(warm) != 30 {
			t.Errorf("%+v, %d checks, %d warm, %v", rep, f.verified, len(warm), err)
		}
	})
}

// A mutation that the planner does not send is skipped, not failed.
func TestRunSkipsWhatIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{answer: func(n int, _ planner.Request) (planner.Result, error) {
			if n == 2 {
				return planner.Result{}, fmt.Errorf("plan operation: %w", planner.ErrMutation)
			}
			return planner.Result{}, nil
		}}
		rep, _, err := Runner{Planner: f}.Run(t.Context(), list(5))
		if err != nil || rep.Planned != 4 || rep.Skipped != 1 || rep.Failed != 0 {
			t.Errorf("%+v, %v", rep, err)
		}
	})
}

// Costs foreseen on another machine, with the heaviest plans first and a canary
// that a busy machine delays, must not hold a run at one request at a time.
func TestRunIsNotHeldByForeignExpectations(t *testing.T) {
	for name, tc := range map[string]struct {
		expected func(i int) time.Duration
		latency  func(i int) time.Duration
	}{
		"machine is ten times slower": {
			func(i int) time.Duration { return time.Duration(400-i) * time.Millisecond },
			func(i int) time.Duration { return 10 * time.Duration(400-i) * time.Millisecond },
		},
		"heavy ones are cheaper, light ones dearer than foreseen": {
			func(i int) time.Duration { return time.Duration(max(1, 400-10*i)) * time.Millisecond },
			func(i int) time.Duration { return 60 * time.Millisecond },
		},
		"nothing is foreseen": {
			func(int) time.Duration { return 0 },
			func(i int) time.Duration { return time.Duration(max(5, 400-10*i)) * time.Millisecond },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				items := list(400)
				for i := range items {
					items[i].Expected = tc.expected(i)
				}
				f := &fakeRouter{latency: tc.latency}
				f.probe = func(n int) error {
					time.Sleep(time.Duration(n%3) * 10 * time.Millisecond)
					return nil
				}
				if _, _, err := (Runner{Planner: f, Settings: Settings{Concurrency: 4}}).Run(t.Context(), items); err != nil {
					t.Fatal(err)
				}
				wide := 0
				for _, w := range f.widths {
					if w >= 3 {
						wide++
					}
				}
				if wide < 200 {
					t.Errorf("only %d of 400 requests were sent with two others under way", wide)
				}
			})
		})
	}
}
