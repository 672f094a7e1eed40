package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/planwarm/planwarm/planner/cosmo"
	"github.com/planwarm/planwarm/planner/engine/subgraphs"
	"github.com/planwarm/planwarm/testdata"
	"github.com/planwarm/planwarm/warmer"
)

// BenchmarkLiveDuringWarmup compares the P99 of live requests, whose plans are
// warm, while 1,000 operations are warmed with that of the same traffic alone.
// The traffic comes at half the rate that the router can answer, clients and
// subgraphs included, which all share this process and its cores. A request's
// time begins when it was due, so that one that had to wait for its turn counts.
func BenchmarkLiveDuringWarmup(b *testing.B) {
	items, _ := benchItems(b)
	for _, s := range []struct {
		name     string
		settings warmer.Settings
	}{
		{"cores=unknown", warmer.Settings{}},
		{"cores=known", warmer.Settings{Concurrency: runtime.NumCPU()}},
		{"concurrency=1", warmer.Settings{Concurrency: 1}},
		{"concurrency=1,rate=20", warmer.Settings{Concurrency: 1, PerSecond: 20}},
	} {
		b.Run(s.name, func(b *testing.B) {
			var ratios, alone, speeds []float64
			for b.Loop() {
				for range benchRuns {
					quiet, busy, speed := liveP99(b, items, s.settings)
					speeds = append(speeds, speed)
					alone = append(alone, float64(quiet)/float64(time.Millisecond))
					ratios = append(ratios, float64(busy)/float64(quiet))
				}
			}
			slices.Sort(ratios)
			slices.Sort(alone)
			slices.Sort(speeds)
			b.ReportMetric(ratios[len(ratios)/2], "x-baseline-p99")
			b.ReportMetric(alone[len(alone)/2], "baseline-p99-ms")
			b.ReportMetric(speeds[len(speeds)/2], "plans/s")
		})
	}
}

// liveP99 returns the P99 of live traffic alone, and for as long as a warm-up
// takes, at most liveTime each, and how many plans were made in a second. The
// deadline is the default one, and has room for all plans.
func liveP99(b *testing.B, items []warmer.Item, settings warmer.Settings) (quiet, busy time.Duration, speed float64) {
	b.Helper()
	const liveTime = 3 * time.Second
	urls, closeSubgraphs := benchSubgraphs(b)
	defer closeSubgraphs()
	url, stop := benchRouter(b, urls)
	defer stop()
	t := newTraffic(b, url)
	defer t.client.CloseIdleConnections()
	rate := t.capacity(b, time.Second) / 2

	ctx, cancel := context.WithTimeout(b.Context(), liveTime)
	quiet = p99(t.at(ctx, rate))
	cancel()

	p, err := cosmo.New(cosmo.Options{URL: url})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(b.Context(), liveTime)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer cancel()
		settings.Deadline = time.Minute
		start := time.Now()
		rep, _, err := warmer.Runner{Planner: p, Settings: settings, Until: ctx}.Run(b.Context(), items)
		speed = float64(rep.Planned) / time.Since(start).Seconds()
		done <- err
	}()
	busy = p99(t.at(ctx, rate))
	if err := <-done; err != nil && !errors.Is(err, context.DeadlineExceeded) {
		b.Fatal(err)
	}
	if n := t.failed.Load(); n > 0 {
		b.Fatalf("%d live requests failed", n)
	}
	return quiet, busy, speed
}

// benchSubgraphs serves the subgraphs of the sample graph.
func benchSubgraphs(b *testing.B) (urls map[string]string, stop func()) {
	b.Helper()
	files, err := testdata.Storefront.ReadDir("storefront/subgraphs")
	if err != nil {
		b.Fatal(err)
	}
	sdl := map[string]string{}
	for _, f := range files {
		sdl[strings.TrimSuffix(path.Base(f.Name()), ".graphql")] = storefrontFile(b, "subgraphs/"+f.Name())
	}
	s, err := subgraphs.New(subgraphs.Options{SDL: sdl})
	if err != nil {
		b.Fatal(err)
	}
	return s.URLs(), func() {
		if err := s.Close(context.Background()); err != nil {
			b.Error(err)
		}
	}
}

// traffic is live requests of a few operations that need no variables.
type traffic struct {
	url    string
	client *http.Client
	bodies []string
	next   atomic.Uint64
	failed atomic.Uint64
}

// newTraffic sends each operation once, so that its plan is there.
func newTraffic(b *testing.B, url string) *traffic {
	b.Helper()
	t := &traffic{url: url, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
	for i := range 8 {
		t.bodies = append(t.bodies, fmt.Sprintf(`{"query":"{ live%d: __typename me { id email } }"}`, i))
		t.send()
	}
	if n := t.failed.Load(); n > 0 {
		b.Fatalf("%d of the first requests failed", n)
	}
	return t
}

func (t *traffic) send() {
	body := t.bodies[t.next.Add(1)%uint64(len(t.bodies))]
	res, err := t.client.Post(t.url, "application/json", strings.NewReader(body))
	if err != nil {
		t.failed.Add(1)
		return
	}
	defer func() { _ = res.Body.Close() }() // it was read to its end
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || strings.Contains(string(answer), `"errors"`) {
		t.failed.Add(1)
	}
}

// capacity is how many requests a second are answered when twice as many
// clients as there are cores never wait.
func (t *traffic) capacity(b *testing.B, d time.Duration) float64 {
	b.Helper()
	var n atomic.Uint64
	var wg sync.WaitGroup
	start := time.Now()
	for range 2 * runtime.NumCPU() {
		wg.Go(func() {
			for time.Since(start) < d {
				t.send()
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(n.Load()) / time.Since(start).Seconds()
}

// at sends requests at a rate until ctx ends, however long answers take, and
// returns the time of each from when it was due.
func (t *traffic) at(ctx context.Context, rate float64) []time.Duration {
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	start := time.Now()
	for i := 0; ctx.Err() == nil; i++ {
		due := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		time.Sleep(time.Until(due))
		wg.Go(func() {
			t.send()
			d := time.Since(due)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, d)
		})
	}
	wg.Wait()
	return took
}

// p99 is by nearest rank.
func p99(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[(len(took)*99+99)/100-1]
}
