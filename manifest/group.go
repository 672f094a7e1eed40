package manifest

import (
	"cmp"
	"slices"
	"strings"
)

// group joins candidates that share a plan key, directly or through others. One
// without any key joins those of the same request: a pin may have come in while
// no planner was at hand, when telemetry knows its key.
func group(cs []*Candidate) [][]*Candidate {
	parent := make([]int32, len(cs))
	find := func(i int32) int32 {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	owner := make(map[string]int32, len(cs))
	join := func(at int32, key string) {
		if j, ok := owner[key]; ok {
			parent[find(at)] = find(j)
		} else {
			owner[key] = at
		}
	}
	keyless := keylessRequests(cs)
	for i, c := range cs {
		parent[i] = int32(i)
		for key := range c.keys() {
			join(int32(i), key)
		}
		if len(keyless) == 0 {
			continue
		}
		if id := c.Request.identity(); keyless[id] {
			join(int32(i), id)
		}
	}
	// Nearly every group has one member: these share one array.
	single := slices.Clone(cs)
	groups := make([][]*Candidate, 0, len(cs))
	at := make(map[int32]int)
	for i, c := range cs {
		root := find(int32(i))
		if int(root) == i {
			continue
		}
		if _, ok := at[root]; !ok {
			at[root] = len(groups)
			groups = append(groups, []*Candidate{cs[root]})
		}
		groups[at[root]] = append(groups[at[root]], c)
	}
	for i := range cs {
		if _, shared := at[int32(i)]; !shared && parent[i] == int32(i) {
			groups = append(groups, single[i:i+1:i+1])
		}
	}
	return groups
}

// keylessRequests are the identities of the candidates without any key.
func keylessRequests(cs []*Candidate) map[string]bool {
	var ids map[string]bool
next:
	for _, c := range cs {
		for range c.keys() {
			continue next
		}
		if ids == nil {
			ids = make(map[string]bool)
		}
		ids[c.Request.identity()] = true
	}
	return ids
}

// compareCandidates is a total order: pins before telemetry, newest first;
// telemetry by executions. It decides whose request an entry has, and in which
// order figures are added up, since adding floats is not associative.
func compareCandidates(x, y *Candidate) int {
	if (x.Pin != nil) != (y.Pin != nil) {
		if x.Pin != nil {
			return -1
		}
		return 1
	}
	if x.Pin != nil {
		if c := cmp.Or(cmp.Compare(x.Place, y.Place), y.Pin.PushedAt.Compare(x.Pin.PushedAt), strings.Compare(x.Pin.ID, y.Pin.ID)); c != 0 {
			return c
		}
	}
	if c := cmp.Compare(y.Planwarm.Executions, x.Planwarm.Executions); c != 0 {
		return c
	}
	if c := strings.Compare(x.Planwarm.PlanKey, y.Planwarm.PlanKey); c != 0 {
		return c
	}
	if c := strings.Compare(x.fingerprint(), y.fingerprint()); c != 0 {
		return c
	}
	return cmp.Or(
		cmp.Compare(x.Planwarm.Samples, y.Planwarm.Samples), cmp.Compare(x.Planwarm.P90Ms, y.Planwarm.P90Ms),
		cmp.Compare(x.Planwarm.MaxMs, y.Planwarm.MaxMs), cmp.Compare(x.SumMs, y.SumMs), cmp.Compare(x.Planwarm.MeanMs, y.Planwarm.MeanMs),
		strings.Compare(string(x.Planwarm.Type), string(y.Planwarm.Type)),
		strings.Compare(x.variantPrint(), y.variantPrint()),
	)
}

func compareClients(x, y *Client) int {
	var a, b Client
	if x != nil {
		a = *x
	}
	if y != nil {
		b = *y
	}
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version))
}
