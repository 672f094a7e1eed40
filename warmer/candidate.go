package warmer

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/telemetry"
)

// maxConditions is how many variables of @skip and @include are combined: each
// doubles the plans of one operation.
const maxConditions = 4

// Candidates gathers what may go into a manifest under one schema: pushed
// operations first, then what telemetry saw of them and of others.
type Candidates struct {
	schema *schema.Schema
	keyer  Keyer
	pushed map[string]pushed // by operation hash
	texts  map[string]pushed // by the plan key without conditions
	names  map[string]pushed // by operation name; without a key where several share it
	exact  bool              // texts are kept apart
	list   []manifest.Candidate
}

// pushed is a plan of a pushed operation.
type pushed struct {
	key        string
	request    manifest.Request
	conditions map[string]bool
}

// NewCandidates returns an empty set; k computes keys under sc.
func NewCandidates(sc *schema.Schema, k Keyer) *Candidates {
	return &Candidates{schema: sc, keyer: k, pushed: map[string]pushed{}, texts: map[string]pushed{}, names: map[string]pushed{}}
}

// KeepTexts makes candidates for routers that key their plans on exact text:
// with each text that clients send.
func (c *Candidates) KeepTexts() { c.exact = true }

// List returns what was added.
func (c *Candidates) List() []manifest.Candidate { return c.list }

// AddPins adds pushed operations, the newest first.
func (c *Candidates) AddPins(pins []manifest.Pin) {
	for i, p := range pins {
		c.list = append(c.list, c.pin(p, i))
	}
}

// AddUsages adds operations of telemetry, those for which Key is equal merged
// before. Pins come first, or their usages do not find them.
func (c *Candidates) AddUsages(usages []telemetry.Usage) {
	for _, u := range usages {
		key := c.Key(u)
		if !isPlanKey(key) {
			key = ""
		}
		out := usageCandidate(u, key, c.schema)
		if c.exact {
			out.Entry = withTexts(out.Entry, u)
		}
		if p, ok := c.pushedFor(u); ok {
			out.Request, out.Planwarm.Conditions = p.request, p.conditions
		} else if p, ok := c.samePlan(u); ok && out.Planwarm.Lifted {
			// What was pushed is the text that clients send, literals and all.
			out.Request, out.Planwarm.Conditions, out.Planwarm.Lifted = p.request, p.conditions, false
		}
		c.list = append(c.list, out)
	}
}

// Key tells which plan a usage is of. What a pushed text tells holds under the
// current schema; what the router said, under the schema of that time.
func (c *Candidates) Key(u telemetry.Usage) string {
	if p, ok := c.pushedFor(u); ok {
		return p.key
	}
	if p, ok := c.samePlan(u); ok {
		return p.key
	}
	return planKey(u, c.keyer)
}

// samePlan finds the pushed operation that is planned like the text of a usage,
// whatever its layout and literals. It is asked for routers that key on exact
// text: they have one plan for all conditions, so that these are no part of it.
func (c *Candidates) samePlan(u telemetry.Usage) (p pushed, ok bool) {
	if !c.exact || u.Text == "" {
		return p, false
	}
	p, ok = c.texts[planKey(u, c.keyer)]
	return p, ok
}

// pushedFor finds the pushed operation of a usage that has no text: both have
// the hash that the router computes.
func (c *Candidates) pushedFor(u telemetry.Usage) (p pushed, ok bool) {
	if u.Text != "" {
		return p, false
	}
	for _, hash := range u.Hashes {
		if p, ok = c.pushed[hash]; ok {
			return p, true
		}
	}
	if u.PlanKey == "" && !isPlanKey(u.Hash) && len(u.Names) == 1 {
		// The hash is not of the kind that is computed here, so that it cannot
		// tell anything; the name does when one pushed operation has it.
		p, ok = c.names[u.Names[0]]
	}
	return p, ok && p.key != ""
}

// pin turns a pushed operation into what Build takes.
func (c *Candidates) pin(p manifest.Pin, place int) manifest.Candidate {
	at := p.PushedAt
	out := manifest.Candidate{Pin: &p, Place: place, Entry: manifest.Entry{
		Request: p.Request, Client: p.Client,
		Planwarm: manifest.Details{Source: manifest.SourceManual, Type: manifest.Query, PushedAt: &at, PushedBy: p.PushedBy},
	}}
	op, err := c.schema.Parse(p.Request.Query, p.Request.OperationName)
	if err != nil {
		out.Refused = err.Error()
		return out
	}
	describe(&out, op)
	if out.Left != "" {
		return out
	}
	for i, values := range schema.Combinations(op.Conditions, maxConditions) {
		key, hash, err := c.keyer.Key(p.Request.Query, p.Request.OperationName, values)
		if err != nil {
			out.Refused = err.Error()
			return out
		}
		if len(values) == 0 {
			values = nil
		}
		out.Hashes = append(out.Hashes, hash)
		c.pushed[hash] = pushed{key, p.Request, values}
		if i == 0 {
			c.index(op, c.pushed[hash])
		}
		if i == 0 {
			out.Planwarm.PlanKey, out.Planwarm.Conditions = key, values
			continue
		}
		out.Planwarm.Variants = append(out.Planwarm.Variants, manifest.Variant{PlanKey: key, Conditions: values})
	}
	out.UnderProfiles(p.Profiles)
	return out
}

// index notes how else telemetry may come to a pushed operation.
func (c *Candidates) index(op *schema.Operation, p pushed) {
	if c.exact {
		key, _, err := c.keyer.Key(p.request.Query, p.request.OperationName, nil)
		if _, known := c.texts[key]; err == nil && !known { // the newest counts
			c.texts[key] = p
		}
	}
	if other, known := c.names[op.Name]; known && other.key != p.key {
		p = pushed{}
	}
	if op.Name != "" {
		c.names[op.Name] = p
	}
}

// usageCandidate turns what telemetry knows of one plan into what Build takes.
func usageCandidate(u telemetry.Usage, key string, sc *schema.Schema) manifest.Candidate {
	c := manifest.Candidate{SumMs: u.Sum, Hashes: hashesOf(u), Clients: clientCounts(u.Clients), Entry: usageEntry(u, key)}
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

// hashesOf are all hashes that a router may show of a usage.
func hashesOf(u telemetry.Usage) []string {
	all := slices.Clone(u.Hashes)
	for _, m := range u.Members {
		if m.SourceHash != "" && !slices.Contains(all, m.SourceHash) {
			all = append(all, m.SourceHash)
		}
	}
	return all
}

// planKey is the key under the current schema where the text is known, what the
// router said otherwise, and an identity of its own when neither is there.
func planKey(u telemetry.Usage, k Keyer) string {
	if u.Text != "" {
		if key, _, err := k.Key(u.Text, u.Name, nil); err == nil {
			return key
		}
	}
	if u.PlanKey != "" {
		return u.PlanKey
	}
	return "hash:" + u.Hash
}

// isPlanKey says whether an identity is a plan key: an unsigned decimal.
func isPlanKey(id string) bool {
	_, err := strconv.ParseUint(id, 10, 64)
	return err == nil
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
