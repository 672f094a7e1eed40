package gqlgen

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/dryrun/dryrundouble"
	"github.com/planwarm/planwarm/planner/gqlgen/gqlgendouble"
	"github.com/planwarm/planwarm/planner/planhttp/front"
)

const sdl = "type Query { item(id: ID!): Int all: Int } type Mutation { buy(id: ID!): Int sell: Int }"

const (
	item = "query Item($id: ID!) { item(id: $id) }"
	all  = "query All { all }"
)

// server is a double behind a front, with a planner that is pointed at it.
type server struct {
	*Planner
	double *gqlgendouble.Double
	front  *front.Front
	seen   atomic.Int64 // requests
}

func newServer(t *testing.T, change func(*Options)) *server {
	t.Helper()
	d, err := gqlgendouble.New(gqlgendouble.Options{SDL: sdl})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{double: d, front: &front.Front{Behind: d}}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.seen.Add(1)
		s.front.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	o := Options{URL: h.URL, Client: h.Client()}
	if change != nil {
		change(&o)
	}
	if s.Planner, err = New(o); err != nil {
		t.Fatal(err)
	}
	return s
}

// turn changes what stands in front; only what is slow is not waited for.
func (s *server) turn(mode front.Mode) {
	s.front.Set(mode)
	s.sender.Timeout = DefaultTimeout
	if mode == front.Slow {
		s.sender.Timeout = 50 * time.Millisecond
	}
}

// TestWarms: a text with a required variable is kept, and nothing is executed,
// mutations included.
func TestWarms(t *testing.T) {
	s := newServer(t, nil)
	if s.MutationSafe() {
		t.Error("mutations are safe before anything was proven")
	}
	const conditional = "query If($id: ID!, $with: Boolean!) { item(id: $id) all @include(if: $with) }"
	const buy = "mutation Buy($id: ID!) { buy(id: $id) }"
	for _, r := range []planner.Request{
		{Query: item}, {Query: item, OperationName: "Item"}, {Query: conditional, Conditions: map[string]bool{"with": true}},
		{Query: buy, Mutation: true},
	} {
		if _, err := s.Plan(t.Context(), r); err != nil {
			t.Errorf("%s: %v", r.Query, err)
		}
		if !s.double.Cached(r.Query) {
			t.Errorf("%s: not in the cache", r.Query)
		}
	}
	if !s.MutationSafe() {
		t.Error("mutations are not safe after the proof")
	}
	if got := s.double.Executed(); len(got) != 0 {
		t.Errorf("executed: %v", got)
	}
}

// TestLeavesOut: what could be executed is not sent.
func TestLeavesOut(t *testing.T) {
	s := newServer(t, nil)
	if err := s.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := s.seen.Load()
	for text, want := range map[string]error{
		all:                                      planner.ErrUnplannable,
		"mutation Sell { sell }":                 planner.ErrUnplannable,
		"query O($id: ID) { all }":               planner.ErrUnplannable,
		"query D($id: ID! = 1) { item(id:$id)}":  planner.ErrUnplannable,
		"subscription S($id: ID!) { s(id:$id) }": planner.ErrInvalid,
		"query {":                                planner.ErrInvalid,
	} {
		if _, err := s.Plan(t.Context(), planner.Request{Query: text}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
	_, err := s.Plan(t.Context(), planner.Request{
		Query: "query C($with: Boolean!) { all @include(if: $with) }", Conditions: map[string]bool{"with": false},
	})
	if !errors.Is(err, planner.ErrUnplannable) {
		t.Errorf("a condition that is sent: %v", err)
	}
	if s.seen.Load() != before {
		t.Errorf("%d requests were sent", s.seen.Load()-before)
	}
}

// TestRefusedOperation: an operation that does not validate gets the status and
// the code of a missing variable, and is not taken for warm.
func TestRefusedOperation(t *testing.T) {
	s := newServer(t, nil)
	const unknown = "query U($id: ID!) { nothing(id: $id) }"
	if _, err := s.Plan(t.Context(), planner.Request{Query: unknown}); !errors.Is(err, planner.ErrInvalid) {
		t.Errorf("error %v", err)
	}
	if s.double.Cached(unknown) {
		t.Error("the double keeps what does not validate")
	}
}

// TestNoProof: a server that executes all the same, or does not say what it
// complains about, gets the canary and nothing else.
func TestNoProof(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*gqlgendouble.Options)
		want   error
	}{
		"executes": {func(o *gqlgendouble.Options) { o.Lenient = true }, planner.ErrExecuted},
		"mute":     {func(o *gqlgendouble.Options) { o.Mute = true }, planner.ErrRefused},
	} {
		s := newServer(t, nil)
		s.double.Set(c.change)
		if err := s.Probe(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%s: probe: %v, want %v", name, err, c.want)
		}
		if _, err := s.Plan(t.Context(), planner.Request{Query: item}); !errors.Is(err, planner.ErrRefused) {
			t.Errorf("%s: plan: %v", name, err)
		}
		if s.seen.Load() != 1 {
			t.Errorf("%s: %d requests", name, s.seen.Load())
		}
	}
}

