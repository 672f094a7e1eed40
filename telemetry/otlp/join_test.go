package otlp

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/planwarm/planwarm/telemetry"
)

// operationText is an operation's hash and normalised text. One hash can have
// several texts, which differ in the name.
type operationText struct{ hash, text string }

func contentTruth(t testing.TB) map[operationText]bool {
	t.Helper()
	var doc struct {
		Operations []struct {
			Hash       string `json:"hash"`
			Normalized string `json:"normalized"`
		} `json:"operations"`
	}
	if err := json.Unmarshal(read(t, "content/truth.json"), &doc); err != nil {
		t.Fatal(err)
	}
	out := map[operationText]bool{}
	for _, o := range doc.Operations {
		if o.Hash != "" {
			out[operationText{o.Hash, o.Normalized}] = true
		}
	}
	if len(out) < 70 {
		t.Fatalf("content/truth.json has %d operations", len(out))
	}
	return out
}

// TestCosmoJoinsTexts whatever the order of the batches.
func TestCosmoJoinsTexts(t *testing.T) {
	batches := load(t, "content/traces")
	rng := rand.New(rand.NewPCG(1, 2))
	want := contentTruth(t)
	for round := range 12 {
		switch round {
		case 0:
		case 1:
			slices.Reverse(batches)
		default:
			rng.Shuffle(len(batches), func(i, j int) { batches[i], batches[j] = batches[j], batches[i] })
		}
		var rec recorder
		take(t, receiver(t, &rec), "http", Traces, batches...)
		got := map[operationText]bool{}
		for _, x := range rec.texts {
			got[operationText{x.op.Hash, x.text}] = true
		}
		if !maps.Equal(got, want) || len(rec.texts) != len(rec.spans) {
			t.Errorf("round %d: %d texts of %d plans, %d different ones, want the %d of truth.json", round, len(rec.texts), len(rec.spans), len(got), len(want))
		}
	}
}

func TestCosmoJoinCases(t *testing.T) {
	plan := map[string]any{"wg.operation.hash": "7", "wg.operation.name": "A", "wg.operation.plan_key": "9", "wg.engine.plan_cache_hit": true}
	text := func(name, key, text string) map[string]any {
		return map[string]any{"wg.operation.name": name, "wg.operation.plan_key": key, "wg.operation.normalized_content": text}
	}
	cases := []struct {
		name         string
		from, parent string
		attributes   map[string]any
		want         int
	}{
		{"same request", "a", "\x01", text("A", "9", "query A {x}"), 1},
		{"without plan key", "a", "\x01", text("A", "", "query A {x}"), 1},
		{"another request", "a", "\x02", text("A", "9", "query A {x}"), 0},
		{"another instance", "b", "\x01", text("A", "9", "query A {x}"), 0},
		{"another operation of a batched request", "a", "\x01", text("B", "", "query B {x}"), 0},
		{"another plan of a batched request", "a", "\x01", text("A", "8", "query A {x}"), 0},
		{"empty text", "a", "\x01", text("A", "9", ""), 0},
		{"text beyond reason", "a", "\x01", text("A", "9", strings.Repeat("x", maxText+1)), 0},
		{"original text", "a", "\x01", map[string]any{"wg.operation.name": "A", "wg.operation.original_content": "query A {x}"}, 0},
	}
	for _, c := range cases {
		p, n := newTrace("a"), newTrace(c.from)
		p.add(cosmoPlanSpan, 1, 1, plan)
		n.add(cosmoNormalizeSpan, 2, c.parent[0], c.attributes)
		n.add("Operation - Parse", 3, c.parent[0], map[string]any{"wg.operation.original_content": "query A {secret}"})
		for _, order := range [][]*trace{{p, n}, {n, p}} {
			var rec recorder
			r := receiver(t, &rec)
			for _, tr := range order {
				take(t, r, "http", Traces, capture{c.name, tr.bytes(t)})
			}
			if len(rec.texts) != c.want {
				t.Errorf("%s: %d texts, want %d", c.name, len(rec.texts), c.want)
			}
			for _, x := range rec.texts {
				if x.op.Hash != "7" || strings.Contains(x.text, "secret") {
					t.Errorf("%s: text of %q", c.name, x.op.Hash)
				}
			}
		}
	}
}

func TestJoinBufferIsBounded(t *testing.T) {
	j := newJoinBuffer(10, 100)
	for i := range 1000 {
		j.text(joinKey{trace: [16]byte{byte(i), byte(i >> 8)}}, joinText{text: strings.Repeat("x", 30)})
		j.plan(joinKey{trace: [16]byte{byte(i), byte(i >> 8), 1}}, telemetry.Operation{Hash: "1"})
		if j.bytes > 100 || j.texts.Len() > 10 || j.plans.Len() > 10 || j.bytes != 30*j.texts.Len() {
			t.Fatalf("after %d: %d bytes in %d texts, %d plans", i, j.bytes, j.texts.Len(), j.plans.Len())
		}
	}
	j.text(joinKey{}, joinText{text: strings.Repeat("x", 101)})
	if j.bytes != 0 || j.texts.Len() != 0 {
		t.Errorf("a text larger than the buffer: %d bytes", j.bytes)
	}
}

// TestConcurrentTake joins and counts the same when batches come in together.
func TestConcurrentTake(t *testing.T) {
	batches := load(t, "content/traces")
	want := contentTruth(t)
	var rec recorder
	r := receiver(t, &rec)
	var wg sync.WaitGroup
	for _, c := range batches {
		wg.Go(func() {
			if s, err := r.Take(arrival, "http", Traces, Protobuf, c.body); err != nil || s.Rejected != 0 {
				t.Errorf("%s: %v, %+v", c.name, err, s)
			}
		})
	}
	wg.Wait()
	got := map[operationText]bool{}
	for _, x := range rec.texts {
		got[operationText{x.op.Hash, x.text}] = true
	}
	if !maps.Equal(got, want) {
		t.Errorf("%d texts, want the %d of truth.json", len(got), len(want))
	}
}
