package telemetry

import (
	"cmp"
	"slices"
	"time"
)

// sums adds up what one or more tables know of one hash, source by source.
type sums struct {
	hash, planKey, key, kind, text string
	named, source                  string
	lifted                         bool
	names                          []nameCount
	groups                         []groupSum
	sampled                        bool // there are samples in the window
	count                          uint64
	lastSeen, measured             int64
	cost, costAt                   int64
}

// groupSum is the sum of one group. What is no metric has a zero temporality
// and is told apart by the transport.
type groupSum struct {
	key        groupKey
	executions uint64
	clients    clientCounts
	samples    samples
	last       samples // of the newest slot with samples, wherever it lies
	lastSlot   slot
}

var (
	spanKey    = groupKey{transport: "spans"}
	requestKey = groupKey{transport: "requests"}
	keptKey    = groupKey{transport: "kept"}
)

func (t *Table) groupKeyOf(id groupID) groupKey {
	switch id {
	case spanGroup:
		return spanKey
	case requestGroup:
		return requestKey
	case keptGroup:
		return keptKey
	}
	return t.groups.key(id)
}

// clientCounts has executions by client, few enough to search.
type clientCounts []clientCount

type clientCount struct {
	client Client
	n      uint64
}

func (c clientCounts) add(client Client, n uint64) clientCounts {
	for i := range c {
		if c[i].client == client {
			c[i].n += n
			return c
		}
	}
	return append(c, clientCount{client, n})
}

func (c clientCounts) asMap() map[Client]uint64 {
	m := make(map[Client]uint64, len(c))
	for _, x := range c {
		m[x.client] += x.n
	}
	return m
}

// add takes in what t knows of o in p. The caller holds t's lock.
func (s *sums) add(r *reading, t *Table, o *operation, p period) {
	s.describe(o)
	measured := slot(-1)
	for i := range o.series {
		from := &o.series[i]
		if len(from.bins) > 0 && int64(from.slot.start())*3600 <= p.to {
			measured = max(measured, from.slot)
		}
		if !p.contains(from.slot) {
			continue
		}
		g := s.group(t.groupKeyOf(from.group))
		for _, b := range from.clients {
			g.executions += b.n()
			g.clients = g.clients.add(o.clientAt(b.index), b.n())
		}
		g.samples = r.add(g.samples, t, &from.histogram)
		s.sampled = s.sampled || len(from.bins) > 0
	}
	if s.sampled || measured < 0 {
		return
	}
	for i := range o.series {
		from := &o.series[i]
		if from.slot != measured || len(from.bins) == 0 {
			continue
		}
		g := s.group(t.groupKeyOf(from.group))
		if from.slot > g.lastSlot {
			g.last, g.lastSlot = nil, from.slot
		}
		g.last = r.add(g.last, t, &from.histogram)
	}
}

// describe keeps the texts and names of o. Where tables differ, what is less
// counts: publishers that list them in another order agree.
func (s *sums) describe(o *operation) {
	less := func(mine, other string) bool { return other != "" && (mine == "" || other < mine) }
	s.hash = o.hash
	if less(s.planKey, o.planKey) {
		s.planKey = o.planKey
	}
	if less(s.kind, o.kind) {
		s.kind = o.kind
	}
	if less(s.text, o.text) {
		s.text, s.named, s.key, s.lifted = o.text, o.named, o.key, o.lifted
	}
	if less(s.source, o.source) {
		s.source = o.source
	}
	for _, n := range o.names {
		if i := slices.IndexFunc(s.names, func(x nameCount) bool { return x.name == n.name }); i >= 0 {
			s.names[i].n += n.n
		} else {
			s.names = append(s.names, n)
		}
	}
	s.count += uint64(o.count)
	s.lastSeen = max(s.lastSeen, o.lastSeen)
	s.measured = max(s.measured, o.measured)
	if o.costAt > s.costAt || o.costAt == s.costAt && o.cost > s.cost {
		s.cost, s.costAt = o.cost, o.costAt
	}
}

// reading is one read of one or several tables. Each calls its layouts by
// numbers of its own, so the reading has its own too.
type reading struct {
	layouts layouts
	known   map[*Table][]layoutID // by the table's explicit layout
}

// add merges a histogram of t into s.
func (r *reading) add(s samples, t *Table, h *histogram) samples {
	if len(h.bins) == 0 {
		return s
	}
	mine := *h
	if h.layout.explicit() {
		mine.layout = r.translate(t, int(h.layout-firstExplicit))
	}
	return s.add(mine)
}

// translate returns what the reading calls the nth explicit layout of t.
func (r *reading) translate(t *Table, n int) layoutID {
	known := r.known[t]
	for len(known) <= n {
		bounds := t.layouts.bounds[len(known)]
		hash := hashBounds(bounds)
		id, ok := r.layouts.ids[hash]
		if !ok {
			id = r.layouts.add(hash, bounds)
		}
		known = append(known, id)
	}
	r.known[t] = known
	return known[n]
}

