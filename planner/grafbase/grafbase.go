// Package grafbase warms a Grafbase gateway by executing queries: it knows no
// request that only plans, and only what was executed is in its cache.
//
// So nothing of it works unless the owner said so. Only queries are ever sent,
// with variables made up from the schema: subgraphs see them, with values that
// nobody uses. The key of a plan is the exact text and the operation name that
// was sent.
package grafbase

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/planhttp"
)

// Defaults of Options.
const (
	DefaultTimeout       = time.Minute
	DefaultMaxBody       = 1 << 20
	DefaultWatchInterval = time.Second
	DefaultDebounce      = time.Second
)

// question is answered without a subgraph by every gateway.
const question = "query PlanwarmCanary{__typename}"

// clientHeaders are how the gateway is told who asks.
const (
	clientName    = "X-Grafbase-Client-Name"
	clientVersion = "X-Grafbase-Client-Version"
)

// Options configure a Planner.
type Options struct {
	URL string // of the GraphQL endpoint; required
	// AllowExecution is the owner's word that queries may be executed; required.
	AllowExecution bool
	// Variables makes up valid variables of an operation, under the values of its
	// conditions, or nil where it needs none; required.
	Variables func(text, operationName string, conditions map[string]bool) (json.RawMessage, error)
	// Token returns the bearer token of requests whose profile has no
	// Authorization of its own; nil: none is sent.
	Token      func() (string, error)
	ReadyURL   string // readiness endpoint; "" leaves this sign out
	MetricsURL string // Prometheus page; "" leaves this sign out
	// SchemaID names the schema that the gateway is given; "" while there is
	// none. Its change is a sign; nil leaves it out.
	SchemaID                func() string
	Client                  *http.Client // nil: one of our own
	OwnVersion              string
	Timeout                 time.Duration // of one request
	MaxBody                 int64         // bytes read of one answer
	WatchInterval, Debounce time.Duration
}

// ErrNotAllowed: the owner did not allow that queries are executed.
var ErrNotAllowed = errors.New("a grafbase gateway is warmed by executing queries, which is not allowed")

// Planner warms one gateway. It is safe for concurrent use.
type Planner struct {
	o      Options
	client *http.Client // for readiness and metrics
	sender planhttp.Sender
}

var (
	_ planner.Planner  = (*Planner)(nil)
	_ planner.Watcher  = (*Planner)(nil)
	_ planner.Executor = (*Planner)(nil)
)

