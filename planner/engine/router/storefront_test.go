package router

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/planwarm/planwarm/planner/engine/subgraphs"
)

// TestEveryOperation executes the whole sample traffic against the fake
// subgraphs. Keys and hashes are what a real Cosmo router reported for it,
// answers what one server gives that has the whole graph.
func TestEveryOperation(t *testing.T) {
	r := startReady(t, nil)
	want := newOracle(t, readFixture(t, "supergraph.graphql"))
	conditional := map[string]bool{"skip-include-variables": true, "include-fragment": true} // several keys each
	all := valid(calls(t, true))
	if len(all) < 82 {
		t.Fatalf("only %d calls", len(all))
	}
	seen := map[string]bool{}
	for _, c := range all {
		a := r.post(t, c)
		if a.status != http.StatusOK || len(a.errors) > 0 || len(a.data) == 0 || a.data[0] != '{' {
			t.Errorf("%s %s: status %d, errors %v, %.200s", c.file, c.name, a.status, a.errors, a.body)
			continue
		}
		want.check(t, r.client, c, a.body)
		key := a.header.Get("X-Plan-Key")
		if !conditional[c.file] && (key != c.key || a.header.Get("X-Op-Hash") != c.hash) {
			t.Errorf("%s %s: key %s, hash %s; Cosmo has %s, %s", c.file, c.name, key, a.header.Get("X-Op-Hash"), c.key, c.hash)
		}
		cached := map[bool]string{true: "HIT", false: "MISS"}[seen[key]]
		if got := a.header.Get(headerPlanCache); got != cached || a.header.Get("X-Plan-Hit") != map[string]string{"HIT": "true", "MISS": "false"}[cached] {
			t.Errorf("%s %s: %s, want %s", c.file, c.name, got, cached)
		}
		seen[key] = true
	}
	s := r.Stats()
	if s.Requests != uint64(len(all)) || s.Executed != s.Requests || s.PlanMisses != uint64(len(seen)) || s.PlanHits != s.Requests-s.PlanMisses ||
		s.PlanningMs <= 0 || s.PlanCache.Added != s.PlanMisses || s.PlanOnly != 0 || s.Mutations == 0 {
		t.Errorf("stats %+v for %d calls and %d keys", s, len(all), len(seen))
	}
	if total := r.subgraphs.Total(); total.Refused != 0 || total.Mutations == 0 || total.Queries < 100 {
		t.Errorf("subgraphs were asked %+v", total)
	}
}

func TestAnswersAreDeterministic(t *testing.T) {
	r := startReady(t, nil)
	c := find(t, "home-page")
	first, second := r.post(t, c), r.post(t, c)
	if first.body != second.body || len(first.body) < 1000 {
		t.Errorf("two answers differ, or are short: %d and %d bytes", len(first.body), len(second.body))
	}
	if got := r.subgraphs.Counts()["catalog"]; got == (subgraphs.Count{}) {
		t.Error("catalog was not asked")
	}
}

// TestConditionsSelectPlans: each combination of skip and include has a plan of its own.
func TestConditionsSelectPlans(t *testing.T) {
	r := startReady(t, nil)
	c := find(t, "skip-include-variables")
	keys := map[string]bool{}
	for _, with := range []bool{true, false} {
		for _, slim := range []bool{true, false} {
			c.variables = map[string]any{"id": "p-1", "withReviews": with, "slim": slim}
			a, again := r.post(t, c), r.post(t, c)
			if a.header.Get(headerPlanCache) != "MISS" || again.header.Get(headerPlanCache) != "HIT" || len(a.errors) > 0 {
				t.Errorf("withReviews %t, slim %t: %s then %s, %v", with, slim, a.header.Get(headerPlanCache), again.header.Get(headerPlanCache), a.errors)
			}
			if strings.Contains(a.body, "reviews") != with || strings.Contains(a.body, "description") == slim {
				t.Errorf("withReviews %t, slim %t: %s", with, slim, a.body)
			}
			keys[a.header.Get("X-Plan-Key")] = true
		}
	}
	if len(keys) != 4 {
		t.Errorf("%d keys for 4 combinations", len(keys))
	}
}

