package cosmo

import (
	"context"
	"fmt"
	"net/http"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/planhttp"
)

// Plan has the router plan r and keep the plan.
//
// The client of r is not sent: a plan is the same for every client, and under
// our own name telemetry can tell these requests from live ones.
func (p *Planner) Plan(ctx context.Context, r planner.Request) (planner.Result, error) {
	res, err := p.plan(ctx, r)
	return res, p.gate.Told("plan operation", err)
}

// Verify asks whether the plan of r was in the cache. The question plans it
// when it was not.
func (p *Planner) Verify(ctx context.Context, r planner.Request) (planner.Hit, error) {
	res, err := p.plan(ctx, r)
	return res.Hit, p.gate.Told("verify operation", err)
}

func (p *Planner) plan(ctx context.Context, r planner.Request) (planner.Result, error) {
	op, err := planhttp.Read(r.Query, r.OperationName)
	if err != nil {
		return planner.Result{}, err
	}
	if op.Kind == planhttp.Subscription {
		return planner.Result{}, fmt.Errorf("%w: a subscription is not planned over http", planner.ErrInvalid)
	}
	mutation := r.Mutation || op.Kind == planhttp.Mutation
	if mutation && !p.o.FailsClosed {
		return planner.Result{}, planner.ErrMutation
	}
	if err := p.gate.Ensure(ctx); err != nil {
		return planner.Result{}, err
	}
	if mutation {
		// Proven each time: a reload since the last proof may have removed the key.
		if err := p.proveClosed(ctx); err != nil {
			return planner.Result{}, err
		}
	}
	a, err := p.send(ctx, r, p.o.Token)
	if err != nil {
		return planner.Result{}, err
	}
	if err := p.judge(ctx, r, a); err != nil {
		return planner.Result{}, err
	}
	return a.result(), nil
}

// judge decides what the answer to an operation means. An answer that can mean
// two things (the operation or its header profile is refused, or the router
// changed its mind about us) is settled by the canary.
func (p *Planner) judge(ctx context.Context, r planner.Request, a answer) error {
	switch a.verdict() {
	case verdictPlanned:
		return nil
	case verdictExecuted:
		return planner.ErrExecuted
	case verdictInvalid:
		return fmt.Errorf("%w: status %d", planner.ErrInvalid, a.Status)
	case verdictUnproven:
		return fmt.Errorf("%w: status %d without a proof that nothing was executed", planner.ErrRefused, a.Status)
	}
	return p.gate.Settle(ctx, r, a.Status)
}

// send posts one request; see planhttp.Sender.
func (p *Planner) send(ctx context.Context, r planner.Request, token func() (string, error)) (answer, error) {
	req, err := p.request(ctx, r, token)
	if err != nil {
		return answer{}, err
	}
	reply, err := p.sender.Send(req)
	return answer{Reply: reply, proof: prove(reply.Answer)}, err
}

// reserved are our own headers. X-WG-Trace and X-WG-Include-Query-Plan would
// bypass the plan cache, and a profile must not take the plan-only header or
// our name away.
var reserved = []string{"X-WG-", "GraphQL-Client-Name", "GraphQL-Client-Version"}

func (p *Planner) request(ctx context.Context, r planner.Request, token func() (string, error)) (*http.Request, error) {
	var variables any
	if len(r.Conditions) > 0 {
		variables = r.Conditions
	}
	req, err := planhttp.NewRequest(ctx, p.o.URL, r, variables, reserved...)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-WG-Skip-Loader", "true")
	req.Header.Set("GraphQL-Client-Name", p.o.OwnClientName)
	if p.o.OwnVersion != "" {
		req.Header.Set("GraphQL-Client-Version", p.o.OwnVersion)
	}
	if token == nil {
		return req, nil
	}
	t, err := planhttp.Token(token)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-WG-Token", t)
	return req, nil
}
