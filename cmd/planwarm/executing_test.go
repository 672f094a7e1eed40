package main

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner/gqlgen/gqlgendouble"
	"github.com/planwarm/planwarm/planner/grafbase/grafbasedouble"
	"github.com/planwarm/planwarm/schema"
	"go.uber.org/zap"
)

const itemSDL = "type Query { item(id: ID!): Int all: Int } type Mutation { buy(id: ID!): Int }"

// items are a query with a required variable, one without, and a mutation.
func items() manifest.Manifest {
	m := manifest.Manifest{}
	for text, kind := range map[string]manifest.OperationType{
		"query Item($id: ID!) { item(id: $id) }": manifest.Query, "query All { all }": manifest.Query,
		"mutation Buy($id: ID!) { buy(id: $id) }": manifest.Mutation,
	} {
		m.Operations = append(m.Operations, manifest.Entry{Request: manifest.Request{Query: text}, Planwarm: manifest.Details{Type: kind}})
	}
	return m
}

func itemTypes(t *testing.T) schemaSource {
	t.Helper()
	sc, err := schema.Load([]byte(itemSDL))
	if err != nil {
		t.Fatal(err)
	}
	return func() (*schema.Schema, error) { return sc, nil }
}

// A Grafbase gateway is warmed by executing its queries, in both forms, when
// that is allowed, and not built otherwise.
func TestWarmGrafbase(t *testing.T) {
	d, err := grafbasedouble.New(itemSDL)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(d)
	defer srv.Close()
	r := config.Router{Kind: config.RouterGrafbase, URL: srv.URL}
	if _, err := newPlanner(r, itemTypes(t), zap.NewNop()); err == nil || !strings.Contains(err.Error(), "not allowed") {
		t.Errorf("without the permission: %v", err)
	}
	r.AllowExecution = true
	w := (&cli{json: true}).warmRouter(t.Context(), config.DefaultGraph(), r, destination{name: "g"}, itemTypes(t), items())
	if w.Error != "" || w.Planned != 4 || w.ByExecution != 4 || w.Executed != 0 || w.Skipped != 2 || w.Failed != 0 {
		t.Errorf("%+v", w)
	}
	for _, x := range d.Executed() {
		if x.Kind != "query" {
			t.Errorf("executed: %+v", x)
		}
	}
	if n := len(d.Executed()); n != 4 {
		t.Errorf("%d executions", n)
	}
}

// A gqlgen server has everything with a required variable validated, nothing
// executed, and the rest left out with the reason.
func TestWarmGqlgen(t *testing.T) {
	d, err := gqlgendouble.New(gqlgendouble.Options{SDL: itemSDL})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(d)
	defer srv.Close()
	var out strings.Builder
	c := &cli{json: true, stdout: &out}
	r := config.Router{Kind: config.RouterGqlgen, URL: srv.URL}
	w := c.warmRouter(t.Context(), config.DefaultGraph(), r, destination{name: "g"}, itemTypes(t), items())
	if w.Error != "" || w.Planned != 4 || w.Failed != 0 || w.Skipped != 2 || len(w.Unplannable) != 2 || len(d.Executed()) != 0 {
		t.Errorf("%+v, executed %v", w, d.Executed())
	}
	if !d.Cached("mutation Buy($id: ID!) { buy(id: $id) }") || d.Cached("query All { all }") {
		t.Error("the mutation is not in the cache, or the query without a variable is")
	}
	if err := c.printWarmed([]warmedRouter{w}); err != nil || !strings.Contains(out.String(), "left out: (no name)") {
		t.Errorf("%v: %s", err, out.String())
	}
}
