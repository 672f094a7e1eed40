package router

import (
	"net/http"
	"strings"
	"testing"
)

// TestPlanOnlyModes: what each mode does with the header, witnessed by the subgraphs.
func TestPlanOnlyModes(t *testing.T) {
	query, mutation := find(t, "product-title"), find(t, "add-to-cart")
	for _, c := range []struct {
		name             string
		mode             PlanOnly
		header           []string
		status           int
		executed, planed uint64 // operations executed, plan-only requests honoured
		live             string // plan cache of the live query afterwards
	}{
		{"header not allowed executes", PlanOnlyIgnored, []string{headerSkipLoader, "true"}, http.StatusOK, 2, 0, "HIT"},
		{"allowed", PlanOnlyAllowed, []string{headerSkipLoader, "true"}, http.StatusOK, 0, 2, "HIT"},
		{"allowed, without the header", PlanOnlyAllowed, nil, http.StatusOK, 2, 0, "HIT"},
		{"fails closed without a token", PlanOnlyFailClosed, []string{headerSkipLoader, "true"}, http.StatusBadRequest, 0, 0, "MISS"},
		{"fails closed with a wrong token", PlanOnlyFailClosed, []string{headerSkipLoader, "true", headerToken, "no"}, http.StatusBadRequest, 0, 0, "MISS"},
		{"right token", PlanOnlyFailClosed, []string{headerSkipLoader, "true", headerToken, "yes"}, http.StatusOK, 0, 2, "HIT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := startReady(t, func(o *Options) { o.PlanOnly, o.PlanOnlyToken = c.mode, "yes" })
			for _, op := range []call{query, mutation} {
				a := r.post(t, op, c.header...)
				if a.status != c.status {
					t.Errorf("%s: status %d, want %d", op.file, a.status, c.status)
				}
				if (a.body == nullData) != (c.planed > 0) {
					t.Errorf("%s: %s", op.file, a.body)
				}
			}
			total := r.subgraphs.Total()
			if (total.Requests() > 0) != (c.executed > 0) || (total.Mutations > 0) != (c.executed > 0) {
				t.Errorf("subgraphs were asked %+v", total)
			}
			if s := r.Stats(); s.Executed != c.executed || s.PlanOnly != c.planed {
				t.Errorf("stats %+v", s)
			}
			if got := r.post(t, query).header.Get(headerPlanCache); got != c.live {
				t.Errorf("live request: %s, want %s", got, c.live)
			}
		})
	}
}

// TestCanary: the query by which a warmer tells the modes apart, and which asks no subgraph either way.
func TestCanary(t *testing.T) {
	for mode, want := range map[PlanOnly]string{PlanOnlyAllowed: nullData, PlanOnlyIgnored: `{"data":{"__typename":"Query"}}`} {
		r := startReady(t, func(o *Options) { o.PlanOnly = mode })
		if a := r.post(t, call{query: `{ __typename }`}, headerSkipLoader, "true"); a.body != want {
			t.Errorf("%s: %s, want %s", mode, a.body, want)
		}
		if s := r.Stats(); (s.PlanOnlyIgnored == 1) != (mode == PlanOnlyIgnored) {
			t.Errorf("%s: stats %+v", mode, s)
		}
		if got := r.subgraphs.Total().Requests(); got != 0 {
			t.Errorf("%s: subgraphs were asked %d times", mode, got)
		}
	}
}

// TestPlanOnlyWithoutVariables: required variables need not be sent to plan.
func TestPlanOnlyWithoutVariables(t *testing.T) {
	r := startReady(t, func(o *Options) { o.PlanOnly = PlanOnlyAllowed })
	c := find(t, "product-title")
	variables := c.variables
	c.variables = nil
	if a := r.post(t, c, headerSkipLoader, "true"); a.body != nullData || a.header.Get(headerPlanCache) != "MISS" {
		t.Errorf("%s %s", a.header.Get(headerPlanCache), a.body)
	}
	c.variables = variables
	if a := r.post(t, c); a.header.Get(headerPlanCache) != "HIT" || len(a.errors) > 0 {
		t.Errorf("live: %s %v", a.header.Get(headerPlanCache), a.errors)
	}
	s := r.Stats()
	if s.Requests != 1 || s.PlanMisses != 0 || s.PlanningMs != 0 || s.PlanOnlyMisses != 1 || s.PlanOnlyPlanningMs <= 0 {
		t.Errorf("planning was counted as demand: %+v", s)
	}
}

// TestPlanOnlyFormsAreRemembered: what was normalised once is not normalised
// again, values of conditions and names kept apart, and a live request after it
// is still executed as it was sent.
func TestPlanOnlyFormsAreRemembered(t *testing.T) {
	r := startReady(t, func(o *Options) { o.PlanOnly = PlanOnlyAllowed })
	const text = `query A($on: Boolean!) { me { id email @include(if: $on) } } query B($on: Boolean!) { me { email id @skip(if: $on) } }`
	keys := map[string]bool{}
	for range 2 {
		for _, name := range []string{"A", "B"} {
			for _, on := range []bool{true, false} {
				a := r.post(t, call{query: text, name: name, variables: map[string]any{"on": on}}, headerSkipLoader, "true")
				if a.body != nullData {
					t.Fatal(a.body)
				}
				keys[a.header.Get("X-Plan-Key")] = true
			}
		}
	}
	if len(keys) != 4 {
		t.Errorf("plan keys %v, want 4", keys)
	}
	g := r.acquire()
	defer g.release()
	if n := g.forms.lru.Len(); n != 4 {
		t.Errorf("%d forms are remembered, want 4", n)
	}
	p, ok := g.forms.get(formKeyOf(text, "A", []byte(`{"on":true}`)))
	if !ok {
		t.Fatal("the form is not found again")
	}
	if err := g.plan(t.Context(), p); err != nil || !p.hit {
		t.Errorf("plan of a remembered form: hit %v, %v", p.hit, err)
	}
	if body, _, err := g.execute(t.Context(), p, nil); err == nil || body != nil {
		t.Errorf("a remembered form was executed: %s, %v", body, err)
	}
	for _, on := range []bool{true, false} {
		a := r.post(t, call{query: text, name: "A", variables: map[string]any{"on": on}})
		if a.header.Get(headerPlanCache) != "HIT" || len(a.errors) > 0 || strings.Contains(a.body, `"email"`) != on {
			t.Errorf("live with %v: %s %s", on, a.header.Get(headerPlanCache), a.body)
		}
	}
	if err := g.plan(t.Context(), p); err != nil { // the form is as it was
		t.Error(err)
	}
}
