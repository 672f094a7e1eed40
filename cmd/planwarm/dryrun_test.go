package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/apollo/apollodouble"
	"github.com/planwarm/planwarm/planner/dryrun/dryrundouble"
	"github.com/planwarm/planwarm/planner/hive/hivedouble"
	"github.com/planwarm/planwarm/schema"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"go.uber.org/zap"
)

// supergraphFile writes the storefront's supergraph where a configuration finds it.
func supergraphFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "supergraph.graphql")
	if err := os.WriteFile(file, []byte(storefrontFile(t, "supergraph.graphql")), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestWarmDryRunRouters warms a router of each kind as it is configured: the
// canary and the variables come from the schema's file.
func TestWarmDryRunRouters(t *testing.T) {
	types := loadedOnce(t.Context(), config.Schema{File: supergraphFile(t)})
	sc, err := types()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := gqlparser.LoadSchema(&ast.Source{Input: sc.ClientSDL()})
	if err != nil {
		t.Fatal(err)
	}
	m := manifest.Manifest{Operations: []manifest.Entry{
		{Request: manifest.Request{Query: "query A($id: ID!){product(id: $id){id}}", OperationName: "A"}, Planwarm: manifest.Details{Type: manifest.Query, PlanKey: "1"}},
		{Request: manifest.Request{Query: "{me{id}}"}, Planwarm: manifest.Details{Type: manifest.Query, PlanKey: "2"}},
	}}
	for kind, newDouble := range map[config.RouterKind]func(dryrundouble.Options) *dryrundouble.Double{
		config.RouterApollo: func(o dryrundouble.Options) *dryrundouble.Double {
			return apollodouble.New(apollodouble.Options{Options: o})
		},
		config.RouterHiveRouter: func(o dryrundouble.Options) *dryrundouble.Double { return hivedouble.New(parsed, o) },
	} {
		for mode, executed := range map[dryrundouble.Mode]int{dryrundouble.Allowed: 0, dryrundouble.Ignored: 1} {
			d := newDouble(dryrundouble.Options{Mode: mode})
			srv := httptest.NewServer(d)
			c := &cli{json: true}
			w := c.warmRouter(t.Context(), config.DefaultGraph(), config.Router{Kind: kind, URL: srv.URL}, destination{name: srv.URL}, types, m)
			srv.Close()
			if (w.Error != "") != (executed == 1) || w.Executed != executed || len(d.Executed()) != executed || executed == 0 && w.Planned < 2 {
				t.Errorf("%s, mode %d: %+v, executed %+v", kind, mode, w, d.Executed())
			}
		}
	}
}

// TestCanaryWithoutSchema: a router of which nothing can be proven is not sent
// anything, and a configured canary does without the schema.
func TestCanaryWithoutSchema(t *testing.T) {
	sent := 0
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { sent++ }))
	defer srv.Close()
	missing := loadedOnce(context.Background(), config.Schema{File: filepath.Join(t.TempDir(), "none")})
	for _, kind := range []config.RouterKind{config.RouterApollo, config.RouterHiveRouter} {
		p, err := newPlanner(config.Router{Kind: kind, URL: srv.URL}, missing, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Probe(t.Context()); !errors.Is(err, planner.ErrUnavailable) || !strings.Contains(err.Error(), "schema is not loaded") || sent != 0 {
			t.Errorf("%s: %v, %d sent", kind, err, sent)
		}
	}
	if c, err := missing.canary("{me{id}}"); err != nil || c.Query != "{me{id}}" || c.Variables != nil {
		t.Errorf("configured: %+v, %v", c, err)
	}
	present := loadedOnce(t.Context(), config.Schema{File: supergraphFile(t)})
	if c, err := present.canary("query($id: ID!){product(id: $id){id}}"); err != nil || string(c.Variables) != `{"id":"0"}` {
		t.Errorf("configured, with a variable: %+v, %v", c, err)
	}
	var faults schema.OperationErrors
	if _, err := present.canary("{gone}"); !errors.As(err, &faults) {
		t.Errorf("configured, invalid: %v", err)
	}
}

func TestExactRouters(t *testing.T) {
	if !keysOnText(config.RouterApollo) || keysOnText(config.RouterHiveRouter) || keysOnText(config.RouterCosmo) {
		t.Error("apollo alone keys on the text")
	}
}
