// Package dryrun plans in routers that know a header which asks for the query
// plan in place of the answer: Apollo Router and Hive Router.
//
// Both ignore the header without a sign, and execute, where it is not allowed,
// and neither can be made to fail closed. So nothing is sent before a canary
// with a real field came back as a plan without data, every answer must prove
// itself in the same way, and the first that does not ends it until the canary
// has proved it again.
package dryrun

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/planhttp"
)

// Defaults of Options.
const (
	DefaultClientName = "planwarm"
	DefaultTimeout    = time.Minute
	// DefaultMaxBody leaves room for plans, which are longer than their queries.
	DefaultMaxBody       = 16 << 20
	DefaultWatchInterval = 2 * time.Second
	// DefaultDebounce leaves a second of the two in which a reload is answered.
	DefaultDebounce = time.Second
)

// Canary is a query that these routers have to plan: one with a real field,
// since __typename alone is answered without a plan.
type Canary struct {
	Query     string
	Variables json.RawMessage // nil when it needs none
}

// Dialect is how one kind of router says things.
type Dialect struct {
	Component     string // for logs
	Header        string // that is sent with the value dry-run
	ClientName    string // headers for the name and version of a client
	ClientVersion string
	Extension     string // that holds the plan
	// Admit refuses an operation that must not be sent: it is all that keeps a
	// mutation from being executed. It wraps a sentinel of package planner.
	Admit func(op planhttp.Operation, q planner.Request) error
	// Variables returns what is sent under "variables", nil for nothing.
	Variables func(q planner.Request) (json.RawMessage, error)
	// Planned says of a refusal whether the router had planned when it refused;
	// nil: never.
	Planned func(op planhttp.Operation, status int, a planhttp.Answer) bool
	// Metrics are the names on the metrics page that tell of reloads, and Signs
	// returns a function that is shown each page and returns a sign or "".
	Metrics []string
	Signs   func() func([]planhttp.Series) string
}

// Options configure a Router.
type Options struct {
	URL        string // of the GraphQL endpoint; required
	ReadyURL   string // readiness endpoint; "" leaves this sign out
	MetricsURL string // Prometheus page; "" leaves this sign out
	// Canary returns the query that proves that the header is honoured, for the
	// current schema; required.
	Canary func() (Canary, error)
	// Client sends the requests; nil: one of our own. Redirects are never
	// followed, whatever it says.
	Client *http.Client
	// Token returns the bearer token of requests whose profile has no
	// Authorization of its own; nil: none is sent.
	Token         func() (string, error)
	OwnVersion    string        // stands beside our client name
	Timeout       time.Duration // of one request
	MaxBody       int64         // bytes read of one answer
	WatchInterval time.Duration // between looks at readiness and metrics
	Debounce      time.Duration // in which signs are taken for signs of the same reload
	Logger        *zap.Logger   // nil: none
}

var (
	_ planner.Planner = (*Router)(nil)
	_ planner.Watcher = (*Router)(nil)
)

// Router is one router that is asked in a dialect. It is safe for concurrent use.
type Router struct {
	o      Options
	d      Dialect
	client *http.Client // for readiness and metrics
	sender planhttp.Sender
	log    *zap.Logger
	gate   *planhttp.Gate
}

// New returns a Router. It sends nothing yet.
func New(d Dialect, o Options) (*Router, error) {
	faults := planhttp.CheckURLs(o.URL, o.ReadyURL, o.MetricsURL)
	if o.Canary == nil {
		faults = errors.Join(faults, errors.New("canary: there is none"))
	}
	if faults != nil {
		return nil, fmt.Errorf("new %s: %w", d.Component, faults)
	}
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.MaxBody = cmp.Or(o.MaxBody, DefaultMaxBody)
	o.WatchInterval = cmp.Or(o.WatchInterval, DefaultWatchInterval)
	o.Debounce = cmp.Or(o.Debounce, DefaultDebounce)
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	r := &Router{o: o, d: d, client: planhttp.Client(o.Client), log: o.Logger.With(zap.String("component", d.Component))}
	r.sender = planhttp.Sender{Client: r.client, Timeout: o.Timeout, MaxBody: o.MaxBody, Extension: d.Extension}
	r.gate = planhttp.NewGate(r.canary)
	return r, nil
}

