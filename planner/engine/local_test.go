package engine

import (
	"context"
	"errors"
	"testing"

	"github.com/planwarm/planwarm/planner"
)

func TestLocalWarmsTheCache(t *testing.T) {
	e := newEngine(t, join, Options{PlanOnly: true})
	l := Local{Engine: e}
	if err := l.Probe(t.Context()); err != nil || !l.MutationSafe() {
		t.Errorf("probe %v, mutation safe %v", err, l.MutationSafe())
	}
	r := planner.Request{Query: `query A($all: Boolean!) { thing(id: "1") { id name @include(if: $all) } }`, Conditions: map[string]bool{"all": true}}
	if hit, err := l.Verify(t.Context(), r); err != nil || hit != planner.HitNo {
		t.Errorf("before: %v, %v", hit, err)
	}
	first, err := l.Plan(t.Context(), r)
	if err != nil || first.Hit != planner.HitNo || first.Plan <= 0 || first.Took < first.Plan {
		t.Errorf("first: %+v, %v", first, err)
	}
	second, err := l.Plan(t.Context(), r)
	if err != nil || second.Hit != planner.HitYes || second.PlanKey != first.PlanKey || second.Plan != 0 {
		t.Errorf("second: %+v, %v", second, err)
	}
	if hit, err := l.Verify(t.Context(), r); err != nil || hit != planner.HitYes {
		t.Errorf("after: %v, %v", hit, err)
	}
	live := prepare(t, e, `query B($x: ID!, $more: Boolean!) { thing(id: $x) { id name @include(if: $more) } }`, "", `{"x":"2","more":true}`)
	if !e.Contains(live) {
		t.Error("the live request misses")
	}
	r.Conditions = map[string]bool{"all": false}
	if hit, err := l.Verify(t.Context(), r); err != nil || hit != planner.HitNo {
		t.Errorf("other conditions: %v, %v", hit, err)
	}
}

func TestLocalMapsErrors(t *testing.T) {
	e := newEngine(t, join, Options{PlanOnly: true})
	l := Local{Engine: e}
	good := planner.Request{Query: `{ thing(id: "1") { id } }`}
	bad := planner.Request{Query: `{ nothing }`}
	if _, err := l.Plan(t.Context(), bad); !errors.Is(err, planner.ErrInvalid) {
		t.Errorf("error %v", err)
	}
	if _, err := l.Verify(t.Context(), bad); !errors.Is(err, planner.ErrInvalid) {
		t.Errorf("error %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Probe(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	e.Close()
	if _, err := l.Plan(t.Context(), good); !errors.Is(err, planner.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
}