// TestWhatSharesAPlan: the table of the facts about hits and misses.
func TestWhatSharesAPlan(t *testing.T) {
	r := startReady(t, nil)
	r.post(t, call{query: `query A($x: ID!) { product(id: $x) { id title } }`, name: "A", variables: map[string]any{"x": "p-1"}})
	for _, c := range []struct{ name, query, want string }{
		{"another operation name", `query B($x: ID!) { product(id: $x) { id title } }`, "HIT"},
		{"no operation name, other variable", `query($y: ID!) { product(id: $y) { id title } }`, "HIT"},
		{"a literal", `{ product(id: "p-9") { id title } }`, "HIT"},
		{"a fragment", `{ product(id: "p-9") { ...F } } fragment F on Product { id title }`, "HIT"},
		{"another order", `{ product(id: "p-9") { title id } }`, "MISS"},
	} {
		a := r.post(t, call{query: c.query, variables: map[string]any{"x": "p-2", "y": "p-3"}}, headerClientName, "other")
		if got := a.header.Get(headerPlanCache); got != c.want || len(a.errors) > 0 {
			t.Errorf("%s: %s, want %s; %v", c.name, got, c.want, a.errors)
		}
	}
}

func TestInvalidRequests(t *testing.T) {
	r := startReady(t, nil)
	const secret = "hunter2-secret"
	for _, c := range []struct {
		name string
		op   call
		want string
	}{
		{"unknown field", find(t, "invalid-unknown-field"), "colourName"},
		{"syntax", call{query: `{ product(id: "` + secret + `"`}, "parse"},
		{"several operations", call{query: `query A { __typename } query B { __typename }`}, "several"},
		{"missing variable", call{query: `query($i: ID!) { product(id: $i) { id } }`}, "variable"},
		{"variable of a wrong type", call{query: `query($i: Int!) { latestReviews(first: $i) { id } }`, variables: map[string]any{"i": secret}}, "variable"},
	} {
		a := r.post(t, c.op)
		if a.status != http.StatusOK || len(a.errors) == 0 || a.data != nil || !strings.Contains(a.body, c.want) {
			t.Errorf("%s: status %d, %s", c.name, a.status, a.body)
		}
		if strings.Contains(a.body, secret) {
			t.Errorf("%s: a value is in the error: %s", c.name, a.body)
		}
	}
	if got := r.subgraphs.Total().Requests(); got != 0 {
		t.Errorf("subgraphs were asked %d times", got)
	}
	if s := r.Stats(); s.Executed != 0 || s.Invalid != 3 {
		t.Errorf("stats %+v", s)
	}
}

func TestGet(t *testing.T) {
	r := startReady(t, nil)
	if status, body := r.get(t, "/graphql?query="+url.QueryEscape(`query($i:ID!){product(id:$i){id}}`)+"&variables="+url.QueryEscape(`{"i":"p-7"}`)); status != 200 || !strings.Contains(body, `"id":"p-7"`) {
		t.Errorf("query: %d %s", status, body)
	}
	if status, body := r.get(t, "/graphql?query="+url.QueryEscape(find(t, "add-to-cart").query)); status != http.StatusMethodNotAllowed {
		t.Errorf("mutation: %d %s", status, body)
	}
	if got := r.subgraphs.Total().Mutations; got != 0 {
		t.Errorf("%d mutations executed", got)
	}
}

// TestSingleFlight: requests that overlap make one plan, and each counts as a
// miss or a hit, none twice.
func TestSingleFlight(t *testing.T) {
	r := startReady(t, nil)
	c := find(t, "compare-eight") // slow enough to plan for requests to overlap
	const n = 12
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if a := r.post(t, c); len(a.errors) > 0 {
				t.Errorf("%v", a.errors)
			}
		})
	}
	wg.Wait()
	if s := r.Stats(); s.PlanCache.Added != 1 || s.PlanHits+s.PlanMisses != n || s.PlanMisses == 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestPlanCacheIsBounded(t *testing.T) {
	r := startReady(t, func(o *Options) { o.PlanCacheSize = 3 })
	ops := valid(calls(t, false))[:6]
	for range 2 {
		for _, c := range ops {
			r.post(t, c)
		}
	}
	if s := r.Stats(); s.PlanCache.Size != 3 || s.PlanCache.Evicted != s.PlanCache.Added-3 || s.PlanMisses != 12 {
		t.Errorf("stats %+v", s)
	}
}
