package warmer

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// coresRouter knows how many cores it may use.
type coresRouter struct {
	*fakeRouter
	cores int
}

func (c coresRouter) Cores(context.Context) int { return c.cores }

// As many requests are under way as the owner allows, or one for each core.
func TestRunIsAsWideAsTheRouter(t *testing.T) {
	for _, tc := range []struct{ concurrency, cores, want int }{
		{0, 2, 2}, {0, 6, 6}, {0, 0, defaultConcurrency}, {3, 6, 3}, {3, 2, 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeRouter{latency: func(int) time.Duration { return 30 * time.Millisecond }}
			rep, _, err := Runner{Planner: coresRouter{f, tc.cores}, Settings: Settings{Concurrency: tc.concurrency}}.Run(t.Context(), list(500))
			if err != nil || rep.Planned != 500 {
				t.Fatalf("%+v, %v", rep, err)
			}
			if f.topAll != tc.want {
				t.Errorf("concurrency %d, %d cores: %d at once, want %d", tc.concurrency, tc.cores, f.topAll, tc.want)
			}
		})
	}
}

// serialRouter plans on the thread that serves its requests.
type serialRouter struct{ *fakeRouter }

func (serialRouter) Serial() bool { return true }

// A serial router gets one request at a time. Canaries go between plans, and so
// its own plans are not taken for the load of others.
func TestRunAsksSerialRoutersOneThingAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRouter{latency: func(int) time.Duration { return 100 * time.Millisecond }}
		start := time.Now()
		rep, _, err := Runner{Planner: serialRouter{f}, Settings: Settings{Concurrency: 8}}.Run(t.Context(), list(50))
		if err != nil || rep.Planned != 50 {
			t.Fatalf("%+v, %v", rep, err)
		}
		if f.topAll != 1 || f.probes < 10 {
			t.Errorf("%d requests at once, %d canaries", f.topAll, f.probes)
		}
		if took, most := time.Since(start), time.Duration(len(f.sent)+f.probes)*100*time.Millisecond; took > most {
			t.Errorf("took %s, with pauses; want at most %s", took, most)
		}
	})
}
