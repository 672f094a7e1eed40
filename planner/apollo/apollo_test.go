package apollo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/apollo/apollodouble"
	"github.com/planwarm/planwarm/planner/dryrun"
	"github.com/planwarm/planwarm/planner/dryrun/dryrundouble"
	"github.com/planwarm/planwarm/planner/planhttp"
	"github.com/planwarm/planwarm/warmer"
)

const canaryText = "query PlanwarmCanary{planwarm: me{id}}"

func newPlanner(t *testing.T, h http.Handler, change func(*dryrun.Options)) Planner {
	t.Helper()
	o := dryrun.Options{
		URL: "http://router.test/", Client: dryrundouble.Client(h), OwnVersion: "1.2.3",
		Canary: func() (dryrun.Canary, error) { return dryrun.Canary{Query: canaryText}, nil },
	}
	if change != nil {
		change(&o)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func double(o dryrundouble.Options) *dryrundouble.Double {
	return apollodouble.New(apollodouble.Options{Options: o})
}

func query(name string) planner.Request {
	return planner.Request{Query: "query " + name + "{product{id}}", OperationName: name}
}

func TestRequests(t *testing.T) {
	d := double(dryrundouble.Options{})
	p := newPlanner(t, d, nil)
	const text = `query A($s: Boolean!){product{id @skip(if: $s)}}`
	sum := sha256.Sum256([]byte(text))
	hash := hex.EncodeToString(sum[:])
	_, err := p.Plan(t.Context(), planner.Request{
		Query: text, OperationName: "A", Client: "web@3.1", Conditions: map[string]bool{"s": true}, PersistedHash: hash,
		Header: http.Header{
			"Authorization": {"Bearer profile"}, "apollo-expose-query-plan": {"false"}, "apollographql-client-name": {"web"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	sent := d.Requests()
	if len(sent) != 2 || sent[0].Body != `{"query":"`+canaryText+`"}` || sent[1].Body !=
		`{"query":"query A($s: Boolean!){product{id @skip(if: $s)}}","operationName":"A","variables":{"s":true},`+
			`"extensions":{"persistedQuery":{"sha256Hash":"`+hash+`","version":1}}}` {
		t.Fatalf("%+v", sent)
	}
	for i, r := range sent {
		for name, want := range map[string]string{
			"Apollo-Expose-Query-Plan": "dry-run", "apollographql-client-name": "planwarm", "apollographql-client-version": "1.2.3",
			"Accept": "application/json", "Content-Type": "application/json", "Authorization": []string{"", "Bearer profile"}[i],
		} {
			if got := strings.Join(r.Header.Values(name), "|"); got != want {
				t.Errorf("request %d, %s: %q, want %q", i, name, got, want)
			}
		}
	}
}

// TestRefusalsAfterPlanning: a 400 about a variable and a 406 of an answer in
// parts are plans; the same refusals of anything else are not.
func TestRefusalsAfterPlanning(t *testing.T) {
	d := double(dryrundouble.Options{Refuse: "gone"})
	p := newPlanner(t, d, nil)
	for _, c := range []struct {
		text string
		want error
	}{
		{"query A{product{id}}", nil},
		{"query B($id: ID!){product(id: $id){id}}", nil},
		{"query C{product{id ... @defer{name}}}", nil},
		{"subscription D{prices{amount}}", nil},
		{"query E{product{gone}}", planner.ErrInvalid},
		{"query F($id: ID!){product(id: $id){gone}}", planner.ErrInvalid},
	} {
		_, err := p.Plan(t.Context(), planner.Request{Query: c.text})
		if !errors.Is(err, c.want) || d.Cached(c.text, "") != (c.want == nil) {
			t.Errorf("%s: %v, cached %v", c.text, err, d.Cached(c.text, ""))
		}
	}
	// 406 for a plain query is no refusal after planning.
	odd := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == int64(len(`{"query":"`+canaryText+`"}`)) {
			d.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(http.StatusNotAcceptable)
	})
	if _, err := newPlanner(t, odd, nil).Plan(t.Context(), query("A")); !errors.Is(err, planner.ErrInvalid) {
		t.Errorf("406: %v", err)
	}
}

// TestNameSentAndNotSent: the cache keys on the name as it was sent, so both
// forms are sent where the manifest has both, and each has its own plan.
func TestNameSentAndNotSent(t *testing.T) {
	d := double(dryrundouble.Options{})
	none := ""
	e := manifest.Entry{
		Request:  manifest.Request{Query: "query A{product{id}}", OperationName: "A"},
		Planwarm: manifest.Details{PlanKey: "1", Type: manifest.Query, Variants: []manifest.Variant{{OperationName: &none}}},
	}
	items := warmer.Items([]manifest.Entry{e}, true)
	rep, _, err := warmer.Runner{Planner: newPlanner(t, d, nil)}.Run(t.Context(), items)
	if err != nil || rep.Planned != 2 || rep.Share != nil {
		t.Fatalf("%+v, %v", rep, err)
	}
	if !d.Cached("query A{product{id}}", "A") || !d.Cached("query A{product{id}}", "") || d.Cached("query A{ product{id}}", "A") || d.Planned() != 3 {
		t.Errorf("%d plans", d.Planned())
	}
}

// TestProfiles: plans depend on authorization, so each profile has its own.
func TestProfiles(t *testing.T) {
	d := double(dryrundouble.Options{})
	p := newPlanner(t, d, nil)
	for _, h := range []http.Header{nil, {"Authorization": {"Bearer a"}}, {"Authorization": {"Bearer b"}}} {
		r := query("A")
		r.Header = h
		if _, err := p.Plan(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if d.Planned() != 4 { // and the canary's
		t.Errorf("%d plans", d.Planned())
	}
}

func TestUnauthorized(t *testing.T) {
	d := double(dryrundouble.Options{Token: "right"})
	if err := newPlanner(t, d, nil).Probe(t.Context()); !errors.Is(err, planner.ErrRefused) {
		t.Errorf("no token: %v", err)
	}
	p := newPlanner(t, d, func(o *dryrun.Options) { o.Token = func() (string, error) { return "right", nil } })
	if _, err := p.Plan(t.Context(), query("A")); err != nil {
		t.Errorf("token: %v", err)
	}
	wrong := query("B")
	wrong.Header = http.Header{"Authorization": {"Bearer wrong"}}
	if _, err := p.Plan(t.Context(), wrong); !errors.Is(err, planner.ErrProfile) {
		t.Errorf("a profile that is refused: %v", err)
	}
	if _, err := p.Plan(t.Context(), query("C")); err != nil {
		t.Errorf("after it: %v", err)
	}
}

func TestMutations(t *testing.T) {
	const withInput, without = "mutation M($in: ID!){buy(id: $in){id}}", "mutation N{buyAll{id}}"
	for name, c := range map[string]struct {
		r    planner.Request
		want error
	}{
		"required variable":     {planner.Request{Query: withInput, Mutation: true}, nil},
		"none":                  {planner.Request{Query: without, Mutation: true}, planner.ErrMutation},
		"told as a query":       {planner.Request{Query: without}, planner.ErrMutation},
		"its default is enough": {planner.Request{Query: "mutation($a: ID! = 1){buy(id: $a){id}}"}, planner.ErrMutation},
		"null is enough":        {planner.Request{Query: "mutation($a: ID){buy(id: $a){id}}"}, planner.ErrMutation},
		"a condition that is sent": {planner.Request{Query: "mutation($s: Boolean!){buy{id @skip(if: $s)}}",
			Conditions: map[string]bool{"s": true}}, planner.ErrMutation},
		"a condition beside it": {planner.Request{Query: "mutation($s: Boolean!, $a: ID!){buy(id: $a){id @skip(if: $s)}}",
			Conditions: map[string]bool{"s": true}}, nil},
		"one of another operation": {planner.Request{Query: "mutation A{buyAll{id}} query B($b: ID!){product(id: $b){id}}",
			OperationName: "A"}, planner.ErrMutation},
	} {
		// Whatever the router does with the header, such a mutation is not executed.
		for _, mode := range []dryrundouble.Mode{dryrundouble.Allowed, dryrundouble.Ignored} {
			d := double(dryrundouble.Options{ReloadAfter: 1, ReloadTo: mode})
			p := newPlanner(t, d, nil)
			if _, err := p.Plan(t.Context(), c.r); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
			if n := len(d.Executed()); n != 0 || c.want != nil && len(d.Requests()) != 0 {
				t.Errorf("%s: %d executed, %d sent", name, n, len(d.Requests()))
			}
		}
	}
}

// The canary's plan is short: one beyond every bound is no answer of this router.
func TestPlanOfTheCanaryIsShort(t *testing.T) {
	d := double(dryrundouble.Options{Mode: dryrundouble.HugePlan})
	if err := newPlanner(t, d, nil).Probe(t.Context()); !errors.Is(err, planner.ErrRefused) {
		t.Error(err)
	}
}

// watching runs Watch in a bubble and returns the signs seen so far.
func watching(t *testing.T, p Planner) func() string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var seen []string
	done := make(chan error, 1)
	go func() { done <- p.Watch(ctx, func(r planner.Reload) { seen = append(seen, r.Sign) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("watch: %v", err)
		}
	})
	return func() string {
		time.Sleep(time.Minute)
		synctest.Wait()
		defer func() { seen = nil }()
		return strings.Join(seen, ", ")
	}
}

func TestWatch(t *testing.T) {
	for name, c := range map[string]struct {
		noCounter      bool
		reload, resume string
	}{
		"counter":     {false, SignSchema, planhttp.SignInstance},
		"connections": {true, SignConnection, SignConnection},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := apollodouble.New(apollodouble.Options{NoCounter: c.noCounter})
				p := newPlanner(t, d, func(o *dryrun.Options) {
					o.MetricsURL, o.ReadyURL = "http://router.test/metrics", "http://router.test/health?ready"
				})
				signs := watching(t, p)
				if got := signs(); got != "" {
					t.Errorf("at rest: %q", got)
				}
				if _, err := p.Plan(t.Context(), query("A")); err != nil {
					t.Fatal(err)
				}
				d.Reload()
				if got := signs(); got != c.reload {
					t.Errorf("reload: %q", got)
				}
				d.Restart()
				if got := signs(); got != c.resume {
					t.Errorf("restart: %q", got)
				}
				// What the canary proved, it proved of the graph before.
				d.SetMode(dryrundouble.Ignored)
				if _, err := p.Plan(t.Context(), query("A")); !errors.Is(err, planner.ErrExecuted) {
					t.Errorf("after the reload: %v", err)
				}
				if e := d.Executed(); len(e) != 1 || !e[0].Canary {
					t.Errorf("executed %+v", e)
				}
				d.SetReady(false)
				if got := signs(); got != "" {
					t.Errorf("not ready: %q", got)
				}
				d.SetReady(true)
				if got := signs(); got != planhttp.SignReady {
					t.Errorf("ready again: %q", got)
				}
			})
		})
	}
}
