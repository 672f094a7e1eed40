package manifest

import (
	"maps"
	"math"
	"slices"
	"time"
)

// slot is one entry in the making: candidates that share a plan.
type slot struct {
	main     *Candidate   // whose request the entry has
	members  []*Candidate // all of them, in the order of compareCandidates
	entry    Entry
	measured bool // it has a planning time, of now or from before
}

// slots drops what may not be in a manifest, joins the rest by plan key and
// sets the figures.
func (b *builder) slots() (pins, rest []*slot) {
	allowed := make([]*Candidate, 0, len(b.in.Candidates))
	for i := range b.in.Candidates {
		c := &b.in.Candidates[i]
		if why, detail := b.refusal(c); why != "" {
			b.leave(c, why, detail)
			continue
		}
		allowed = append(allowed, c)
	}
	groups := group(allowed)
	slab := make([]slot, len(groups)) // one allocation, not one for each of 100,000
	for i, members := range groups {
		s := &slab[i]
		s.members = members
		if len(members) > 1 {
			slices.SortFunc(members, compareCandidates)
			for _, c := range members[1:] {
				b.leave(c, ReasonDuplicate, "its plan has the slot of "+clip(members[0].Planwarm.PlanKey))
			}
		}
		s.main = members[0]
		b.compose(s)
		if s.main.Pin != nil {
			pins = append(pins, s)
		} else {
			rest = append(rest, s)
		}
	}
	return pins, rest
}

// refusal says why c alone, whatever its figures, may not be in a manifest.
func (b *builder) refusal(c *Candidate) (why Reason, detail string) {
	if by := b.deny.match(c); by != "" {
		return ReasonDenied, by
	}
	switch {
	case c.Left != "":
		return c.Left, ""
	case c.Refused != "":
		return ReasonRefused, c.Refused
	case c.Pin != nil && c.Pin.From != nil && b.in.Now.Before(*c.Pin.From):
		return ReasonNotYet, "from " + c.Pin.From.UTC().Format(time.RFC3339)
	case c.Pin != nil && c.Pin.expired(b.in.Now):
		return ReasonExpired, "until " + c.Pin.Until.UTC().Format(time.RFC3339)
	}
	return "", ""
}

// compose makes the entry: the main request, the others as variants, and the figures.
func (b *builder) compose(s *slot) {
	s.entry = b.deny.strip(s.main.Entry)
	d := &s.entry.Planwarm
	if s.entry.Client != nil && *s.entry.Client == (Client{}) {
		s.entry.Client = nil
	}
	d.Source, d.PushedAt, d.PushedBy, d.Score = SourceTelemetry, nil, "", 0
	if pin := s.main.Pin; pin != nil {
		d.Source, d.PushedAt, d.PushedBy = SourceManual, utc(&pin.PushedAt), pin.PushedBy
	}
	if len(s.members) > 1 || len(d.Variants) > MaxVariants {
		s.adoptKey()
		s.unprofiled()
		d.Variants = b.variants(s)
	}
	s.figures()
	s.measured = d.Samples > 0 || d.P90Ms > 0
	if d.Samples == 0 && d.Executions > 0 {
		b.costs.apply(s)
	}
	if d.Samples > 0 && d.MeasuredAt == nil {
		d.MeasuredAt = b.now
	}
	d.P90Ms, d.MaxMs, d.MeanMs = round(d.P90Ms), round(d.MaxMs), round(d.MeanMs)
}

// adoptKey gives an entry without a plan key that of a member with the same
// request. A key holds under its conditions only, so these come with it.
func (s *slot) adoptKey() {
	d := &s.entry.Planwarm
	if d.PlanKey != "" || len(d.Conditions) > 0 {
		return
	}
	for _, c := range s.members {
		if c.Planwarm.PlanKey != "" && c.Request.identity() == s.entry.Request.identity() {
			d.PlanKey, d.Conditions = c.Planwarm.PlanKey, c.Planwarm.Conditions
			return
		}
	}
}

// figures adds up what is known of the members.
func (s *slot) figures() {
	d := &s.entry.Planwarm
	d.P90Ms, d.MaxMs, d.MeanMs, d.Samples, d.Executions, d.MeasuredAt = 0, 0, 0, 0, 0, nil
	var sum float64
	for _, c := range s.members {
		m := &c.Planwarm
		d.P90Ms = max(d.P90Ms, m.P90Ms)
		d.MaxMs = max(d.MaxMs, m.MaxMs)
		d.Samples = addSaturating(d.Samples, m.Samples)
		d.Executions = addSaturating(d.Executions, m.Executions)
		if c.SumMs > 0 {
			sum += c.SumMs
		} else {
			sum += m.MeanMs * float64(m.Samples)
		}
		if m.MeasuredAt != nil && (d.MeasuredAt == nil || m.MeasuredAt.After(*d.MeasuredAt)) {
			d.MeasuredAt = m.MeasuredAt
		}
	}
	if d.Samples > 0 {
		d.MeanMs = sum / float64(d.Samples)
	}
	d.MeasuredAt = utc(d.MeasuredAt)
}

// planMs is what planning s is expected to take.
func (s *slot) planMs() float64 {
	if m := s.entry.Planwarm.MeanMs; m > 0 {
		return m
	}
	return s.entry.Planwarm.P90Ms
}

// owner is the client name with most of the executions, "" when none is known.
func (s *slot) owner() string {
	total := make(map[string]uint64)
	for _, c := range s.members {
		if len(c.Clients) == 0 && c.Client != nil {
			total[c.Client.Name] = addSaturating(total[c.Client.Name], c.Planwarm.Executions)
		}
		for client, n := range c.Clients {
			total[client.Name] = addSaturating(total[client.Name], n)
		}
	}
	owner, most := "", uint64(0)
	for _, name := range slices.Sorted(maps.Keys(total)) {
		if total[name] > most {
			owner, most = name, total[name]
		}
	}
	return owner
}

func addSaturating(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}
