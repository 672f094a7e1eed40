package warmer

import (
	"cmp"
	"slices"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/telemetry"
)

// maxConditions is how many variables of @skip and @include are combined: each
// doubles the plans of one operation.
const maxConditions = 4

// pinCandidate turns a pushed operation into what Build takes, under the
// current schema.
func pinCandidate(p manifest.Pin, sc *schema.Schema, k Keyer) manifest.Candidate {
	pushed := p.PushedAt
	c := manifest.Candidate{Pin: &p, Entry: manifest.Entry{
		Request: p.Request, Client: p.Client,
		Planwarm: manifest.Details{Source: manifest.SourceManual, Type: manifest.Query, PushedAt: &pushed, PushedBy: p.PushedBy},
	}}
	op, err := sc.Parse(p.Request.Query, p.Request.OperationName)
	if err != nil {
		c.Refused = err.Error()
		return c
	}
	describe(&c, op)
	if c.Left != "" {
		return c
	}
	for i, values := range schema.Combinations(op.Conditions, maxConditions) {
		key, _, err := k.Key(p.Request.Query, p.Request.OperationName, values)
		if err != nil {
			c.Refused = err.Error()
			return c
		}
		if i == 0 {
			c.Planwarm.PlanKey = key
			if len(values) > 0 {
				c.Planwarm.Conditions = values
			}
			continue
		}
		c.Planwarm.Variants = append(c.Planwarm.Variants, manifest.Variant{PlanKey: key, Conditions: values})
	}
	return c
}

// usageCandidate turns what telemetry knows of one plan into what Build takes.
func usageCandidate(u telemetry.Usage, key string, sc *schema.Schema) manifest.Candidate {
	c := manifest.Candidate{SumMs: u.Sum, Clients: clientCounts(u.Clients), Entry: usageEntry(u, key)}
	if u.Text == "" {
		return c // Build says so
	}
	op, err := sc.Parse(u.Text, u.Name)
	if err != nil {
		c.Refused = err.Error()
		return c
	}
	describe(&c, op)
	return c
}

// usageEntry is an operation of telemetry as a manifest entry.
func usageEntry(u telemetry.Usage, key string) manifest.Entry {
	e := manifest.Entry{
		Request: manifest.Request{OperationName: u.Name, Query: u.Text}, Client: topClient(u.Clients),
		Planwarm: manifest.Details{
			Source: manifest.SourceTelemetry, Type: operationType(u.Type), PlanKey: key,
			P90Ms: u.P90, MaxMs: u.Max, MeanMs: u.Mean, Samples: u.Samples, Executions: u.Executions,
		},
	}
	if !u.MeasuredAt.IsZero() {
		at := u.MeasuredAt.UTC().Truncate(time.Second)
		e.Planwarm.MeasuredAt = &at
	}
	return e
}

// describe takes over what only the parsed operation tells.
func describe(c *manifest.Candidate, op *schema.Operation) {
	c.Planwarm.Type = operationType(string(op.Type))
	switch {
	case op.Introspection:
		c.Left = manifest.ReasonIntrospection
	case c.Planwarm.Type == manifest.Subscription:
		c.Left = manifest.ReasonSubscription
	}
}

func operationType(s string) manifest.OperationType {
	switch t := manifest.OperationType(s); t {
	case manifest.Mutation, manifest.Subscription:
		return t
	}
	return manifest.Query
}

func clientCounts(clients map[telemetry.Client]uint64) map[manifest.Client]uint64 {
	out := make(map[manifest.Client]uint64, len(clients))
	for c, n := range clients {
		out[manifest.Client{Name: c.Name, Version: c.Version}] += n
	}
	return out
}

// topClient is the client that sends an operation most; ties by name, so that
// equal input gives equal manifests.
func topClient(clients map[telemetry.Client]uint64) *manifest.Client {
	type sent struct {
		telemetry.Client
		n uint64
	}
	var all []sent
	for c, n := range clients {
		if c.Name != "" {
			all = append(all, sent{c, n})
		}
	}
	if len(all) == 0 {
		return nil
	}
	top := slices.MinFunc(all, func(a, b sent) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return &manifest.Client{Name: top.Name, Version: top.Version}
}
