package warmer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/planner"
)

// cores is a router as a queue before a few cores, which whatever is under way
// has in turns. All times are those of a fake clock.
type cores chan struct{}

func (c cores) use(d time.Duration) {
	const turn = 10 * time.Millisecond
	for ; d > 0; d -= turn {
		c <- struct{}{}
		time.Sleep(min(d, turn))
		<-c
	}
}

func (c cores) Probe(context.Context) error {
	c.use(500 * time.Microsecond)
	return nil
}

// Plan takes as many milliseconds as the text has bytes.
func (c cores) Plan(_ context.Context, r planner.Request) (planner.Result, error) {
	c.use(time.Duration(len(r.Query)) * time.Millisecond)
	return planner.Result{Hit: planner.HitNo}, nil
}

// live sends requests at random until ctx ends, which need half of the cores,
// and returns their P99.
func (c cores) live(ctx context.Context) time.Duration {
	const mean = 4 * time.Millisecond
	random := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	for ctx.Err() == nil {
		pause(ctx, time.Duration(random.ExpFloat64()*float64(2*mean)/float64(cap(c))))
		d := time.Duration(random.ExpFloat64() * float64(mean))
		wg.Go(func() {
			start := time.Now()
			c.use(d)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(start))
		})
	}
	wg.Wait()
	slices.Sort(took)
	return took[(len(took)*99+99)/100-1]
}

// plans are 200 items, the heaviest of which takes twenty times what the
// lightest does, and what all of them take on one core.
func plans() (items []Item, sum time.Duration) {
	items = list(200)
	for i := range items {
		text := make([]byte, 2010/(i+10))
		items[i].Request.Query = string(text)
		items[i].Expected = time.Duration(len(text)) * time.Millisecond
		sum += items[i].Expected
	}
	return items, sum
}

// warm makes a run that must reach the end of its list, and returns what it took.
func (c cores) warm(t *testing.T, items []Item, s Settings) time.Duration {
	start := time.Now()
	rep, _, err := Runner{Planner: c, Settings: s}.Run(t.Context(), items)
	if err != nil || rep.Planned != len(items) || rep.Stopped != "" {
		t.Errorf("%+v, %v", rep, err)
	}
	return time.Since(start)
}

// Plans get what live traffic leaves of the cores, and all of them without any.
func TestRunYieldsToLiveTraffic(t *testing.T) {
	for _, tc := range []struct{ cores, concurrency int }{{2, 1}, {2, 2}, {2, 4}, {4, 4}} {
		t.Run(fmt.Sprintf("%d cores, concurrency %d", tc.cores, tc.concurrency), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				settings := Settings{Concurrency: tc.concurrency, Deadline: time.Minute}
				items, sum := plans()
				alone := make(cores, tc.cores).warm(t, items, settings)
				if limit := sum / time.Duration(min(tc.cores, tc.concurrency)) * 3 / 2; alone > limit {
					t.Errorf("a run without live traffic took %s, want at most %s", alone, limit)
				}
				ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
				quiet := make(cores, tc.cores).live(ctx)
				stop()

				c := make(cores, tc.cores)
				ctx, stop = context.WithCancel(t.Context())
				defer stop()
				done := make(chan time.Duration)
				go func() { done <- c.live(ctx) }()
				pause(ctx, time.Second)
				beside := c.warm(t, items, settings)
				stop()
				if busy := <-done; float64(busy) > 2*float64(quiet) {
					t.Errorf("P99 of live traffic %s, without the run %s", busy, quiet)
				} else {
					t.Logf("P99 of live traffic %s, without the run %s; the run took %s, alone %s", busy, quiet, beside, alone)
				}
			})
		})
	}
}

// On a single core every plan delays the canary, users or not. Pauses are only
// what the deadline has room for.
func TestPausesKeepToTheDeadline(t *testing.T) {
	for _, concurrency := range []int{1, 4} {
		for _, deadline := range []time.Duration{9 * time.Second, 20 * time.Second, time.Minute, 0} {
			synctest.Test(t, func(t *testing.T) {
				items, sum := plans()
				took := make(cores, 1).warm(t, items, Settings{Concurrency: concurrency, Deadline: deadline})
				if most := time.Duration(float64(sum)/minLimit) + time.Second; took > most {
					t.Errorf("deadline %s: took %s, want at most %s", deadline, took, most)
				}
				t.Logf("concurrency %d, deadline %s: %s for plans of %s", concurrency, deadline, took, sum)
			})
		}
	}
}
