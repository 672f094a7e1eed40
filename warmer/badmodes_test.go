package warmer

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/cosmo"
	"github.com/planwarm/planwarm/planner/cosmo/cosmodouble"
)

const rightToken = "right-token-for-tests"

// operations are n queries and, at the end, one mutation.
func operations(n int) []Item {
	var es []manifest.Entry
	for i := range n {
		e := entry(fmt.Sprint(100 + i))
		e.Request.Query = fmt.Sprintf("query Op%d{product(id:%d){name}}", 100+i, i)
		es = append(es, e)
	}
	m := entry("900")
	m.Request = manifest.Request{OperationName: "Buy", Query: "mutation Buy{buy{id}}"}
	m.Planwarm.Type = manifest.Mutation
	return Items(append(es, m), false)
}

func token(s string) func() (string, error) {
	return func() (string, error) { return s, nil }
}

// runAgainst makes one run with the real planner against a double.
func runAgainst(t *testing.T, d *cosmodouble.Double, concurrency int, change func(*cosmo.Options)) (Report, error) {
	t.Helper()
	srv := httptest.NewServer(d)
	defer srv.Close()
	o := cosmo.Options{URL: srv.URL + "/graphql", Client: srv.Client()}
	if change != nil {
		change(&o)
	}
	p, err := cosmo.New(o)
	if err != nil {
		t.Fatal(err)
	}
	rep, _, err := Runner{Planner: p, Settings: Settings{Concurrency: concurrency, Deadline: time.Minute}}.Run(t.Context(), operations(20))
	if sum := rep.Planned + rep.AlreadyWarm + rep.Failed + rep.Skipped; sum != 21 {
		t.Errorf("%d of 21 operations accounted for: %+v", sum, rep)
	}
	return rep, err
}

// Whatever a router does, a run executes at most the one canary, which needs no
// subgraph, and says so.
func TestBadModes(t *testing.T) {
	withToken := func(s string) func(*cosmo.Options) { return func(o *cosmo.Options) { o.Token = token(s) } }
	closed := func(o *cosmo.Options) { o.Token, o.FailsClosed = token(rightToken), true }
	for _, tc := range []struct {
		name     string
		mode     cosmodouble.Mode
		change   func(*cosmo.Options)
		executed int
		told     int    // executions that the report tells: a router may hide its own
		planned  int    // of 20 queries and a mutation
		stopped  string // a part of the reason
	}{
		{"allowed", cosmodouble.Allowed, nil, 0, 0, 20, ""},
		{"allowed, claims to fail closed", cosmodouble.Allowed, closed, 0, 0, 20, ""},
		{"fails closed, right token", cosmodouble.FailsClosed, closed, 0, 0, 21, ""},
		{"fails closed, right token, not told", cosmodouble.FailsClosed, withToken(rightToken), 0, 0, 20, ""},
		{"fails closed, wrong token", cosmodouble.FailsClosed, withToken("wrong"), 0, 0, 0, planner.ErrRefused.Error()},
		{"fails closed, no token", cosmodouble.FailsClosed, nil, 1, 1, 0, planner.ErrExecuted.Error()},
		{"ignored", cosmodouble.Ignored, nil, 1, 1, 0, planner.ErrExecuted.Error()},
		{"ignored, with a token", cosmodouble.Ignored, closed, 1, 1, 0, planner.ErrExecuted.Error()},
		{"roots all null", cosmodouble.NullRoots, nil, 1, 1, 0, planner.ErrExecuted.Error()},
		{"data null", cosmodouble.NullData, nil, 1, 0, 0, planner.ErrRefused.Error()},
		{"10 MB of data", cosmodouble.Huge, nil, 1, 1, 0, planner.ErrExecuted.Error()},
		{"10 MB of extensions", cosmodouble.HugeExtensions, nil, 0, 0, 0, planner.ErrRefused.Error()},
		{"starting", cosmodouble.Starting, nil, 0, 0, 0, planner.ErrUnavailable.Error()},
		{"503", cosmodouble.Unavailable, nil, 0, 0, 0, planner.ErrOverloaded.Error()},
		{"429", cosmodouble.Limited, nil, 0, 0, 0, planner.ErrOverloaded.Error()},
		{"redirect", cosmodouble.Redirect, nil, 0, 0, 0, planner.ErrRefused.Error()},
		{"html", cosmodouble.HTML, nil, 0, 0, 0, planner.ErrRefused.Error()},
		{"500", cosmodouble.Broken, nil, 0, 0, 0, planner.ErrUnavailable.Error()},
		{"slow", cosmodouble.Slow, func(o *cosmo.Options) { o.Timeout = 200 * time.Millisecond }, 0, 0, 0, planner.ErrOverloaded.Error()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := cosmodouble.New(cosmodouble.Options{Mode: tc.mode, Token: rightToken, Hits: cosmodouble.HitDebug, Delay: time.Minute})
			rep, err := runAgainst(t, d, 4, tc.change)
			if n := len(d.Executed()); n != tc.executed || rep.Executed != tc.told {
				t.Errorf("%d executed, %d told, want %d and %d", n, rep.Executed, tc.executed, tc.told)
			}
			for _, e := range d.Executed() {
				if e.Subgraph || e.Mutation {
					t.Errorf("executed at a subgraph: %s", e.Query)
				}
			}
			if rep.Planned != tc.planned || rep.Failed != 0 || !strings.Contains(rep.Stopped, tc.stopped) || (rep.Stopped == "") != (tc.stopped == "") {
				t.Errorf("report %+v", rep)
			}
			if (err != nil) != (tc.stopped != "") {
				t.Errorf("error %v", err)
			}
			if tc.planned > 0 && (rep.Share == nil || *rep.Share != 1) {
				t.Errorf("verified share %v", rep.Share)
			}
		})
	}
}

