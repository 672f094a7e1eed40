package router

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	logtest "go.uber.org/zap/zaptest/observer"
)

// TestReloadServesOldUntilWarm: the old graph answers while the new one is
// warmed, then the new one does, with what its list held.
func TestReloadServesOldUntilWarm(t *testing.T) {
	description := call{query: `{ product(id: "p-1") { description } }`} // gone in v2
	segments := call{query: `{ latestReviews(first: 1) { text } }`}      // new in v2
	cdn := startCDN(t, 200, list(t, []call{description}))
	r := startReady(t, func(o *Options) { o.Warmup = cdn.options() })
	before := r.Stats()

	hold := make(chan struct{})
	cdn.set(200, list(t, []call{segments}), hold)
	done := make(chan error, 1)
	go func() { done <- r.Reload(t.Context(), readFixture(t, "supergraph-v2.graphql")) }()
	eventually(t, "the second pull", func() bool { return cdn.requests() == 2 })
	if a := r.post(t, description); len(a.errors) > 0 || a.header.Get(headerPlanCache) != "HIT" {
		t.Errorf("v1 while v2 warms: %v", a.errors)
	}
	close(hold)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	after := r.Stats()
	if after.ConfigVersion == before.ConfigVersion || after.Reloads != 1 || after.PlanCache.Added != 1 || after.Warmup.Planned != 1 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if a := r.post(t, description); len(a.errors) == 0 {
		t.Error("v2 still has Product.description")
	}
	// The subgraphs still serve v1, so only the plan is of interest.
	if a := r.post(t, segments); a.header.Get(headerPlanCache) != "HIT" {
		t.Errorf("v2: %s %v", a.header.Get(headerPlanCache), a.errors)
	}
}

// TestEveryOperationOfV2: after a deploy of subgraphs and supergraph everything that v2 accepts is answered.
func TestEveryOperationOfV2(t *testing.T) {
	r := startReady(t, nil)
	if err := r.subgraphs.Update(subgraphSDL(t, "subgraphs-v2")); err != nil {
		t.Fatal(err)
	}
	if err := r.Reload(t.Context(), readFixture(t, "supergraph-v2.graphql")); err != nil {
		t.Fatal(err)
	}
	want := newOracle(t, readFixture(t, "supergraph-v2.graphql"))
	accepted := 0
	for _, c := range valid(calls(t, false)) {
		a := r.post(t, c)
		if c.v2 && len(a.errors) > 0 {
			t.Errorf("%s %s: %v", c.file, c.name, a.errors)
		}
		if c.v2 {
			want.check(t, r.client, c, a.body)
		}
		if len(a.errors) == 0 {
			accepted++
		}
	}
	// 67 by the index, and one of two operations in a file that it calls invalid.
	if accepted != 68 {
		t.Errorf("%d operations accepted, want 68", accepted)
	}
}

func TestReloadByFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "supergraph.graphql")
	write := func(sdl string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(file, []byte(sdl), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	v1 := readFixture(t, "supergraph.graphql")
	write(v1, at)
	core, logs := logtest.New(zap.ErrorLevel)
	r := startReady(t, func(o *Options) {
		o.Supergraph, o.SupergraphFile, o.WatchInterval, o.Log = "", file, Duration(5*time.Millisecond), zap.New(core)
	})
	first := r.Stats().ConfigVersion
	r.post(t, find(t, "me"))

	write(v1, at.Add(time.Minute)) // touched with equal content
	eventually(t, "a reload of the same content", func() bool { return r.Stats().Reloads == 1 })
	if s := r.Stats(); s.ConfigVersion != first || s.PlanCache.Added != 0 {
		t.Errorf("after the touch: %+v", s)
	}
	write("type Query {", at.Add(2*time.Minute))
	eventually(t, "the broken file to be told", func() bool { return logs.FilterMessage("reload failed").Len() > 0 })
	if s := r.Stats(); s.ConfigVersion != first || !s.Ready {
		t.Errorf("after a broken file: %+v", s)
	}
	write(readFixture(t, "supergraph-v2.graphql"), at.Add(3*time.Minute))
	eventually(t, "v2", func() bool { return r.Stats().ConfigVersion != first })
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if a := r.post(t, find(t, "me")); len(a.errors) > 0 {
		t.Errorf("after the file went: %v", a.errors)
	}
}

// TestDeadlyListAtFileReload ends Run, as it would end the process of a Cosmo router.
func TestDeadlyListAtFileReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "supergraph.graphql")
	if err := os.WriteFile(file, []byte(readFixture(t, "supergraph.graphql")), 0o600); err != nil {
		t.Fatal(err)
	}
	cdn := startCDN(t, 404, "")
	r := newTestRouter(t, func(o *Options) {
		o.Supergraph, o.SupergraphFile, o.WatchInterval, o.Warmup = "", file, Duration(5*time.Millisecond), cdn.options()
	})
	done := make(chan error, 1)
	go func() { done <- r.Run(t.Context()) }()
	eventually(t, "the router to be ready", r.Ready)
	cdn.set(200, `{"operations":[{"request":null}]}`, nil)
	at := time.Now().Add(time.Minute)
	if err := os.Chtimes(file, at, at); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrNoRequest) {
		t.Errorf("Run: %v", err)
	}
}

// TestBadReloadChangesNothing: the last good graph stays, with its plans.
func TestBadReloadChangesNothing(t *testing.T) {
	r := startReady(t, nil)
	r.post(t, find(t, "me"))
	before := r.Stats()
	if err := r.Reload(t.Context(), "type Query {"); err == nil {
		t.Error("a broken supergraph was taken")
	}
	if after := r.Stats(); after.ConfigVersion != before.ConfigVersion || after.Reloads != 0 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if a := r.post(t, find(t, "me")); a.header.Get(headerPlanCache) != "HIT" {
		t.Errorf("the plan is gone: %s", a.header.Get(headerPlanCache))
	}
}

// TestReloadsUnderTraffic: no request fails while graphs are swapped, and none
// of the old graphs stays (goleak watches the end of the test binary).
func TestReloadsUnderTraffic(t *testing.T) {
	r := startReady(t, nil)
	var stop atomic.Bool
	var served atomic.Int64
	var traffic sync.WaitGroup
	for range 4 {
		traffic.Go(func() {
			for !stop.Load() {
				if a := r.post(t, find(t, "me")); a.status != http.StatusOK || len(a.errors) > 0 {
					t.Errorf("status %d, %v", a.status, a.errors)
				}
				served.Add(1)
			}
		})
	}
	// More requests than can have begun before: some of them see the graph of now.
	await := func() {
		at := served.Load()
		eventually(t, "traffic", func() bool { return served.Load() > at+10 })
	}
	for range 3 {
		await()
		if err := r.Reload(t.Context(), readFixture(t, "supergraph.graphql")); err != nil {
			t.Error(err)
		}
	}
	await()
	stop.Store(true)
	traffic.Wait()
	if s := r.Stats(); s.Reloads != 3 || s.PlanMisses < 4 {
		t.Errorf("%+v", s)
	}
}

// TestCloseIsFinal: a closed router serves nothing and takes no graph.
func TestCloseIsFinal(t *testing.T) {
	r := startReady(t, nil)
	r.stop()
	if err := r.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if a := r.post(t, find(t, "me")); a.status != http.StatusNotFound {
		t.Errorf("status %d", a.status)
	}
	if err := r.Reload(t.Context(), readFixture(t, "supergraph.graphql")); err == nil {
		t.Error("a closed router took a graph")
	}
}
