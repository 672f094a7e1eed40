package planhttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/planwarm/planwarm/planner"
)

// Gate lets requests pass to a router that has proven that it honours
// plan-only requests, and to no other. A Gate is safe for concurrent use.
type Gate struct {
	canary func(context.Context) error

	probing sync.Mutex // one canary at a time

	mu     sync.Mutex
	trust  trust
	losses uint64
}

// trust is what the last proof said of the router.
type trust uint8

const (
	trustUnknown  trust = iota // not asked yet, or it may have changed since
	trustHonoured              // the header is honoured
	trustLost                  // it executed or refused a request: nothing is sent but a Probe
)

// errNotSent is a refusal of our own, which says nothing new of the router.
var errNotSent = errors.New("not sent since the last proof failed")

// NewGate returns a shut Gate. canary sends the canary and returns nil only
// when the answer proves that nothing was executed.
func NewGate(canary func(context.Context) error) *Gate { return &Gate{canary: canary} }

// Probe sends the canary, whatever is known, and opens or shuts the gate.
func (g *Gate) Probe(ctx context.Context) error {
	g.probing.Lock()
	defer g.probing.Unlock()
	return g.probe(ctx)
}

func (g *Gate) probe(ctx context.Context) error {
	before := g.Losses()
	if err := g.canary(ctx); err != nil {
		g.Learn(err)
		return fmt.Errorf("probe router: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	// What was learnt while the canary was under way may be newer than its
	// answer: a reload, or an execution. The next request is not let through by it.
	if g.losses == before {
		g.trust = trustHonoured
	}
	return nil
}

// Ensure lets a request pass when the router is known to honour the header. A
// router that is not known is probed; one that failed its proof stays shut
// until somebody calls Probe, so that a run's other workers add no execution.
func (g *Gate) Ensure(ctx context.Context) error {
	if g.state() == trustUnknown {
		g.probing.Lock()
		defer g.probing.Unlock()
		if g.state() == trustUnknown {
			return g.probe(ctx)
		}
	}
	if g.state() != trustHonoured {
		// Not ErrExecuted: this request was not even sent, and executions are counted.
		return fmt.Errorf("%w: %w", errNotSent, planner.ErrRefused)
	}
	return nil
}

// Told keeps what the outcome of a request says of the router, and returns it
// with what was being done. A nil error stays nil.
func (g *Gate) Told(doing string, err error) error {
	if err == nil {
		return nil
	}
	g.Learn(err)
	return fmt.Errorf("%s: %w", doing, err)
}

// Learn keeps what an error says of the router.
func (g *Gate) Learn(err error) {
	switch {
	case errors.Is(err, errNotSent):
	case errors.Is(err, planner.ErrExecuted), errors.Is(err, planner.ErrRefused):
		g.mu.Lock()
		g.trust = trustLost
		g.losses++
		g.mu.Unlock()
	case errors.Is(err, planner.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		// It may come back with another configuration, and a request without an
		// answer has proven nothing.
		g.Distrust()
	}
}

// Settle finds out what a refusal of r by status is about, through the canary,
// which is never invalid and goes without a header profile: the router no
// longer takes our requests, or not under this profile, or not this operation.
// The first alone shuts the gate.
func (g *Gate) Settle(ctx context.Context, r planner.Request, status int) error {
	if err := g.Probe(ctx); err != nil {
		return err
	}
	if len(r.Header) > 0 && status == http.StatusUnauthorized {
		return fmt.Errorf("%w: status %d", planner.ErrProfile, status)
	}
	return fmt.Errorf("%w: status %d", planner.ErrInvalid, status)
}

// Distrust asks for a new canary before the next request.
func (g *Gate) Distrust() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.losses++
	if g.trust == trustHonoured {
		g.trust = trustUnknown
	}
}

// Open says whether the last proof stands.
func (g *Gate) Open() bool { return g.state() == trustHonoured }

// Losses counts how often there was reason to doubt a proof: what was proven
// beside it is worth something only while the number stays.
func (g *Gate) Losses() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.losses
}

func (g *Gate) state() trust {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.trust
}
