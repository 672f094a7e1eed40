// Package apollodouble plays an Apollo Router 2.x as far as dry runs, its
// readiness and its metrics go. No such router can be installed here: what it
// does is read in its source and documentation, and noted at each part.
package apollodouble

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/planwarm/planwarm/planner/dryrun/dryrundouble"
)

// plan has the shape of a plan: object with kind and node, and text.
const plan = `{"object":{"kind":"QueryPlan","node":{"kind":"Fetch","serviceName":"catalog","operation":"{product{id}}"}},"text":"QueryPlan { Fetch(service: \"catalog\") { { product { id } } } }"}`

// Options configure a double.
type Options struct {
	dryrundouble.Options
	// NoCounter leaves the counter of state changes off the metrics page, so
	// that open connections alone tell of a schema.
	NoCounter bool
}

// New returns a double that is ready. Its plan cache has no bound, where the
// real one keeps 512 plans.
func New(o Options) *dryrundouble.Double {
	return dryrundouble.New(dryrundouble.Kind{
		Path:      "/health", // asked as /health?ready on port 8088
		Header:    "Apollo-Expose-Query-Plan",
		Extension: "apolloQueryPlan",
		Plan:      plan,
		Key:       key,
		Before:    func(dryrundouble.Request) (int, string) { return 0, "" },
		After:     after,
		Metrics:   func(w io.Writer, reloads int) { metrics(w, reloads, o.NoCounter) },
	}, o.Options)
}

// key: the text, the operation name when it was sent, and authorization (fact:
// the key is text, operationName, schema hash, auth metadata, plan options).
func key(r dryrundouble.Request) string {
	return strings.Join([]string{r.Query, r.OperationName, r.Header.Get("Authorization")}, "\x00")
}

// after: variables are checked after planning, so a 400 about a variable means
// planned; @defer and subscriptions are 406 after planning for a client that
// takes no multipart answer.
func after(r dryrundouble.Request) (int, string) {
	var sent map[string]json.RawMessage
	if r.Variables != nil && json.Unmarshal(r.Variables, &sent) != nil {
		return http.StatusBadRequest, `{"errors":[{"message":"invalid variables","extensions":{"code":"INVALID_GRAPHQL_REQUEST"}}]}`
	}
	for _, v := range r.Op.VariableDefinitions {
		if _, ok := sent[v.Variable]; !ok && v.Type.NonNull && v.DefaultValue == nil {
			return http.StatusBadRequest, fmt.Sprintf(
				`{"errors":[{"message":"invalid type for variable: '%s'","extensions":{"name":%q,"code":"VALIDATION_INVALID_TYPE_VARIABLE"}}]}`, v.Variable, v.Variable)
		}
	}
	if parts(r) && !strings.Contains(r.Header.Get("Accept"), "multipart/mixed") {
		return http.StatusNotAcceptable, `{"errors":[{"message":"the client does not accept multipart","extensions":{"code":"DEFER_BAD_HEADER"}}]}`
	}
	return 0, ""
}

// parts says whether the answer comes in parts.
func parts(r dryrundouble.Request) bool {
	return r.Op.Operation == ast.Subscription || strings.Contains(r.Query, "@defer")
}

// metrics: apollo.router.state.change.total{event} counts schema updates, and
// apollo.router.open_connections has schema.id; the page has underscores.
func metrics(w io.Writer, reloads int, noCounter bool) {
	if !noCounter {
		_, _ = fmt.Fprintf(w, "# TYPE apollo_router_state_change_total counter\n"+
			"apollo_router_state_change_total{event=\"UpdateSchema\",state=\"Running\"} %d\n"+
			"apollo_router_state_change_total{event=\"UpdateLicense\",state=\"Running\"} 3\n", 1+reloads)
	}
	_, _ = fmt.Fprintf(w, "# TYPE apollo_router_open_connections gauge\n"+
		"apollo_router_open_connections{schema_id=\"schema-%d\"} 2\n", reloads)
}
