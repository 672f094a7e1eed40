package cosmo

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/cosmo/cosmodouble"
)

const rightToken = "right-token-for-tests"

// inProcess carries requests to a handler without a network, so that time can
// be the bubble's.
type inProcess struct{ h http.Handler }

func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	type reply struct{ w *httptest.ResponseRecorder }
	done := make(chan reply, 1)
	go func() {
		w := httptest.NewRecorder()
		t.h.ServeHTTP(w, r)
		done <- reply{w}
	}()
	select {
	case got := <-done:
		return got.w.Result(), nil
	case <-r.Context().Done():
		<-done
		return nil, r.Context().Err()
	}
}

func newPlanner(t testing.TB, h http.Handler, change func(*Options)) *Planner {
	t.Helper()
	o := Options{URL: "http://router.test/graphql", Client: &http.Client{Transport: inProcess{h}}, OwnVersion: "1.2.3"}
	if change != nil {
		change(&o)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func right() (string, error) { return rightToken, nil }

func query(name string) planner.Request {
	return planner.Request{Query: "query " + name + "{product(id: \"1\"){id " + strings.ToLower(name) + "}}", OperationName: name}
}

var mutation = planner.Request{Query: "mutation M{checkout{id}}", OperationName: "M", Mutation: true}

func TestPlanHeadersAndBody(t *testing.T) {
	d := cosmodouble.New(cosmodouble.Options{Mode: cosmodouble.FailsClosed, Token: rightToken})
	p := newPlanner(t, d, func(o *Options) { o.Token = right })
	const text = `query A($s: Boolean!){product(id: "1"){id @skip(if: $s)}}`
	sum := sha256.Sum256([]byte(text))
	hash := hex.EncodeToString(sum[:])
	_, err := p.Plan(t.Context(), planner.Request{
		Query: text, OperationName: "A", Client: "web@3.1", PersistedHash: hash, Conditions: map[string]bool{"s": true},
		Header: http.Header{
			"x-feature-flag": {"beta"}, "Authorization": {"Bearer profile"},
			"X-WG-Trace": {"true"}, "x-wg-include-query-plan": {"true"}, "X-Wg-Skip-Loader": {"false"}, "X-WG-Token": {"other"},
			"GraphQL-Client-Name": {"web"}, "Content-Type": {"text/plain"}, "Host": {"elsewhere"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(d.Requests()); n != 2 {
		t.Fatalf("%d requests, want canary and operation", n)
	}
	for i, h := range d.Requests() {
		for name, want := range map[string]string{
			"X-WG-Skip-Loader": "true", "GraphQL-Client-Name": "planwarm", "GraphQL-Client-Version": "1.2.3", "X-WG-Token": rightToken,
			"X-WG-Trace": "", "X-WG-Include-Query-Plan": "", "Content-Type": "application/json", "Host": "",
			"X-Feature-Flag": []string{"", "beta"}[i], "Authorization": []string{"", "Bearer profile"}[i],
		} {
			if got := strings.Join(h.Values(name), "|"); got != want {
				t.Errorf("request %d, %s: %q, want %q", i, name, got, want)
			}
		}
	}
	want := `{"query":"query A($s: Boolean!){product(id: \"1\"){id @skip(if: $s)}}","operationName":"A","variables":{"s":true},` +
		`"extensions":{"persistedQuery":{"sha256Hash":"` + hash + `","version":1}}}`
	if got := d.Bodies(); got[0] != `{"query":"{ __typename }"}` || got[1] != want {
		t.Errorf("bodies %s", got)
	}
}

func TestPlanReadsHits(t *testing.T) {
	for name, c := range map[string]struct {
		hits  cosmodouble.HitHeaders
		first planner.Hit
		again planner.Hit
		time  time.Duration
	}{
		"none":       {cosmodouble.HitNone, planner.HitUnknown, planner.HitUnknown, 0},
		"debug":      {cosmodouble.HitDebug, planner.HitNo, planner.HitYes, 0},
		"expression": {cosmodouble.HitExpression, planner.HitNo, planner.HitYes, 756836 * time.Nanosecond},
	} {
		t.Run(name, func(t *testing.T) {
			d := cosmodouble.New(cosmodouble.Options{Hits: c.hits})
			p := newPlanner(t, d, nil)
			res, err := p.Plan(t.Context(), query("A"))
			if err != nil || res.Hit != c.first || res.Plan != c.time || (res.PlanKey != "") != (c.hits == cosmodouble.HitExpression) {
				t.Fatalf("%+v, %v", res, err)
			}
			if hit, err := p.Verify(t.Context(), query("A")); err != nil || hit != c.again {
				t.Fatalf("verify: %v, %v", hit, err)
			}
			// The same operation under another name and layout has the same plan;
			// another condition has one of its own.
			same := query("A")
			same.Query, same.OperationName = strings.Replace(same.Query, "query A{", "query  Other {\n", 1), "Other"
			if hit, err := p.Verify(t.Context(), same); err != nil || hit != c.again {
				t.Fatalf("other name: %v, %v", hit, err)
			}
			same.Conditions = map[string]bool{"s": true}
			if hit, err := p.Verify(t.Context(), same); err != nil || hit != c.first {
				t.Fatalf("other condition: %v, %v", hit, err)
			}
			if n := len(d.Executed()); n != 0 {
				t.Fatalf("%d executed", n)
			}
		})
	}
}

func TestInvalidOperationsDoNotStopARun(t *testing.T) {
	d := cosmodouble.New(cosmodouble.Options{Mode: cosmodouble.FailsClosed, Token: rightToken, Refuse: "gone"})
	p := newPlanner(t, d, func(o *Options) { o.Token = right })
	for name, r := range map[string]planner.Request{
		"refused":      {Query: "{product{gone}}"},
		"syntax":       {Query: "{product{"},
		"empty":        {},
		"two":          {Query: "query A{a} query B{b}"},
		"no such name": {Query: "query A{a}", OperationName: "B"},
		"subscription": {Query: "subscription{a}"},
		"too large":    {Query: "{a #" + strings.Repeat("x", 256<<10) + "\n}"},
		"fragments":    {Query: "fragment F on Query{a}"},
	} {
		if _, err := p.Plan(t.Context(), r); !errors.Is(err, planner.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := p.Plan(t.Context(), query("A")); err != nil {
		t.Fatalf("after invalid ones: %v", err)
	}
	if n := len(d.Requests()); n != 3 {
		t.Errorf("%d requests, want canary, the refused one and the good one", n)
	}
}

// TestRefusedProfile: a header profile that the router does not take is no
// refusal of ours, and shuts the gate for nobody.
func TestRefusedProfile(t *testing.T) {
	d := cosmodouble.New(cosmodouble.Options{})
	p := newPlanner(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer old" {
			http.Error(w, `{"errors":[{"message":"unauthorized"}]}`, http.StatusUnauthorized)
			return
		}
		d.ServeHTTP(w, r)
	}), nil)
	old := query("A")
	old.Header = http.Header{"Authorization": {"Bearer old"}}
	if _, err := p.Plan(t.Context(), old); !errors.Is(err, planner.ErrProfile) || errors.Is(err, planner.ErrRefused) || !p.gate.Open() {
		t.Fatalf("%v, open %v", err, p.gate.Open())
	}
	if _, err := p.Plan(t.Context(), query("A")); err != nil || len(d.Requests()) != 3 {
		t.Fatalf("without it: %v, %d requests, want two canaries and the operation", err, len(d.Requests()))
	}
}

func TestMutations(t *testing.T) {
	t.Run("sent when proven", func(t *testing.T) {
		d := cosmodouble.New(cosmodouble.Options{Mode: cosmodouble.FailsClosed, Token: rightToken})
		p := newPlanner(t, d, func(o *Options) { o.Token = right; o.FailsClosed = true })
		if p.MutationSafe() {
			t.Fatal("safe before it was proven")
		}
		if err := p.Probe(t.Context()); err != nil || !p.MutationSafe() {
			t.Fatalf("%v, safe %v", err, p.MutationSafe())
		}
		if _, err := p.Plan(t.Context(), mutation); err != nil {
			t.Fatal(err)
		}
		if len(d.Executed()) != 0 || d.Planned() != 2 {
			t.Fatalf("%d executed, %d planned", len(d.Executed()), d.Planned())
		}
		// The key is gone after a reload: the proof before the mutation fails.
		d.SetMode(cosmodouble.Ignored)
		if _, err := p.Plan(t.Context(), mutation); !errors.Is(err, planner.ErrMutation) {
			t.Fatal(err)
		}
		if p.MutationSafe() {
			t.Fatal("still called safe")
		}
		if e := d.Executed(); len(e) != 1 || e[0].Mutation || e[0].Subgraph {
			t.Fatalf("executed %+v", e)
		}
	})
	t.Run("not proven", func(t *testing.T) {
		// dev_mode honours the header whatever the token is: nothing fails closed.
		d := cosmodouble.New(cosmodouble.Options{Mode: cosmodouble.Allowed})
		p := newPlanner(t, d, func(o *Options) { o.Token = right; o.FailsClosed = true })
		if err := p.Probe(t.Context()); err != nil || p.MutationSafe() {
			t.Fatalf("%v, safe %v", err, p.MutationSafe())
		}
		if _, err := p.Plan(t.Context(), mutation); !errors.Is(err, planner.ErrMutation) {
			t.Fatal(err)
		}
	})
	t.Run("told as a query", func(t *testing.T) {
		d := cosmodouble.New(cosmodouble.Options{})
		p := newPlanner(t, d, nil)
		for _, text := range []string{"mutation{a}", "# query\n mutation M {a}", "query Q{a} mutation M{b}"} {
			if _, err := p.Plan(t.Context(), planner.Request{Query: text, OperationName: map[bool]string{true: "M"}[strings.Contains(text, "M")]}); !errors.Is(err, planner.ErrMutation) {
				t.Errorf("%q: %v", text, err)
			}
		}
		for _, b := range d.Bodies() {
			if strings.Contains(b, "mutation") {
				t.Errorf("sent %s", b)
			}
		}
	})
}

func TestOverloadTellsWhenToComeBack(t *testing.T) {
	d := cosmodouble.New(cosmodouble.Options{Mode: cosmodouble.Limited})
	err := newPlanner(t, d, nil).Probe(t.Context())
	if !errors.Is(err, planner.ErrOverloaded) || planner.RetryAfter(err) != 7*time.Second {
		t.Errorf("%v, %v", err, planner.RetryAfter(err))
	}
}

// TestOverTheNetwork has the parts that only a real connection has: a refused
// one, a redirect, and an address with a password in it.
func TestOverTheNetwork(t *testing.T) {
	d := cosmodouble.New(cosmodouble.Options{Mode: cosmodouble.Redirect})
	srv := httptest.NewServer(d)
	p, err := New(Options{URL: strings.Replace(srv.URL, "http://", "http://user:hidden@", 1) + "/graphql"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.client.CloseIdleConnections()
	if err := p.Probe(t.Context()); !errors.Is(err, planner.ErrRefused) || len(d.Executed()) != 0 {
		t.Errorf("redirect: %v, executed %d", err, len(d.Executed()))
	}
	d.SetMode(cosmodouble.HugeExtensions)
	if err := p.Probe(t.Context()); !errors.Is(err, planner.ErrRefused) {
		t.Errorf("10 MB: %v", err)
	}
	d.SetMode(cosmodouble.Allowed)
	if err := p.Probe(t.Context()); err != nil {
		t.Errorf("allowed: %v", err)
	}
	srv.Close()
	err = p.Probe(t.Context())
	if !errors.Is(err, planner.ErrUnavailable) || strings.Contains(err.Error(), "hidden") {
		t.Errorf("refused: %v", err)
	}
}

// TestTokenIsExchanged: a secret file that is empty or away for a moment is no
// word of the router. Nothing is sent meanwhile, and the next token is taken.
func TestTokenIsExchanged(t *testing.T) {
	d := cosmodouble.New(cosmodouble.Options{Mode: cosmodouble.FailsClosed, Token: rightToken})
	token, fault := rightToken, error(nil)
	p := newPlanner(t, d, func(o *Options) { o.Token = func() (string, error) { return token, fault } })
	if _, err := p.Plan(t.Context(), query("A")); err != nil {
		t.Fatal(err)
	}
	sent := len(d.Requests())
	for _, c := range []struct {
		token string
		fault error
	}{{"", nil}, {"", os.ErrNotExist}, {"a\nb", nil}, {strings.Repeat("x", 1<<20), nil}} {
		token, fault = c.token, c.fault
		if _, err := p.Plan(t.Context(), query("B")); !errors.Is(err, planner.ErrUnavailable) {
			t.Errorf("%.10q, %v: %v", token, fault, err)
		}
	}
	if n := len(d.Requests()); n != sent {
		t.Errorf("%d requests were sent without a token", n-sent)
	}
	token, fault = rightToken, nil
	if _, err := p.Plan(t.Context(), query("B")); err != nil || len(d.Executed()) != 0 {
		t.Errorf("with the next token: %v, %d executed", err, len(d.Executed()))
	}
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]Options{
		"no url":          {},
		"other scheme":    {URL: "ftp://router/graphql"},
		"bad ready url":   {URL: "http://router", ReadyURL: "router"},
		"closed to what":  {URL: "http://router", FailsClosed: true},
		"mutation canary": {URL: "http://router", WatchCanary: "mutation{a}"},
	} {
		if p, err := New(o); err == nil || p != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	_, err := New(Options{URL: "x", MetricsURL: "y"})
	if err == nil || !strings.Contains(err.Error(), "url: ") || !strings.Contains(err.Error(), "metrics url: ") {
		t.Errorf("not every fault is named: %v", err)
	}
}
