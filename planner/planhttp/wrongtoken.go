package planhttp

import (
	"context"
	"fmt"
	"sync"

	"github.com/planwarm/planwarm/planner"
)

// WrongToken is refused by whoever looks at tokens at all.
const WrongToken = "planwarm-deliberately-wrong"

// Closed keeps the proof that a router refuses a request with a wrong token
// instead of executing it: that it fails closed. The proof stands for as long as
// there was no reason to doubt the gate's. It is safe for concurrent use.
type Closed struct {
	gate *Gate

	mu     sync.Mutex
	proven bool
	losses uint64 // of the gate, before the proof
}

// NewClosed returns a Closed without a proof.
func NewClosed(gate *Gate) *Closed { return &Closed{gate: gate} }

// Prove runs ask, which sends the canary with WrongToken and returns nil only
// when that was refused. Its errors wrap planner.ErrMutation.
func (c *Closed) Prove(ctx context.Context, ask func(context.Context) error) error {
	losses := c.gate.Losses()
	err := ask(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.proven, c.losses = err == nil, losses
	if err != nil {
		return fmt.Errorf("%w: %w", planner.ErrMutation, err)
	}
	return nil
}

// Stands says whether the last proof succeeded and is still to be trusted.
func (c *Closed) Stands() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.proven && c.losses == c.gate.Losses() && c.gate.Open()
}
