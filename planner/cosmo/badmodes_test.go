package cosmo

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/cosmo/cosmodouble"
)

// TestBadModes: whatever the router does, at most the one canary is executed,
// which calls no subgraph, and each outcome has its sentinel.
func TestBadModes(t *testing.T) {
	for _, c := range []struct {
		name     string
		mode     cosmodouble.Mode
		token    func() (string, error)
		want     error
		executed int
	}{
		{"allowed", cosmodouble.Allowed, nil, nil, 0},
		{"ignored", cosmodouble.Ignored, nil, planner.ErrExecuted, 1},
		{"ignored, with a token", cosmodouble.Ignored, right, planner.ErrExecuted, 1},
		{"fails closed, right token", cosmodouble.FailsClosed, right, nil, 0},
		{"fails closed, wrong token", cosmodouble.FailsClosed, func() (string, error) { return "wrong", nil }, planner.ErrRefused, 0},
		{"fails closed, no token", cosmodouble.FailsClosed, nil, planner.ErrExecuted, 1},
		{"token file is gone", cosmodouble.FailsClosed, func() (string, error) { return "", os.ErrNotExist }, planner.ErrUnavailable, 0},
		{"token is empty", cosmodouble.FailsClosed, func() (string, error) { return "", nil }, planner.ErrUnavailable, 0},
		{"token is no header", cosmodouble.FailsClosed, func() (string, error) { return "a\r\nb: c", nil }, planner.ErrUnavailable, 0},
		{"roots all null", cosmodouble.NullRoots, nil, planner.ErrExecuted, 1},
		{"data null with errors", cosmodouble.NullData, nil, planner.ErrRefused, 1},
		{"starting", cosmodouble.Starting, nil, planner.ErrUnavailable, 0},
		{"503", cosmodouble.Unavailable, nil, planner.ErrOverloaded, 0},
		{"429", cosmodouble.Limited, nil, planner.ErrOverloaded, 0},
		{"redirect", cosmodouble.Redirect, nil, planner.ErrRefused, 0},
		{"html", cosmodouble.HTML, nil, planner.ErrRefused, 0},
		{"10 MB of data", cosmodouble.Huge, nil, planner.ErrExecuted, 1},
		{"10 MB of something", cosmodouble.HugeExtensions, nil, planner.ErrRefused, 0},
		{"slow", cosmodouble.Slow, nil, planner.ErrOverloaded, 0},
		{"broken", cosmodouble.Broken, nil, planner.ErrUnavailable, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := cosmodouble.New(cosmodouble.Options{Mode: c.mode, Token: rightToken, Delay: time.Hour})
				p := newPlanner(t, d, func(o *Options) { o.Token = c.token; o.Timeout = 10 * time.Second })
				if err := p.Probe(t.Context()); !errors.Is(err, c.want) {
					t.Fatalf("probe: %v, want %v", err, c.want)
				}
				if n := len(d.Executed()); n != c.executed {
					t.Fatalf("%d executed by the probe, want %d", n, c.executed)
				}
				sent := len(d.Requests())
				stops := errors.Is(c.want, planner.ErrExecuted) || errors.Is(c.want, planner.ErrRefused)
				want := c.want
				if stops {
					want = planner.ErrRefused // not sent, and so not executed
				}
				for range 3 {
					_, err := p.Plan(t.Context(), query("A"))
					if !errors.Is(err, want) {
						t.Fatalf("plan: %v, want %v", err, want)
					}
					if err != nil && (strings.Contains(err.Error(), rightToken) || strings.Contains(err.Error(), "product") || strings.Contains(err.Error(), "router.test")) {
						t.Fatalf("error tells too much: %v", err)
					}
					if _, err := p.Plan(t.Context(), mutation); err == nil {
						t.Fatal("a mutation was planned")
					}
				}
				if n := len(d.Executed()); n != c.executed {
					t.Fatalf("%d executed, want %d", n, c.executed)
				}
				for _, e := range d.Executed() {
					if e.Subgraph || e.Mutation {
						t.Fatalf("executed at a subgraph: %q", e.Query)
					}
				}
				if stops && len(d.Requests()) != sent {
					t.Fatalf("%d more requests after the proof failed", len(d.Requests())-sent)
				}
			})
		})
	}
}

// TestPlanProbesFirst: a run that forgot its canary executes no operation either.
func TestPlanProbesFirst(t *testing.T) {
	d := cosmodouble.New(cosmodouble.Options{Mode: cosmodouble.Ignored})
	p := newPlanner(t, d, nil)
	for _, want := range []error{planner.ErrExecuted, planner.ErrRefused, planner.ErrRefused} {
		if _, err := p.Plan(t.Context(), query("A")); !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
	}
	if e := d.Executed(); len(e) != 1 || e[0].Subgraph {
		t.Fatalf("executed %+v", e)
	}
	d.SetMode(cosmodouble.Allowed)
	if err := p.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Plan(t.Context(), query("A")); err != nil {
		t.Fatal(err)
	}
}

