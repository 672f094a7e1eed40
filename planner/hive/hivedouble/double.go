// Package hivedouble plays a Hive Router as far as dry runs, its readiness and
// its metrics go. No such router can be installed here: what it does is read in
// its source and documentation, and noted at each part.
package hivedouble

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"

	"github.com/planwarm/planwarm/planner/dryrun/dryrundouble"
)

// New returns a double that is ready, for a schema under which it checks
// variables. Its plan cache has no bound, where the real one keeps 1,000 plans.
func New(schema *ast.Schema, o dryrundouble.Options) *dryrundouble.Double {
	return dryrundouble.New(dryrundouble.Kind{
		Path:      "/readiness",
		Header:    "Hive-Expose-Query-Plan",
		Extension: "queryPlan",
		Plan:      `{"kind":"QueryPlan","node":{"kind":"Fetch","serviceName":"catalog","operation":"{product{id}}"}}`,
		Key:       key,
		Before:    func(r dryrundouble.Request) (int, string) { return coerce(schema, r) },
		After:     func(dryrundouble.Request) (int, string) { return 0, "" },
		Metrics:   metrics,
	}, o)
}

// key: the normalised operation (fact: xxh3 of it and of override labels), so
// neither its name nor its layout matter.
func key(r dryrundouble.Request) string {
	doc, err := parser.ParseQuery(&ast.Source{Input: r.Query})
	if err != nil {
		return r.Query
	}
	op := doc.Operations.ForName(r.OperationName)
	op.Name = ""
	var text strings.Builder
	formatter.NewFormatter(&text, formatter.WithCompacted()).FormatQueryDocument(
		&ast.QueryDocument{Operations: ast.OperationList{op}, Fragments: doc.Fragments})
	return text.String()
}

// coerce: variables are coerced before planning, so an operation without valid
// ones is refused and not planned.
func coerce(schema *ast.Schema, r dryrundouble.Request) (int, string) {
	values := map[string]any{}
	if r.Variables != nil {
		d := json.NewDecoder(strings.NewReader(string(r.Variables)))
		d.UseNumber()
		if d.Decode(&values) != nil {
			return http.StatusBadRequest, `{"errors":[{"message":"invalid variables"}]}`
		}
	}
	if list := validator.ValidateWithRules(schema, r.Doc, nil); len(list) > 0 {
		return http.StatusBadRequest, `{"errors":[{"message":"invalid","extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}`
	}
	if _, err := validator.VariableValues(schema, r.Op, values); err != nil {
		return http.StatusBadRequest, `{"errors":[{"message":"variables do not fit","extensions":{"code":"BAD_USER_INPUT"}}]}`
	}
	return 0, ""
}

// metrics: hive.router.supergraph.poll.total{result} counts polls; the page has
// underscores.
func metrics(w io.Writer, reloads int) {
	_, _ = fmt.Fprintf(w, "# TYPE hive_router_supergraph_poll_total counter\n"+
		"hive_router_supergraph_poll_total{result=\"updated\"} %d\n"+
		"hive_router_supergraph_poll_total{result=\"not_modified\"} 60\n", 1+reloads)
}
