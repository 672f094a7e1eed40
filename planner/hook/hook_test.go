package hook

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/hook/hookdouble"
)

const rightToken = "right-token"

func right() (string, error) { return rightToken, nil }

func newPlanner(t *testing.T, d *hookdouble.Double, change func(*Options)) *Planner {
	t.Helper()
	o := Options{URL: "http://gateway.test/graphql", Token: right, Client: hookdouble.Client(d), Timeout: 10 * time.Second}
	if change != nil {
		change(&o)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newDouble(o hookdouble.Options) *hookdouble.Double {
	o.Token, o.Names = rightToken, true
	return hookdouble.New(o)
}

func query(name string) planner.Request {
	return planner.Request{Query: "query " + name + " { products { id } }", OperationName: name}
}

var mutation = planner.Request{Query: "mutation Clear { clear }", OperationName: "Clear", Mutation: true}

// TestBadModes: whatever the gateway does, at most one canary reaches a
// subgraph, and each outcome has its sentinel.
func TestBadModes(t *testing.T) {
	for _, c := range []struct {
		name      string
		mode      hookdouble.Mode
		token     func() (string, error)
		want      error
		subgraphs int // operations that reached one
	}{
		{"honoured", hookdouble.Honoured, right, nil, 0},
		{"not installed", hookdouble.NotInstalled, right, planner.ErrExecuted, 0},
		{"not installed, subgraphs fail", hookdouble.FailingSubgraphs, right, planner.ErrExecuted, 0},
		{"not wired", hookdouble.NotWired, right, planner.ErrRefused, 0},
		{"only the question is answered", hookdouble.StateOnly, right, planner.ErrExecuted, 1},
		{"names a mutation as its canary", hookdouble.BadCanary, right, planner.ErrRefused, 0},
		{"wrong token", hookdouble.Honoured, func() (string, error) { return "wrong", nil }, planner.ErrRefused, 0},
		{"token cannot be read", hookdouble.Honoured, func() (string, error) { return "", errors.New("gone") }, planner.ErrUnavailable, 0},
		{"token is empty", hookdouble.Honoured, func() (string, error) { return "", nil }, planner.ErrUnavailable, 0},
		{"token is no header", hookdouble.Honoured, func() (string, error) { return "a\r\nb: c", nil }, planner.ErrUnavailable, 0},
		{"503", hookdouble.Busy, right, planner.ErrOverloaded, 0},
		{"starting", hookdouble.Starting, right, planner.ErrUnavailable, 0},
		{"broken", hookdouble.Broken, right, planner.ErrUnavailable, 0},
		{"redirect", hookdouble.Redirect, right, planner.ErrRefused, 0},
		{"html", hookdouble.HTML, right, planner.ErrRefused, 0},
		{"10 MB of data", hookdouble.Huge, right, planner.ErrExecuted, 0},
		{"10 MB of something", hookdouble.HugeExtensions, right, planner.ErrRefused, 0},
		{"slow", hookdouble.Slow, right, planner.ErrOverloaded, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDouble(hookdouble.Options{Mode: c.mode})
				p := newPlanner(t, d, func(o *Options) { o.Token = c.token })
				err := p.Probe(t.Context())
				if !errors.Is(err, c.want) {
					t.Fatalf("probe: %v, want %v", err, c.want)
				}
				if c.want == nil {
					return
				}
				sent, want := len(d.Requests()), c.want
				if errors.Is(want, planner.ErrExecuted) || errors.Is(want, planner.ErrRefused) {
					want = planner.ErrRefused // not sent, and so not executed
				}
				for _, r := range []planner.Request{query("A"), mutation, query("B")} {
					_, err := p.Plan(t.Context(), r)
					if !errors.Is(err, want) {
						t.Fatalf("plan: %v, want %v", err, want)
					}
					for _, secret := range []string{rightToken, "products", "gateway.test"} {
						if strings.Contains(err.Error(), secret) {
							t.Fatalf("error tells %s: %v", secret, err)
						}
					}
				}
				if errors.Is(want, planner.ErrRefused) && len(d.Requests()) != sent {
					t.Fatalf("%d requests after the proof failed", len(d.Requests())-sent)
				}
				if n := subgraphs(d); n != c.subgraphs {
					t.Fatalf("%d operations reached a subgraph, want %d", n, c.subgraphs)
				}
			})
		})
	}
}

