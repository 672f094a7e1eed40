package warmer

import "github.com/planwarm/planwarm/manifest"

// snapshotEntries are the most used operations as entries, most used first. The
// table that counts them outlives reloads of the router and of planwarm, and,
// through its checkpoint, restarts.
func (g *graph) snapshotEntries() []manifest.Entry {
	if g.opts.Usages == nil {
		return nil
	}
	sc := g.opts.Schema.Current()
	usages := g.opts.Usages.Hottest(maxSnapshot)
	entries := make([]manifest.Entry, 0, len(usages))
	seen := make(map[string]bool, len(usages))
	for _, u := range usages {
		v := g.judge(sc, u.Text, u.Name)
		if u.Text == "" || v.introspection || v.kind == manifest.Subscription {
			continue
		}
		key := u.PlanKey
		if sc != nil {
			key = planKey(u, g.keyer(sc))
		}
		if !isPlanKey(key) {
			key = ""
		}
		if key != "" && seen[key] {
			continue
		}
		seen[key] = true
		e := usageEntry(u, key)
		if v.refused == "" {
			e.Planwarm.Type = v.kind
		}
		entries = append(entries, e)
	}
	return entries
}
