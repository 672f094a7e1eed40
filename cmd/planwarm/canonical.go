package main

import (
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"github.com/planwarm/planwarm/planner/engine"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/telemetry"
	"github.com/planwarm/planwarm/warmer"
)

// textPolicy says which texts are stored as they were sent.
type textPolicy uint32

const (
	// keepLifted: none. Each text is printed, its literals lifted.
	keepLifted textPolicy = iota
	// keepExact: those without literals, since a router of the graph keys its
	// plans on the exact text.
	keepExact
	// keepLiterals: all, the owner's users' values with them.
	keepLiterals
)

// canonicaliser makes texts storable under the current schema.
type canonicaliser struct {
	state  atomic.Pointer[canonicalState]
	policy atomic.Uint32
}

// keep sets the policy for the texts that come from now on.
func (c *canonicaliser) keep(p textPolicy) { c.policy.Store(uint32(p)) }

type canonicalState struct {
	schema *schema.Schema
	keyer  func() (*engine.Keyer, error)
}

// use makes the schema current. The keyer is built when the first text comes.
func (c *canonicaliser) use(sc *schema.Schema) {
	c.state.Store(&canonicalState{schema: sc, keyer: sync.OnceValues(func() (*engine.Keyer, error) {
		return engine.NewKeyer(sc.ClientSDL())
	})})
}

func (c *canonicaliser) canonical(text, name string) (telemetry.Canonical, error) {
	s := c.state.Load()
	if s == nil {
		return telemetry.Canonical{}, warmer.ErrNoSchema
	}
	op, err := s.schema.Parse(text, name)
	if err != nil {
		return telemetry.Canonical{}, err
	}
	k, err := s.keyer()
	if err != nil {
		return telemetry.Canonical{}, err
	}
	id, err := k.Key(op.Canonical, op.Name, nil)
	if err != nil {
		return telemetry.Canonical{}, err
	}
	out := telemetry.Canonical{Text: op.Canonical, Name: op.Name, Key: id.Hash, Type: op.Type}
	switch p := textPolicy(c.policy.Load()); {
	case p == keepLifted:
	case p == keepLiterals || !op.Literals:
		// Byte for byte: a router that keys on the text has a plan for each layout.
		out.Text = op.Exact
		out.Identity = id.Hash + "-" + strconv.FormatUint(xxhash.Sum64String(op.Exact), 16)
	default:
		out.Lifted = true
	}
	return out, nil
}
