package planhttp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/planner"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "3": 3 * time.Second, "-3": 0, "999999999999": 5 * time.Minute, "99999999999999999999999": 0, "x": 0,
		"Sun, 01 Nov 2026 12:00:30 GMT": 30 * time.Second, "Sun, 01 Nov 2026 11:00:00 GMT": 0,
	} {
		if got := RetryAfter(v, now); got != want {
			t.Errorf("%q: %v, want %v", v, got, want)
		}
	}
}

func TestStatusError(t *testing.T) {
	for status, want := range map[int]error{
		200: nil, 400: nil, 401: nil, 406: nil, 500: nil,
		302: planner.ErrRefused, 307: planner.ErrRefused, 407: planner.ErrRefused,
		404: planner.ErrUnavailable, 502: planner.ErrUnavailable,
		408: planner.ErrOverloaded, 429: planner.ErrOverloaded, 503: planner.ErrOverloaded, 504: planner.ErrOverloaded,
	} {
		if err := StatusError(status, http.Header{}); !errors.Is(err, want) {
			t.Errorf("%d: %v, want %v", status, err, want)
		}
	}
	if d := planner.RetryAfter(StatusError(503, http.Header{"Retry-After": {"4"}})); d != 4*time.Second {
		t.Errorf("retry after %v", d)
	}
}

func TestNewRequestKeepsReservedHeaders(t *testing.T) {
	r := planner.Request{Query: "{a}", Header: http.Header{
		"authorization": {"Bearer x"}, "X-Plan-Only": {"no"}, "x-own-name": {"no"}, "Host": {"no"}, "Accept": {"no"}, "X-Plan": {"yes"},
	}}
	req, err := NewRequest(t.Context(), "http://router.test/", r, nil, "X-Own-", "x-plan-only")
	if err != nil {
		t.Fatal(err)
	}
	want := http.Header{
		"Authorization": {"Bearer x"}, "X-Plan": {"yes"}, "Accept": {"application/json"}, "Content-Type": {"application/json"},
	}
	if !reflect.DeepEqual(req.Header, want) {
		t.Errorf("%v", req.Header)
	}
	if body, err := io.ReadAll(req.Body); err != nil || string(body) != `{"query":"{a}"}` {
		t.Errorf("%s, %v", body, err)
	}
}