// group returns the sum of a group.
func (s *sums) group(key groupKey) *groupSum {
	for i := range s.groups {
		if s.groups[i].key == key {
			return &s.groups[i]
		}
	}
	s.groups = append(s.groups, groupSum{key: key, lastSlot: -1})
	return &s.groups[len(s.groups)-1]
}

// summary is a Usage whose samples are not boiled down yet.
type summary struct {
	Usage
	samples samples
	stale   bool // the samples are older than the window
}

// resolve decides what counts: the largest source's executions, and the
// samples of the spans or, without any, of the metric. A metric is, for each
// instance, the largest of its streams, since a router that exports over three
// readers tells everything three times.
func (s *sums) resolve() *summary {
	slices.SortFunc(s.groups, func(a, b groupSum) int { return a.key.compare(b.key) })
	d := new(summary)
	d.Usage = Usage{
		Hash: s.hash, Hashes: []string{s.hash}, Key: s.key, PlanKey: s.planKey, Type: s.kind, Text: s.text, Lifted: s.lifted, Count: s.count,
		LastSeen: timeOf(s.lastSeen), MeasuredAt: timeOf(s.measured), LastCost: milliseconds(s.cost), LastCostAt: timeOf(s.costAt),
	}
	d.nameFrom(s.names)
	if s.text != "" {
		d.Name = s.named // with another name the text cannot be sent
	}
	var metric groupSum
	for _, g := range s.largest(func(g *groupSum) uint64 { return g.executions }) {
		metric.executions += g.executions
		for _, c := range g.clients {
			metric.clients = metric.clients.add(c.client, c.n)
		}
	}
	for _, g := range []*groupSum{s.find(requestKey), &metric, s.find(spanKey)} {
		if g != nil && g.executions > d.Executions {
			d.Executions, d.Clients = g.executions, g.clients.asMap()
		}
	}
	if d.stale = !s.sampled; d.stale {
		d.samples = s.planning(func(g *groupSum) samples { return g.last })
	} else {
		d.samples = s.planning(func(g *groupSum) samples { return g.samples })
	}
	d.Members = []Member{{Hash: d.Hash, Name: d.Name, Text: d.Text, Lifted: d.Lifted, SourceHash: s.source, Executions: d.Executions}}
	return d
}

func (s *sums) find(key groupKey) *groupSum {
	for i := range s.groups {
		if s.groups[i].key == key {
			return &s.groups[i]
		}
	}
	return nil
}

// largest returns the largest metric group of each instance; the groups are sorted.
func (s *sums) largest(size func(*groupSum) uint64) []*groupSum {
	var out []*groupSum
	for i := range s.groups {
		g := &s.groups[i]
		if g.key.temporality == 0 {
			continue
		}
		if last := len(out) - 1; last >= 0 && out[last].key.instance == g.key.instance {
			if size(g) > size(out[last]) {
				out[last] = g
			}
			continue
		}
		out = append(out, g)
	}
	return out
}

// planning returns the samples of the spans, or else of the metric.
func (s *sums) planning(of func(*groupSum) samples) samples {
	if g := s.find(spanKey); g != nil && len(of(g)) > 0 {
		return of(g)
	}
	from := s.largest(func(g *groupSum) uint64 { return of(g).total() })
	if g := s.find(keptKey); g != nil {
		from = append(from, g)
	}
	var out samples
	for _, g := range from {
		for _, h := range of(g) {
			out = out.add(h)
		}
	}
	return out
}

// nameFrom sets the names and the most frequent one.
func (d *summary) nameFrom(names []nameCount) {
	for _, n := range names {
		d.Names = append(d.Names, n.name)
	}
	slices.Sort(d.Names)
	d.Name = mostFrequent(names)
}

func mostFrequent(names []nameCount) (name string) {
	var most uint64
	for _, n := range names {
		if name == "" || n.n > most || n.n == most && n.name < name {
			name, most = n.name, n.n
		}
	}
	return name
}

func timeOf(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// finish computes the figures of the samples.
func (d *summary) finish(l *layouts) Usage {
	u := d.Usage
	if len(d.samples) == 0 {
		return u
	}
	slices.SortFunc(d.samples, func(a, b histogram) int { return cmp.Compare(a.sum, b.sum) })
	q := d.samples.quantiles(l, 50, 90, 99)
	u.P50, u.P90, u.P99 = q[0], q[1], q[2]
	u.Samples = d.samples.total()
	u.Min, u.Max = d.samples.extremes()
	for i := range d.samples {
		u.Sum += milliseconds(d.samples[i].sum)
	}
	u.Mean = u.Sum / float64(u.Samples)
	return u
}