// TestTurnsBad: a server that executes from now on, or becomes something else,
// between the canary and an operation.
func TestTurnsBad(t *testing.T) {
	s := newServer(t, nil)
	if err := s.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.double.Set(func(o *gqlgendouble.Options) { o.Lenient = true })
	if _, err := s.Plan(t.Context(), planner.Request{Query: item}); !errors.Is(err, planner.ErrExecuted) {
		t.Errorf("error %v", err)
	}
	sent := s.seen.Load()
	if _, err := s.Plan(t.Context(), planner.Request{Query: item}); !errors.Is(err, planner.ErrRefused) || s.seen.Load() != sent {
		t.Errorf("after an execution: %v, %d requests", err, s.seen.Load()-sent)
	}
	for _, mode := range front.Bad {
		s := newServer(t, nil)
		s.turn(mode)
		if err := s.Probe(t.Context()); err == nil {
			t.Errorf("mode %d: the probe is content", mode)
		}
		s.turn(front.Pass)
		if err := s.Probe(t.Context()); err != nil {
			t.Fatalf("mode %d: %v", mode, err)
		}
		s.turn(mode)
		if _, err := s.Plan(t.Context(), planner.Request{Query: item}); err == nil || errors.Is(err, planner.ErrExecuted) {
			t.Errorf("mode %d: %v", mode, err)
		}
		if s.double.Cached(item) {
			t.Errorf("mode %d: it is in the cache", mode)
		}
	}
}

// TestToken: the token is sent, a profile's own wins, and a bad file stops.
func TestToken(t *testing.T) {
	var got atomic.Value
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.Store(r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = fmt.Fprint(w, `{"errors":[{"path":["variable","planwarm"]}]}`)
	}))
	defer h.Close()
	secret, fault := "s3cret", error(nil)
	p, err := New(Options{URL: h.URL, Client: h.Client(), Token: func() (string, error) { return secret, fault }})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Probe(t.Context()); err != nil || got.Load() != "Bearer s3cret" {
		t.Errorf("%v, %v", err, got.Load())
	}
	_, err = p.Plan(t.Context(), planner.Request{Query: item, Header: http.Header{"Authorization": {"Basic x"}}})
	if !errors.Is(err, planner.ErrInvalid) || got.Load() != "Basic x" { // it names another variable
		t.Errorf("%v, %v", err, got.Load())
	}
	secret = "two\nlines"
	if err := p.Probe(t.Context()); !errors.Is(err, planner.ErrUnavailable) || strings.Contains(err.Error(), "lines") {
		t.Errorf("a token that is none: %v", err)
	}
	fault = errors.New("no such file")
	if err := p.Probe(t.Context()); !errors.Is(err, planner.ErrUnavailable) {
		t.Errorf("a token that cannot be read: %v", err)
	}
}

func TestNew(t *testing.T) {
	for _, o := range []Options{{}, {URL: "/graphql"}, {URL: "http://a", ReadyURL: "x"}, {URL: "http://a", MetricsURL: "x"}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

// TestWatch: a restart is seen by the start time even when readiness never
// seemed gone, and by readiness where there is no page.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var started, down atomic.Int64
		started.Store(100)
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case down.Load() != 0:
				w.WriteHeader(http.StatusServiceUnavailable)
			case r.URL.Path == "/metrics":
				_, _ = fmt.Fprintf(w, "process_start_time_seconds %d\n", started.Load())
			}
		})
		p, err := New(Options{
			URL: "http://server/query", ReadyURL: "http://server/ready", MetricsURL: "http://server/metrics", Client: dryrundouble.Client(h),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var signs []string
		done := make(chan error)
		go func() { done <- p.Watch(ctx, func(r planner.Reload) { signs = append(signs, r.Sign) }) }()
		step := func() { time.Sleep(5 * time.Second); synctest.Wait() }
		step()
		started.Store(200)
		step()
		down.Store(1)
		step()
		down.Store(0)
		step()
		cancel()
		if err := <-done; err != nil || strings.Join(signs, ",") != "instance changed,router became ready" {
			t.Errorf("%v, %v", signs, err)
		}
	})
}
