package hivedouble_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/planwarm/planwarm/planner/dryrun/dryrundouble"
	"github.com/planwarm/planwarm/planner/hive/hivedouble"
)

const sdl = `type Query { product(id: ID): P } type Mutation { buy(n: Int!): P } type P { id: ID }`

// TestFacts has what is known of the real router, row by row.
func TestFacts(t *testing.T) {
	types := gqlparser.MustLoadSchema(&ast.Source{Input: sdl})
	const allowed, ignored = dryrundouble.Allowed, dryrundouble.Ignored
	for _, c := range []struct {
		name     string
		mode     dryrundouble.Mode
		header   string
		body     string
		status   int
		want     string // in the answer
		planned  int
		executed int
	}{
		{"dry run", allowed, "dry-run", `{"query":"{product{id}}"}`, 200, `{"extensions":{"queryPlan":{"kind":"QueryPlan"`, 1, 0},
		{"no header", allowed, "", `{"query":"{product{id}}"}`, 200, `{"data":{"product"`, 1, 1},
		{"not allowed", ignored, "dry-run", `{"query":"{product{id}}"}`, 200, `{"data":{"product"`, 1, 1},
		{"not allowed, a mutation", ignored, "dry-run", `{"query":"mutation{buy(n: 1){id}}"}`, 200, `{"data":{"buy"`, 1, 1},
		{"__typename alone", allowed, "dry-run", `{"query":"{__typename}"}`, 200, `{"data":{"__typename"`, 0, 1},
		{"variable missing", allowed, "dry-run", `{"query":"query($a: ID!){product(id: $a){id}}"}`, 400, "errors", 0, 0},
		{"variable of another type", allowed, "dry-run", `{"query":"query($a: ID!){product(id: $a){id}}","variables":{"a":[{}]}}`, 400, "errors", 0, 0},
		{"variable", allowed, "dry-run", `{"query":"query($a: ID!){product(id: $a){id}}","variables":{"a":"1"}}`, 200, "queryPlan", 1, 0},
		{"invalid", allowed, "dry-run", `{"query":"{gone}"}`, 400, "errors", 0, 0},
	} {
		d := hivedouble.New(types, dryrundouble.Options{Mode: c.mode})
		r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(c.body))
		if c.header != "" {
			r.Header.Set("hive-expose-query-plan", c.header)
		}
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) || d.Planned() != c.planned || len(d.Executed()) != c.executed {
			t.Errorf("%s: %d %s; %d planned, %d executed", c.name, w.Code, w.Body.String(), d.Planned(), len(d.Executed()))
		}
	}
}
