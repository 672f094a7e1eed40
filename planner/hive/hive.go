// Package hive plans operations in a Hive Router over HTTP, without executing
// them, by asking for a dry run of each.
//
// The router must have query_planner: {allow_expose: true}, which lets every
// client read plans: strip the header hive-expose-query-plan at the edge. It
// coerces variables before it plans, so each operation is sent with valid ones,
// made up from the schema. It ignores the header where it is not allowed and
// cannot be made to fail closed: mutations are never sent.
package hive

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/dryrun"
	"github.com/planwarm/planwarm/planner/planhttp"
)

// SignSupergraph is the sign of a reload, besides those of every router.
const SignSupergraph = "supergraph updated"

// polls is the router's counter on its Prometheus page, where dots are underscores.
const polls = "hive_router_supergraph_poll_total"

// Options configure a Planner.
type Options struct {
	dryrun.Options
	// Variables makes up valid variables of an operation, under the values of
	// its conditions, or nil where it needs none; required.
	Variables func(text, operationName string, conditions map[string]bool) (json.RawMessage, error)
}

// Planner plans in one Hive Router. It is safe for concurrent use.
type Planner struct{ *dryrun.Router }

var (
	_ planner.Planner = Planner{}
	_ planner.Watcher = Planner{}
)

// New returns a Planner for one router. It sends nothing yet.
func New(o Options) (Planner, error) {
	if o.Variables == nil {
		return Planner{}, errors.New("new hive router planner: variables: nothing makes them")
	}
	r, err := dryrun.New(dryrun.Dialect{
		Component:     "hive router planner",
		Header:        "Hive-Expose-Query-Plan",
		ClientName:    "Graphql-Client-Name",
		ClientVersion: "Graphql-Client-Version",
		Extension:     "queryPlan",
		Admit:         admit,
		Variables: func(q planner.Request) (json.RawMessage, error) {
			return o.Variables(q.Query, q.OperationName, q.Conditions)
		},
		Metrics: []string{polls},
		Signs:   signs,
	}, o.Options)
	return Planner{r}, err
}

// admit lets queries pass alone: variables are valid, so everything else that a
// router takes for a real request runs.
func admit(op planhttp.Operation, _ planner.Request) error {
	switch op.Kind {
	case planhttp.Mutation:
		return planner.ErrMutation
	case planhttp.Subscription:
		return fmt.Errorf("%w: a subscription is not planned over http", planner.ErrInvalid)
	}
	return nil
}

// signs reads the metrics: the router counts each poll that brought another
// supergraph.
func signs() func([]planhttp.Series) string {
	var updated dryrun.Counter
	return func(page []planhttp.Series) string {
		grew, fell := updated.See(page, func(s planhttp.Series) bool { return s.Labels["result"] == "updated" })
		switch {
		case fell:
			return planhttp.SignInstance
		case grew:
			return SignSupergraph
		}
		return ""
	}
}
