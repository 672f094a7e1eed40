package grafbase

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/dryrun/dryrundouble"
	"github.com/planwarm/planwarm/planner/grafbase/grafbasedouble"
	"github.com/planwarm/planwarm/planner/planhttp/front"
	"github.com/planwarm/planwarm/schema"
)

const sdl = "type Query { item(id: ID!): Int all: Int } type Mutation { buy(id: ID!): Int } type Subscription { tick: Int }"

const item = "query Item($id: ID!, $with: Boolean!) { item(id: $id) all @include(if: $with) }"

// gateway is a double behind a front, with a planner that is pointed at it.
type gateway struct {
	*Planner
	double *grafbasedouble.Double
	front  *front.Front
}

func newGateway(t *testing.T, change func(*Options)) *gateway {
	t.Helper()
	d, err := grafbasedouble.New(sdl)
	if err != nil {
		t.Fatal(err)
	}
	types, err := schema.Load([]byte(sdl))
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{double: d, front: &front.Front{Behind: d}}
	h := httptest.NewServer(g.front)
	t.Cleanup(h.Close)
	o := Options{URL: h.URL, Client: h.Client(), AllowExecution: true, Variables: types.Variables}
	if change != nil {
		change(&o)
	}
	if g.Planner, err = New(o); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestWarms: the name sent and not sent are two entries, each executed once
// under our own name, and the canary reaches no subgraph.
func TestWarms(t *testing.T) {
	g := newGateway(t, nil)
	if err := g.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := g.double.Executed(); len(got) != 0 {
		t.Fatalf("the canary reached a subgraph: %v", got)
	}
	before := g.double.Entries()
	for _, name := range []string{"", "Item"} {
		r := planner.Request{Query: item, OperationName: name, Conditions: map[string]bool{"with": true}}
		if _, err := g.Plan(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if !g.double.Cached(item, name) {
			t.Errorf("name %q: not in the cache", name)
		}
	}
	if n := g.double.Entries() - before; n != 2 {
		t.Errorf("%d entries, want 2", n)
	}
	got := g.double.Executed()
	if len(got) != 2 || got[0].Client != "planwarm" {
		t.Errorf("executed: %+v", got)
	}
	if body := g.double.Bodies()[1]; !strings.Contains(body, `"variables":{"id":"0","with":true}`) {
		t.Errorf("sent: %s", body)
	}
	if !g.Executes() {
		t.Error("it executes, and does not say so")
	}
}

// TestNullData: made-up values that a subgraph refuses were executed all the
// same; an operation that the gateway refuses was not.
func TestNullData(t *testing.T) {
	g := newGateway(t, nil)
	g.double.SetNulls(true)
	if _, err := g.Plan(t.Context(), planner.Request{Query: item}); err != nil || !g.double.Cached(item, "") {
		t.Errorf("error %v", err)
	}
	g = newGateway(t, func(o *Options) {
		o.Variables = func(string, string, map[string]bool) (json.RawMessage, error) { return nil, nil }
	})
	if _, err := g.Plan(t.Context(), planner.Request{Query: item}); !errors.Is(err, planner.ErrInvalid) || g.double.Entries() != 0 {
		t.Errorf("error %v, %d entries", err, g.double.Entries())
	}
}

// TestQueriesOnly: nothing but a query is sent, whatever the caller says of it.
func TestQueriesOnly(t *testing.T) {
	g := newGateway(t, nil)
	for text, want := range map[string]error{
		"mutation Buy { buy(id: 1) }":                planner.ErrMutation,
		"query Q { all } mutation Q { buy(id: 1) }":  planner.ErrInvalid,
		"query A { all } mutation B { buy(id: 1) }":  planner.ErrInvalid,
		"subscription S { tick }":                    planner.ErrInvalid,
		"query {":                                    planner.ErrInvalid,
		"query Unknown($x: Nothing!) { item(id:$x)}": planner.ErrInvalid,
	} {
		if _, err := g.Plan(t.Context(), planner.Request{Query: text}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
	if _, err := g.Plan(t.Context(), planner.Request{Query: item, Mutation: true}); !errors.Is(err, planner.ErrMutation) {
		t.Errorf("called a mutation: %v", err)
	}
	if got := g.double.Bodies(); len(got) != 0 {
		t.Errorf("sent: %v", got)
	}
}

// TestBadModes: what stands in front of the gateway, or has become of it, is
// never taken for a plan.
func TestBadModes(t *testing.T) {
	want := map[front.Mode]error{
		front.Unavailable: planner.ErrOverloaded, front.Limited: planner.ErrOverloaded, front.Slow: planner.ErrOverloaded,
		front.Redirect: planner.ErrRefused, front.HTML: planner.ErrRefused, front.Huge: planner.ErrRefused,
		front.Nothing: planner.ErrRefused, front.Unauthorized: planner.ErrRefused, front.Broken: planner.ErrUnavailable,
	}
	for _, mode := range front.Bad {
		g := newGateway(t, func(o *Options) {
			if mode == front.Slow {
				o.Timeout = 50 * time.Millisecond
			}
		})
		g.front.Set(mode)
		if err := g.Probe(t.Context()); !errors.Is(err, want[mode]) {
			t.Errorf("mode %d: probe: %v, want %v", mode, err, want[mode])
		}
		if _, err := g.Plan(t.Context(), planner.Request{Query: item}); !errors.Is(err, want[mode]) || errors.Is(err, planner.ErrExecuted) {
			t.Errorf("mode %d: %v, want %v", mode, err, want[mode])
		}
		if g.double.Entries() != 0 {
			t.Errorf("mode %d: a request went through", mode)
		}
	}
	g := newGateway(t, func(o *Options) { o.URL = "http://127.0.0.1:1/graphql" })
	if err := g.Probe(t.Context()); !errors.Is(err, planner.ErrUnavailable) {
		t.Errorf("nobody there: %v", err)
	}
}

// TestCanaryRefused: a gateway that refuses a root type name is no gateway.
func TestCanaryRefused(t *testing.T) {
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"errors":[{"message":"no"}]}`))
	}))
	defer h.Close()
	g := newGateway(t, func(o *Options) { o.URL = h.URL })
	if err := g.Probe(t.Context()); !errors.Is(err, planner.ErrRefused) || errors.Is(err, planner.ErrInvalid) {
		t.Errorf("error %v", err)
	}
}

// TestNotAllowed: without the owner's word there is no planner.
func TestNotAllowed(t *testing.T) {
	variables := func(string, string, map[string]bool) (json.RawMessage, error) { return nil, nil }
	if _, err := New(Options{URL: "http://a", Variables: variables}); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("error %v", err)
	}
	for _, o := range []Options{
		{URL: "a", Variables: variables}, {URL: "http://a"}, {URL: "http://a", Variables: variables, ReadyURL: "x"},
		{URL: "http://a", Variables: variables, MetricsURL: "x"},
	} {
		o.AllowExecution = true
		if _, err := New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

// TestWatch: the schema's change is a sign, its first load is not, and a
// restart is another.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var id atomic.Value
		id.Store("")
		var down atomic.Bool
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if down.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		p, err := New(Options{
			URL: "http://gateway/graphql", ReadyURL: "http://gateway/health", AllowExecution: true, Client: dryrundouble.Client(h),
			Variables: func(string, string, map[string]bool) (json.RawMessage, error) { return nil, nil },
			SchemaID:  func() string { return id.Load().(string) },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var signs []string
		done := make(chan error)
		go func() { done <- p.Watch(ctx, func(r planner.Reload) { signs = append(signs, r.Sign) }) }()
		for _, next := range []func(){
			func() {}, func() { id.Store("a") }, func() { id.Store("b") }, func() { id.Store("") }, func() { id.Store("b") },
			func() { down.Store(true) }, func() { down.Store(false) },
		} {
			next()
			time.Sleep(5 * time.Second)
			synctest.Wait()
		}
		cancel()
		if err := <-done; err != nil || strings.Join(signs, ",") != "schema changed,router became ready" {
			t.Errorf("%v, %v", signs, err)
		}
	})
}

// TestDoubleCounts is the control: a mutation that is sent is counted.
func TestDoubleCounts(t *testing.T) {
	g := newGateway(t, nil)
	if _, err := g.send(t.Context(), planner.Request{Query: "mutation Buy { buy(id: 1) }"}, nil); err != nil {
		t.Fatal(err)
	}
	if got := g.double.Executed(); len(got) != 1 || got[0].Kind != ast.Mutation {
		t.Errorf("executed: %+v", got)
	}
}
