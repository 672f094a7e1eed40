package apollo

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/dryrun"
	"github.com/planwarm/planwarm/planner/dryrun/dryrundouble"
	"github.com/planwarm/planwarm/warmer"
)

// operations are of every kind that could do harm.
func operations() []warmer.Item {
	var out []warmer.Item
	for _, r := range []planner.Request{
		{Query: "mutation M{buyAll{id}}", Mutation: true},
		{Query: "mutation N($id: ID!){buy(id: $id){id}}", Mutation: true},
		query("A"), query("B"), query("C"), query("D"), query("E"), query("F"),
		{Query: "query G($id: ID!){product(id: $id){id}}"},
		{Query: "subscription H{prices{amount}}"},
	} {
		out = append(out, warmer.Item{Request: r, ID: r.Query})
	}
	return out
}

// TestBadModes: whatever the router does, a whole run executes at most its one
// canary, and ends with the right outcome.
func TestBadModes(t *testing.T) {
	for _, c := range []struct {
		name     string
		mode     dryrundouble.Mode
		want     error
		executed int
	}{
		{"allowed", dryrundouble.Allowed, nil, 0},
		{"ignored", dryrundouble.Ignored, planner.ErrExecuted, 1},
		{"plan and data", dryrundouble.Shown, planner.ErrExecuted, 1},
		{"plan before data", dryrundouble.ShownFirst, planner.ErrExecuted, 1},
		{"roots all null", dryrundouble.NullRoots, planner.ErrExecuted, 1},
		{"data null", dryrundouble.NullData, planner.ErrExecuted, 1},
		{"10 MB of data", dryrundouble.Huge, planner.ErrExecuted, 1},
		{"20 MB of something", dryrundouble.HugeExtensions, planner.ErrRefused, 0},
		{"nothing", dryrundouble.Nothing, planner.ErrRefused, 0},
		{"503", dryrundouble.Unavailable, planner.ErrOverloaded, 0},
		{"429", dryrundouble.Limited, planner.ErrOverloaded, 0},
		{"redirect", dryrundouble.Redirect, planner.ErrRefused, 0},
		{"html", dryrundouble.HTML, planner.ErrRefused, 0},
		{"slow", dryrundouble.Slow, planner.ErrOverloaded, 0},
		{"broken", dryrundouble.Broken, planner.ErrUnavailable, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := double(dryrundouble.Options{Mode: c.mode, Delay: time.Hour})
				p := newPlanner(t, d, func(o *dryrun.Options) { o.Timeout = 10 * time.Second })
				rep, _, err := warmer.Runner{Planner: p}.Run(t.Context(), operations())
				if !errors.Is(err, c.want) {
					t.Fatalf("%v, want %v", err, c.want)
				}
				if want := map[bool]int{true: 9, false: 0}[c.want == nil]; rep.Planned != want || rep.Executed != c.executed {
					t.Errorf("report %+v", rep)
				}
				e := d.Executed()
				if len(e) != c.executed || c.executed == 1 && !e[0].Canary {
					t.Errorf("executed %+v", e)
				}
			})
		})
	}
}

// TestChangesBetweenCanaryAndUse: the one request that no canary can protect is
// noticed by its own answer and is the last; one that lacks a variable is not
// executed even then.
func TestChangesBetweenCanaryAndUse(t *testing.T) {
	for name, c := range map[string]struct {
		to       dryrundouble.Mode
		want     error
		executed int
	}{
		"ignored":   {dryrundouble.Ignored, planner.ErrExecuted, 1},
		"shown":     {dryrundouble.ShownFirst, planner.ErrExecuted, 1},
		"null data": {dryrundouble.NullData, planner.ErrExecuted, 1},
		"huge":      {dryrundouble.Huge, planner.ErrExecuted, 1},
		"html":      {dryrundouble.HTML, planner.ErrRefused, 0},
		"redirect":  {dryrundouble.Redirect, planner.ErrRefused, 0},
		"nothing":   {dryrundouble.Nothing, planner.ErrRefused, 0},
		"broken":    {dryrundouble.Broken, planner.ErrUnavailable, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := double(dryrundouble.Options{ReloadAfter: 6, ReloadTo: c.to}) // canaries, a mutation that is not sent, one without its variable
				_, _, err := warmer.Runner{Planner: newPlanner(t, d, nil)}.Run(t.Context(), operations())
				if !errors.Is(err, c.want) {
					t.Errorf("%v, want %v", err, c.want)
				}
				e := d.Executed()
				if len(e) != c.executed || c.executed == 1 && (e[0].Mutation || e[0].Canary) {
					t.Errorf("executed %+v", e)
				}
			})
		})
	}
}

// TestBackPressure: 503 and 429 in the middle of a run slow it down, and it
// goes on when the router does.
func TestBackPressure(t *testing.T) {
	for _, mode := range []dryrundouble.Mode{dryrundouble.Unavailable, dryrundouble.Limited} {
		synctest.Test(t, func(t *testing.T) {
			d := double(dryrundouble.Options{ReloadAfter: 6, ReloadTo: mode})
			p := newPlanner(t, d, nil)
			go func() {
				time.Sleep(500 * time.Millisecond)
				d.SetMode(dryrundouble.Allowed)
			}()
			rep, _, err := warmer.Runner{Planner: p}.Run(t.Context(), operations())
			if err != nil || rep.Planned != 9 || rep.Skipped != 1 || len(d.Executed()) != 0 {
				t.Errorf("mode %d: %+v, %v", mode, rep, err)
			}
		})
	}
}
