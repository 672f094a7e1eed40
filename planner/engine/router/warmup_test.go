package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	logtest "go.uber.org/zap/zaptest/observer"
)

// fakeCDN serves a warm-up list that a test can change and hold back.
type fakeCDN struct {
	*httptest.Server
	mu    sync.Mutex
	body  string
	code  int
	asked int
	hold  chan struct{} // when set, answers wait until it is closed
}

func startCDN(t testing.TB, code int, body string) *fakeCDN {
	t.Helper()
	c := &fakeCDN{code: code, body: body}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.asked++
		code, body, hold := c.code, c.body, c.hold
		c.mu.Unlock()
		if hold != nil {
			<-hold
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *fakeCDN) set(code int, body string, hold chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.code, c.body, c.hold = code, body, hold
}

func (c *fakeCDN) requests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// options are the warm-up settings of a router on this CDN, unpaced.
func (c *fakeCDN) options() Warmup {
	unlimited := 0.0
	return Warmup{CDN: c.URL, Organization: "org", Graph: "graph", Token: "token", ItemsPerSecond: &unlimited, Timeout: Duration(2 * time.Minute)}
}

// list is a warm-up list of calls.
func list(t testing.TB, cs []call) string {
	t.Helper()
	var items []map[string]any
	for _, c := range cs {
		items = append(items, map[string]any{"request": map[string]string{"operationName": c.name, "query": c.query},
			"client": map[string]string{"name": "web", "version": "1"}})
	}
	b, err := json.Marshal(map[string]any{"operations": items})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// unconditional leaves out operations whose plan depends on variables: a list has none.
func unconditional(cs []call) []call {
	var out []call
	for _, c := range cs {
		if c.file != "skip-include-variables" && c.file != "include-fragment" {
			out = append(out, c)
		}
	}
	return out
}

// TestWarmedByPull: what the list holds is a hit at its first request,
// mutations included, and warming asked no subgraph for anything.
func TestWarmedByPull(t *testing.T) {
	ops := light(unconditional(valid(calls(t, false))))
	cdn := startCDN(t, 200, list(t, ops))
	r := startReady(t, func(o *Options) { o.Warmup = cdn.options() })
	if got := r.subgraphs.Total().Requests(); got != 0 {
		t.Fatalf("warming asked the subgraphs %d times", got)
	}
	s := r.Stats()
	if s.Warmup.Items != len(ops) || s.Warmup.Planned != len(ops) || s.Warmup.Outcome != "warmed" || s.Warmup.TookMs <= 0 || s.Requests != 0 || s.Executed != 0 {
		t.Errorf("after warming: %+v", s)
	}
	mutations := 0
	for _, c := range ops {
		a := r.post(t, c)
		if a.header.Get(headerPlanCache) != "HIT" || len(a.errors) > 0 {
			t.Errorf("%s %s: %s, %v", c.file, c.name, a.header.Get(headerPlanCache), a.errors)
		}
		if c.kind == "mutation" {
			mutations++
		}
	}
	if s := r.Stats(); s.PlanMisses != 0 || s.PlanningMs != 0 || s.Mutations != uint64(mutations) || mutations < 8 {
		t.Errorf("after traffic with %d mutations: %+v", mutations, s)
	}
	if cdn.requests() != 1 {
		t.Errorf("the CDN was asked %d times", cdn.requests())
	}
}

// TestNotServedUntilWarm: live, not ready, and 404, until the list is planned.
func TestNotServedUntilWarm(t *testing.T) {
	hold := make(chan struct{})
	cdn := startCDN(t, 200, list(t, []call{find(t, "product-title")}))
	cdn.set(200, cdn.body, hold)
	r := newTestRouter(t, func(o *Options) { o.Warmup = cdn.options() })
	r.start(t)
	eventually(t, "the pull", func() bool { return cdn.requests() == 1 })
	for path, want := range map[string]int{"/health/live": 200, "/health/ready": 503, "/stats": 200} {
		if status, _ := r.get(t, path); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	if a := r.post(t, find(t, "product-title")); a.status != http.StatusNotFound {
		t.Errorf("GraphQL before the warm-up: %d", a.status)
	}
	close(hold)
	eventually(t, "the router to be ready", r.Ready)
	if status, _ := r.get(t, "/health/ready"); status != 200 {
		t.Errorf("ready: %d", status)
	}
	if a := r.post(t, find(t, "product-title")); a.header.Get(headerPlanCache) != "HIT" {
		t.Errorf("after the warm-up: %d %s", a.status, a.header.Get(headerPlanCache))
	}
}

// TestStartsWithoutList: no answer of a CDN keeps the router from serving.
func TestStartsWithoutList(t *testing.T) {
	for _, c := range []struct {
		code          int
		body, outcome string
	}{{404, "", "no list"}, {200, "{", "no list"}, {401, "", "no list"}, {200, `{"operations":[]}`, "warmed"}, {503, "", "unavailable"}} {
		cdn := startCDN(t, c.code, c.body)
		r := startReady(t, func(o *Options) {
			o.Warmup = cdn.options()
			o.Warmup.Timeout = Duration(50e6) // a 503 is tried again for so long
		})
		if s := r.Stats(); s.Warmup.Outcome != c.outcome || s.Warmup.Planned != 0 {
			t.Errorf("%d %q: %+v", c.code, c.body, s.Warmup)
		}
		if a := r.post(t, find(t, "me")); a.header.Get(headerPlanCache) != "MISS" || len(a.errors) > 0 {
			t.Errorf("%d %q: %v", c.code, c.body, a.errors)
		}
	}
}

// TestInvalidItemsAreSkipped, with a warning that names them and never their text.
func TestInvalidItemsAreSkipped(t *testing.T) {
	core, logs := logtest.New(zap.WarnLevel)
	const secret = "hunter2"
	body := list(t, []call{find(t, "invalid-unknown-field"), {name: "Broken", query: `query Broken { product(id: "` + secret + `" }`},
		{name: "Nobody", query: `query Somebody { __typename }`}, {name: "Empty"}, find(t, "product-title")})
	r := startReady(t, func(o *Options) { o.Warmup, o.Log = startCDN(t, 200, body).options(), zap.New(core) })
	if s := r.Stats().Warmup; s.Items != 5 || s.Planned != 1 || s.Failed != 4 || s.Skipped != 0 {
		t.Errorf("%+v", s)
	}
	if got := logs.FilterMessage("warm-up item not planned").Len(); got != 4 {
		t.Errorf("%d warnings", got)
	}
	for _, e := range logs.All() {
		if text := fmt.Sprint(e.ContextMap()); strings.Contains(text, secret) {
			t.Errorf("logged %s", text)
		}
	}
}

// TestItemWithoutRequestIsFatal at the start and at a reload, where a Cosmo router would crash.
func TestItemWithoutRequestIsFatal(t *testing.T) {
	cdn := startCDN(t, 200, `{"operations":[{"client":{"name":"web"}}]}`)
	r := newTestRouter(t, func(o *Options) { o.Warmup = cdn.options() })
	if err := r.Run(t.Context()); !errors.Is(err, ErrNoRequest) || r.Ready() {
		t.Errorf("start: %v, ready %t", err, r.Ready())
	}
	cdn.set(404, "", nil)
	r.start(t)
	eventually(t, "the router to be ready", r.Ready)
	cdn.set(200, `{"operations":[{"request":null}]}`, nil)
	if err := r.Reload(t.Context(), readFixture(t, "supergraph-v2.graphql")); !errors.Is(err, ErrNoRequest) {
		t.Errorf("reload: %v", err)
	}
}

// TestTailIsLost: items stand in the order of their worth, and what the time does not suffice for is not planned.
func TestTailIsLost(t *testing.T) {
	sdl := readFixture(t, "supergraph.graphql")
	items, err := decodeList([]byte(list(t, unconditional(valid(calls(t, false)))[:20])))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		perSecond := 2.0
		o, err := Options{Supergraph: sdl, Warmup: Warmup{ItemsPerSecond: &perSecond}}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		g, err := newGraph(t.Context(), sdl, o)
		if err != nil {
			t.Fatal(err)
		}
		defer g.close()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second-1)
		defer cancel()
		start := time.Now()
		s := (&Router{opts: o, log: o.Log}).planItems(ctx, g, items)
		// At 0, 0.5, 1, 1.5, 2 and 2.5 s; the seventh would be late, so nobody waits for it.
		if s.Planned != 6 || s.Skipped != 14 || s.Failed != 0 || time.Since(start) != 2500*time.Millisecond {
			t.Errorf("%+v after %s", s, time.Since(start))
		}
		for i, warm := range map[int]bool{0: true, 5: true, 6: false, 19: false} {
			p, err := g.prepare(items[i].Request.Query, items[i].Request.OperationName, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := g.engine.Contains(p.engine); got != warm {
				t.Errorf("item %d: in the cache %t, want %t", i, got, warm)
			}
		}
	})
}

// TestStoppedWhileWarming: a stop during the pull is no failure.
func TestStoppedWhileWarming(t *testing.T) {
	cdn := startCDN(t, 200, "{}")
	hold := make(chan struct{})
	cdn.set(200, "{}", hold)
	r := newTestRouter(t, func(o *Options) { o.Warmup = cdn.options() })
	r.start(t)
	eventually(t, "the pull", func() bool { return cdn.requests() == 1 })
	r.stop()
	close(hold)
	if err := <-r.run; err != nil || r.Ready() {
		t.Errorf("%v, ready %t", err, r.Ready())
	}
}

// TestWorkersPlanAtOnce: the list is planned by several workers, each item once.
func TestWorkersPlanAtOnce(t *testing.T) {
	ops := unconditional(valid(calls(t, false)))[:30]
	cdn := startCDN(t, 200, list(t, slices.Concat(ops, ops)))
	r := startReady(t, func(o *Options) { o.Warmup = cdn.options(); o.Warmup.Workers = 4 })
	s := r.Stats()
	keys := map[string]bool{}
	for _, c := range ops {
		keys[c.key] = true
	}
	if s.Warmup.Planned != 2*len(ops) || s.PlanCache.Added != uint64(len(keys)) {
		t.Errorf("%+v for %d keys", s, len(keys))
	}
}