// TestReloadBetweenCanaryAndUse: the one request that no canary can protect is
// noticed by its own answer, and is the last.
func TestReloadBetweenCanaryAndUse(t *testing.T) {
	for name, to := range map[string]cosmodouble.Mode{
		"ignored": cosmodouble.Ignored, "null roots": cosmodouble.NullRoots, "null data": cosmodouble.NullData, "huge": cosmodouble.Huge,
	} {
		t.Run(name, func(t *testing.T) {
			d := cosmodouble.New(cosmodouble.Options{ReloadAfter: 3, ReloadTo: to}) // the canary and two operations
			p := newPlanner(t, d, nil)
			if err := p.Probe(t.Context()); err != nil {
				t.Fatal(err)
			}
			var err error
			planned := 0
			for _, n := range []string{"A", "B", "C", "D", "E"} {
				if _, err = p.Plan(t.Context(), query(n)); err == nil {
					planned++
				}
			}
			if planned != 2 || !errors.Is(err, planner.ErrExecuted) && !errors.Is(err, planner.ErrRefused) {
				t.Fatalf("%d planned, then %v", planned, err)
			}
			operations := 0
			for _, e := range d.Executed() {
				if e.Subgraph {
					operations++
				}
			}
			if operations != 1 {
				t.Fatalf("%d operations executed", operations)
			}
		})
	}
}

func TestUnavailableRouterIsProbedAgain(t *testing.T) {
	d := cosmodouble.New(cosmodouble.Options{})
	p := newPlanner(t, d, nil)
	if _, err := p.Plan(t.Context(), query("A")); err != nil {
		t.Fatal(err)
	}
	d.SetMode(cosmodouble.Starting)
	if _, err := p.Plan(t.Context(), query("B")); !errors.Is(err, planner.ErrUnavailable) {
		t.Fatal(err)
	}
	d.SetMode(cosmodouble.Ignored) // it comes back without the permission
	if _, err := p.Plan(t.Context(), query("C")); !errors.Is(err, planner.ErrExecuted) {
		t.Fatal(err)
	}
	if e := d.Executed(); len(e) != 1 || e[0].Subgraph {
		t.Fatalf("executed %+v", e)
	}
}

func TestTimeoutIsProbedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := cosmodouble.New(cosmodouble.Options{Delay: time.Hour})
		p := newPlanner(t, d, func(o *Options) { o.Timeout = time.Second })
		if _, err := p.Plan(t.Context(), query("A")); err != nil {
			t.Fatal(err)
		}
		d.SetMode(cosmodouble.Slow)
		if _, err := p.Plan(t.Context(), query("B")); !errors.Is(err, planner.ErrOverloaded) {
			t.Fatal(err)
		}
		d.SetMode(cosmodouble.Ignored)
		if _, err := p.Plan(t.Context(), query("C")); !errors.Is(err, planner.ErrExecuted) {
			t.Fatal(err)
		}
		if e := d.Executed(); len(e) != 1 || e[0].Subgraph {
			t.Fatalf("executed %+v", e)
		}
	})
}

// TestChangesInTheMiddleOfARun: a router that stops proving itself stops the
// run with the right outcome, and executes nothing on the way.
func TestChangesInTheMiddleOfARun(t *testing.T) {
	for name, c := range map[string]struct {
		to   cosmodouble.Mode
		want error
	}{
		"html":               {cosmodouble.HTML, planner.ErrRefused},
		"redirect":           {cosmodouble.Redirect, planner.ErrRefused},
		"10 MB of something": {cosmodouble.HugeExtensions, planner.ErrRefused},
		"broken":             {cosmodouble.Broken, planner.ErrUnavailable},
		"starting":           {cosmodouble.Starting, planner.ErrUnavailable},
		"503":                {cosmodouble.Unavailable, planner.ErrOverloaded},
		"429":                {cosmodouble.Limited, planner.ErrOverloaded},
	} {
		t.Run(name, func(t *testing.T) {
			d := cosmodouble.New(cosmodouble.Options{Mode: cosmodouble.FailsClosed, Token: rightToken, ReloadAfter: 2, ReloadTo: c.to})
			p := newPlanner(t, d, func(o *Options) { o.Token = right })
			if _, err := p.Plan(t.Context(), query("A")); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Plan(t.Context(), query("B")); !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			// As soon as it is itself again, a Probe opens it.
			d.SetMode(cosmodouble.FailsClosed)
			if err := p.Probe(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Plan(t.Context(), query("B")); err != nil || len(d.Executed()) != 0 {
				t.Fatalf("%v, %d executed", err, len(d.Executed()))
			}
		})
	}
}

// TestTokenThatExpires: the 400 is told from that of a wrong operation.
func TestTokenThatExpires(t *testing.T) {
	d := cosmodouble.New(cosmodouble.Options{Mode: cosmodouble.FailsClosed, Token: rightToken})
	token := rightToken
	p := newPlanner(t, d, func(o *Options) { o.Token = func() (string, error) { return token, nil } })
	if _, err := p.Plan(t.Context(), query("A")); err != nil {
		t.Fatal(err)
	}
	token = "expired"
	if _, err := p.Plan(t.Context(), query("B")); !errors.Is(err, planner.ErrRefused) {
		t.Fatal(err)
	}
	token = rightToken
	if err := p.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(d.Executed()) != 0 {
		t.Fatalf("executed %+v", d.Executed())
	}
}