func subgraphs(d *hookdouble.Double) (n int) {
	for _, e := range d.Executed() {
		if e.Subgraph {
			n++
		}
	}
	return n
}

// TestTokenBeingExchanged: a token file that is empty for a moment says nothing
// of the gateway, so nothing is sent meanwhile, and everything goes on after it.
func TestTokenBeingExchanged(t *testing.T) {
	d := newDouble(hookdouble.Options{})
	token := rightToken
	p := newPlanner(t, d, func(o *Options) { o.Token = func() (string, error) { return token, nil } })
	if err := p.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	sent := len(d.Requests())
	token = ""
	if _, err := p.Plan(t.Context(), query("A")); !errors.Is(err, planner.ErrUnavailable) || errors.Is(err, planner.ErrRefused) {
		t.Fatalf("without a token: %v, want %v", err, planner.ErrUnavailable)
	}
	if n := len(d.Requests()) - sent; n != 0 {
		t.Fatalf("%d requests without a token", n)
	}
	token = rightToken
	if _, err := p.Plan(t.Context(), query("A")); err != nil {
		t.Fatalf("after the exchange: %v", err)
	}
}

func TestPlanSendsTextAndNameAsTheyAre(t *testing.T) {
	d := newDouble(hookdouble.Options{})
	p := newPlanner(t, d, func(o *Options) { o.OwnVersion = "1.2.3" })
	r := planner.Request{
		Query: "query  A ( $id : ID! , $with : Boolean! ) { product(id:$id) { id @include(if: $with) } }\n", Conditions: map[string]bool{"with": true},
		Header: http.Header{"X-Tenant": {"a"}, "X-Planwarm-Token": {"other"}, "Graphql-Client-Name": {"web"}, "Apollographql-Client-Name": {"web"}},
	}
	for i, want := range []planner.Hit{planner.HitNo, planner.HitYes} {
		res, err := p.Plan(t.Context(), r)
		if err != nil || res.Hit != want {
			t.Fatalf("plan %d: hit %v, %v", i, res.Hit, err)
		}
		if (res.Plan > 0) != (want == planner.HitNo) {
			t.Errorf("plan %d took %s", i, res.Plan)
		}
	}
	r.OperationName = "A"
	if hit, err := p.Verify(t.Context(), r); err != nil || hit != planner.HitNo {
		t.Errorf("the name makes another key: hit %v, %v", hit, err)
	}
	bodies, requests := d.Bodies(), d.Requests()
	last, h := bodies[len(bodies)-1], requests[len(requests)-1].Header
	if last.Query != r.Query || last.OperationName != "A" || len(last.Variables) != 1 || last.Variables["with"] != true {
		t.Errorf("sent %+v", last)
	}
	for name, want := range map[string]string{
		"X-Planwarm-Token": rightToken, "X-Tenant": "a", "Graphql-Client-Name": "planwarm", "Graphql-Client-Version": "1.2.3",
		"Apollographql-Client-Name": "planwarm", "Apollographql-Client-Version": "1.2.3",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if len(d.Executed()) > 0 {
		t.Errorf("executed %v", d.Executed())
	}
}

func TestInvalidOperationsDoNotStopOthers(t *testing.T) {
	d := newDouble(hookdouble.Options{Refuse: "customer360", Crash: "crashes"})
	p := newPlanner(t, d, nil)
	for _, text := range []string{"query { customer360 }", "query { crashes }", "subscription { x }", "query {", "query A { a } query B { b }", "query { __typename }"} {
		if _, err := p.Plan(t.Context(), planner.Request{Query: text}); !errors.Is(err, planner.ErrInvalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := p.Plan(t.Context(), query("A")); err != nil {
		t.Error(err)
	}
	if len(d.Executed()) > 0 {
		t.Errorf("executed %v", d.Executed())
	}
}

// TestPlugInGoes: between the canary and its use the gateway starts anew without
// the plug-in.
func TestPlugInGoes(t *testing.T) {
	for mode, want := range map[hookdouble.Mode]error{hookdouble.NotInstalled: planner.ErrExecuted, hookdouble.FailingSubgraphs: planner.ErrExecuted, hookdouble.HTML: planner.ErrRefused} {
		d := newDouble(hookdouble.Options{})
		p := newPlanner(t, d, nil)
		if err := p.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.SetMode(mode)
		if _, err := p.Plan(t.Context(), query("A")); !errors.Is(err, want) {
			t.Errorf("mode %d: %v, want %v", mode, err, want)
		}
		for range 3 {
			if _, err := p.Plan(t.Context(), query("B")); !errors.Is(err, planner.ErrRefused) {
				t.Errorf("mode %d: %v after an executed operation", mode, err)
			}
		}
		if n := subgraphs(d); n > 1 {
			t.Errorf("mode %d: %d operations reached a subgraph", mode, n)
		}
	}
}

func TestMutations(t *testing.T) {
	d := newDouble(hookdouble.Options{})
	p := newPlanner(t, d, nil)
	if p.MutationSafe() {
		t.Error("safe before any proof")
	}
	if err := p.Probe(t.Context()); err != nil || !p.MutationSafe() {
		t.Fatalf("probe: %v, safe %v", err, p.MutationSafe())
	}
	if _, err := p.Plan(t.Context(), mutation); err != nil {
		t.Error(err)
	}
	d.SetMode(hookdouble.NotInstalled)
	if _, err := p.Plan(t.Context(), mutation); !errors.Is(err, planner.ErrMutation) {
		t.Errorf("the plug-in is gone: %v", err)
	}
	for _, e := range d.Executed() {
		if e.Mutation {
			t.Fatalf("executed %s", e.Query)
		}
	}
}

// TestMutationNeedsRefusal: what takes every token is not known to keep anything
// from being executed.
func TestMutationNeedsRefusal(t *testing.T) {
	d := newDouble(hookdouble.Options{Mode: hookdouble.AnyToken})
	p := newPlanner(t, d, nil)
	if err := p.Probe(t.Context()); err != nil || p.MutationSafe() {
		t.Fatalf("probe: %v, safe %v", err, p.MutationSafe())
	}
	if _, err := p.Plan(t.Context(), mutation); !errors.Is(err, planner.ErrMutation) {
		t.Error(err)
	}
	if _, err := p.Plan(t.Context(), planner.Request{Query: "mutation($id: ID!) { remove(id: $id) }", Mutation: true}); err != nil {
		t.Errorf("one that lacks a required variable is safe: %v", err)
	}
}

func TestRetryAfter(t *testing.T) {
	d := newDouble(hookdouble.Options{})
	p := newPlanner(t, d, nil)
	if err := p.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.SetMode(hookdouble.Busy)
	_, err := p.Plan(t.Context(), query("A"))
	if !errors.Is(err, planner.ErrOverloaded) || planner.RetryAfter(err) != 7*time.Second {
		t.Errorf("%v, again after %s", err, planner.RetryAfter(err))
	}
}

func TestNewNamesEveryFault(t *testing.T) {
	_, err := New(Options{URL: "ftp://user:pass@x", Canary: "mutation { x }"})
	for _, want := range []string{"url", "token", "canary"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if err != nil && strings.Contains(err.Error(), "pass") {
		t.Errorf("error tells the address: %v", err)
	}
	for _, canary := range []string{"query($x: ID!) { a(id: $x) }", "{", "{ " + strings.Repeat("a ", maxCanaryBytes) + "}"} {
		if _, err := New(Options{URL: "http://x", Token: right, Canary: canary}); err == nil {
			t.Errorf("canary %.20s was taken", canary)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"extensions":{"planwarm":{"planned":true,"hit":false,"ms":1,"ageMs":2,"generation":"a.1","canary":"{a}"}}}`,
		`{"data":null,"errors":[{"extensions":{"code":"PLANWARM_REFUSED"}}]}`, `{"extensions":{"planwarm":null}}`, `[]`,
	} {
		f.Add([]byte(s), 200)
	}
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		d := hookdouble.Client(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
		p, err := New(Options{URL: "http://gateway.test/", Token: right, Client: d, MaxBody: 1 << 16})
		if err != nil {
			t.Fatal(err)
		}
		a, err := p.send(t.Context(), query("A"), right)
		if err != nil {
			return
		}
		a.Status = status
		if a.verdict() == verdictPlanned && (!a.proven() || a.Failed || a.result().Plan < 0) {
			t.Errorf("planned without a proof: %q", body)
		}
	})
}
