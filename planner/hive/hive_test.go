package hive

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/dryrun"
	"github.com/planwarm/planwarm/planner/dryrun/dryrundouble"
	"github.com/planwarm/planwarm/planner/hive/hivedouble"
	"github.com/planwarm/planwarm/planner/planhttp"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/testdata"
	"github.com/planwarm/planwarm/warmer"
)

func storefront(t *testing.T) (*schema.Schema, *ast.Schema) {
	t.Helper()
	data, err := testdata.Storefront.ReadFile("storefront/supergraph.graphql")
	if err != nil {
		t.Fatal(err)
	}
	sc, err := schema.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	types, err := gqlparser.LoadSchema(&ast.Source{Input: sc.ClientSDL()})
	if err != nil {
		t.Fatal(err)
	}
	return sc, types
}

func newPlanner(t *testing.T, sc *schema.Schema, h http.Handler, change func(*Options)) Planner {
	t.Helper()
	c, err := sc.Canary()
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Options: dryrun.Options{
		URL: "http://router.test/graphql", Client: dryrundouble.Client(h), OwnVersion: "1.2.3",
		Canary: func() (dryrun.Canary, error) { return dryrun.Canary{Query: c.Text, Variables: c.Variables}, nil },
	}, Variables: sc.Variables}
	if change != nil {
		change(&o)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// items are all valid operations of the storefront, under every condition.
func items(t *testing.T, sc *schema.Schema) []warmer.Item {
	t.Helper()
	files, err := fs.Glob(testdata.Storefront, "storefront/operations/*.graphql")
	if err != nil {
		t.Fatal(err)
	}
	var out []warmer.Item
	for _, file := range files {
		text, err := testdata.Storefront.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		list, err := schema.ParseDocument(path.Base(file), text)
		if err != nil {
			t.Fatal(err)
		}
		for _, src := range list {
			op, err := sc.Parse(src.Text, src.Name)
			if err != nil {
				continue // the one that is invalid
			}
			for _, conditions := range schema.Combinations(op.Conditions, 0) {
				r := planner.Request{Query: op.Canonical, OperationName: src.Name, Conditions: conditions, Mutation: op.Type == "mutation"}
				out = append(out, warmer.Item{Request: r, ID: r.Query, Name: src.File})
			}
		}
	}
	return out
}

// TestStorefront: every query of the storefront is planned, since its variables
// are accepted; mutations are not sent, and nothing is executed.
func TestStorefront(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sc, types := storefront(t)
		d := hivedouble.New(types, dryrundouble.Options{})
		list := items(t, sc)
		queries := 0
		for _, it := range list {
			op, err := sc.Parse(it.Request.Query, it.Request.OperationName)
			if err != nil {
				t.Fatal(err)
			}
			if op.Type == "query" && !op.Introspection {
				queries++
			}
		}
		rep, _, err := warmer.Runner{Planner: newPlanner(t, sc, d, nil)}.Run(t.Context(), list)
		if err != nil || len(d.Executed()) != 0 || rep.Planned < queries || queries < 60 {
			t.Errorf("%d of %d queries planned, %d executed, %+v, %v", rep.Planned, queries, len(d.Executed()), rep, err)
		}
		for _, f := range rep.Failures {
			if !strings.HasPrefix(f.Name, "subscription") && !strings.Contains(f.Reason, "introspection is not planned") {
				t.Errorf("failed: %s: %s", f.Name, f.Reason)
			}
		}
		for _, r := range d.Requests() {
			if strings.HasPrefix(r.Query, "mutation") || strings.HasPrefix(r.Query, "subscription") {
				t.Errorf("sent %.40s", r.Query)
			}
		}
	})
}

