package router

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// TestSpansAreCosmos: the same span names, scopes and attribute keys as in the captures.
func TestSpansAreCosmos(t *testing.T) {
	s := startSink(t)
	r := startReady(t, func(o *Options) { o.Telemetry = s.options() })
	c := find(t, "product-title")
	r.post(t, c, headerClientName, "web", headerClientVersion, "3")
	r.post(t, c, headerClientName, "web", headerClientVersion, "3")
	r.post(t, find(t, "invalid-unknown-field"))
	flush(t, r)
	captured := map[string]span{}
	for _, c := range decodeSpans(t, readCapture(t, "content/traces/traces-001.pb.gz")) {
		captured[c.name] = c
	}
	byName := map[string][]span{}
	var root span
	for _, got := range s.spans {
		byName[got.name] = append(byName[got.name], got)
		if got.name == "query "+c.name {
			root = got
		}
	}
	for _, name := range []string{"Operation - Parse", "Operation - Normalize", "Operation - Validate", "Operation - Plan", "Operation - Execute"} {
		if len(byName[name]) != 2 {
			t.Fatalf("%d spans %s", len(byName[name]), name)
		}
		got, want := byName[name][0], captured[name]
		// The text as it was sent has literals: it is never exported.
		delete(want.attributes, "wg.operation.original_content")
		if got.scope != want.scope || !slices.Equal(keys(got.attributes), keys(want.attributes)) {
			t.Errorf("%s: %s %v\nwant %s %v", name, got.scope, keys(got.attributes), want.scope, keys(want.attributes))
		}
		if last := byName[name][1]; last.trace != root.trace || last.parent != root.id {
			t.Errorf("%s is not a child of its request", name)
		}
	}
	plan := byName["Operation - Plan"]
	for i, hit := range []bool{false, true} {
		a := plan[i].attributes
		if a["wg.engine.plan_cache_hit"] != hit || a["wg.operation.hash"] != c.hash || a["wg.operation.plan_key"] != c.key || a["wg.operation.name"] != c.name ||
			a["wg.operation.type"] != "query" || a["wg.client.name"] != "web" || a["wg.client.version"] != "3" || a["wg.operation.protocol"] != "http" ||
			a["wg.router.config.version"] != r.Stats().ConfigVersion {
			t.Errorf("plan span %d: %v", i, a)
		}
	}
	if got := milliseconds(plan[0].took); got != r.Stats().PlanningMs {
		t.Errorf("the plan span takes %g ms, the counters have %g", got, r.Stats().PlanningMs)
	}
	if got := byName["Operation - Normalize"][0].attributes["wg.operation.normalized_content"]; got != "query ProductTitle($a: ID!){product(id: $a){id title}}" {
		t.Errorf("text %q", got)
	}
	if got := s.headers["/v1/traces"].Get("Authorization"); got != "Bearer sink-token" {
		t.Errorf("authorization %q", got)
	}
}

// TestPointsAreCosmos: live points and warm-up points have the attribute keys
// and the bounds that the captures have.
func TestPointsAreCosmos(t *testing.T) {
	s := startSink(t)
	warm, live := find(t, "me"), find(t, "product-title")
	cdn := startCDN(t, 200, list(t, []call{warm}))
	r := startReady(t, func(o *Options) { o.Telemetry, o.Warmup = s.options(), cdn.options() })
	for range 3 {
		r.post(t, live, headerClientName, "web", headerClientVersion, "3")
	}
	flush(t, r)
	if len(s.spans) != 3*6 {
		t.Errorf("%d spans for three requests, the warm-up makes none", len(s.spans))
	}
	capturedLive := decodePoints(t, readCapture(t, "content/metrics-http-delta/metrics-001.pb.gz"))[0]
	capturedWarm := decodePoints(t, readCapture(t, "warm/metrics-http-delta/metrics-001.pb"))[0]
	if len(s.points) != 3 {
		t.Fatalf("%d points, want warm-up, miss and hits", len(s.points))
	}
	var sum float64
	for _, p := range s.points {
		want := capturedLive
		if p.attributes["wg.operation.name"] == warm.name {
			want = capturedWarm
		}
		if !slices.Equal(keys(p.attributes), keys(want.attributes)) || !slices.Equal(p.bounds, want.bounds) {
			t.Errorf("point %v, bounds %v\nwant %v, %v", keys(p.attributes), p.bounds, keys(want.attributes), want.bounds)
		}
		hit := p.attributes["wg.engine.plan_cache_hit"] == true
		if wantCount := map[bool]uint64{true: 2, false: 1}[hit]; p.count != wantCount {
			t.Errorf("%v: count %d", p.attributes, p.count)
		}
		if want.attributes["wg.operation.protocol"] != nil && !hit {
			sum = p.sum
		}
	}
	if want := r.Stats().PlanningMs; math.Abs(sum-want) > 1e-9 {
		t.Errorf("sum of the misses %g, the counters have %g", sum, want)
	}
	before := len(s.points)
	flush(t, r)
	if len(s.points) != before {
		t.Errorf("delta points came twice: %+v", s.points[before:])
	}
}

