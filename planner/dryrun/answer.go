package dryrun

import (
	"context"
	"fmt"
	"net/http"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/planhttp"
)

// answer is what a router said to one request.
type answer struct{ planhttp.Reply }

// executed says whether there is data. A dry run has none, not even null: that
// can be what is left of an execution whose roots failed. Only a refusal by
// status may say null and mean that it did not begin.
func (a answer) executed() bool {
	return a.Data == planhttp.DataValue || a.Data == planhttp.DataNull && a.Status < http.StatusBadRequest
}

// canary returns what the answer to the canary proves: a valid query whose plan
// is short, so that only a whole answer with a plan and without data will do.
func (a answer) canary() error {
	switch {
	case a.executed():
		return planner.ErrExecuted
	case a.Status == http.StatusOK && a.Plan && a.Whole:
		return nil
	case a.Status >= http.StatusInternalServerError:
		return fmt.Errorf("%w: status %d", planner.ErrUnavailable, a.Status)
	default:
		return fmt.Errorf("%w: status %d without a plan", planner.ErrRefused, a.Status)
	}
}

// judge decides what the answer to an operation means; planned says that its
// dialect knows it for a refusal after planning. What can mean two things (the
// operation or its header profile is refused, or the router changed its mind
// about us) is settled by the canary.
func (r *Router) judge(ctx context.Context, q planner.Request, a answer, planned bool) error {
	switch {
	case a.executed():
		return planner.ErrExecuted
	case planned:
		return nil
	case a.Status == http.StatusOK && a.Plan && a.Whole:
		return nil
	case a.Status == http.StatusOK && a.Plan && a.Cut:
		// Both routers write data before extensions, so that none should come
		// behind the bound; that the header is honoured still, the canary says.
		return r.gate.Probe(ctx)
	case a.Failed && a.Whole && a.Status < http.StatusInternalServerError &&
		a.Status != http.StatusUnauthorized && a.Status != http.StatusForbidden:
		return fmt.Errorf("%w: status %d", planner.ErrInvalid, a.Status)
	case a.Status < http.StatusBadRequest:
		return fmt.Errorf("%w: status %d with neither plan nor data", planner.ErrRefused, a.Status)
	}
	return r.gate.Settle(ctx, q, a.Status)
}