func TestRequests(t *testing.T) {
	sc, types := storefront(t)
	d := hivedouble.New(types, dryrundouble.Options{})
	p := newPlanner(t, sc, d, nil)
	const text = "query A($id: ID!, $s: Boolean!){product(id: $id){id @skip(if: $s)}}"
	r := planner.Request{Query: text, OperationName: "A", Client: "web@3.1", Conditions: map[string]bool{"s": true},
		Header: http.Header{"hive-expose-query-plan": {"true"}, "GraphQL-Client-Name": {"web"}, "X-Override": {"beta"}}}
	if _, err := p.Plan(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	sent := d.Requests()
	if len(sent) != 2 || sent[1].Body != `{"query":"`+text+`","operationName":"A","variables":{"id":"0","s":true}}` {
		t.Fatalf("%+v", sent)
	}
	for name, want := range map[string]string{
		"hive-expose-query-plan": "dry-run", "graphql-client-name": "planwarm", "graphql-client-version": "1.2.3", "X-Override": "beta",
	} {
		if got := strings.Join(sent[1].Header.Values(name), "|"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	// The same operation under another name and layout has the same plan.
	if !d.Cached(strings.Replace(text, "query A", "query  Other ", 1), "Other") {
		t.Error("another name has another plan")
	}
}

func TestRefusals(t *testing.T) {
	sc, types := storefront(t)
	d := hivedouble.New(types, dryrundouble.Options{Refuse: "description"})
	p := newPlanner(t, sc, d, nil)
	for text, want := range map[string]error{
		"query A($id: ID!){product(id: $id){description}}": planner.ErrInvalid, // refused by the router
		"query A($id: ID!){product(id: $id){gone}}":        planner.ErrInvalid, // no variables for an invalid operation
		"query A{":              planner.ErrInvalid,
		"mutation A{a}":         planner.ErrMutation,
		"subscription A{a}":     planner.ErrInvalid,
		"query A{a} query B{b}": planner.ErrInvalid,
	} {
		if _, err := p.Plan(t.Context(), planner.Request{Query: text}); !errors.Is(err, want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if n := len(d.Requests()); n != 2 {
		t.Errorf("%d sent, want the canary and the one that only the router refuses", n)
	}
	// Variables that the router does not take are no plan.
	wrong := newPlanner(t, sc, d, func(o *Options) {
		o.Variables = func(string, string, map[string]bool) (json.RawMessage, error) { return nil, nil }
	})
	if _, err := wrong.Plan(t.Context(), planner.Request{Query: "query A($id: ID!){product(id: $id){id}}"}); !errors.Is(err, planner.ErrInvalid) {
		t.Errorf("without variables: %v", err)
	}
	if p, err := New(Options{}); err == nil || p.Router != nil {
		t.Error("accepted without variables")
	}
}

// TestBadModes: whatever the router does, a whole run executes at most its one
// canary, and ends with the right outcome.
func TestBadModes(t *testing.T) {
	sc, types := storefront(t)
	list := items(t, sc)
	for _, c := range []struct {
		name     string
		mode     dryrundouble.Mode
		want     error
		executed int
	}{
		{"ignored", dryrundouble.Ignored, planner.ErrExecuted, 1},
		{"plan and data", dryrundouble.Shown, planner.ErrExecuted, 1},
		{"plan before data", dryrundouble.ShownFirst, planner.ErrExecuted, 1},
		{"roots all null", dryrundouble.NullRoots, planner.ErrExecuted, 1},
		{"data null", dryrundouble.NullData, planner.ErrExecuted, 1},
		{"10 MB of data", dryrundouble.Huge, planner.ErrExecuted, 1},
		{"20 MB of something", dryrundouble.HugeExtensions, planner.ErrRefused, 0},
		{"nothing", dryrundouble.Nothing, planner.ErrRefused, 0},
		{"503", dryrundouble.Unavailable, planner.ErrOverloaded, 0},
		{"429", dryrundouble.Limited, planner.ErrOverloaded, 0},
		{"redirect", dryrundouble.Redirect, planner.ErrRefused, 0},
		{"html", dryrundouble.HTML, planner.ErrRefused, 0},
		{"slow", dryrundouble.Slow, planner.ErrOverloaded, 0},
		{"broken", dryrundouble.Broken, planner.ErrUnavailable, 0},
	} {
		for name, o := range map[string]dryrundouble.Options{
			"from the start":         {Mode: c.mode, Delay: time.Hour},
			"between canary and use": {ReloadAfter: 3, ReloadTo: c.mode, Delay: time.Hour},
		} {
			t.Run(c.name+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := hivedouble.New(types, o)
					p := newPlanner(t, sc, d, func(o *Options) { o.Timeout = 10 * time.Second })
					rep, _, err := warmer.Runner{Planner: p, Settings: warmer.Settings{Deadline: time.Minute}}.Run(t.Context(), list)
					if o.Mode == c.mode || !errors.Is(c.want, planner.ErrOverloaded) {
						if !errors.Is(err, c.want) {
							t.Errorf("%v, want %v", err, c.want)
						}
					}
					// What no canary can protect is the last: its own answer tells.
					e := d.Executed()
					if len(e) != c.executed || c.executed == 1 && (e[0].Mutation || e[0].Canary != (o.Mode == c.mode)) || rep.Executed != c.executed {
						t.Errorf("executed %+v, %+v", e, rep)
					}
				})
			})
		}
	}
}

// TestReloadInTheMiddleOfARun: what is under way when the router forgets its
// permission is executed, since it cannot be made to fail closed, and nothing
// after it: warm.concurrency is the bound, and mutations are never among them.
func TestReloadInTheMiddleOfARun(t *testing.T) {
	sc, types := storefront(t)
	list := items(t, sc)
	for _, width := range []int{1, 4} {
		synctest.Test(t, func(t *testing.T) {
			d := hivedouble.New(types, dryrundouble.Options{ReloadAfter: 30, ReloadTo: dryrundouble.Ignored})
			run := warmer.Runner{Planner: newPlanner(t, sc, d, nil), Settings: warmer.Settings{Concurrency: width}}
			rep, _, err := run.Run(t.Context(), list)
			e := d.Executed()
			if !errors.Is(err, planner.ErrExecuted) || len(e) < 1 || len(e) > width || rep.Executed != len(e) || rep.Skipped == 0 {
				t.Errorf("%d executed with %d at once, %+v, %v", len(e), width, rep, err)
			}
			for _, x := range e {
				if x.Mutation {
					t.Errorf("executed %s", x.Query)
				}
			}
		})
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sc, types := storefront(t)
		d := hivedouble.New(types, dryrundouble.Options{})
		p := newPlanner(t, sc, d, func(o *Options) {
			o.MetricsURL, o.ReadyURL = "http://router.test/metrics", "http://router.test/readiness"
		})
		ctx, cancel := context.WithCancel(t.Context())
		var seen []string
		done := make(chan error, 1)
		go func() { done <- p.Watch(ctx, func(r planner.Reload) { seen = append(seen, r.Sign) }) }()
		for _, step := range []struct {
			do   func()
			want string
		}{
			{func() {}, ""},
			{d.Reload, SignSupergraph},
			{d.Restart, planhttp.SignInstance},
			{func() { d.SetReady(false) }, ""},
			{func() { d.SetReady(true) }, planhttp.SignReady},
		} {
			step.do()
			time.Sleep(time.Minute)
			synctest.Wait()
			if got := strings.Join(seen, ", "); got != step.want {
				t.Errorf("%q, want %q", got, step.want)
			}
			seen = nil
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
