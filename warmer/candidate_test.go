package warmer

import (
	"fmt"
	"testing"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/telemetry"
)

// conditionKeyer gives plan key and hash by the conditions alone.
type conditionKeyer struct{}

func (conditionKeyer) Key(_, _ string, conditions map[string]bool) (planKey, hash string, err error) {
	switch on, conditional := conditions["more"]; {
	case !conditional:
		return "100", "h-100", nil
	case on:
		return "201", "h-201", nil
	}
	return "200", "h-200", nil
}

func candidateSchema(t *testing.T) *schema.Schema {
	t.Helper()
	sc, err := schema.Load([]byte("type Query { a: Int b: Int }"))
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

func pinOf(text string) manifest.Pin {
	r := manifest.Request{Query: text}
	return manifest.Pin{ID: manifest.PinID(r), Request: r, PushedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

// A usage that telemetry knows by its hash alone is the pushed operation with
// that hash, under the conditions that the hash is of.
func TestUsageJoinsWhatWasPushed(t *testing.T) {
	cs := NewCandidates(candidateSchema(t), conditionKeyer{})
	const text = "query($more: Boolean!) { a b @include(if: $more) }"
	cs.AddPins([]manifest.Pin{pinOf(text)})
	known := telemetry.Usage{Hash: "h-201", Hashes: []string{"h-201"}, PlanKey: "999", Executions: 7, Samples: 3, P90: 5, Sum: 12}
	if key := cs.Key(known); key != "201" {
		t.Errorf("key %s of a usage that was pushed; what the router said before is of an older schema", key)
	}
	other := telemetry.Usage{Hash: "h-300", Hashes: []string{"h-300"}, PlanKey: "300", Executions: 1}
	unknown := telemetry.Usage{Hash: "h-400", Hashes: []string{"h-400"}, Executions: 1}
	cs.AddUsages([]telemetry.Usage{known, other, unknown})
	list := cs.List()
	if len(list) != 4 {
		t.Fatalf("%d candidates", len(list))
	}
	joined := list[1]
	if joined.Request.Query != text || joined.Planwarm.PlanKey != "201" || fmt.Sprint(joined.Planwarm.Conditions) != "map[more:true]" || joined.Planwarm.Executions != 7 {
		t.Errorf("joined as %+v", joined.Entry)
	}
	if list[2].Request.Query != "" || list[2].Planwarm.PlanKey != "300" || list[3].Planwarm.PlanKey != "" {
		t.Errorf("others became %+v and %+v", list[2].Entry, list[3].Entry)
	}
	if pin := list[0]; len(pin.Hashes) != 2 || pin.Planwarm.PlanKey != "200" || len(pin.Planwarm.Variants) != 1 || pin.Planwarm.Variants[0].PlanKey != "201" {
		t.Errorf("the pin became %+v", pin)
	}
}

// One manifest entry comes of a pin and its usage, with the usage's figures.
func TestJoinedUsageMeasuresThePin(t *testing.T) {
	cs := NewCandidates(candidateSchema(t), conditionKeyer{})
	cs.AddPins([]manifest.Pin{pinOf("{ a }"), pinOf("{ nothing }")})
	cs.AddUsages([]telemetry.Usage{{Hash: "h-100", Hashes: []string{"h-100"}, Name: "AnotherName", Executions: 9, Samples: 4, P90: 2.5, Max: 3, Sum: 8}})
	r, err := manifest.Build(manifest.Input{
		Graph: manifest.Graph{Namespace: "n", Name: "g"}, Settings: manifest.DefaultSettings(), Candidates: cs.List(), Now: time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC),
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Manifest.Operations) != 1 {
		t.Fatalf("%d operations", len(r.Manifest.Operations))
	}
	e := r.Manifest.Operations[0]
	if d := e.Planwarm; d.Source != manifest.SourceManual || d.P90Ms != 2.5 || d.Samples != 4 || d.Executions != 9 || e.Request.OperationName != "" {
		t.Errorf("%+v", e)
	}
	for _, l := range r.LeftOut {
		if l.PinID != "" && l.Reason != manifest.ReasonRefused {
			t.Errorf("left out: %+v", l)
		}
	}
}

// A text of its own goes before a pushed one: telemetry may know more of it.
func TestUsageWithTextKeepsIt(t *testing.T) {
	cs := NewCandidates(candidateSchema(t), conditionKeyer{})
	cs.AddPins([]manifest.Pin{pinOf("{ a }")})
	cs.AddUsages([]telemetry.Usage{{Hash: "h-100", Hashes: []string{"h-100"}, Text: "{a b}", Executions: 1}})
	if c := cs.List()[1]; c.Request.Query != "{a b}" || c.Planwarm.PlanKey != "100" {
		t.Errorf("%+v", c.Entry)
	}
}