// New returns a Planner for one gateway. It sends nothing yet.
func New(o Options) (*Planner, error) {
	var faults []error
	if !o.AllowExecution {
		faults = append(faults, ErrNotAllowed)
	}
	faults = append(faults, planhttp.CheckURLs(o.URL, o.ReadyURL, o.MetricsURL))
	if o.Variables == nil {
		faults = append(faults, errors.New("variables: nothing makes them"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("new grafbase planner: %w", err)
	}
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.MaxBody = cmp.Or(o.MaxBody, DefaultMaxBody)
	o.WatchInterval = cmp.Or(o.WatchInterval, DefaultWatchInterval)
	o.Debounce = cmp.Or(o.Debounce, DefaultDebounce)
	client := planhttp.Client(o.Client)
	return &Planner{o: o, client: client, sender: planhttp.Sender{Client: client, Timeout: o.Timeout, MaxBody: o.MaxBody}}, nil
}

// Executes is true: a query is planned by executing it.
func (p *Planner) Executes() bool { return true }

// Probe asks for a root type name, which calls no subgraph.
func (p *Planner) Probe(ctx context.Context) error {
	if _, err := p.send(ctx, planner.Request{Query: question}, nil); err != nil {
		if errors.Is(err, planner.ErrInvalid) { // nothing is wrong with this query
			err = fmt.Errorf("%w: the canary was not answered", planner.ErrRefused)
		}
		return fmt.Errorf("probe router: %w", err)
	}
	return nil
}

// Plan executes a query, and sends nothing that is none.
func (p *Planner) Plan(ctx context.Context, r planner.Request) (planner.Result, error) {
	res, err := p.plan(ctx, r)
	if err != nil {
		return planner.Result{}, fmt.Errorf("plan operation: %w", err)
	}
	return res, nil
}

func (p *Planner) plan(ctx context.Context, r planner.Request) (planner.Result, error) {
	op, err := planhttp.Read(r.Query, r.OperationName)
	switch {
	case err != nil:
		return planner.Result{}, err
	case op.Kind == planhttp.Mutation || r.Mutation:
		return planner.Result{}, planner.ErrMutation
	case op.Kind == planhttp.Subscription:
		return planner.Result{}, fmt.Errorf("%w: a subscription is not planned over http", planner.ErrInvalid)
	}
	variables, err := p.o.Variables(r.Query, r.OperationName, r.Conditions)
	if err != nil {
		return planner.Result{}, fmt.Errorf("%w: %w", planner.ErrInvalid, err)
	}
	took, err := p.send(ctx, r, variables)
	return planner.Result{Took: took}, err
}

// send returns nil only when the operation was executed. Data that is null, as
// made-up values can make it, was executed too; an answer without data was not.
func (p *Planner) send(ctx context.Context, r planner.Request, variables json.RawMessage) (time.Duration, error) {
	req, err := p.request(ctx, r, variables)
	if err != nil {
		return 0, err
	}
	a, err := p.sender.Send(req)
	switch {
	case a.Data == planhttp.DataValue, a.Data == planhttp.DataNull && a.Whole:
		return a.Took, nil
	case err != nil:
		return 0, err
	case a.Status == http.StatusUnauthorized, a.Status == http.StatusForbidden:
		return 0, fmt.Errorf("%w: status %d", planner.ErrRefused, a.Status)
	case a.Whole && a.Failed:
		return 0, fmt.Errorf("%w: status %d", planner.ErrInvalid, a.Status)
	case a.Status >= http.StatusInternalServerError:
		return 0, fmt.Errorf("%w: status %d", planner.ErrUnavailable, a.Status)
	}
	return 0, fmt.Errorf("%w: status %d with an answer that is not GraphQL", planner.ErrRefused, a.Status)
}

func (p *Planner) request(ctx context.Context, r planner.Request, variables json.RawMessage) (*http.Request, error) {
	var body any
	if len(variables) > 0 {
		body = variables
	}
	req, err := planhttp.NewRequest(ctx, p.o.URL, r, body, clientName, clientVersion)
	if err != nil {
		return nil, err
	}
	// Under our own name telemetry can tell these requests from live ones.
	req.Header.Set(clientName, "planwarm")
	if p.o.OwnVersion != "" {
		req.Header.Set(clientVersion, p.o.OwnVersion)
	}
	if err := planhttp.Authorize(req, p.o.Token); err != nil {
		return nil, err
	}
	return req, nil
}

// SignSchema is the sign that the gateway was given another schema.
const SignSchema = "schema changed"

// Watch looks for restarts, and for a change of the schema, until ctx ends. The
// gateway itself says nothing of a reload that could be read here: its own
// warm_on_reload covers the moment between the change and this sign.
func (p *Planner) Watch(ctx context.Context, seen func(planner.Reload)) error {
	restarts := &planhttp.Restarts{Client: p.client, ReadyURL: p.o.ReadyURL, MetricsURL: p.o.MetricsURL}
	last := ""
	planhttp.Watch(ctx, p.o.WatchInterval, p.o.Debounce, func(ctx context.Context) string {
		sign := restarts.Look(ctx)
		if p.o.SchemaID != nil {
			now := p.o.SchemaID()
			if sign == "" && last != "" && now != "" && now != last {
				sign = SignSchema
			}
			last = cmp.Or(now, last)
		}
		return sign
	}, seen)
	return nil
}
