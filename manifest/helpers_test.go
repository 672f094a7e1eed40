package manifest

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

var (
	testGraph = Graph{Namespace: "default", Name: "storefront"}
	testNow   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

const testSchema = "sha256:3525218e7e315d91571ad682f0d1985c30b5c746ed8ae468ce16ebdea336bb05"

func ptr[T any](v T) *T { return &v }

// seen is a candidate from telemetry.
func seen(key string, p90 float64, executions uint64) Candidate {
	name := "Op" + key
	return Candidate{
		Entry: Entry{
			Request: Request{OperationName: name, Query: "query " + name + " { f" + key + " }"},
			Client:  &Client{Name: "web"},
			Planwarm: Details{
				Source: SourceTelemetry, Type: Query, PlanKey: key,
				P90Ms: p90, MaxMs: p90 * 2, Samples: 10, Executions: executions,
			},
		},
		SumMs: p90 * 5,
	}
}

// pushed is a candidate from the pins, at a place of the stack.
func pushed(key string, place int) Candidate {
	name := "Op" + key
	r := Request{OperationName: name, Query: "query " + name + " { f" + key + " }"}
	at := testNow.Add(-time.Duration(place) * time.Minute)
	return Candidate{
		Entry: Entry{Request: r, Planwarm: Details{Type: Query, PlanKey: key}},
		Pin:   &Pin{ID: PinID(r), Request: r, PushedAt: at, PushedBy: "ada"},
		Place: place,
	}
}

func testInput(cs ...Candidate) Input {
	return Input{
		Graph: testGraph, Schema: testSchema, Window: 168 * time.Hour, Settings: DefaultSettings(),
		Candidates: cs, Now: testNow, Writer: "w1",
	}
}

func mustBuild(t testing.TB, in Input) Result {
	t.Helper()
	r, err := Build(in)
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	if err := r.Manifest.Validate(); err != nil {
		t.Fatalf("Build made an invalid manifest: %v", err)
	}
	return r
}

// planKeys lists the plan keys of a manifest in order.
func planKeys(m Manifest) []string {
	keys := make([]string, len(m.Operations))
	for i, e := range m.Operations {
		keys[i] = e.Planwarm.PlanKey
	}
	return keys
}

// reasons maps plan keys to why they were left out.
func reasons(r Result) map[string]Reason {
	why := make(map[string]Reason)
	for _, l := range r.LeftOut {
		why[l.PlanKey] = l.Reason
	}
	return why
}

// manyCandidates makes n candidates with a long tail of costs and demand.
func manyCandidates(n int, r *rand.Rand) []Candidate {
	cs := make([]Candidate, n)
	for i := range cs {
		c := seen(strconv.FormatUint(r.Uint64(), 10), 0.2+100*r.ExpFloat64()*r.Float64(), 1+uint64(1e6/(1+r.Float64()*float64(n))))
		c.Client = &Client{Name: fmt.Sprintf("client-%d", r.IntN(7)), Version: "1"}
		cs[i] = c
	}
	return cs
}

// fullManifest uses every field of the format.
func fullManifest() Manifest {
	return Manifest{
		Format: Format, Graph: testGraph, Sequence: 42, Writer: "b5c1", GeneratedAt: testNow,
		Schema: testSchema, Window: "168h0m0s", Rank: RankSaved,
		Operations: []Entry{{
			Request: Request{
				OperationName: "Checkout", Query: "query Checkout($id: ID! $a: Boolean!) { cart(id: $id) { total @include(if: $a) } }",
				Extensions: &Extensions{PersistedQuery: &PersistedQuery{SHA256Hash: testSchema[7:], Version: 1}},
			},
			Client: &Client{Name: "web", Version: "3.1"},
			Planwarm: Details{
				Source: SourceManual, Type: Query, PlanKey: "11017789909616755873", P90Ms: 412, MaxMs: 530.1, MeanMs: 200.25,
				Samples: 37, Executions: 9120, MeasuredAt: ptr(testNow.Add(-time.Hour)), Score: 0.5,
				PushedAt: ptr(testNow.Add(-2 * time.Hour)), PushedBy: "ada", Conditions: map[string]bool{"a": true}, Profile: "beta",
				Variants: []Variant{
					{OperationName: ptr(""), Client: &Client{Name: "ios"}},
					{Query: "query Cart { cart(id: 1) { total } }", PlanKey: "7", Conditions: map[string]bool{"a": false}, Profile: "alpha"},
				},
			},
		}, {
			Request:  Request{Query: "mutation { pay <&> }"},
			Planwarm: Details{Source: SourceTelemetry, Type: Mutation, PlanKey: "18446744073709551615", P90Ms: 1.5, Samples: 1, Executions: 3},
		}},
	}
}

func fullPins() Pins {
	a := Request{OperationName: "Checkout", Query: "query Checkout { cart { total } }"}
	b := Request{Query: "{ me { id } }"}
	return Pins{
		Format: PinsFormat, Graph: testGraph, Sequence: 3, Nonce: "n1",
		Pins: []Pin{
			{ID: PinID(a), Request: a, Client: &Client{Name: "web"}, PlanKey: "12", PushedAt: testNow, PushedBy: "ada", From: ptr(testNow), Until: ptr(testNow.Add(time.Hour))},
			{ID: PinID(b), Request: b, PushedAt: testNow.Add(-time.Minute)},
		},
		Deny: []Deny{
			{OperationName: "Slow", Reason: "breaks the planner", DeniedAt: testNow, DeniedBy: "ada"},
			{ID: PinID(b), PlanKey: "9", Hash: "8", DeniedAt: testNow},
		},
	}
}
