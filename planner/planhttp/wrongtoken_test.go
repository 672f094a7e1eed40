package planhttp

import (
	"context"
	"errors"
	"testing"

	"github.com/planwarm/planwarm/planner"
)

// TestClosedStands: the proof that a wrong token is refused is worth something
// only beside the canary's, and not beyond a reason to doubt that one.
func TestClosedStands(t *testing.T) {
	good := func(context.Context) error { return nil }
	var g *Gate
	for _, c := range []struct {
		name string
		then func(*Closed) error // after both proofs
		want bool
	}{
		{"proven", func(*Closed) error { return nil }, true},
		{"a reload since", func(*Closed) error { g.Distrust(); return nil }, false},
		{"a reload, then the canary alone", func(*Closed) error { g.Distrust(); return g.Probe(t.Context()) }, false},
		{"an execution since", func(*Closed) error { g.Learn(planner.ErrExecuted); return nil }, false},
		{"a reload under way", func(c *Closed) error {
			return c.Prove(t.Context(), func(ctx context.Context) error { g.Distrust(); return g.Probe(ctx) })
		}, false},
		{"a wrong token was taken", func(c *Closed) error {
			err := c.Prove(t.Context(), func(context.Context) error { return errors.New("taken") })
			if !errors.Is(err, planner.ErrMutation) {
				return errors.New("no ErrMutation")
			}
			return nil
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g = NewGate(good)
			closed := NewClosed(g)
			if closed.Stands() {
				t.Fatal("stands before anything was proven")
			}
			if err := errors.Join(g.Probe(t.Context()), closed.Prove(t.Context(), good), c.then(closed)); err != nil {
				t.Fatal(err)
			}
			if got := closed.Stands(); got != c.want {
				t.Fatalf("stands %t, want %t", got, c.want)
			}
		})
	}
}
