package hook

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/planhttp"
)

// Header carries the token.
const Header = "X-Planwarm-Token"

// Plan has the gateway plan r and keep the plan. Text and name are sent as they
// are, since they are the key of the plan.
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
	if err := p.gate.Ensure(ctx); err != nil {
		return planner.Result{}, err
	}
	if (r.Mutation || op.Kind == planhttp.Mutation) && len(op.LeftOut(r.Conditions)) == 0 {
		// Nothing but the plug-in keeps it from being executed, so that it is
		// there is proven each time. With a required variable no server executes it.
		if err := p.proveClosed(ctx); err != nil {
			return planner.Result{}, err
		}
	}
	a, err := p.send(ctx, r, p.o.Token)
	if err != nil {
		return planner.Result{}, err
	}
	if err := p.judge(ctx, a); err != nil {
		return planner.Result{}, err
	}
	if p.o.Planned != nil {
		p.o.Planned(a.since(time.Now()))
	}
	return a.result(), nil
}

// Serial is true: planning blocks the event loop of Node.
func (p *Planner) Serial() bool { return true }

// judge decides what the answer to an operation means. One that can mean two
// things is settled by the canary, which is never invalid.
func (p *Planner) judge(ctx context.Context, a answer) error {
	switch a.verdict() {
	case verdictPlanned:
		return nil
	case verdictExecuted:
		return planner.ErrExecuted
	case verdictInvalid:
		return fmt.Errorf("%w: the plug-in could not plan it (status %d)", planner.ErrInvalid, a.Status)
	case verdictUnproven:
		return fmt.Errorf("%w: status %d without a proof that nothing was executed", planner.ErrRefused, a.Status)
	}
	if err := p.gate.Probe(ctx); err != nil {
		return err
	}
	return fmt.Errorf("%w: status %d", planner.ErrInvalid, a.Status)
}

// send posts one request; see planhttp.Sender.
func (p *Planner) send(ctx context.Context, r planner.Request, token func() (string, error)) (answer, error) {
	t, err := planhttp.Token(token)
	if err != nil {
		return answer{}, err
	}
	req, err := planhttp.NewRequest(ctx, p.o.URL, r, r.Conditions, Header, "Graphql-Client-", "Apollographql-Client-")
	if err != nil {
		return answer{}, err
	}
	req.Header.Set(Header, t)
	SetClient(req.Header, p.o.OwnClientName, p.o.OwnVersion)
	reply, err := p.sender.Send(req)
	a := answer{Reply: reply}
	switch {
	case err != nil, a.Data == planhttp.DataValue:
		return a, err
	case a.Status == http.StatusUnauthorized, a.Status == http.StatusNotImplemented:
		return a, fmt.Errorf("%w: status %d", planner.ErrRefused, a.Status)
	case a.Whole && a.Plan:
		a.state = readState(a.Body)
	}
	return a, nil
}

// SetClient names planwarm as the client, in the headers of either vendor.
func SetClient(h http.Header, name, version string) {
	for _, prefix := range []string{"GraphQL-Client-", "Apollographql-Client-"} {
		h.Set(prefix+"Name", name)
		if version != "" {
			h.Set(prefix+"Version", version)
		}
	}
}
