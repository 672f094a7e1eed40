package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/warmer"
)

// rules are what operations are checked against: a schema, or when there is
// none the syntax alone.
type rules struct {
	schema *schema.Schema // nil: syntax only
	keyer  warmer.Keyer
}

// id is that of the schema, "" without one.
func (r *rules) id() string {
	if r.schema == nil {
		return ""
	}
	return r.schema.ID()
}

// String says what was checked.
func (r *rules) String() string {
	if r.schema == nil {
		return "syntax only: the graph has no configured schema"
	}
	return "schema " + r.schema.ID()[:min(len(r.schema.ID()), len("sha256:")+shortID)]
}

// loadRules loads the schema that a file has, or the one that is configured
// for the graph, or none.
func loadRules(ctx context.Context, g *config.Graph, file string) (*rules, error) {
	o := schema.Options{File: file}
	if file == "" {
		if g == nil {
			return &rules{}, nil
		}
		s := g.Schema
		o = schema.Options{File: s.File, URL: s.URL, Token: tokenOf(s.TokenFile)}
	}
	return readRules(ctx, o)
}

func readRules(ctx context.Context, o schema.Options) (*rules, error) {
	w, err := schema.NewWatcher(o)
	if err != nil {
		return nil, err
	}
	w.Check(ctx)
	sc := w.Current()
	if sc == nil {
		return nil, fmt.Errorf("load schema: %w", errors.Join(w.Status().Err, ctx.Err()))
	}
	k, err := newKeyer(sc)
	if err != nil {
		return nil, fmt.Errorf("load schema: %w", err)
	}
	return &rules{schema: sc, keyer: k}, nil
}

// check refuses an operation that is not valid, with every fault and its place
// in the file. It returns the plan key, "" when there is no schema.
func (r *rules) check(s schema.Source) (planKey string, err error) {
	if len(s.Text) > manifest.MaxQueryBytes {
		return "", schema.OperationErrors{{File: s.File, Line: s.Line, Column: 1, Rule: schema.RuleLimit,
			Message: fmt.Sprintf("operation has %d bytes, at most %d", len(s.Text), manifest.MaxQueryBytes)}}
	}
	if r.schema == nil {
		return "", nil // its syntax was checked when it was read
	}
	op, err := r.schema.Parse(s.Text, s.Name)
	if err != nil {
		return "", s.Locate(err)
	}
	planKey, _, err = r.keyer.Key(s.Text, s.Name, schema.Combinations(op.Conditions, 0)[0])
	if err != nil {
		return "", schema.OperationErrors{{File: s.File, Line: s.Line, Column: 1, Rule: "Plan", Message: err.Error()}}
	}
	return planKey, nil
}

// pinState is what becomes of a pin in the next manifest.
type pinState struct {
	State  string `json:"state"` // active, or the reason why it is left out
	Detail string `json:"detail,omitempty"`
}

const stateActive = "active"

// in says whether the pin's plan is in the manifest: a duplicate is part of the
// slot that another pin has.
func (s pinState) in() bool {
	return s.State == stateActive || s.State == string(manifest.ReasonDuplicate)
}

// states asks what becomes of each pin, by its id, in the way the publisher does.
func (d *desk) states(r *rules, pins manifest.Pins, now time.Time) (map[string]pinState, error) {
	in := manifest.Input{Graph: d.graph, Settings: d.settings(), Window: defaultWindow, Deny: pins.Deny, Now: now, Candidates: bareCandidates(pins)}
	if r.schema != nil {
		set := warmer.NewCandidates(r.schema, r.keyer)
		set.AddPins(pins.Pins)
		in.Candidates, in.Schema = set.List(), r.schema.ID()
	}
	res, err := manifest.Build(in)
	if err != nil {
		return nil, err
	}
	out := make(map[string]pinState, len(pins.Pins))
	for i := range pins.Pins {
		out[pins.Pins[i].ID] = pinState{State: stateActive}
	}
	for _, l := range res.LeftOut {
		out[l.PinID] = pinState{State: string(l.Reason), Detail: l.Detail}
	}
	return out, nil
}

// defaultWindow only has to be there: pins are not ranked.
const defaultWindow = 168 * time.Hour

// bareCandidates are the pins without a schema: the type is in the text.
func bareCandidates(pins manifest.Pins) []manifest.Candidate {
	list := pins.Candidates()
	for i := range list {
		c := &list[i]
		c.Planwarm.Type, c.Planwarm.PlanKey = manifest.Query, c.Pin.PlanKey
		sources, err := schema.ParseDocument("", []byte(c.Request.Query))
		if err != nil {
			c.Refused = err.Error()
			continue
		}
		if s, ok := choose(sources, c.Request.OperationName); ok {
			c.Planwarm.Type = manifest.OperationType(s.Type)
		}
		if c.Planwarm.Type == manifest.Subscription {
			c.Left = manifest.ReasonSubscription
		}
	}
	return list
}

// choose finds the operation called name; without a name, the only one there is.
func choose(sources []schema.Source, name string) (schema.Source, bool) {
	for _, s := range sources {
		if s.Name == name || name == "" && len(sources) == 1 {
			return s, true
		}
	}
	return schema.Source{}, false
}
