// Package apollo plans operations in an Apollo Router 2.x over HTTP, without
// executing them, by asking for a dry run of each.
//
// The router must have plugins: {experimental.expose_query_plan: true}, which
// lets every client read plans: strip the header Apollo-Expose-Query-Plan at
// the edge. Its plan cache keys on the text and the operation name as they were
// sent, so a request with its name and one without are two plans.
//
// A router that does not allow the header executes. Mutations are therefore
// sent in one form only: with a required variable left out. The router looks at
// variables after it has planned and before it executes, and no GraphQL server
// may execute an operation without its required variables, so such a request
// is planned and refused, whether the header is honoured or not. A mutation
// without a required variable is never sent.
package apollo

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/dryrun"
	"github.com/planwarm/planwarm/planner/planhttp"
)

// Signs of a reload, besides those of every router.
const (
	SignSchema     = "schema updated"
	SignConnection = "connections to a new schema"
)

// codeVariable is the error code about a variable.
const codeVariable = "VALIDATION_INVALID_TYPE_VARIABLE"

// Names on the router's Prometheus page, where dots are underscores.
const (
	stateChanges = "apollo_router_state_change_total"
	connections  = "apollo_router_open_connections"
)

var dialect = dryrun.Dialect{
	Component:     "apollo planner",
	Header:        "Apollo-Expose-Query-Plan",
	ClientName:    "Apollographql-Client-Name",
	ClientVersion: "Apollographql-Client-Version",
	Extension:     "apolloQueryPlan",
	Admit:         admit,
	Variables:     conditions,
	Planned:       planned,
	Metrics:       []string{stateChanges, connections},
	Signs:         signs,
}

// Planner plans in one Apollo Router. It is safe for concurrent use.
type Planner struct{ *dryrun.Router }

var (
	_ planner.Planner      = Planner{}
	_ planner.Watcher      = Planner{}
	_ planner.MutationSafe = Planner{}
)

// New returns a Planner for one router. It sends nothing yet.
func New(o dryrun.Options) (Planner, error) {
	r, err := dryrun.New(dialect, o)
	return Planner{r}, err
}

// MutationSafe is true, since no mutation is sent that could be executed.
func (Planner) MutationSafe() bool { return true }

// admit refuses mutations, unless a required variable is left out.
func admit(op planhttp.Operation, q planner.Request) error {
	if op.Kind == planhttp.Mutation && len(op.LeftOut(q.Conditions)) == 0 {
		return fmt.Errorf("%w: it has no required variable to leave out", planner.ErrMutation)
	}
	return nil
}

// conditions are the only variables that are sent. That others are missing is
// found after planning.
func conditions(q planner.Request) (json.RawMessage, error) {
	if len(q.Conditions) == 0 {
		return nil, nil
	}
	return json.Marshal(q.Conditions)
}

// planned knows the two refusals that come after planning: of variables, and of
// an answer in parts for a client that takes no parts.
func planned(op planhttp.Operation, status int, a planhttp.Answer) bool {
	switch status {
	case http.StatusBadRequest:
		return len(a.Codes) > 0 && !slices.ContainsFunc(a.Codes, func(c string) bool { return c != codeVariable })
	case http.StatusNotAcceptable:
		return op.Deferred || op.Kind == planhttp.Subscription
	}
	return false
}

// signs reads the metrics. Open connections tell of a schema only once somebody
// connects, so they count only on a page without the surer counter.
func signs() func([]planhttp.Series) string {
	var updates dryrun.Counter
	var schemas map[string]bool
	counted := false
	return func(page []planhttp.Series) string {
		now := map[string]bool{}
		for _, s := range page {
			counted = counted || s.Name == stateChanges
			if s.Name == connections && s.Labels["schema_id"] != "" {
				now[s.Labels["schema_id"]] = true
			}
		}
		grew, fell := updates.See(page, func(s planhttp.Series) bool {
			return s.Name == stateChanges && s.Labels["event"] == "UpdateSchema"
		})
		before := schemas
		if len(now) > 0 { // nobody is connected: the schema is the one before
			schemas = now
		}
		switch {
		case fell:
			return planhttp.SignInstance
		case grew:
			return SignSchema
		case counted || before == nil:
			return ""
		}
		for id := range now {
			if !before[id] {
				return SignConnection
			}
		}
		return ""
	}
}