// TestNewRequestNamesNoOtherText: a router would take what it keeps under the
// hash, and only the text was read for what it is.
func TestNewRequestNamesNoOtherText(t *testing.T) {
	for _, c := range []struct {
		text, hash string
		sent       bool
	}{
		{"{a}", shaOf("{a}"), true},
		{"{a}\n", shaOf("{a}\n"), true},
		{"{a}\n", shaOf("{a}"), true}, // a file with an end of line
		{"{a}", shaOf("{a}\n"), false},
		{"{a}", shaOf("mutation{a}"), false},
		{"{a}", strings.ToUpper(shaOf("{a}")), false},
		{"{a}", "", false},
	} {
		req, err := NewRequest(t.Context(), "http://router.test/", planner.Request{Query: c.text, PersistedHash: c.hash}, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(req.Body)
		if err != nil || strings.Contains(string(body), "persistedQuery") != c.sent {
			t.Errorf("%q with %.8s: %s, %v", c.text, c.hash, body, err)
		}
	}
}

func shaOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestReadOperation(t *testing.T) {
	for text, want := range map[string]Operation{
		"{a}":          {},
		"{__typename}": {Meta: true},
		"{x: __typename ... {__schema{types{name}}} ...F} fragment F on T{__typename ...F}": {Meta: true},
		"{__typename ... {...F}} fragment F on T{a}":                                        {},
		"query Q($a: ID!, $b: ID, $c: Int! = 1, $d: [Int!]!){a}":                            {Required: []string{"a", "d"}},
		"# query\nmutation Q($a: ID!){a}":                                                   {Kind: Mutation, Required: []string{"a"}},
		"mutation M{a} subscription Q{a}":                                                   {Kind: Subscription},
		"query Q{a{... @defer{b}}}":                                                         {Deferred: true},
		"query Q{...F @defer} fragment F on T{b}":                                           {Deferred: true},
		"query Q{...F} fragment F on T{b{... on X @defer(if:$x){c}}}":                       {Deferred: true},
	} {
		name := ""
		if strings.Contains(text, "Q") {
			name = "Q"
		}
		want.Name = name
		if got, err := Read(text, name); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "{", "{a} {b}", "fragment F on T{a}", "query A{a} query B{a}", "{a #" + strings.Repeat("x", 256<<10) + "\n}"} {
		if _, err := Read(text, ""); !errors.Is(err, planner.ErrInvalid) {
			t.Errorf("%.20s: %v", text, err)
		}
	}
}

func TestGate(t *testing.T) {
	var answer error
	canaries := 0
	g := NewGate(func(context.Context) error { canaries++; return answer })
	expect := func(want error, sent int) {
		t.Helper()
		if err := g.Ensure(t.Context()); !errors.Is(err, want) || canaries != sent {
			t.Fatalf("%v after %d canaries, want %v after %d", err, canaries, want, sent)
		}
	}
	expect(nil, 1)
	expect(nil, 1) // the proof stands
	losses := g.Losses()
	g.Learn(planner.ErrOverloaded)
	g.Learn(planner.ErrInvalid)
	expect(nil, 1)
	g.Learn(planner.ErrUnavailable)
	expect(nil, 2)
	g.Learn(planner.ErrExecuted)
	expect(planner.ErrRefused, 2) // shut until somebody probes
	if g.Open() || g.Losses() != losses+2 {
		t.Errorf("open %v, %d losses", g.Open(), g.Losses())
	}
	answer = planner.ErrExecuted
	if err := g.Probe(t.Context()); !errors.Is(err, planner.ErrExecuted) {
		t.Error(err)
	}
	expect(planner.ErrRefused, 3)
	answer = nil
	if err := g.Probe(t.Context()); err != nil || !g.Open() {
		t.Error(err)
	}
}

// TestGateLearnsWhileTheCanaryIsUnderWay: its answer may be older than a sign
// of a reload, or than an execution, and does not cover them up.
func TestGateLearnsWhileTheCanaryIsUnderWay(t *testing.T) {
	var g *Gate
	var meanwhile func()
	canaries := 0
	g = NewGate(func(context.Context) error {
		canaries++
		if meanwhile != nil {
			meanwhile()
		}
		return nil
	})
	meanwhile = func() { g.Distrust() }
	if err := g.Ensure(t.Context()); err != nil || g.Open() {
		t.Errorf("reload: %v, open %v", err, g.Open())
	}
	meanwhile = nil
	if err := g.Ensure(t.Context()); err != nil || !g.Open() || canaries != 2 {
		t.Errorf("after the reload: %v, open %v, %d canaries", err, g.Open(), canaries)
	}
	meanwhile = func() { g.Learn(planner.ErrExecuted) }
	if err := g.Probe(t.Context()); err != nil || g.Open() {
		t.Errorf("execution: %v, open %v", err, g.Open())
	}
	refused := g.Ensure(t.Context())
	if !errors.Is(refused, planner.ErrRefused) || canaries != 3 {
		t.Errorf("after the execution: %v, %d canaries", refused, canaries)
	}
	// A request that was not sent teaches nothing: a late one shuts no open gate.
	meanwhile = func() { g.Learn(refused) }
	if err := g.Probe(t.Context()); err != nil || !g.Open() {
		t.Errorf("not sent: %v, open %v", err, g.Open())
	}
}

func TestWatchDebounces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		looks := 0
		var seen []string
		Watch(ctx, time.Second, 3*time.Second, func(context.Context) string {
			looks++
			return map[int]string{3: "first", 4: "second", 5: "third", 10: "later"}[looks]
		}, func(r planner.Reload) { seen = append(seen, r.Sign) })
		if strings.Join(seen, " ") != "first later" || looks < 19 {
			t.Errorf("%q after %d looks", seen, looks)
		}
	})
}
