package warmer

import (
	"strconv"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner"
)

// Item is one request of a warm-up: a manifest entry, or one of its variants.
type Item struct {
	Request  planner.Request // without the headers of Profile: whoever sends it fills them in
	Profile  string          // name of a header profile; "": none
	ID       string          // identifies the plan within a router generation
	Name     string          // operation name, for reports; may be empty
	Expected time.Duration
}

// Items expands entries into requests in the same order, each plan once.
// exact routers key plans on the text and the name that were sent, so each text
// is a plan of its own there, with the name and without it, and one that no
// client sends is left out: see InexactOf. Other routers need one request for
// each plan key. Under each header profile a router has plans of their own.
func Items(entries []manifest.Entry, exact bool) []Item {
	out := make([]Item, 0, len(entries))
	seen := make(map[string]bool, len(entries))
	add := func(it Item) {
		if it.ID = itemID(it, exact); !seen[it.ID] {
			seen[it.ID] = true
			out = append(out, it)
		}
	}
	for _, e := range entries {
		expected := time.Duration(e.Planwarm.P90Ms * float64(time.Millisecond))
		for i, x := range e.Expand() {
			if i > 0 && !exact && x.Planwarm.PlanKey == e.Planwarm.PlanKey && x.Planwarm.Profile == e.Planwarm.Profile {
				continue // another text, name or client of the same plan
			}
			forms := []manifest.Entry{x}
			if exact {
				forms = exactForms(x)
			}
			for _, form := range forms {
				add(Item{Request: requestOf(form), Profile: form.Planwarm.Profile, Name: e.Request.OperationName, Expected: expected})
			}
		}
	}
	return out
}

func requestOf(e manifest.Entry) planner.Request {
	r := planner.Request{
		Query: e.Request.Query, OperationName: e.Request.OperationName,
		Mutation: e.Planwarm.Type == manifest.Mutation, Conditions: e.Planwarm.Conditions, PlanKey: e.Planwarm.PlanKey,
	}
	if x := e.Request.Extensions; x != nil && x.PersistedQuery != nil {
		r.PersistedHash = x.PersistedQuery.SHA256Hash
	}
	return r
}

// itemID is the plan key where the router keys on it, else text and name as
// sent; with the profile, where there is one.
func itemID(it Item, exact bool) string {
	r, profile := it.Request, ""
	if it.Profile != "" {
		profile = it.Profile + "/" // no plan key and no quoted name begins with a profile's name and a slash
	}
	if !exact && r.PlanKey != "" {
		return profile + r.PlanKey
	}
	return profile + strconv.Quote(r.OperationName) + conditionText(r.Conditions) + r.Query
}

func conditionText(c map[string]bool) string {
	s := ""
	for _, name := range sortedKeys(c) {
		s += name + "=" + strconv.FormatBool(c[name]) + ","
	}
	return s
}
