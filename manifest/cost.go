package manifest

// costs remembers what plans took when they were last measured. A well-warmed
// operation has no misses and so no samples: without a memory, success would
// erase its own evidence, and the operation would leave the manifest.
type costs map[string]*Details

func rememberCosts(m *Manifest) costs {
	if m == nil {
		return nil
	}
	c := make(costs, len(m.Operations))
	for i := range m.Operations {
		e := &m.Operations[i]
		if e.Planwarm.Samples == 0 {
			continue
		}
		for key := range e.keys() {
			c[key] = &e.Planwarm
		}
		if e.Planwarm.PlanKey == "" {
			c[e.Request.identity()] = &e.Planwarm
		}
	}
	return c
}

// apply gives s the figures of its plan from before, if there are any.
func (c costs) apply(s *slot) {
	old := c.find(s)
	if old == nil {
		return
	}
	d := &s.entry.Planwarm
	d.P90Ms, d.MaxMs, d.MeanMs, d.Samples = old.P90Ms, old.MaxMs, old.MeanMs, old.Samples
	d.MeasuredAt = utc(old.MeasuredAt)
	s.measured = true
}

func (c costs) find(s *slot) *Details {
	if len(c) == 0 {
		return nil
	}
	for key := range s.entry.keys() {
		if old, ok := c[key]; ok {
			return old
		}
	}
	return c[s.entry.Request.identity()]
}
