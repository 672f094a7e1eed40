package cosmo

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/cosmo/cosmodouble"
	"github.com/planwarm/planwarm/planner/planhttp"
)

// watching runs Watch in a bubble and returns the signs seen so far.
func watching(t *testing.T, h http.Handler, change func(*Options)) (p *Planner, signs func() []planner.Reload) {
	t.Helper()
	p = newPlanner(t, h, change)
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var seen []planner.Reload
	done := make(chan error, 1)
	go func() {
		done <- p.Watch(ctx, func(r planner.Reload) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, r)
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("watch: %v", err)
		}
	})
	return p, func() []planner.Reload {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return append([]planner.Reload(nil), seen...)
	}
}

const ready, metricsURL = "http://router.test/health/ready", "http://router.test/metrics"

func expectSigns(t *testing.T, signs []planner.Reload, want ...string) {
	t.Helper()
	var got []string
	for _, s := range signs {
		got = append(got, s.Sign)
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Fatalf("signs %q, want %q", got, want)
	}
}

func TestWatchReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := cosmodouble.New(cosmodouble.Options{})
		_, signs := watching(t, d, func(o *Options) { o.ReadyURL = ready })
		time.Sleep(time.Minute)
		expectSigns(t, signs()) // it was ready from the start
		d.SetReady(false)
		time.Sleep(10 * time.Second)
		expectSigns(t, signs())
		d.SetReady(true)
		back := time.Now()
		time.Sleep(10 * time.Second)
		expectSigns(t, signs(), planhttp.SignReady)
		if at := signs()[0].At; at.Before(back) || at.Sub(back) > 2*time.Second {
			t.Errorf("seen %v after", at.Sub(back))
		}
	})
}

func TestWatchPlanCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := cosmodouble.New(cosmodouble.Options{})
		p, signs := watching(t, d, func(o *Options) { o.MetricsURL = metricsURL })
		for _, n := range []string{"A", "B", "C"} {
			if _, err := p.Plan(t.Context(), query(n)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		expectSigns(t, signs())
		d.Reload()
		time.Sleep(time.Minute)
		expectSigns(t, signs(), SignCache)
		// What the canary proved, it proved of the graph before.
		d.SetMode(cosmodouble.Ignored)
		if _, err := p.Plan(t.Context(), query("A")); err == nil || len(d.Executed()) != 1 || d.Executed()[0].Subgraph {
			t.Errorf("%v, executed %+v", err, d.Executed())
		}
	})
}

func TestWatchCanary(t *testing.T) {
	for _, hits := range []cosmodouble.HitHeaders{cosmodouble.HitNone, cosmodouble.HitDebug, cosmodouble.HitExpression} {
		t.Run(fmt.Sprint(hits), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := cosmodouble.New(cosmodouble.Options{Hits: hits})
				p, signs := watching(t, d, nil)
				time.Sleep(10 * time.Second)
				if n := len(d.Requests()); n != 0 {
					t.Fatalf("%d requests before the router was proven", n)
				}
				if err := p.Probe(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second)
				expectSigns(t, signs())
				d.Reload()
				time.Sleep(10 * time.Second)
				if hits == cosmodouble.HitNone {
					expectSigns(t, signs()) // the router does not tell
					return
				}
				expectSigns(t, signs(), SignCanary)
				if n := len(d.Executed()); n != 0 {
					t.Fatalf("%d executed", n)
				}
			})
		})
	}
}

// TestWatchOneReloadIsOneSign: readiness, counter and canary of one reload.
func TestWatchOneReloadIsOneSign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := cosmodouble.New(cosmodouble.Options{Hits: cosmodouble.HitDebug})
		p, signs := watching(t, d, func(o *Options) { o.ReadyURL, o.MetricsURL = ready, metricsURL })
		if _, err := p.Plan(t.Context(), query("A")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		for range 3 {
			synctest.Wait() // a look that straddles a change would see half of it
			d.SetReady(false)
			time.Sleep(3 * time.Second)
			synctest.Wait()
			d.Reload()
			d.SetReady(true)
			if err := p.Probe(t.Context()); err != nil { // as the warmer does at a pull
				t.Fatal(err)
			}
			time.Sleep(30 * time.Second)
		}
		if n := len(signs()); n != 3 {
			t.Errorf("%d signs for three reloads: %v", n, signs())
		}
	})
}

func TestWatchExecutesAtMostItsCanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := cosmodouble.New(cosmodouble.Options{Hits: cosmodouble.HitDebug})
		p, signs := watching(t, d, nil)
		if err := p.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		d.SetMode(cosmodouble.Ignored)
		time.Sleep(time.Hour)
		signs()
		if e := d.Executed(); len(e) != 1 || e[0].Subgraph {
			t.Errorf("executed %+v", e)
		}
	})
}

// TestPageOfARealReload reads the pages of a real router before and after a
// reload to another schema: the series moved to another config version.
func TestPageOfARealReload(t *testing.T) {
	read := func(name string) page {
		raw, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := readPage(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if len(p.added) != 1 || p.started != 1.79529642583e+09 {
			t.Fatalf("%s: %+v", name, p)
		}
		return p
	}
	before, after := read("prometheus-before-reload.txt"), read("prometheus-after-reload.txt")
	if s := after.since(before); s != SignCache {
		t.Errorf("reload: %q", s)
	}
	if s := before.since(before) + before.since(page{}); s != "" {
		t.Errorf("no reload: %q", s)
	}
	restarted := before
	restarted.started++
	if s := restarted.since(before); s != planhttp.SignInstance {
		t.Errorf("restart: %q", s)
	}
}

func TestCores(t *testing.T) {
	d := cosmodouble.New(cosmodouble.Options{})
	for url, want := range map[string]int{metricsURL: 2, ready: 0, "": 0} {
		if n := newPlanner(t, d, func(o *Options) { o.MetricsURL = url }).Cores(t.Context()); n != want {
			t.Errorf("%q: %d cores, want %d", url, n, want)
		}
	}
	for line, want := range map[string]int{"NaN": 0, "-3": 0, "1e300": maxCores, "+Inf": maxCores, "8": 8} {
		p, err := readPage(strings.NewReader("go_sched_gomaxprocs_threads " + line + "\n"))
		if n := p.cores(); err != nil || n != want {
			t.Errorf("%s: %d cores, %v; want %d", line, n, err, want)
		}
	}
}

func TestPageOfSomethingElse(t *testing.T) {
	if p, err := readPage(strings.NewReader("<html>\n")); err != nil || len(p.added) != 0 || p.since(page{}) != "" {
		t.Errorf("a page of something else: %+v, %v", p, err)
	}
}
