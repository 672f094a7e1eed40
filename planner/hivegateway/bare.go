package hivegateway

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/hook"
	"github.com/planwarm/planwarm/planner/planhttp"
)

// bareCanary cannot be executed by any GraphQL server, and calls no subgraph
// when something that is none answers it all the same.
const bareCanary = "query PlanwarmCanary($planwarm:Boolean!){__typename@include(if:$planwarm)}"

// bare plans without the plug-in, by leaving a required variable out.
type bare struct {
	o      Options
	sender planhttp.Sender
	ends   *expiry
	also   func(context.Context, string) string
	gate   *planhttp.Gate
}

func newBare(o Options, ends *expiry, also func(context.Context, string) string) *bare {
	o.Timeout = cmp.Or(o.Timeout, hook.DefaultTimeout)
	o.MaxBody = cmp.Or(o.MaxBody, hook.DefaultMaxBody)
	o.WatchInterval = cmp.Or(o.WatchInterval, hook.DefaultWatchInterval)
	o.Debounce = cmp.Or(o.Debounce, hook.DefaultDebounce)
	b := &bare{o: o, sender: planhttp.Sender{Client: o.Client, Timeout: o.Timeout, MaxBody: o.MaxBody}, ends: ends, also: also}
	b.gate = planhttp.NewGate(b.prove)
	return b
}

// Probe proves that the endpoint refuses a request without a required variable.
func (b *bare) Probe(ctx context.Context) error { return b.gate.Probe(ctx) }

// MutationSafe is true: nothing is sent that a GraphQL server could execute.
func (b *bare) MutationSafe() bool { return b.gate.Open() }

// Serial is true: planning blocks the event loop of Node.
func (b *bare) Serial() bool { return true }

func (b *bare) prove(ctx context.Context) error {
	a, err := b.send(ctx, planner.Request{Query: bareCanary})
	switch {
	case err != nil:
		return err
	case a.Data == planhttp.DataValue:
		return planner.ErrExecuted
	case a.Status >= http.StatusInternalServerError:
		return fmt.Errorf("%w: status %d", planner.ErrUnavailable, a.Status)
	case !a.planned():
		return fmt.Errorf("%w: status %d to a request without its variable", planner.ErrRefused, a.Status)
	}
	return nil
}

// Plan sends r without variables. An operation that needs none is not sent.
func (b *bare) Plan(ctx context.Context, r planner.Request) (planner.Result, error) {
	res, err := b.plan(ctx, r)
	return res, b.gate.Told("plan operation", err)
}

// Verify cannot tell: the gateway says nothing of its cache.
func (b *bare) Verify(context.Context, planner.Request) (planner.Hit, error) {
	return planner.HitUnknown, nil
}

func (b *bare) plan(ctx context.Context, r planner.Request) (planner.Result, error) {
	op, err := planhttp.Read(r.Query, r.OperationName)
	switch {
	case err != nil:
		return planner.Result{}, err
	case op.Kind == planhttp.Subscription:
		return planner.Result{}, fmt.Errorf("%w: a subscription is not planned over http", planner.ErrInvalid)
	case len(op.LeftOut(r.Conditions)) == 0:
		return planner.Result{}, fmt.Errorf("%w: it has no required variable to leave out, and the gateway no plug-in", planner.ErrUnplannable)
	}
	if err := b.gate.Ensure(ctx); err != nil {
		return planner.Result{}, err
	}
	a, err := b.send(ctx, r)
	switch {
	case err != nil:
		return planner.Result{}, err
	case a.Data == planhttp.DataValue:
		return planner.Result{}, planner.ErrExecuted
	case a.planned():
		b.ends.noteText(r.Query, time.Now())
		return planner.Result{Took: a.Took}, nil
	case !a.Whole || !a.Failed:
		return planner.Result{}, fmt.Errorf("%w: status %d without a proof that nothing was executed", planner.ErrRefused, a.Status)
	default:
		return planner.Result{}, fmt.Errorf("%w: status %d", planner.ErrInvalid, a.Status)
	}
}

type bareAnswer struct{ planhttp.Reply }

// planned says that only the missing variable was complained about: that error
// alone has no code, and it comes behind the plan.
func (a bareAnswer) planned() bool {
	return a.Status < http.StatusInternalServerError && a.Whole && a.Failed && a.Data == planhttp.DataAbsent && len(a.Codes) == 0
}

func (b *bare) send(ctx context.Context, r planner.Request) (bareAnswer, error) {
	req, err := planhttp.NewRequest(ctx, b.o.URL, r, r.Conditions, hook.Header, "Graphql-Client-")
	if err != nil {
		return bareAnswer{}, err
	}
	hook.SetClient(req.Header, hook.DefaultClientName, b.o.OwnVersion)
	reply, err := b.sender.Send(req)
	a := bareAnswer{reply}
	if err == nil && a.Data != planhttp.DataValue && (a.Status == http.StatusUnauthorized || a.Status == http.StatusForbidden) {
		err = fmt.Errorf("%w: status %d", planner.ErrRefused, a.Status)
	}
	return a, err
}

// Watch looks at the counter and at the end of plans until ctx ends.
func (b *bare) Watch(ctx context.Context, seen func(planner.Reload)) error {
	planhttp.Watch(ctx, b.o.WatchInterval, b.o.Debounce, func(ctx context.Context) string {
		sign := b.also(ctx, "")
		if sign != "" {
			b.gate.Distrust()
		}
		return sign
	}, seen)
	return nil
}