// The counter of the tests above counts: without the header everything executes.
func TestBadModesNegativeControl(t *testing.T) {
	d := cosmodouble.New(cosmodouble.Options{Mode: cosmodouble.Ignored})
	srv := httptest.NewServer(d)
	defer srv.Close()
	for _, it := range operations(3) {
		res, err := srv.Client().Post(srv.URL+"/graphql", "application/json", strings.NewReader(fmt.Sprintf("{%q:%q}", "query", it.Request.Query)))
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	mutations, subgraphs := 0, 0
	for _, e := range d.Executed() {
		if e.Mutation {
			mutations++
		}
		if e.Subgraph {
			subgraphs++
		}
	}
	if len(d.Executed()) != 4 || mutations != 1 || subgraphs != 4 {
		t.Errorf("%d executed, %d mutations, %d at subgraphs", len(d.Executed()), mutations, subgraphs)
	}
}

// A router that reloads into a bad mode between the canary and an operation
// executes what is under way then, which no canary can prevent, and nothing
// after: one request while they go one at a time, at most the concurrency later.
func TestReloadBetweenCanaryAndUse(t *testing.T) {
	const concurrency = 4
	for name, to := range map[string]cosmodouble.Mode{
		"ignored": cosmodouble.Ignored, "roots all null": cosmodouble.NullRoots, "data null": cosmodouble.NullData, "10 MB": cosmodouble.Huge,
	} {
		// Canaries go before the first operation and behind each of those that go alone.
		for _, after := range []int{solo, solo + 2, 3*solo + 4} {
			t.Run(fmt.Sprintf("%s after %d", name, after), func(t *testing.T) {
				d := cosmodouble.New(cosmodouble.Options{ReloadAfter: after, ReloadTo: to, Hits: cosmodouble.HitDebug})
				rep, err := runAgainst(t, d, concurrency, nil)
				least, most := 1, 1
				if after > 3*solo {
					least, most = 0, concurrency // a canary may be the first to meet it
				}
				operations := 0
				for _, e := range d.Executed() {
					if e.Mutation {
						t.Errorf("a mutation was executed")
					}
					if e.Subgraph {
						operations++
					}
				}
				if operations < least || operations > most || err == nil || rep.Stopped == "" {
					t.Errorf("%d operations executed, want %d to %d; %+v, %v", operations, least, most, rep, err)
				}
				if to == cosmodouble.Ignored && rep.Executed != len(d.Executed()) {
					t.Errorf("%d executed, %d told", len(d.Executed()), rep.Executed)
				}
			})
		}
	}
}

// Where mutations could be executed they are never sent, even at a router that
// stops failing closed in the middle of a run.
func TestMutationsAreNeverSentInAModeThatExecutes(t *testing.T) {
	for after := range 12 {
		d := cosmodouble.New(cosmodouble.Options{Mode: cosmodouble.FailsClosed, Token: rightToken, ReloadAfter: after, ReloadTo: cosmodouble.Ignored})
		_, _ = runAgainst(t, d, 1, func(o *cosmo.Options) { o.Token, o.FailsClosed = token(rightToken), true })
		for _, e := range d.Executed() {
			if e.Mutation {
				t.Errorf("reloaded after %d requests: a mutation was executed", after)
			}
		}
	}
}

func TestRefusedOperationsDoNotStopARun(t *testing.T) {
	d := cosmodouble.New(cosmodouble.Options{Refuse: "id:7)", Hits: cosmodouble.HitDebug})
	rep, err := runAgainst(t, d, 4, nil)
	if err != nil || rep.Planned != 19 || rep.Failed != 1 || len(rep.Failures) != 1 || rep.Failures[0].Name != "Op107" {
		t.Errorf("%+v, %v", rep, err)
	}
	if strings.Contains(rep.Failures[0].Reason, "product") {
		t.Errorf("the report has the text: %q", rep.Failures[0].Reason)
	}
}

// A header profile that expires while many requests are under way costs what
// is left under it, and nothing else.
func TestProfileExpiresInTheMiddleOfARun(t *testing.T) {
	d := cosmodouble.New(cosmodouble.Options{Hits: cosmodouble.HitDebug})
	var profiled atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Profile") != "" && profiled.Add(1) > 20 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		d.ServeHTTP(w, r)
	}))
	defer srv.Close()
	p, err := cosmo.New(cosmo.Options{URL: srv.URL + "/graphql", Client: srv.Client()})
	if err != nil {
		t.Fatal(err)
	}
	var es []manifest.Entry
	for i := range 100 {
		e := entry(fmt.Sprint(100 + i))
		e.Request.Query = fmt.Sprintf("query Op%d{product(id:%d){name}}", 100+i, i)
		es = append(es, underProfiles(e, "beta"))
	}
	rep, _, err := Runner{Planner: p, Profiles: someProfiles, Settings: Settings{Concurrency: 8}}.Run(t.Context(), Items(es, false))
	if err != nil || rep.Stopped != "" || rep.Planned+rep.AlreadyWarm != 120 || rep.Failed == 0 || rep.Failed > 8 || rep.Failed+rep.Skipped != 80 {
		t.Errorf("%+v, %v", rep, err)
	}
	if n := len(d.Executed()); n != 0 {
		t.Errorf("%d executed", n)
	}
}
