package telemetry

import (
	"cmp"
	"slices"
)

// mergeByKey merges the summaries of one key; all is sorted by hash, and so is
// what it returns, by the first hash of each.
func mergeByKey(all []*summary, keyOf func(Usage) string) []*summary {
	byKey := make(map[string][]*summary)
	order := make([]string, 0, len(all))
	out := make([]*summary, 0, len(all))
	for _, d := range all {
		key := keyOf(d.Usage)
		if key == "" {
			out = append(out, d)
			continue
		}
		if byKey[key] == nil {
			order = append(order, key)
		}
		byKey[key] = append(byKey[key], d)
	}
	for _, key := range order {
		out = append(out, merged(byKey[key]))
	}
	slices.SortFunc(out, func(a, b *summary) int { return cmp.Compare(a.Hashes[0], b.Hashes[0]) })
	return out
}

// merged adds up the members of one key, which are sorted by hash.
func merged(members []*summary) *summary {
	if len(members) == 1 {
		return members[0]
	}
	d := &summary{Usage: slices.MaxFunc(members, compareStanding).Usage, stale: true}
	d.Hashes, d.Names, d.Members, d.Clients = nil, nil, nil, make(map[Client]uint64)
	d.Executions, d.Count = 0, 0
	for _, m := range members {
		d.stale = d.stale && m.stale
	}
	for _, m := range members {
		d.Hashes = append(d.Hashes, m.Hashes...)
		d.Names = append(d.Names, m.Names...)
		d.Members = append(d.Members, m.Members...)
		d.Executions += m.Executions
		d.Count += m.Count
		for c, n := range m.Clients {
			d.Clients[c] += n
		}
		d.PlanKey, d.Key, d.Type = cmp.Or(d.PlanKey, m.PlanKey), cmp.Or(d.Key, m.Key), cmp.Or(d.Type, m.Type)
		if m.LastSeen.After(d.LastSeen) {
			d.LastSeen = m.LastSeen
		}
		if m.MeasuredAt.After(d.MeasuredAt) {
			d.MeasuredAt = m.MeasuredAt
		}
		if m.LastCostAt.After(d.LastCostAt) {
			d.LastCost, d.LastCostAt = m.LastCost, m.LastCostAt
		}
		if m.stale && !d.stale { // old samples do not mix with those of the window
			continue
		}
		for _, h := range m.samples {
			d.samples = d.samples.add(h)
		}
	}
	slices.Sort(d.Names)
	d.Names = slices.Compact(d.Names)
	return d
}

// compareStanding orders members by how well they stand for all: with a text,
// then by executions, then the first hash.
func compareStanding(a, b *summary) int {
	hasText := func(d *summary) int { return min(len(d.Text), 1) }
	return cmp.Or(cmp.Compare(hasText(a), hasText(b)), cmp.Compare(a.Executions, b.Executions), cmp.Compare(b.Hash, a.Hash))
}