// TestUsageIsCosmos: the documents and hashes that the real router sent for
// the same operations, with counts; read by the same decoder as the capture.
func TestUsageIsCosmos(t *testing.T) {
	captured := map[string]aggregate{}
	for _, a := range decodeUsage(t, readCapture(t, "content/graphqlmetrics/gqlmetrics-001.pb.gz")) {
		captured[a.hash+" "+a.name] = a
	}
	if len(captured) < 80 {
		t.Fatalf("only %d captured documents", len(captured))
	}
	s := startSink(t)
	r := startReady(t, func(o *Options) { o.Telemetry, o.PlanOnly = s.options(), PlanOnlyAllowed })
	ops := valid(calls(t, false))[:40]
	for _, c := range ops {
		r.post(t, c, headerClientName, "web", headerClientVersion, "3")
		r.post(t, c, headerClientName, "web", headerClientVersion, "3")
		r.post(t, c, headerSkipLoader, "true") // no usage
	}
	r.post(t, find(t, "invalid-unknown-field")) // cannot be normalised: no text
	flush(t, r)
	var total uint64
	for _, got := range s.usage {
		total += got.count
		want, ok := captured[got.hash+" "+got.name]
		if !ok || got.document != want.document || got.kind != want.kind || got.status != want.status || got.failed != 0 ||
			got.client != "web" || got.version != "3" || got.graph != r.Stats().ConfigVersion {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
	if total != uint64(2*len(ops)) {
		t.Errorf("%d requests counted, want %d", total, 2*len(ops))
	}
	h := s.headers[usagePath]
	if h.Get("Authorization") != "Bearer sink-token" || h.Get("Content-Type") != "application/proto" || h.Get("Connect-Protocol-Version") != "1" {
		t.Errorf("headers %v", h)
	}
}

// TestUsageSurvivesACollectorThatIsAway: counts are kept until they are taken.
func TestUsageSurvivesACollectorThatIsAway(t *testing.T) {
	s := startSink(t)
	s.status = http.StatusServiceUnavailable
	u := newUsage(Telemetry{Usage: s.URL}, nil)
	defer u.close()
	u.add(usageKey{op: operation{document: "{a}", hash: "1"}}, 3)
	if err := u.flush(t.Context()); err == nil {
		t.Error("a 503 was taken for success")
	}
	u.add(usageKey{op: operation{document: "{a}", hash: "1"}}, 2)
	s.status = 0
	if err := u.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(s.usage) != 1 || s.usage[0].count != 5 {
		t.Errorf("%+v", s.usage)
	}
}

// TestUsageIsSentEachInterval, and a flush has nothing left to send after it.
func TestUsageIsSentEachInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bodies atomic.Int64
		u := newUsage(Telemetry{Usage: "http://collector"}, zap.NewNop())
		u.client.Transport = roundTrip(func(*http.Request) (*http.Response, error) { bodies.Add(1); return response(200, ""), nil })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { u.run(ctx, 15*time.Second); close(done) }()
		u.add(usageKey{status: 200}, 1)
		synctest.Wait()
		if bodies.Load() != 0 {
			t.Errorf("%d bodies before the interval", bodies.Load())
		}
		time.Sleep(46 * time.Second) // three intervals of fake time, the first with something to tell
		cancel()
		<-done
		if err := u.flush(t.Context()); err != nil || bodies.Load() != 1 {
			t.Errorf("%d bodies, %v", bodies.Load(), err)
		}
	})
}

// TestUsageIsBounded: a flood of operations cannot fill the memory, and is told.
func TestUsageIsBounded(t *testing.T) {
	s := startSink(t)
	u := newUsage(Telemetry{Usage: s.URL}, nil)
	defer u.close()
	for i := range maxUsageKeys + 7 {
		u.add(usageKey{status: i}, 1)
	}
	if err := u.flush(t.Context()); err == nil || !strings.Contains(err.Error(), "7 requests") {
		t.Errorf("%v", err)
	}
	if len(s.usage) != maxUsageKeys {
		t.Errorf("%d aggregates", len(s.usage))
	}
}

// TestFlushTellsOfFailures, and none of them keeps the router from serving.
func TestFlushTellsOfFailures(t *testing.T) {
	s := startSink(t)
	r := startReady(t, func(o *Options) { o.Telemetry = s.options() })
	s.mu.Lock()
	s.status = http.StatusBadRequest // final for OTLP: not tried again
	s.mu.Unlock()
	if a := r.post(t, find(t, "me")); len(a.errors) > 0 {
		t.Errorf("%v", a.errors)
	}
	if err := r.Flush(t.Context()); err == nil {
		t.Error("a refused export was taken for success")
	}
	s.mu.Lock()
	s.status = 0
	s.mu.Unlock()
	if err := r.Flush(t.Context()); err != nil {
		t.Errorf("the next export: %v", err)
	}
}
