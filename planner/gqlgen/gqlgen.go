// Package gqlgen warms a server that is built with gqlgen, which has no plans
// but keeps parsed and validated documents by their exact text.
//
// It looks at variables after that and before it executes. So an operation with
// a required variable is parsed, validated and kept, and surely not executed,
// when the variable is left out: the server answers 422 and names the variable.
// Of an operation without a required variable nothing can be kept safely.
package gqlgen

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/planhttp"
)

// Defaults of Options.
const (
	DefaultTimeout       = 30 * time.Second
	DefaultMaxBody       = 256 << 10
	DefaultWatchInterval = time.Second
	DefaultDebounce      = time.Second
)

// canary cannot be executed by any GraphQL server, and asks nothing of a
// resolver when something that is none answers it all the same.
const canary = "query PlanwarmCanary($planwarm:Boolean!){__typename@include(if:$planwarm)}"

// Options configure a Planner.
type Options struct {
	URL string // of the GraphQL endpoint; required
	// Token returns the bearer token of requests whose profile has no
	// Authorization of its own; nil: none is sent.
	Token                   func() (string, error)
	ReadyURL                string       // readiness endpoint; "" leaves this sign out
	MetricsURL              string       // Prometheus page with process_start_time_seconds; "" leaves this sign out
	Client                  *http.Client // nil: one of our own
	OwnVersion              string
	Timeout                 time.Duration // of one request
	MaxBody                 int64         // bytes read of one answer
	WatchInterval, Debounce time.Duration
}

// Planner warms one server. It is safe for concurrent use.
type Planner struct {
	o      Options
	client *http.Client // for readiness and metrics
	sender planhttp.Sender
	gate   *planhttp.Gate
}

var (
	_ planner.Planner      = (*Planner)(nil)
	_ planner.Watcher      = (*Planner)(nil)
	_ planner.MutationSafe = (*Planner)(nil)
)

// New returns a Planner for one server. It sends nothing yet.
func New(o Options) (*Planner, error) {
	if err := planhttp.CheckURLs(o.URL, o.ReadyURL, o.MetricsURL); err != nil {
		return nil, fmt.Errorf("new gqlgen planner: %w", err)
	}
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.MaxBody = cmp.Or(o.MaxBody, DefaultMaxBody)
	o.WatchInterval = cmp.Or(o.WatchInterval, DefaultWatchInterval)
	o.Debounce = cmp.Or(o.Debounce, DefaultDebounce)
	p := &Planner{o: o, client: planhttp.Client(o.Client)}
	p.sender = planhttp.Sender{Client: p.client, Timeout: o.Timeout, MaxBody: o.MaxBody, Keep: true}
	p.gate = planhttp.NewGate(p.prove)
	return p, nil
}

// Probe proves that the server refuses a request without its required variable
// before it executes, and says so in the way that is looked for.
func (p *Planner) Probe(ctx context.Context) error { return p.gate.Probe(ctx) }

// MutationSafe is true while that is proven: nothing is sent that a GraphQL
// server could execute.
func (p *Planner) MutationSafe() bool { return p.gate.Open() }

func (p *Planner) prove(ctx context.Context) error {
	a, err := p.send(ctx, planner.Request{Query: canary})
	switch {
	case err != nil:
		return err
	case a.Data == planhttp.DataValue:
		return planner.ErrExecuted
	case a.Status >= http.StatusInternalServerError:
		return fmt.Errorf("%w: status %d", planner.ErrUnavailable, a.Status)
	case !a.missing([]string{"planwarm"}):
		return fmt.Errorf("%w: status %d to a request without its variable, which is not named", planner.ErrRefused, a.Status)
	}
	return nil
}

// Plan sends r without its required variables. An operation that needs none is
// not sent.
func (p *Planner) Plan(ctx context.Context, r planner.Request) (planner.Result, error) {
	res, err := p.plan(ctx, r)
	return res, p.gate.Told("plan operation", err)
}

func (p *Planner) plan(ctx context.Context, r planner.Request) (planner.Result, error) {
	op, err := planhttp.Read(r.Query, r.OperationName)
	if err != nil {
		return planner.Result{}, err
	}
	if op.Kind == planhttp.Subscription {
		return planner.Result{}, fmt.Errorf("%w: a subscription is not planned over http", planner.ErrInvalid)
	}
	left := op.LeftOut(r.Conditions)
	if len(left) == 0 {
		return planner.Result{}, fmt.Errorf("%w: it has no required variable to leave out", planner.ErrUnplannable)
	}
	if err := p.gate.Ensure(ctx); err != nil {
		return planner.Result{}, err
	}
	a, err := p.send(ctx, r)
	switch {
	case err != nil:
		return planner.Result{}, err
	case a.Data == planhttp.DataValue:
		return planner.Result{}, planner.ErrExecuted
	case a.missing(left):
		return planner.Result{Took: a.Took}, nil
	case a.Status == http.StatusUnauthorized, a.Status == http.StatusForbidden:
		return planner.Result{}, p.gate.Settle(ctx, r, a.Status)
	case a.Status >= http.StatusInternalServerError:
		return planner.Result{}, fmt.Errorf("%w: status %d", planner.ErrUnavailable, a.Status)
	case !a.Whole || !a.Failed:
		return planner.Result{}, fmt.Errorf("%w: status %d without a proof that nothing was executed", planner.ErrRefused, a.Status)
	}
	return planner.Result{}, fmt.Errorf("%w: status %d", planner.ErrInvalid, a.Status)
}

// answer is what came back for one request.
type answer struct{ planhttp.Reply }

// missing says whether the server complains of one thing alone, that one of
// these variables is missing, which it does with a path: an operation that does
// not validate gets the same status and code.
func (a answer) missing(names []string) bool {
	if a.Status >= http.StatusInternalServerError || !a.Whole || !a.Failed || a.Data == planhttp.DataValue {
		return false
	}
	var said struct {
		Errors []struct {
			Path []any `json:"path"`
		} `json:"errors"`
	}
	if json.Unmarshal(a.Body, &said) != nil || len(said.Errors) != 1 {
		return false
	}
	path := said.Errors[0].Path
	if len(path) < 2 || path[0] != "variable" {
		return false
	}
	name, ok := path[1].(string)
	return ok && slices.Contains(names, name)
}

func (p *Planner) send(ctx context.Context, r planner.Request) (answer, error) {
	req, err := planhttp.NewRequest(ctx, p.o.URL, r, r.Conditions, "User-Agent")
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("User-Agent", "planwarm/"+cmp.Or(p.o.OwnVersion, "dev"))
	if err := planhttp.Authorize(req, p.o.Token); err != nil {
		return answer{}, err
	}
	reply, err := p.sender.Send(req)
	return answer{reply}, err
}

// Watch looks for restarts until ctx ends: a schema that is compiled in changes
// in no other way.
func (p *Planner) Watch(ctx context.Context, seen func(planner.Reload)) error {
	restarts := &planhttp.Restarts{Client: p.client, ReadyURL: p.o.ReadyURL, MetricsURL: p.o.MetricsURL}
	planhttp.Watch(ctx, p.o.WatchInterval, p.o.Debounce, func(ctx context.Context) string {
		sign := restarts.Look(ctx)
		if sign != "" {
			p.gate.Distrust()
		}
		return sign
	}, seen)
	return nil
}
