package manifest

// Merge returns first and then what rest adds to it, in order, up to limit
// entries; 0 or less is no limit but MaxEntries. An entry is not added when all
// its plan keys are there already, or when its request is: one side may have
// been made without a planner and know no keys. It shares what entries point to.
func Merge(first, rest []Entry, limit int) []Entry {
	if limit <= 0 || limit > MaxEntries {
		limit = MaxEntries
	}
	merged := make([]Entry, 0, min(limit, len(first)+len(rest)))
	keys := make(map[string]bool, cap(merged))
	requests := make(map[string]bool, cap(merged))
	for _, list := range [][]Entry{first, rest} {
		for i := range list {
			if len(merged) >= limit {
				return merged
			}
			e := &list[i]
			if covered(e, keys, requests) {
				continue
			}
			for key := range e.keys() {
				keys[key] = true
			}
			requests[e.requestPrint()] = true
			merged = append(merged, *e)
		}
	}
	return merged
}

func covered(e *Entry, keys, requests map[string]bool) bool {
	if requests[e.requestPrint()] {
		return true
	}
	if e.Planwarm.PlanKey == "" {
		return false
	}
	for key := range e.keys() {
		if !keys[key] {
			return false
		}
	}
	return true
}

// requestPrint is the fingerprint without what a router does not see: the plan
// key, and the client, which plans do not depend on.
func (e *Entry) requestPrint() string {
	x := Entry{Request: e.Request, Planwarm: Details{Conditions: e.Planwarm.Conditions, Profile: e.Planwarm.Profile}}
	return x.fingerprint()
}