// Probe sends the canary and proves whether dry runs are honoured now.
func (r *Router) Probe(ctx context.Context) error { return r.gate.Probe(ctx) }

func (r *Router) canary(ctx context.Context) error {
	c, err := r.o.Canary()
	if err != nil {
		// Without a schema there is nothing to warm either; it may come.
		return fmt.Errorf("%w: %w", planner.ErrUnavailable, err)
	}
	op, err := planhttp.Read(c.Query, "")
	if err != nil || op.Kind != planhttp.Query || op.Meta {
		return fmt.Errorf("%w: the canary is not one query with a real field", planner.ErrRefused)
	}
	a, err := r.send(ctx, planner.Request{Query: c.Query}, c.Variables)
	if err != nil {
		return err
	}
	return a.canary()
}

// Plan has the router plan q and keep the plan.
//
// The client of q is not sent: a plan is the same for every client, and under
// our own name telemetry can tell these requests from live ones.
func (r *Router) Plan(ctx context.Context, q planner.Request) (planner.Result, error) {
	res, err := r.plan(ctx, q)
	return res, r.gate.Told("plan operation", err)
}

func (r *Router) plan(ctx context.Context, q planner.Request) (planner.Result, error) {
	op, err := planhttp.Read(q.Query, q.OperationName)
	if err != nil {
		return planner.Result{}, err
	}
	if q.Mutation {
		op.Kind = max(op.Kind, planhttp.Mutation)
	}
	if op.Meta {
		// It is answered at once, with data and without a plan.
		return planner.Result{}, fmt.Errorf("%w: introspection is not planned", planner.ErrInvalid)
	}
	if err := r.d.Admit(op, q); err != nil {
		return planner.Result{}, err
	}
	variables, err := r.d.Variables(q)
	if err != nil {
		return planner.Result{}, fmt.Errorf("%w: %w", planner.ErrInvalid, err)
	}
	if err := r.gate.Ensure(ctx); err != nil {
		return planner.Result{}, err
	}
	a, err := r.send(ctx, q, variables)
	if err != nil {
		return planner.Result{}, err
	}
	planned := r.d.Planned != nil && r.d.Planned(op, a.Status, a.Answer)
	if err := r.judge(ctx, q, a, planned); err != nil {
		return planner.Result{}, err
	}
	return planner.Result{Took: a.Took}, nil // neither router tells a hit
}

// send posts one request; see planhttp.Sender.
func (r *Router) send(ctx context.Context, q planner.Request, variables json.RawMessage) (answer, error) {
	req, err := r.request(ctx, q, variables)
	if err != nil {
		return answer{}, err
	}
	reply, err := r.sender.Send(req)
	a := answer{reply}
	if a.executed() {
		return a, nil // data that is null, too, is told whatever else is wrong
	}
	return a, err
}

func (r *Router) request(ctx context.Context, q planner.Request, variables json.RawMessage) (*http.Request, error) {
	var body any
	if len(variables) > 0 {
		body = variables
	}
	req, err := planhttp.NewRequest(ctx, r.o.URL, q, body, r.d.Header, r.d.ClientName, r.d.ClientVersion)
	if err != nil {
		return nil, err
	}
	req.Header.Set(r.d.Header, "dry-run")
	req.Header.Set(r.d.ClientName, DefaultClientName)
	if r.o.OwnVersion != "" {
		req.Header.Set(r.d.ClientVersion, r.o.OwnVersion)
	}
	if err := planhttp.Authorize(req, r.o.Token); err != nil {
		return nil, err
	}
	return req, nil
}
