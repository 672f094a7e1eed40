package manifest

import (
	"cmp"
	"iter"
)

// Merge returns first and then what rest adds to it, in order, up to limit
// entries; 0 or less is no limit but MaxEntries. An entry is not added when all
// its plans are there already, or when its request is: one side may have been
// made without a planner and know no keys. It shares what entries point to.
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
			for plan := range e.plans() {
				keys[plan] = true
			}
			requests[e.requestPrint()] = true
			merged = append(merged, *e)
		}
	}
	return merged
}

func covered(e *Entry, keys, requests map[string]bool) bool {
	if requests[e.requestPrint()] && len(e.Profiles()) == 1 {
		return true
	}
	if e.Planwarm.PlanKey == "" {
		return false
	}
	for plan := range e.plans() {
		if !keys[plan] {
			return false
		}
	}
	return true
}

// plans yields what tells the plans of e apart: the plan key, and the header
// profile where there is one; one may come twice.
func (e *Entry) plans() iter.Seq[string] {
	return func(yield func(string) bool) {
		d := &e.Planwarm
		if d.PlanKey != "" && !yield(planID(d.PlanKey, d.Profile)) {
			return
		}
		for i := range d.Variants {
			v := &d.Variants[i]
			key, profile := cmp.Or(v.PlanKey, d.PlanKey), cmp.Or(v.Profile, d.Profile)
			if key != "" && !yield(planID(key, profile)) {
				return
			}
		}
	}
}

func planID(key, profile string) string {
	if profile == "" {
		return key
	}
	return joinParts(key, profile)
}

// requestPrint is the fingerprint without what a router does not see: the plan
// key, and the client, which plans do not depend on.
func (e *Entry) requestPrint() string {
	x := Entry{Request: e.Request, Planwarm: Details{Conditions: e.Planwarm.Conditions, Profile: e.Planwarm.Profile}}
	return x.fingerprint()
}
