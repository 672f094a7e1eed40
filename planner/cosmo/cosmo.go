// Package cosmo plans operations in a Cosmo Router over HTTP, without executing
// them, through the router's plan-only header.
//
// A router that does not allow the header ignores it without a sign and
// executes the operation. So nothing is sent before a canary proved that the
// header is honoured, every answer must prove itself, and the first one that
// does not ends it until the canary has proved it again.
package cosmo

import (
	"cmp"
	"context"
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
	DefaultClientName    = "planwarm"
	DefaultTimeout       = time.Minute
	DefaultMaxBody       = 1 << 20
	DefaultWatchInterval = 2 * time.Second
	// DefaultDebounce leaves a second of the two in which a reload is answered.
	DefaultDebounce = time.Second
	// DefaultMetricsInterval is longer: a page can have megabytes.
	DefaultMetricsInterval = 10 * time.Second
	// DefaultWatchCanary has a plan of its own, which no client's traffic warms,
	// and needs no subgraph even when it is executed.
	DefaultWatchCanary = "query PlanwarmCanary{planwarm:__typename}"
)

// canary is answered {"data":null} by a router that honours the header. One
// that does not executes it, which calls no subgraph.
const canary = "{ __typename }"

// Options configure a Planner.
type Options struct {
	URL        string // of the GraphQL endpoint; required
	ReadyURL   string // readiness endpoint; "" leaves this sign out
	MetricsURL string // Prometheus page; "" leaves this sign out, and the number of cores
	// Client sends the requests; nil: one of our own. Redirects are never
	// followed, whatever it says.
	Client *http.Client
	// Token returns the X-WG-Token of each request; nil: none is sent.
	Token func() (string, error)
	// FailsClosed says that the router has a key for these tokens, so that it
	// refuses a request with a wrong one instead of executing it. It is proven
	// before every mutation; without it no mutation is ever sent.
	FailsClosed bool
	// OwnClientName and OwnVersion stand in GraphQL-Client-Name and -Version, so
	// that telemetry can leave our requests out.
	OwnClientName, OwnVersion string
	Timeout                   time.Duration // of one request
	MaxBody                   int64         // bytes read of one answer
	// WatchInterval is how often Watch asks for readiness and the canary,
	// MetricsInterval how often for the metrics, and Debounce how long signs are
	// taken for signs of the same reload.
	WatchInterval, MetricsInterval, Debounce time.Duration
	// WatchCanary is a query whose plan nobody else asks for; its first miss
	// after a hit is a sign.
	WatchCanary string
	Logger      *zap.Logger // nil: none
}

// Planner plans in one Cosmo Router. It is safe for concurrent use.
type Planner struct {
	o      Options
	client *http.Client // for readiness and metrics
	sender planhttp.Sender
	log    *zap.Logger
	gate   *planhttp.Gate
	closed *planhttp.Closed
}

var (
	_ planner.Planner      = (*Planner)(nil)
	_ planner.Verifier     = (*Planner)(nil)
	_ planner.Watcher      = (*Planner)(nil)
	_ planner.MutationSafe = (*Planner)(nil)
	_ planner.Cores        = (*Planner)(nil)
)

// New returns a Planner for one router. It sends nothing yet.
func New(o Options) (*Planner, error) {
	faults := planhttp.CheckURLs(o.URL, o.ReadyURL, o.MetricsURL)
	if o.FailsClosed && o.Token == nil {
		faults = errors.Join(faults, errors.New("fails closed: a router can only fail closed to a token, and there is none"))
	}
	if faults != nil {
		return nil, fmt.Errorf("new cosmo planner: %w", faults)
	}
	o.OwnClientName = cmp.Or(o.OwnClientName, DefaultClientName)
	o.WatchCanary = cmp.Or(o.WatchCanary, DefaultWatchCanary)
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.MaxBody = cmp.Or(o.MaxBody, DefaultMaxBody)
	o.WatchInterval = cmp.Or(o.WatchInterval, DefaultWatchInterval)
	o.MetricsInterval = cmp.Or(o.MetricsInterval, DefaultMetricsInterval)
	o.Debounce = cmp.Or(o.Debounce, DefaultDebounce)
	if op, err := planhttp.Read(o.WatchCanary, ""); err != nil || op.Kind != planhttp.Query {
		return nil, errors.New("new cosmo planner: watch canary: not a query")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	p := &Planner{o: o, client: planhttp.Client(o.Client), log: o.Logger.With(zap.String("component", "cosmo planner"))}
	p.sender = planhttp.Sender{Client: p.client, Timeout: o.Timeout, MaxBody: o.MaxBody}
	p.gate = planhttp.NewGate(p.canary)
	p.closed = planhttp.NewClosed(p.gate)
	return p, nil
}

// Probe sends the canary and proves whether plan-only requests are honoured
// now. With FailsClosed it also sends one with a wrong token, unless that proof
// still stands, and so proves whether mutations are safe.
func (p *Planner) Probe(ctx context.Context) error {
	err := p.gate.Probe(ctx)
	if err == nil && p.o.FailsClosed && !p.MutationSafe() {
		// That mutations are not safe is no fault of the probe.
		if closed := p.proveClosed(ctx); closed != nil {
			p.log.Warn("router does not fail closed, mutations are not planned over http", zap.Error(closed))
		}
	}
	return err
}

func (p *Planner) canary(ctx context.Context) error {
	a, err := p.send(ctx, planner.Request{Query: canary}, p.o.Token)
	if err != nil {
		return err
	}
	return a.canary()
}

// proveClosed sends the canary with a wrong token: only a 400 that says nothing
// of data is a proof that the router fails closed.
func (p *Planner) proveClosed(ctx context.Context) error {
	return p.closed.Prove(ctx, func(ctx context.Context) error {
		a, err := p.send(ctx, planner.Request{Query: canary}, func() (string, error) { return planhttp.WrongToken, nil })
		if err == nil && (a.Status != http.StatusBadRequest || a.proof == proofHonoured || a.proof == proofExecuted) {
			err = fmt.Errorf("a wrong token is answered %d", a.Status)
		}
		return err
	})
}

// MutationSafe says whether the last Probe proved that the router fails closed.
func (p *Planner) MutationSafe() bool { return p.closed.Stands() }
