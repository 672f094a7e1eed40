package telemetry

import (
	"cmp"
	"slices"
	"time"
)

// Usage is what is known of one operation, or of all that share a key. Times
// of planning are in milliseconds.
type Usage struct {
	Hash    string   // of the member with the most executions that has a text
	Hashes  []string // of all members, sorted
	Key     string   // of the canonical text; "" when the text is unknown
	PlanKey string   // "" when no source told it
	Name    string   // that of the text; without a text the most frequent
	Names   []string // sorted
	Type    string   // query, mutation, subscription or ""
	Text    string   // canonical; "" when unknown
	Lifted  bool     // Text lacks literals, or comments, that were sent
	Members []Member // one for each hash, in the order of Hashes

	Clients    map[Client]uint64 // executions of each, for at most 16 clients and OtherClient
	Executions uint64            // hits included

	// Samples are the planning samples (misses) in the window. Where the
	// window has none, these and the times are of the last time that had.
	Samples             uint64
	P50, P90, P99       float64
	Min, Max, Mean, Sum float64
	MeasuredAt          time.Time // arrival of the last sample

	// LastCost is the planning time that the last warm-up saw; it is not in the
	// figures above.
	LastCost   float64
	LastCostAt time.Time

	LastSeen time.Time
	Count    uint64 // accesses, aged
}

// HasText reports whether the operation can be sent.
func (u *Usage) HasText() bool { return u.Text != "" }

// Member is one of the operations behind a Usage.
type Member struct {
	Hash, Name, Text string
	Lifted           bool   // as in Usage
	SourceHash       string // the router's hash, when Hash is not that
	Executions       uint64
}

// readChunk is how many operations are read under one hold of the lock, so
// that ingest never waits for a whole table.
const readChunk = 64

// Usages returns every operation that was executed in the window which ends at
// now, ordered by hash. The window is at most the table's.
func (t *Table) Usages(now time.Time, window time.Duration) []Usage {
	return Combine(now, window, nil, t)
}

// UsageBy is Usages with the operations of one key merged: their executions
// are added and their samples are taken together. keyOf is given each usage
// without its planning times, which are computed afterwards; an operation whose
// key is "" stays by itself. The result is ordered by the first hash of each.
func (t *Table) UsageBy(now time.Time, window time.Duration, keyOf func(Usage) string) []Usage {
	return Combine(now, window, keyOf, t)
}

// Combine is UsageBy over several tables, such as the checkpoints of all
// instances. Of tables with the same instance name only the first counts. A nil
// keyOf merges only what has the same hash.
func Combine(now time.Time, window time.Duration, keyOf func(Usage) string, tables ...*Table) []Usage {
	r := &reading{known: make(map[*Table][]layoutID)}
	all := r.summaries(now, window, distinct(tables))
	slices.SortFunc(all, func(a, b *summary) int { return cmp.Compare(a.Hash, b.Hash) })
	if keyOf != nil {
		all = mergeByKey(all, keyOf)
	}
	out := make([]Usage, len(all))
	for i, d := range all {
		out[i] = d.finish(&r.layouts)
	}
	return out
}

// summaries adds up what the tables know of each hash.
func (r *reading) summaries(now time.Time, window time.Duration, tables []*Table) []*summary {
	var all []*summary
	keep := func(s *sums) {
		if d := s.resolve(); d.Executions > 0 {
			all = append(all, d)
		}
	}
	if len(tables) == 1 { // no need to hold what every operation has in every source
		t := tables[0]
		t.each(func(o *operation) {
			var s sums
			s.add(r, t, o, t.period(now, window))
			keep(&s)
		})
		return all
	}
	byHash := make(map[string]*sums)
	for _, t := range tables {
		t.each(func(o *operation) {
			s := byHash[o.hash]
			if s == nil {
				s = new(sums)
				byHash[o.hash] = s
			}
			s.add(r, t, o, t.period(now, window))
		})
	}
	for _, s := range byHash {
		keep(s)
	}
	return all
}

// distinct drops tables of an instance that an earlier one stands for.
func distinct(tables []*Table) []*Table {
	var out []*Table
	names := make(map[string]bool)
	for _, t := range tables {
		name := t.Instance()
		if slices.Contains(out, t) || name != "" && names[name] {
			continue
		}
		names[name] = true
		out = append(out, t)
	}
	return out
}

func (t *Table) period(now time.Time, window time.Duration) period {
	return periodOf(now, min(window, t.options.Window))
}

// each calls f for every operation, a few under each hold of the lock.
func (t *Table) each(f func(o *operation)) {
	t.mu.Lock()
	all := slices.Clone([]*operation(t.leastUsed))
	t.mu.Unlock()
	for chunk := range slices.Chunk(all, readChunk) {
		t.mu.Lock()
		for _, o := range chunk {
			f(o)
		}
		t.mu.Unlock()
	}
}

// Hottest returns the n most used operations that have a text by aged count,
// the most used first: the snapshot. Their figures are those of the window
// that ends at now.
func (t *Table) Hottest(now time.Time, n int) []Usage {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []*operation
	for _, o := range t.leastUsed {
		if o.text != "" {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b *operation) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(b.lastSeen, a.lastSeen), cmp.Compare(a.hash, b.hash))
	})
	r := &reading{known: make(map[*Table][]layoutID)}
	out := make([]Usage, min(max(n, 0), len(all)))
	for i, o := range all[:len(out)] {
		var s sums
		s.add(r, t, o, t.period(now, t.options.Window))
		out[i] = s.resolve().finish(&r.layouts)
	}
	return out
}
