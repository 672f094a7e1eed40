// Package hook plans operations in gateways that have planwarm's own plug-in in
// their process (deploy/apollo-gateway, deploy/hive-gateway): a request with the
// token is planned, answered with a proof, and never executed.
//
// A gateway without the plug-in ignores the token and executes. So a query that
// calls no subgraph asks first, then one with a real field, and every answer
// must prove itself.
package hook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/planhttp"
)

// Defaults of Options.
const (
	DefaultClientName    = "planwarm"
	DefaultTimeout       = time.Minute
	DefaultMaxBody       = 1 << 20
	DefaultWatchInterval = time.Second
	// DefaultDebounce is short: all signs come from one plug-in.
	DefaultDebounce = 100 * time.Millisecond
)

// question is answered without a plan by the plug-in, and without a subgraph by
// a gateway that has none.
const question = "query PlanwarmCanary{__typename}"

const maxCanaryBytes = 4 << 10

// Options configure a Planner.
type Options struct {
	URL string // of the GraphQL endpoint; required
	// Token returns the token of each request; required.
	Token func() (string, error)
	// Client sends the requests; nil: one of our own. Redirects are never
	// followed, whatever it says.
	Client *http.Client
	// Canary is a query with a real field and without a required variable; ""
	// takes the one that the plug-in names.
	Canary string
	// OwnClientName and OwnVersion stand in the client headers, so that telemetry
	// can leave our requests out.
	OwnClientName, OwnVersion string
	Timeout                   time.Duration // of one request
	MaxBody                   int64         // bytes read of one answer
	// Planned, when set, is told of each plan that is in the cache now and since
	// when its document is there.
	Planned func(since time.Time)
	// Also, when set, is asked at each look of Watch for a sign of its own. It is
	// told the sign that the plug-in gave, or "", and returns the one that counts.
	Also func(ctx context.Context, sign string) string
	// WatchInterval is how often Watch looks, Debounce how long signs are taken
	// for signs of the same reload.
	WatchInterval, Debounce time.Duration
}

// Planner plans in one gateway. It is safe for concurrent use.
type Planner struct {
	o      Options
	sender planhttp.Sender
	gate   *planhttp.Gate
	closed *planhttp.Closed
}

var (
	_ planner.Planner      = (*Planner)(nil)
	_ planner.Verifier     = (*Planner)(nil)
	_ planner.Watcher      = (*Planner)(nil)
	_ planner.MutationSafe = (*Planner)(nil)
	_ planner.Serial       = (*Planner)(nil)
)

// New returns a Planner for one gateway. It sends nothing yet.
func New(o Options) (*Planner, error) {
	var faults []error
	if err := planhttp.CheckURL("url", o.URL); err != nil {
		faults = append(faults, err)
	}
	if o.Token == nil {
		faults = append(faults, errors.New("token: the plug-in refuses requests without one"))
	}
	if o.Canary != "" {
		if err := checkCanary(o.Canary); err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	o.OwnClientName = cmp.Or(o.OwnClientName, DefaultClientName)
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.MaxBody = cmp.Or(o.MaxBody, DefaultMaxBody)
	o.WatchInterval = cmp.Or(o.WatchInterval, DefaultWatchInterval)
	o.Debounce = cmp.Or(o.Debounce, DefaultDebounce)
	p := &Planner{o: o, sender: planhttp.Sender{
		Client: planhttp.Client(o.Client), Timeout: o.Timeout, MaxBody: o.MaxBody, Extension: "planwarm", Keep: true,
	}}
	p.gate = planhttp.NewGate(p.prove)
	p.closed = planhttp.NewClosed(p.gate)
	return p, nil
}

// checkCanary takes nothing as a canary that could do harm if it were executed.
func checkCanary(query string) error {
	if len(query) > maxCanaryBytes {
		return fmt.Errorf("canary: more than %d bytes", maxCanaryBytes)
	}
	switch op, err := planhttp.Read(query, ""); {
	case err != nil:
		return fmt.Errorf("canary: %w", err)
	case op.Kind != planhttp.Query:
		return errors.New("canary: not a query")
	case len(op.Required) > 0:
		return errors.New("canary: has a required variable")
	}
	return nil
}

// Probe proves that plan-only requests are honoured now, and whether the
// gateway refuses a wrong token, so that mutations are safe.
func (p *Planner) Probe(ctx context.Context) error {
	if err := p.gate.Probe(ctx); err != nil {
		return err
	}
	if !p.MutationSafe() {
		// That mutations are not safe is no fault of the probe.
		_ = p.proveClosed(ctx)
	}
	return nil
}

// prove sends the question, which calls no subgraph whoever answers it, and
// after a right answer the canary with a real field.
func (p *Planner) prove(ctx context.Context) error {
	a, err := p.ask(ctx)
	if err != nil {
		return err
	}
	canary := p.o.Canary
	if canary == "" {
		canary = a.state.Canary
	}
	if canary == "" {
		return nil // no query without a required argument: there is none to send
	}
	if err := checkCanary(canary); err != nil {
		return fmt.Errorf("%w: the plug-in names a bad %w", planner.ErrRefused, err)
	}
	a, err = p.send(ctx, planner.Request{Query: canary}, p.o.Token)
	if err == nil {
		err = a.canary(true)
	}
	return err
}

// ask sends the question alone.
func (p *Planner) ask(ctx context.Context) (answer, error) {
	a, err := p.send(ctx, planner.Request{Query: question}, p.o.Token)
	if err == nil {
		err = a.canary(false)
	}
	return a, err
}

// proveClosed sends the question with a wrong token: only a refusal that
// carries the plug-in's own code proves that it is the plug-in that answers.
func (p *Planner) proveClosed(ctx context.Context) error {
	return p.closed.Prove(ctx, func(ctx context.Context) error {
		a, err := p.send(ctx, planner.Request{Query: question}, func() (string, error) { return planhttp.WrongToken, nil })
		if err == nil && !a.refused() {
			err = fmt.Errorf("a wrong token is answered %d", a.Status)
		}
		return err
	})
}

// MutationSafe says whether the last Probe proved that the gateway refuses who
// has not the right token.
func (p *Planner) MutationSafe() bool { return p.closed.Stands() }
